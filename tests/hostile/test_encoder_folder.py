"""Encoder folders whose hashes are right and whose files mean harm: each is refused with one ModelError.

What is not guarded is time and memory: a graph may multiply matrices of any size, and a tokenizer may replace letters
by longer and longer texts. What onnxruntime itself refuses for its size is tested under a limit of memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nutgraf
from nutgraf.artefact import write_model
from nutgraf.encoder import CHAIN, GRAPH, OUTPUT, TOKENIZER
from nutgraf.linear import WEIGHTS
from nutgraf.registry import model_path
from nutgraf_data.article import Article
from nutgraf_data.errors import ModelError
from nutgraf_data.labels import NEWS_ROLES

if TYPE_CHECKING:
    from tests.conftest import Edit, WriteEncoder
    from tests.hostile.conftest import Runner

SETTINGS = "settings.toml"
ARTICLE = Article.from_paragraphs(
    ["Fire broke out at the port on Monday.", "a" * 40 + "b", "x ß 🙂 \0"], headline="Fire at the port"
)


def refusal(folder: Path, *, run: bool = False) -> str:
    """What is said of a folder when it is loaded, or when it is used for the first time."""
    use = nutgraf.load(folder).predict if run else lambda _: nutgraf.load(folder)
    with pytest.raises(ModelError) as caught:
        use(ARTICLE)
    message = str(caught.value)
    assert message.startswith(f"{folder} is refused as a model: ")
    assert message.endswith("; copy the folder again from where it came from, or train the model anew")
    assert len(message) < 2000
    assert "\n" not in message
    return message


@pytest.fixture
def refused(write_encoder: WriteEncoder, tmp_path: Path) -> Callable[..., str]:
    """What is said of the small model with one file changed."""

    def call(name: str, content: bytes, *, run: bool = False) -> str:
        message = refusal(write_encoder(tmp_path / "m", {name: content}), run=run)
        assert name in message
        return message

    return call


# Graphs


def elsewhere(location: str, **fields: int) -> Edit:
    """The head's weights are in another file."""

    def change(model: Any) -> None:
        (weight,) = (each for each in model.graph.initializer if each.name == "head")
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **fields}.items():
            entry = weight.external_data.add()
            entry.key, entry.value = key, str(value)

    return change


@pytest.mark.parametrize(
    "place",
    [
        "weights.data",
        "./weights.data",
        "../secret",
        "../../etc/passwd",
        "/etc/passwd",
        "ABSOLUTE",
        "/dev/zero",
        "ADDRESS",
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_no_other_file_is_read(  # onnxruntime would read it from the working directory
    write_encoder: WriteEncoder,
    encoder_files: dict[str, bytes],
    edited: Callable[[Edit], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    beside: bool,
) -> None:
    import onnxruntime

    model = onnx.load_from_string(encoder_files[GRAPH])
    content = next(each.raw_data for each in model.graph.initializer if each.name == "head")
    array = np.frombuffer(content, dtype=np.float32).copy()
    (tmp_path / "here").mkdir()
    for name in ("secret", "here/weights.data"):
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("it was handed on"))
    location = {"ABSOLUTE": str(tmp_path / "secret"), "ADDRESS": "*/_ORT_MEM_ADDR_/*"}.get(place, place)
    offset = array.ctypes.data if place == "ADDRESS" else 0
    graph = edited(elsewhere(location, offset=offset, length=len(content)))
    # A file of that name in the folder itself makes no difference.
    changes = {GRAPH: graph, **({"weights.data": content} if beside else {})}
    message = refusal(write_encoder(tmp_path / "m", changes))
    assert f"{GRAPH} cannot be used (it takes weights from outside of the file)" in message
    assert location not in message


def node(*arguments: Any, **attributes: Any) -> Any:
    return helper.make_node(*arguments, **attributes)


def last(*nodes: Any, **weights: Any) -> Edit:
    """Other operators at the end, and what they take."""

    def change(model: Any) -> None:
        del model.graph.node[-1]
        model.graph.node.extend(nodes)
        for name, values in weights.items():
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))
        model.graph.output[0].CopyFrom(
            helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, None, len(NEWS_ROLES)])
        )

    return change


def domain(name: str, declared: bool = True) -> Edit:
    """An operator of a library that somebody would have to load."""

    def change(model: Any) -> None:
        last(node("Run", ["hidden"], [OUTPUT], domain=name))(model)
        if declared:
            model.opset_import.append(helper.make_opsetid(name, 1))

    return change


def loop(times: int | None) -> Edit:
    """A loop, for ever or not."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Identity", ["go"], ["go on"]), node("Identity", ["state"], ["next"])],
        "body",
        [
            value("number", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("state", TensorProto.FLOAT, None),
        ],
        [value("go on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)],
    )
    count = {"times": np.array(times)} if times is not None else {}
    first = "times" if times is not None else ""
    return last(
        node("MatMul", ["hidden", "head"], ["own"]),
        node("Loop", [first, "yes", "own"], [OUTPUT], body=body),
        yes=np.array(True),
        **count,
    )


def branch(model: Any) -> None:
    """A branch whose weights are elsewhere."""
    weight = numpy_helper.from_array(np.ones((16, 7), dtype=np.float32), "other")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"
    out = [helper.make_tensor_value_info("own", TensorProto.FLOAT, None)]
    ways = {
        f"{name}_branch": helper.make_graph([node("MatMul", ["hidden", weight_], ["own"])], name, [], out, weights)
        for name, weight_, weights in (("then", "head", []), ("else", "other", [weight]))
    }
    last(node("If", ["yes"], [OUTPUT], **ways), yes=np.array(True))(model)


def functions(count: int, calls: int, *, around: bool = False) -> Edit:
    """Functions that call each other, several times each; the last one does nothing, or calls the first."""

    def change(model: Any) -> None:
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
        for number in range(count):
            names = ["a", *(f"v{call}" for call in range(calls - 1)), "b"]
            step = f"F{number + 1}" if number + 1 < count else "F0" if around else None
            body = [
                node(step or "Identity", [one], [other], domain="own" if step else "") for one, other in pairwise(names)
            ]
            model.functions.append(helper.make_function("own", f"F{number}", ["a"], ["b"], body, opsets))
        domain("own")(model)
        model.graph.node[-1].op_type = "F0"

    return change


def everywhere(old: str, new: str) -> Callable[[bytes], bytes]:
    """Bytes of the same length in place of others."""
    return lambda content: content.replace(old.encode(), new.encode("latin-1"))


GRAPHS: dict[str, tuple[Edit, str]] = {
    "an operator of another library": (domain("evil.example"), "cannot be used ([ONNXRuntimeError]"),
    "one that is not declared": (domain("evil.example", declared=False), "cannot be used ([ONNXRuntimeError]"),
    "Python": (domain("com.microsoft"), "cannot be used ([ONNXRuntimeError]"),
    "a program for another device": (
        last(node("EPContext", ["hidden"], [OUTPUT], domain="com.microsoft", ep_cache_context="../../etc/passwd")),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "a loop for ever": (loop(None), "it has graphs within its graph (a loop or a branch)"),
    "a loop for long": (loop(2**62), "it has graphs within its graph"),
    "a loop for once": (loop(1), "it has graphs within its graph"),
    "a branch": (branch, "it has graphs within its graph"),
    "a function": (functions(1, 1), "it has functions of its own"),
    "a function that calls itself": (functions(1, 1, around=True), "it has functions of its own"),
    "functions in a ring": (functions(3, 1, around=True), "it has functions of its own"),
    "functions ten to the twelfth": (functions(12, 10), "it has functions of its own"),
    "operators in a ring": (
        last(node("Add", ["hidden", "b"], ["a"]), node("Identity", ["a"], ["b"]), node("Identity", ["b"], [OUTPUT])),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "an operator that reads what is not there": (
        last(node("Identity", ["nothing"], [OUTPUT])),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "a very long name": (last(node("Evil" * 250_000, ["hidden"], [OUTPUT])), "EvilEvil"),
    "a name with escapes": (last(node("\x1b[2J\r\n\u202e", ["hidden"], [OUTPUT])), "cannot be used"),
    "a shape below nothing": (
        last(node("ConstantOfShape", ["shape"], [OUTPUT]), shape=np.array([1, -5, 7])),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "a weight larger than it is": (
        lambda model: model.graph.initializer[0].dims.__setitem__(0, 10**12),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "a weight of 2^80 numbers": (
        lambda model: model.graph.initializer[0].dims.extend([2**40, 2**40]),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "a weight of a negative size": (
        lambda model: model.graph.initializer[0].dims.__setitem__(0, -1),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "a weight of an unknown type": (
        lambda model: setattr(model.graph.initializer[0], "data_type", 99),
        "cannot be used ([ONNXRuntimeError]",
    ),
    "text for weights": (
        lambda model: model.graph.initializer[0].CopyFrom(
            helper.make_tensor("embeddings", TensorProto.STRING, [1, 2], [b"a", b"b"])
        ),
        "cannot be used ([ONNXRuntimeError]",
    ),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(refused: Callable[..., str], edited: Callable[[Edit], bytes], name: str) -> None:
    change, found = GRAPHS[name]
    assert f"{GRAPH} cannot be used" in (message := refused(GRAPH, edited(change)))
    assert found in message


@pytest.mark.parametrize("name", ["segments", "MatMul", "hidden"])
def test_names_that_are_no_text(refused: Callable[..., str], encoder_files: dict[str, bytes], name: str) -> None:
    wrong = encoder_files[GRAPH].replace(name.encode(), b"\xff" * len(name))
    if name == "hidden":  # nobody says that name, and all is well
        wrong = wrong.replace(b"MatMul", b"\xfeatMul")
    refused(GRAPH, wrong)


def test_the_other_format_of_onnxruntime_is_not_read(
    write_encoder: WriteEncoder, encoder_files: dict[str, bytes], tmp_path: Path
) -> None:
    """It is known by four letters in the fifth place, and not checked; an ONNX file may have them there as well."""
    with_name = b"\x12\x06xxORTM" + encoder_files[GRAPH]
    assert onnx.load_from_string(with_name).producer_name == "xxORTM"
    assert len(nutgraf.load(write_encoder(tmp_path / "m", {GRAPH: with_name})).predict(ARTICLE)) == 3


LARGE: dict[str, Edit] = {
    "ConstantOfShape": last(node("ConstantOfShape", ["shape"], [OUTPUT]), shape=np.array([1, 10**12, 7])),
    "ConstantOfShape beyond 2^64": last(
        node("ConstantOfShape", ["shape"], [OUTPUT]), shape=np.array([2**40, 2**40, 7])
    ),
    "Expand": last(
        node("MatMul", ["hidden", "head"], ["own"]),
        node("Expand", ["own", "shape"], [OUTPUT]),
        shape=np.array([10**12, 1, 1]),
    ),
    "Tile": last(
        node("MatMul", ["hidden", "head"], ["own"]),
        node("Tile", ["own", "shape"], [OUTPUT]),
        shape=np.array([10**12, 1, 1]),
    ),
    "Pad": last(
        node("MatMul", ["hidden", "head"], ["own"]),
        node("Pad", ["own", "shape"], [OUTPUT]),
        shape=np.array([0, 10**12, 0, 0, 0, 0]),
    ),
    "Range": last(
        node("Range", ["from", "to", "by"], ["numbers"]),
        node("Cast", ["numbers"], ["floats"], to=TensorProto.FLOAT),
        node("Reshape", ["floats", "shape"], [OUTPUT]),
        **{"from": np.array(0), "to": np.array(7 * 10**12), "by": np.array(1), "shape": np.array([1, -1, 7])},
    ),
    "MatMul of what is large": last(
        node("ConstantOfShape", ["tall"], ["many"]),
        node("MatMul", ["many", "head"], [OUTPUT]),
        tall=np.array([1, 10**11, 16]),
    ),
}


def test_graphs_that_are_larger_than_memory(
    write_encoder: WriteEncoder, edited: Callable[[Edit], bytes], tmp_path: Path, run_jobs: Runner
) -> None:
    """In processes with a limit of memory: where a system lends more than it has, asking for it may be granted."""
    article = tmp_path / "article.txt"
    article.write_text("\n\n".join(["Fire broke out.", "“Nobody was hurt,” the mayor said."]))
    jobs = []
    for number, (name, change) in enumerate(LARGE.items()):
        folder = write_encoder(tmp_path / f"m{number}", {GRAPH: edited(change)})
        args = ["predict", str(article), "--json", "--model", str(folder)]
        place = str(tmp_path / f"job{number}")
        jobs.append(
            {"name": name, "args": args, "input": str(article), "kind": "jsonl", "codes": (1,), "folder": place}
        )
    for name, outcome in run_jobs(jobs).items():
        assert outcome.problems == [], (name, outcome)
        assert f"{GRAPH} cannot be" in outcome.stderr, (name, outcome)
        assert outcome.seconds < 20, (name, outcome)
        assert outcome.megabytes < 1000, (name, outcome)


# Tokenizers


def nested(part: str, parts: str, inner: str, depth: int) -> dict[str, Any]:
    """A sequence of one sequence of one sequence …"""
    found: dict[str, Any] = {"type": inner}
    for _ in range(depth):
        found = {"type": "Sequence", parts: [found]}
    return {part: found}


def split(pattern: str) -> dict[str, Any]:
    return {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}}


def template(tokens: int, **special: Any) -> dict[str, Any]:
    text = [{"Sequence": {"id": "A", "type_id": 0}}]
    both = [*text, {"Sequence": {"id": "B", "type_id": 1}}]
    first = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}] * tokens
    return {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*first, *text],
            "pair": both,
            "special_tokens": special,
        }
    }


def words(vocabulary: Any, **fields: Any) -> dict[str, Any]:
    return {"model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]", **fields}}


def pairs(**fields: Any) -> dict[str, Any]:
    return {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"], **fields}}


def unigram(vocabulary: Any, unknown: Any = 0) -> dict[str, Any]:
    return {"model": {"type": "Unigram", "unk_id": unknown, "vocab": vocabulary}}


def charsmap(text: str) -> dict[str, Any]:
    return {"normalizer": {"type": "Precompiled", "precompiled_charsmap": text}}


#: What is changed in a good tokenizer; refused when the model is loaded.
TOKENIZERS: dict[str, dict[str, Any]] = {
    "of the future": {"version": "9.0"},
    "of a version that is none": {"version": []},
    "without a model": {"model": None},
    "with a model that does not exist": {"model": {"type": "Oracle"}},
    "with a list for a model": {"model": [1, 2]},
    "with a normalizer that does not exist": {"normalizer": {"type": "Run", "command": "true"}},
    "with a number for a normalizer": {"normalizer": 5},
    "with added tokens of a wrong kind": {"added_tokens": {"a": 1}},
    "with an added token of a wrong kind": {"added_tokens": [{"id": "x", "content": 5}]},
    "with a negative number": words({"[UNK]": -1}),
    "with a fraction": words({"[UNK]": 0.5}),
    "with a number above 32 bits": words({"[UNK]": 2**32}),
    "with a list of words": words(["[UNK]"]),
    "with merges of unknown pieces": pairs(merges=["a c"]),
    "with merges of one piece": pairs(merges=["a"]),
    "with dropout of 5": pairs(dropout=5.0),
    "with dropout": pairs(dropout=0.5),
    "with nothing to choose from": unigram([]),
    "with an unknown token that is not there": unigram([["a", 0.0]], 10**6),
    "with a table of characters that is none": charsmap("////"),
    "with a table of characters that is no text": charsmap("§"),
    "with a regular expression that is none": split("((("),
    "with a deep regular expression": split("(" * 100_000 + ")" * 100_000),
    "with a huge regular expression": split("(a|b)" * 1_000_000),
    "with sequences in sequences that end badly": nested("normalizer", "normalizers", "Nothing", 40),
    "with splits in splits that end badly": nested("pre_tokenizer", "pretokenizers", "Nothing", 40),
    "with sequences too deep": nested("normalizer", "normalizers", "Lowercase", 300),
    "without special tokens": {"post_processor": None},
    "with one special token": template(1, **{"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}}),
    "with pieces that lack a setting": {"model": {"type": "WordPiece", "unk_token": "?", "vocab": {"?": 0}}},
    "with special tokens that are not there": template(2),
    "with special tokens of a wrong kind": template(2, **{"[CLS]": {"id": "[CLS]", "ids": "2", "tokens": 5}}),
}

#: Refused when they meet a text; all but the last two by a panic of the library or an error in its own words.
AT_WORK: dict[str, dict[str, Any]] = {
    "that does not know the unknown": words({"[CLS]": 2, "[SEP]": 3}),
    "that does not know pieces": {
        "model": {
            "type": "WordPiece",
            "unk_token": "?",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"q": 0},
        }
    },
    "with no number for the unknown": unigram([["q", 0.0]], None),
    "with a table of characters that leads nowhere": charsmap("BAAAAP////8="),
    "with a regular expression that tries for ever": split("(a+)+$"),
    "with pieces of no length": {"pre_tokenizer": {"type": "FixedLength", "length": 0}},
    "with numbers beyond the embeddings": words({"[UNK]": 10**6, "[CLS]": 2, "[SEP]": 3}),
    "with the largest number": words({"[UNK]": 2**32 - 1, "[CLS]": 2, "[SEP]": 3}),
}


@pytest.fixture
def tokenizer(encoder_files: dict[str, bytes]) -> Callable[[dict[str, Any]], bytes]:
    """The tokenizer of the small model, changed."""

    def change(parts: dict[str, Any]) -> bytes:
        whole = json.loads(encoder_files[TOKENIZER])
        assert set(parts) <= set(whole)
        return json.dumps({**whole, **parts}).encode()

    return change


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(refused: Callable[..., str], tokenizer: Callable[[dict[str, Any]], bytes], name: str) -> None:
    assert f"{TOKENIZER} cannot be used (" in refused(TOKENIZER, tokenizer(TOKENIZERS[name]))


@pytest.mark.parametrize("name", AT_WORK)
def test_tokenizers_at_work(
    refused: Callable[..., str], tokenizer: Callable[[dict[str, Any]], bytes], name: str
) -> None:
    message = refused(TOKENIZER, tokenizer(AT_WORK[name]), run=True)
    if "number" in name and "unknown" not in name:
        assert f"{GRAPH} cannot be run on what {TOKENIZER} gives ([ONNXRuntimeError]" in message
    else:
        assert f"{TOKENIZER} cannot be used (" in message


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe{}",
        b"\0" * 100,
        b"[" * 100_000,
        b'{"version":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"version":"' + b" " * (20 << 20) + b'"}',
        b'{"version":' + b"9" * 100_000 + b"}",
        b'{"model":{"type":"\\ud800"}}',
    ],
    ids=lambda content: f"{content[:12]!r} of {len(content)}",
)
def test_tokenizers_that_are_none(refused: Callable[..., str], content: bytes) -> None:
    refused(TOKENIZER, content)


@pytest.mark.parametrize(
    "parts",
    [
        {
            "padding": None,
            "truncation": {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0},
        },
        {
            "truncation": None,
            "padding": {
                "strategy": {"Fixed": 10_000},
                "direction": "Right",
                "pad_to_multiple_of": 0,
                "pad_id": 0,
                "pad_type_id": 0,
                "pad_token": "[PAD]",
            },
        },
    ],
)
def test_a_tokenizer_does_not_cut_or_pad(
    write_encoder: WriteEncoder,
    tiny_encoder: Path,
    tokenizer: Callable[[dict[str, Any]], bytes],
    tmp_path: Path,
    parts: dict[str, Any],
) -> None:
    tagger = nutgraf.load(write_encoder(tmp_path / "m", {TOKENIZER: tokenizer(parts)}))
    assert tagger.predict(ARTICLE).segments == nutgraf.load(tiny_encoder).predict(ARTICLE).segments


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, MemoryError])
def test_what_is_not_the_fault_of_a_tokenizer(
    tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    tagger = nutgraf.load(tiny_encoder)

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("nutgraf.encoder.encode", fail)
    with pytest.raises(error):
        tagger.predict(ARTICLE)


# Settings and kinds


WINDOWS: dict[str, str] = {
    "tokens of 10^12": "tokens = 1_000_000_000_000",
    "tokens of 10^40": f"tokens = {10**40}",
    "no tokens": "tokens = 0",
    "fewer tokens than a paragraph": "tokens = 100",
    "negative tokens": "tokens = -512",
    "tokens as a fraction": "tokens = 512.0",
    "infinite tokens": "tokens = inf",
    "tokens that are none": "tokens = nan",
    "tokens as text": 'tokens = "512"',
    "tokens as a list": "tokens = [512]",
    "tokens as a table": "tokens = { a = 512 }",
    "tokens as a date": "tokens = 2024-04-24",
    "tokens as a yes": "tokens = true",
    "tokens as a long text": f'tokens = "{"x" * 100_000}"',
    "a context of all tokens": "context = 512",
    "a context of 10^12": "context = 1_000_000_000_000",
    "a headline of 10^12": "headline = 1_000_000_000_000",
    "a paragraph of nothing": "paragraph = 0",
    "characters of nothing": "characters = 0",
    "a negative most": "most = -1",
    "an unknown key": "stride = 1",
    "a key with escapes": '"\\u001b[2J" = 1',
    "many unknown keys": "\n".join(f"key{number} = 1" for number in range(10_000)),
    "a deep value": f"tokens = {'[' * 50}{']' * 50}",
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows(refused: Callable[..., str], name: str) -> None:
    assert "window" in refused(SETTINGS, f"[window]\n{WINDOWS[name]}\n".encode())


@pytest.mark.parametrize("text", ["", "window = 5", 'window = "x"', "[[window]]\ntokens = 512", "[windows]", "x = 1"])
def test_windows_that_are_no_table(refused: Callable[..., str], text: str) -> None:
    assert "window" in refused(SETTINGS, text.encode())


def test_large_settings_that_are_right(write_encoder: WriteEncoder, tiny_encoder: Path, tmp_path: Path) -> None:
    """More characters and paragraphs than there are is no harm."""
    text = f"[window]\ntokens = 8192\nmost = {10**30}\ncharacters = {10**30}\n"
    tagger = nutgraf.load(write_encoder(tmp_path / "m", {SETTINGS: text.encode()}))
    assert len(tagger.predict(ARTICLE)) == 3


@pytest.mark.parametrize("kind", ["linear", "encoder"])
def test_a_model_of_the_other_kind(encoder_files: dict[str, bytes], tmp_path: Path, kind: str) -> None:
    if kind == "linear":
        files, label_set = encoder_files, NEWS_ROLES
    else:
        bundled = nutgraf.load(model_path("linear")).folder
        files, label_set = dict(bundled.files), bundled.label_set
    folder = write_model(tmp_path / "m", kind=kind, label_set=label_set, files=files, manifest={}).path
    message = refusal(folder)
    assert SETTINGS in message or {"linear": WEIGHTS, "encoder": CHAIN}[kind] in message


# Inputs


def test_hostile_articles(tiny_encoder: Path, tmp_path: Path, run_jobs: Runner) -> None:
    """A tiny encoder gets through what keeps a real one for minutes."""
    texts = {
        "word-10mb": "a" * 10_000_000,
        "spaces-10mb": "Fire" + " " * 10_000_000 + "fire",
        "emoji-10mb": "👩‍👩‍👧‍👦" * 400_000,
        "combining-10mb": "a" + "\u0301" * 5_000_000,
        "letters-100k": "\n\n".join("a" * 100_000),
        "paragraphs-1mb": ("The mayor said on Tuesday that the port would open again. " * 8 + "\n\n") * 2_200,
        "controls-5k": "\n\n".join("\x01" * 5_000),
        "special-tokens": "[SEP]" * 100_000 + "\n\n[CLS][PAD]\n\n[MASK]",
        "bidi": "\u202eevil\u202c \u2066x\u2069 \u200fמשטרה\u200e police",
        "far-planes": "".join(map(chr, range(0x1F000, 0x1FFFF, 7))),
    }
    jobs = []
    for name, text in texts.items():
        file = tmp_path / name / "in.txt"
        file.parent.mkdir()
        file.write_text(text, encoding="utf-8")
        args = ["predict", str(file), "--json", "--model", str(tiny_encoder)]
        jobs.append({"name": name, "args": args, "input": str(file), "kind": "jsonl", "codes": (0,)})
    for name, outcome in run_jobs(jobs).items():
        assert outcome.problems == [], (name, outcome)
        assert outcome.seconds < 20, (name, outcome)
        assert outcome.megabytes < 1000, (name, outcome)
