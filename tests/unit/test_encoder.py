"""The encoder tagger: windows in, scores out, and nothing but the article and the model decides."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save

import nutgraf
from nutgraf import encoder
from nutgraf.encoder import CHAIN, GRAPH, INPUTS, OUTPUT, TOKENIZER, EncoderTagger, graph_inputs
from nutgraf.registry import make_tagger
from nutgraf.sequence import ChainWeights
from nutgraf.windows import Window, WindowSettings, encode, position, windows
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, ModelError
from nutgraf_data.labels import NEWS_ROLES

if TYPE_CHECKING:
    from tests.conftest import Edit, WriteEncoder

SETTINGS = "settings.toml"
TEXTS = ["Fire broke out at the port on Monday.", "“Nobody was hurt,” the mayor said.", "It opened in 1907."]


@pytest.fixture
def fresh(tiny_encoder: Path) -> Callable[[], EncoderTagger]:
    """Makes taggers that remember nothing."""

    def make() -> EncoderTagger:
        tagger = nutgraf.load(tiny_encoder)
        assert isinstance(tagger, EncoderTagger)
        return tagger

    return make


def scores(tagger: EncoderTagger, articles: Sequence[Article]) -> list[list[list[float]]]:
    """Of each paragraph of each article; lists, because they are to be equal to the last bit."""
    return [found.tolist() for found, _ in tagger.score_many(articles)]


def refusal(folder: Path) -> str:
    """What is said of a folder that has to be refused when it is loaded."""
    with pytest.raises(ModelError) as caught:
        nutgraf.load(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder} is refused as a model: ")
    assert message.endswith("; copy the folder again from where it came from, or train the model anew")
    assert len(message) < 2000
    assert "\n" not in message
    return message


# What it gives


def test_the_registry_makes_it(tiny_encoder: Path, tiny_encoder_tagger: EncoderTagger) -> None:
    assert type(nutgraf.load(tiny_encoder)) is type(make_tagger(tiny_encoder_tagger.folder)) is EncoderTagger


def test_the_model_is_worth_testing(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    """Several windows an article, several labels, paragraphs that are cut and others that are not."""
    found = [segment for annotation in tiny_encoder_tagger.predict_many(unseen) for segment in annotation]
    assert len({segment.label for segment in found}) >= 5
    assert {segment.truncated for segment in found} == {True, False}
    cut = encode(unseen, tiny_encoder_tagger._tokenizer, tiny_encoder_tagger._settings)
    assert min(len(windows(each, tiny_encoder_tagger._settings, 2, 3)) for each in cut) > 1


def test_the_best_score_is_the_label(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    for annotation in tiny_encoder_tagger.predict_many(unseen):
        for segment in annotation:
            assert tuple(segment.scores) == NEWS_ROLES.labels
            assert segment.label == max(segment.scores, key=segment.scores.__getitem__)
            assert segment.confidence == max(segment.scores.values())
            assert min(segment.scores.values()) >= 0.0
            assert sum(segment.scores.values()) == pytest.approx(1.0, abs=1e-12)
            assert not segment.abstained


@settings(max_examples=30, deadline=None)
@given(
    texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=40).filter(str.strip), min_size=1, max_size=30),
    headline=st.none() | st.text(st.characters(codec="utf-8"), max_size=20),
)
def test_any_article_is_annotated(tiny_encoder_tagger: EncoderTagger, texts: list[str], headline: str | None) -> None:
    annotation = tiny_encoder_tagger.predict(Article.from_paragraphs(texts, headline=headline))
    assert [segment.text for segment in annotation] == texts
    for segment in annotation:
        assert segment.confidence == max(segment.scores.values()) == segment.scores[segment.label]
        assert sum(segment.scores.values()) == pytest.approx(1.0, abs=1e-12)


def test_margins_are_what_the_graph_gives(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    """Recomputed in numpy, window by window."""
    tagger = tiny_encoder_tagger
    model = onnx.load_from_string(tagger.folder.files[GRAPH])
    weights = {each.name: numpy_helper.to_array(each).astype(np.float64) for each in model.graph.initializer}
    margins = tagger.margins(unseen[:4])
    for own, cut in zip(margins, encode(unseen[:4], tagger._tokenizer, tagger._settings), strict=True):
        assert own.shape == (len(cut.paragraphs), len(NEWS_ROLES))
        assert own.dtype == np.float64
        for window in windows(cut, tagger._settings, tagger._first, tagger._last):
            tokens = weights["embeddings"][window.ids]
            for paragraph, (start, end) in zip(window.paragraphs, window.spans, strict=True):
                if paragraph in window.taken:
                    place = weights["places"][position(paragraph)]
                    hidden = np.tanh(tokens[start:end].mean(axis=0) + tokens.mean(axis=0) + place)
                    np.testing.assert_allclose(own[paragraph], hidden @ weights["head"], rtol=1e-4, atol=1e-4)


def test_scores_are_the_chain_over_the_margins(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    chain = ChainWeights.from_arrays(load_arrays(tiny_encoder_tagger.folder.files[CHAIN]))
    for article, own in zip(unseen, tiny_encoder_tagger.margins(unseen), strict=True):
        np.testing.assert_array_equal(tiny_encoder_tagger.score(article)[0], chain.scores(own))


def test_what_the_graph_reads_of_a_window() -> None:
    window = Window([1, 9, 2, 5, 6, 2, 2], [(3, 5), (6, 7)], [11, 12], range(11, 12))
    found = graph_inputs(window)
    assert {name: array.tolist() for name, array in found.items()} == {
        "input_ids": [[1, 9, 2, 5, 6, 2, 2]],
        "segments": [[-1, -1, -1, 0, 0, -1, 1]],
        "positions": [[11, 11]],
    }
    assert tuple(found) == INPUTS
    assert {array.dtype for array in found.values()} == {np.dtype(np.int64)}


# Nothing else decides


def test_order_and_batch_do_not_matter(fresh: Callable[[], EncoderTagger], unseen: list[Article]) -> None:
    forward = {a.article.id: a.segments for a in fresh().predict_many(unseen)}
    backward = {a.article.id: a.segments for a in fresh().predict_many(unseen[::-1])}
    assert forward == backward
    tagger = fresh()
    for article in unseen:
        assert tagger.predict(article).segments == forward[article.id]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_batch_size_does_not_matter(tiny_encoder_tagger: EncoderTagger, unseen: list[Article], size: int) -> None:
    together = scores(tiny_encoder_tagger, unseen)
    apart = []
    for start in range(0, len(unseen), size):
        apart += scores(tiny_encoder_tagger, unseen[start : start + size])
    assert apart == together


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_the_number_of_threads_does_not_matter(
    fresh: Callable[[], EncoderTagger], unseen: list[Article], monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    expected = scores(fresh(), unseen)
    monkeypatch.setattr(encoder, "_cores", lambda: threads)
    assert scores(fresh(), unseen) == expected


def test_all_cores_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert encoder._cores() == 3
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert encoder._cores() == 6
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert encoder._cores() == 1


def test_threads_that_share_a_tagger(fresh: Callable[[], EncoderTagger], unseen: list[Article]) -> None:
    expected = [annotation.segments for annotation in fresh().predict_many(unseen)]
    tagger = fresh()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert [found.segments for found in pool.map(tagger.predict, unseen * 3)] == expected * 3
    finally:
        sys.setswitchinterval(interval)


def test_a_tagger_can_be_sent_to_another_process(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    copy = pickle.loads(pickle.dumps(tiny_encoder_tagger))
    assert type(copy) is EncoderTagger
    assert copy.fingerprint == tiny_encoder_tagger.fingerprint
    assert copy.predict(unseen[0]) == tiny_encoder_tagger.predict(unseen[0])


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_tagger_can_be_used_after_a_fork(fresh: Callable[[], EncoderTagger], unseen: list[Article]) -> None:
    """The child has the very tagger, session and all, which the parent has used, with several windows at once."""
    tagger = fresh()
    expected = scores(tagger, unseen)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    children = [context.Process(target=lambda: sender.send(scores(tagger, unseen))) for _ in range(2)]
    for child in children:
        child.start()
    found = [receiver.recv() if receiver.poll(60) else None for _ in children]
    for child in children:
        child.join(60)
        child.kill()
    assert found == [expected, expected]
    assert [child.exitcode for child in children] == [0, 0]
    assert scores(tagger, unseen) == expected


def test_a_pool_of_forked_processes(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    expected = [tiny_encoder_tagger.predict(article).segments for article in unseen]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map_async(tiny_encoder_tagger.predict, unseen).get(60)
    assert [annotation.segments for annotation in found] == expected


def test_neighbours_do_matter(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    texts = [paragraph.text for paragraph in unseen[0].paragraphs]
    whole = tiny_encoder_tagger.predict(Article.from_paragraphs(texts))
    alone = tiny_encoder_tagger.predict(Article.from_paragraphs(texts[3:4]))
    titled = tiny_encoder_tagger.predict(Article.from_paragraphs(texts, headline="Fire at the port"))
    assert whole[3].scores != alone[0].scores
    assert whole[3].scores != titled[3].scores


def test_text_and_article_give_the_same(tiny_encoder_tagger: EncoderTagger) -> None:
    one = tiny_encoder_tagger.predict("\n\n".join(TEXTS))
    assert one.segments == tiny_encoder_tagger.predict(Article.from_paragraphs(TEXTS)).segments


def test_names_of_special_tokens_in_a_text(tiny_encoder_tagger: EncoderTagger) -> None:
    """They are what they say, but spans do not come from looking for separators."""
    texts = ["[SEP] [SEP] [CLS]", "[SEP]", "Fire [SEP] fire.", "[PAD][MASK]<s></s>"]
    assert len(tiny_encoder_tagger.predict(Article.from_paragraphs(texts, headline="[SEP]"))) == 4


# Long and short


@pytest.mark.parametrize("count", [1, 2, 2000])
def test_articles_of_any_length(tiny_encoder_tagger: EncoderTagger, count: int) -> None:
    texts = [f"{TEXTS[n % 3]} {n}" for n in range(count)]
    annotation = tiny_encoder_tagger.predict(Article.from_paragraphs(texts))
    assert [segment.text for segment in annotation] == texts
    assert len({tuple(segment.scores.values()) for segment in annotation}) == count
    assert not any(segment.truncated for segment in annotation)


def test_no_articles(tiny_encoder_tagger: EncoderTagger) -> None:
    assert tiny_encoder_tagger.score_many([]) == []
    assert tiny_encoder_tagger.margins([]) == []
    assert list(tiny_encoder_tagger.predict_many([])) == []


@pytest.mark.parametrize("text", ["fire " * 91, "fire" + " " * 697, "word " * 100_000, "a" * 1_000_000])
def test_long_paragraphs_are_cut(tiny_encoder_tagger: EncoderTagger, text: str) -> None:
    annotation = tiny_encoder_tagger.predict(Article.from_paragraphs([TEXTS[0], text, "fire " * 90, TEXTS[1]]))
    assert [segment.truncated for segment in annotation] == [False, True, False, False]
    assert annotation[1].text == text


def test_what_is_cut_off_decides_nothing(tiny_encoder_tagger: EncoderTagger) -> None:
    one, other = (
        tiny_encoder_tagger.predict(Article.from_paragraphs([TEXTS[0], "fire " * 90 + end, TEXTS[1]]))
        for end in ("police", "mayor mayor mayor")
    )
    assert [segment.scores for segment in one] == [segment.scores for segment in other]


def test_paragraphs_without_tokens(tiny_encoder_tagger: EncoderTagger) -> None:
    texts = ["\u200b", "\x01", TEXTS[0], "\u00ad"]
    annotation = tiny_encoder_tagger.predict(Article.from_paragraphs(texts))
    assert len(annotation) == 4
    assert not any(segment.truncated for segment in annotation)


def test_min_confidence(tiny_encoder_tagger: EncoderTagger, unseen: list[Article]) -> None:
    plain = tiny_encoder_tagger.predict(unseen[0])
    limit = sorted(segment.confidence for segment in plain)[len(plain) // 2]
    strict = tiny_encoder_tagger.predict(unseen[0], min_confidence=limit)
    assert {segment.abstained for segment in strict} == {True, False}
    assert all(segment.abstained == (segment.confidence < limit) for segment in strict)
    assert [segment.label for segment in strict] == [segment.label for segment in plain]
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(DataError, match="expected a number from 0 to 1"):
            tiny_encoder_tagger.predict(unseen[0], min_confidence=wrong)


# Models that do not fit


@pytest.mark.parametrize("name", [TOKENIZER, GRAPH, CHAIN])
def test_missing_files(write_encoder: WriteEncoder, tmp_path: Path, name: str) -> None:
    assert f"{name} is missing" in refusal(write_encoder(tmp_path / "m", {name: None}))


@pytest.mark.parametrize("name", [TOKENIZER, GRAPH, CHAIN])
@pytest.mark.parametrize("content", [b"", b"nonsense", b"{}", b"\xff" * 1000, bytes(range(256)) * 40])
def test_files_that_are_something_else(write_encoder: WriteEncoder, tmp_path: Path, name: str, content: bytes) -> None:
    assert f"{name} " in refusal(write_encoder(tmp_path / "m", {name: content}))


@pytest.mark.parametrize("name", [TOKENIZER, GRAPH, CHAIN])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_files_that_were_cut(
    write_encoder: WriteEncoder, encoder_files: dict[str, bytes], tmp_path: Path, name: str, share: float
) -> None:
    whole = encoder_files[name]
    assert f"{name} " in refusal(write_encoder(tmp_path / "m", {name: whole[: int(len(whole) * share)]}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", r"settings.toml has no table [window]"),
        ("window = 3", "settings.toml does not fit: window is 3, expected a table"),
        ("[window]\ntokens = 0.5", "settings.toml does not fit: window.tokens is 0.5"),
        ("[window]\ntokens = 100", "settings.toml does not fit: window.tokens is 100"),
        ("[window]\nstride = 1", "settings.toml does not fit: [window] has unknown keys ['stride']"),
    ],
)
def test_settings_that_do_not_fit(write_encoder: WriteEncoder, tmp_path: Path, text: str, found: str) -> None:
    assert found in refusal(write_encoder(tmp_path / "m", {SETTINGS: text.encode()}))


def chain(**changes: Any) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        arrays = load_arrays(content)
        for name, replacement in changes.items():
            array = name.replace("__", ".")
            if (made := replacement(arrays.pop(array))) is not None:
                arrays[array] = made
        saved: bytes = save(arrays)
        return saved

    return change


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (chain(emission=lambda a: None), "it has no array 'emission'"),
        (chain(transitions__start=lambda a: None), "it has no array 'transitions.start'"),
        (chain(transitions__end=lambda a: a[:-1]), "'transitions.end' is float64 (6,), expected float64 (7,)"),
        (chain(transitions__between=lambda a: a[None]), "'transitions.between' is float64 (1, 7, 7)"),
        (chain(emission=lambda a: a.astype(np.float32)), "'emission' is float32 (29, 7), expected float64 (29, 7)"),
        (chain(emission=lambda a: a * np.nan), "'emission' holds values that are not finite"),
    ],
)
def test_chains_that_do_not_fit(
    write_encoder: WriteEncoder,
    encoder_files: dict[str, bytes],
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    found: str,
) -> None:
    message = refusal(write_encoder(tmp_path / "m", {CHAIN: change(encoder_files[CHAIN])}))
    assert f"{CHAIN} does not fit: " in message
    assert found in message


def rename(old: str, new: str) -> Edit:
    """Another name for an input, an output or a weight, everywhere."""

    def change(model: Any) -> None:
        for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
            value.name = new if value.name == old else value.name
        for node in model.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    names[index] = new if name == old else name

    return change


def output(*shape: int | str | None, kind: int = TensorProto.FLOAT, node: Any = None) -> Edit:
    """Another output, and what makes it instead of the last operator."""

    def change(model: Any) -> None:
        del model.graph.output[:]
        model.graph.output.append(helper.make_tensor_value_info(OUTPUT, kind, shape))
        if node is not None:
            del model.graph.node[-1]
            model.graph.node.append(node)

    return change


def more(name: str, kind: int = TensorProto.FLOAT) -> Edit:
    """One more output."""
    return lambda model: model.graph.output.append(helper.make_tensor_value_info(name, kind, None))


def head(labels: int) -> Edit:
    """Another number of labels."""

    def change(model: Any) -> None:
        (weight,) = (each for each in model.graph.initializer if each.name == "head")
        weight.CopyFrom(numpy_helper.from_array(np.ones((16, labels), dtype=np.float32), "head"))
        model.graph.output[0].type.tensor_type.shape.dim[2].dim_value = labels

    return change


def integers(model: Any) -> None:
    """Token numbers of 32 bits."""
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT32


def fourth(model: Any) -> None:
    model.graph.input.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, [1, "tokens"]))


CHANGED: dict[str, tuple[Edit, str]] = {
    "an input of another name": (rename("segments", "token_type_ids"), "takes {'input_ids': 'tensor(int64)', 'token_"),
    "one input more": (fourth, "expected ['input_ids', 'positions', 'segments'] of type tensor(int64)"),
    "an input of another type": (integers, "'input_ids': 'tensor(int32)'"),
    "an output of another name": (
        rename(OUTPUT, "scores"),
        "gives [('scores', 'tensor(float)', [1, 'paragraphs', 7])]",
    ),
    "one output more": (more("hidden"), "expected 'logits' of type tensor(float) with 7 labels"),
    "no output": (lambda model: model.graph.output.pop(), f"{GRAPH} "),
    "one label less": (head(6), "[1, 'paragraphs', 6])], expected 'logits' of type tensor(float) with 7 labels"),
    "one label more": (head(8), "with 7 labels"),
    "any number of labels": (output(1, "p", "labels", node=helper.make_node("Identity", ["hidden"], [OUTPUT])), GRAPH),
    "whole numbers": (
        output(1, "p", 7, kind=TensorProto.INT64, node=helper.make_node("Identity", ["positions"], [OUTPUT])),
        "'tensor(int64)'",
    ),
    "one number": (
        output(node=helper.make_node("ReduceMean", ["hidden"], [OUTPUT], keepdims=0)),
        "gives [('logits', 'tensor(float)', [])]",
    ),
    "a sequence": (
        lambda model: (
            output(node=helper.make_node("SequenceConstruct", ["hidden"], [OUTPUT]))(model),
            model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info(OUTPUT, TensorProto.FLOAT, None)),
        ),
        "'seq(tensor(float))'",
    ),
    "an operator that does not exist": (
        output(1, "p", 7, node=helper.make_node("Guess", ["hidden"], [OUTPUT])),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "no operators": (lambda model: model.graph.ClearField("node"), "cannot be used ([ONNXRuntimeError]"),
    "no graph": (lambda model: model.ClearField("graph"), "cannot be used ([ONNXRuntimeError]"),
    "weights missing": (lambda model: model.graph.ClearField("initializer"), "cannot be used ([ONNXRuntimeError]"),
    "operators of the future": (
        lambda model: model.opset_import[0].CopyFrom(helper.make_opsetid("", 9999)),
        "cannot be used ([ONNXRuntimeError]",
    ),
}


@pytest.mark.parametrize("name", CHANGED)
def test_graphs_that_do_not_fit(
    write_encoder: WriteEncoder, edited: Callable[[Edit], bytes], tmp_path: Path, name: str
) -> None:
    change, found = CHANGED[name]
    message = refusal(write_encoder(tmp_path / "m", {GRAPH: edited(change)}))
    assert f"{GRAPH} " in message
    assert found in message


#: What shows only when it is run: the last operator, the shape that is declared, and what is said.
RUN: dict[str, tuple[Any, tuple[int | None, ...], str]] = {
    "not a number": (
        helper.make_node("Log", ["negative"], [OUTPUT]),
        (1, None, 7),
        "gives 'logits' that are not finite",
    ),
    "one row for all": (
        helper.make_node("Identity", ["one row"], [OUTPUT]),
        (1, None, 7),
        "gives 'logits' of shape (1, 1, 7), expected (1, 3, 7)",
    ),
    "a row too many": (
        helper.make_node("Concat", ["negative", "one row"], [OUTPUT], axis=1),
        (1, None, 7),
        "gives 'logits' of shape (1, 4, 7), expected (1, 3, 7)",
    ),
    "another rank": (
        helper.make_node("Squeeze", ["negative", "zero"], [OUTPUT]),
        (None, 7),
        "gives 'logits' of shape (3, 7), expected (1, 3, 7)",
    ),
    "a shape that cannot be": (
        helper.make_node("Reshape", ["negative", "shape"], [OUTPUT]),
        (5, 5, 7),
        f"cannot be run on what {TOKENIZER} gives ([ONNXRuntimeError]",
    ),
}


@pytest.mark.parametrize("name", RUN)
def test_graphs_that_fail_when_they_are_run(
    write_encoder: WriteEncoder, edited: Callable[[Edit], bytes], tmp_path: Path, name: str
) -> None:
    node, shape, found = RUN[name]

    def edit(model: Any) -> None:
        model.graph.node[-1].output[0] = "own"
        model.graph.node.append(helper.make_node("Sub", ["own", "much"], ["negative"]))
        model.graph.node.append(helper.make_node("Identity", ["own"], [OUTPUT]))
        output(*shape, node=node)(model)
        weights = {"one row": np.ones((1, 1, 7), np.float32), "much": np.float32(1e9), "shape": np.array([5, 5, 7])}
        for key, values in weights.items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), key))

    tagger = nutgraf.load(write_encoder(tmp_path / "m", {GRAPH: edited(edit)}))
    assert isinstance(tagger, EncoderTagger)
    for call in (tagger.predict, tagger.score, lambda article: tagger.margins([article])):
        with pytest.raises(ModelError) as caught:
            call(Article.from_paragraphs(TEXTS))
        assert str(tmp_path / "m") in str(caught.value)
        assert f"{GRAPH} " in str(caught.value)
        assert found in str(caught.value)
        assert "; copy the folder again" in str(caught.value)


def test_absurd_chains_give_no_scores(
    write_encoder: WriteEncoder, encoder_files: dict[str, bytes], tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    content = chain(emission=lambda a: np.full_like(a, 1e308))(encoder_files[CHAIN])
    tagger = nutgraf.load(write_encoder(tmp_path / "m", {CHAIN: content}))
    with pytest.raises(ModelError, match="gives scores that are not finite; copy the folder again"):
        tagger.predict(Article.from_paragraphs(TEXTS))
    assert not recwarn.list


@pytest.mark.parametrize("threads", [1, 2])
def test_one_bad_window_of_many_is_one_error(
    write_encoder: WriteEncoder,
    edited: Callable[[Edit], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    threads: int,
) -> None:
    """Token number 0 is in one paragraph only."""

    def change(model: Any) -> None:
        (weight,) = (each for each in model.graph.initializer if each.name == "embeddings")
        values = numpy_helper.to_array(weight).copy()
        values[0] = np.nan
        weight.CopyFrom(numpy_helper.from_array(values, "embeddings"))

    monkeypatch.setattr(encoder, "_cores", lambda: threads)
    tagger = nutgraf.load(write_encoder(tmp_path / "m", {GRAPH: edited(change)}))
    texts = [TEXTS[n % 3] for n in range(200)]
    assert len(tagger.predict(Article.from_paragraphs(texts))) == 200
    texts[150] = "[PAD]"
    with pytest.raises(ModelError, match="not finite"):
        tagger.predict(Article.from_paragraphs(texts))
    assert len(tagger.predict(Article.from_paragraphs(texts[:140]))) == 140  # and it can be used on


def test_the_settings_are_those_of_the_folder(write_encoder: WriteEncoder, tmp_path: Path) -> None:
    text = b"[window]\ntokens = 30\nheadline = 0\nlead = 0\ncontext = 0\nparagraph = 5\n"
    tagger = nutgraf.load(write_encoder(tmp_path / "m", {SETTINGS: text}))
    assert isinstance(tagger, EncoderTagger)
    assert tagger._settings == WindowSettings(tokens=30, headline=0, lead=0, context=0, paragraph=5)
    assert [s.truncated for s in tagger.predict("Fire fire fire.\n\nFire fire fire fire fire.")] == [False, True]


def test_what_is_said_twice_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger = nutgraf.load("default")
    assert isinstance(tagger, EncoderTagger)
    one, other = (nutgraf.Article.from_paragraphs([text]) for text in ("A fire broke out.", "Read more here."))
    apart = [tagger.margins([article])[0] for article in (one, other)]
    read: list[Window] = []
    logits = tagger._logits

    def counted(window: Window) -> np.ndarray:
        read.append(window)
        return logits(window)

    monkeypatch.setattr(tagger, "_logits", counted)
    together = tagger.margins([one, other, one, one])
    assert len(read) == 2
    for own, expected in zip(together, [apart[0], apart[1], apart[0], apart[0]], strict=True):
        np.testing.assert_array_equal(own, expected)
