"""Training an encoder from end to end, small: what is written, what is refused, and what an interruption leaves."""

from __future__ import annotations

import copy
import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import psutil
import pytest
import torch
from datasets import Dataset
from safetensors.numpy import load, save
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, EvalPrediction

import nutgraf
import nutgraf_training.encoder.fit as fitting
from nutgraf.artefact import read_model
from nutgraf.encoder import GRAPH, EncoderTagger, graph_inputs
from nutgraf.linear import LinearTagger
from nutgraf.registry import model_path
from nutgraf.windows import WindowSettings, encode, windows
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError, ModelError
from nutgraf_data.labels import NEWS_ROLES, LabelSet
from nutgraf_training.chain import calibrate as fit_chains
from nutgraf_training.encoder import device
from nutgraf_training.encoder import teacher as teaching
from nutgraf_training.encoder import trainer as running
from nutgraf_training.encoder.dataset import Collator
from nutgraf_training.encoder.modeling import NutgrafModel
from nutgraf_training.encoder.quantise import round_weights, simulate_int8
from nutgraf_training.encoder.restore import restore
from nutgraf_training.encoder.run_folder import last_checkpoint
from nutgraf_training.encoder.teacher import KEPT, TorchTagger, soft_targets
from nutgraf_training.evaluation.repeat import recipe_of
from nutgraf_training.provenance import paragraph_digests, trained_on
from nutgraf_training.recipe import EncoderRecipe, Recipe, load_recipe
from nutgraf_training.train import TrainResult, train

Pretrained = Callable[[str], Path]
MakeRecipe = Callable[..., EncoderRecipe]
FP32 = {"precision": "fp32"}


def bare(articles: list[Article]) -> list[Article]:
    """The articles without labels."""
    return [
        replace(a, paragraphs=tuple(replace(p, label=None, alt=None) for p in a.paragraphs), origin=None)
        for a in articles
    ]


def small(count: int) -> list[Article]:
    """Articles whose two kinds of paragraphs anyone can tell apart."""
    places = ["port", "bridge", "market", "station", "harbour", "school", "valley", "square"]
    return [
        Article.from_paragraphs(
            [
                Paragraph(f"A fire broke out at the {places[n % 8]} number {n}, police said.", 0, 0, "news"),
                Paragraph(f"Officers searched the {places[(n * 3) % 8]} {n} for {n % 5} hours.", 0, 0, "news"),
                Paragraph(f"Subscribe now and save {n} crowns with code {places[n % 8]}!", 0, 0, "advert"),
            ],
            id=f"small-{n}",
        )
        for n in range(count)
    ]


class Interrupt:
    """Collects what is said, and interrupts once the words of a line are said for the n-th time."""

    def __init__(self, words: str = "", times: int = 1) -> None:
        self.lines: list[str] = []
        self._words, self._left = words, times

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if self._words and self._words in line:
            self._left -= 1
            if not self._left:
                raise KeyboardInterrupt


# --- what is written ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lines() -> list[str]:
    """What was said when the model was trained."""
    return []


@pytest.fixture(scope="module")
def result(
    authored: list[Article], encoder_recipe: MakeRecipe, lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """A model that was trained on 25 articles but those that are held out."""
    recipe = encoder_recipe(fit={"epochs": 6.0}, export={"keep_weights": True, "agreement": 0.5})
    out = tmp_path_factory.mktemp("encoders") / "m"
    return train(authored[:25], out, recipe=recipe, held_out=0.2, say=lines.append)


@pytest.fixture(scope="module")
def tagger(result: TrainResult) -> EncoderTagger:
    """The model, loaded."""
    found = nutgraf.load(result.folder.path)
    assert isinstance(found, EncoderTagger)
    return found


def test_the_folder(result: TrainResult) -> None:
    folder = read_model(result.folder.path)
    assert folder.kind == "encoder"
    assert folder.label_set == NEWS_ROLES
    assert set(folder.files) == {
        "README.md",
        "chain.safetensors",
        "config.json",
        "model.onnx",
        "model.safetensors",
        "settings.toml",
        "tokenizer.json",
        "tokenizer_config.json",
        "trained_on.txt",
    }
    assert [path.name for path in result.folder.path.parent.iterdir()] == ["m"]  # no run folder is left


def test_nothing_names_this_machine(result: TrainResult, pretrained: Pretrained) -> None:
    for name in (
        "README.md",
        "settings.toml",
        "config.json",
        "manifest.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ):
        content = (result.folder.path / name).read_text(encoding="utf-8")
        assert str(pretrained("bert").parent) not in content, name
        assert str(result.folder.path.parent) not in content, name


def test_settings_are_resolved(result: TrainResult, encoder_recipe: MakeRecipe) -> None:
    settings = tomllib.loads(result.folder.files["settings.toml"].decode())
    assert settings["encoder"] == {"name": "tiny-bert", "revision": "main"}
    recipe = Recipe.from_dict("tiny", settings)
    assert isinstance(recipe, EncoderRecipe)
    given = encoder_recipe(fit={"epochs": 6.0}, export={"keep_weights": True, "agreement": 0.5})
    assert replace(recipe, encoder=given.encoder) == given
    assert settings["fit"]["weight_decay"] == 0.01  # a default, written out


def test_the_manifest(result: TrainResult, authored: list[Article]) -> None:
    manifest = result.folder.manifest
    assert manifest["recipe"] == {"name": "tiny", "kind": "encoder"}
    assert {"torch", "transformers", "tokenizers", "onnx", "onnxruntime", "numpy"} <= set(manifest["versions"])
    assert result.evaluation is not None
    data = manifest["training_data"]
    assert data["articles"] + result.evaluation.scores.articles == 25
    assert result.evaluation.model == result.folder.fingerprint
    assert set(manifest["metrics"]) == {"chosen_on", "held_out"}
    chosen = manifest["metrics"]["chosen_on"]
    assert 1 <= chosen["articles"] < data["articles"]
    assert chosen == result.inner
    export = manifest["export"]
    assert set(export) == {"precision", "int8_agrees_with_fp32", "paragraphs_compared"}
    assert export["paragraphs_compared"] == chosen["paragraphs"]
    assert "distilled" not in manifest
    card = (result.folder.path / "README.md").read_text(encoding="utf-8")
    assert "Not trained on, but looked at in training" in card


def test_what_is_said(result: TrainResult, lines: list[str]) -> None:
    told = [line.split(":")[0] for line in lines]
    assert list(dict.fromkeys(told)) == [
        "splitting by article",
        "training",
        "calibrating",
        "exporting",
        "evaluating",
        "writing the model",
    ]
    assert "training: epoch 0." in lines[1]
    assert told.count("training") >= 12  # twice an epoch
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines if "loss" in line]
    assert losses[-1] < losses[0] - 0.2


def test_scores_are_probabilities(tagger: EncoderTagger, unseen: list[Article]) -> None:
    confidence, right = [], []
    for article in unseen:
        for segment, paragraph in zip(tagger.predict(article), article.paragraphs, strict=True):
            assert sum(segment.scores.values()) == pytest.approx(1.0, abs=1e-9)
            assert min(segment.scores.values()) >= 0
            confidence.append(segment.confidence)
            right.append(segment.label == paragraph.label)
    assert np.mean(right) > 0.3  # more than the commonest label would get
    assert np.mean(confidence) == pytest.approx(np.mean(right), abs=0.15)
    order = np.argsort(confidence)
    half = len(order) // 2
    assert np.mean(np.array(right)[order[half:]]) > np.mean(np.array(right)[order[:half]])


def test_the_weights_that_were_kept(result: TrainResult, tagger: EncoderTagger, unseen: list[Article]) -> None:
    model = NutgrafModel.from_pretrained(result.folder.path)
    assert model.config.id2label == dict(enumerate(NEWS_ROLES.labels))
    settings, first, last = tagger._settings, tagger._first, tagger._last
    same = []
    for encoded, own in zip(
        nutgraf.windows.encode(unseen[:5], tagger._tokenizer, settings), tagger.margins(unseen[:5]), strict=True
    ):
        for window in windows(encoded, settings, first, last):
            with torch.inference_mode():
                inputs = {name: torch.from_numpy(value) for name, value in graph_inputs(window).items()}
                logits = model(**inputs).logits[0].numpy()
            place = [window.paragraphs.index(paragraph) for paragraph in window.taken]
            same += [logits[place].argmax(axis=1) == own[window.taken.start : window.taken.stop].argmax(axis=1)]
    assert np.concatenate(same).mean() > 0.9  # the graph is in int8


def test_cross_fitting(authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Every training article is scored by a model that was fitted without it."""
    said = Interrupt()
    recipe = encoder_recipe(fit={"folds": 2, "validation": 0.0, "epochs": 1.0}, export=FP32)
    found = train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0, say=said)
    assert found.evaluation is None
    metrics = found.folder.manifest["metrics"]
    assert set(metrics) == {"cross_fitted"}
    assert (metrics["cross_fitted"]["articles"], found.folder.manifest["training_data"]["articles"]) == (12, 12)
    assert metrics["cross_fitted"]["paragraphs"] == sum(len(article.paragraphs) for article in authored[:12])
    assert found.folder.manifest["export"] == FP32
    assert "model.safetensors" not in found.folder.files
    assert "calibrating" in said.lines
    assert not (tmp_path / "m.run").exists()


@dataclass
class Spy:
    """What a fit whose models learn nothing was asked to do: windows of each stage, and the fold of each article."""

    fitted: dict[str, set[str]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    scored: dict[str, set[str]] = field(default_factory=dict)
    part: list[int] = field(default_factory=list)


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    found = Spy()

    def run_stage(stage: Any, start: Any, rows: Dataset, held: Dataset | None, *_: Any) -> NutgrafModel:
        found.fitted[stage.name] = {str(row["input_ids"]) for row in rows}
        if held is not None:
            found.held = {str(row["input_ids"]) for row in held}
        model: NutgrafModel = start()
        return model

    def logits(model: Any, rows: Dataset, *_: Any) -> Any:
        found.scored[list(found.fitted)[-1]] = {str(row["input_ids"]) for row in rows}
        return np.zeros((len(rows), max(map(len, rows["starts"])), 7), dtype=np.float32)

    def calibrate(own: Any, labels: Any, lengths: Any, part: Any, settings: Any) -> Any:
        found.part = part.tolist()
        return fit_chains(own, labels, lengths, part, settings)

    monkeypatch.setattr(fitting, "run_stage", run_stage)
    monkeypatch.setattr(fitting, "windows_logits", logits)
    monkeypatch.setattr(fitting, "calibrate", calibrate)
    monkeypatch.setattr(fitting, "_export", lambda *_: (b"", {}))
    return found


def test_cross_fitting_never_scores_what_was_fitted(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, spy: Spy
) -> None:
    """With articles held out to choose the best state, too: those are the last model's alone."""
    recipe = encoder_recipe(fit={"folds": 3, "validation": 0.2})
    found = fitting.fit_encoder(authored[:12], NEWS_ROLES, recipe, tmp_path / "run")
    assert found is not None
    assert found.scored.tolist() == list(range(12))
    assert list(spy.fitted) == [f"cross-fitting {n} of 3" for n in (1, 2, 3)] + ["training"]
    everything = set().union(*spy.scored.values())
    for name, seen in spy.scored.items():
        assert not seen & spy.fitted[name]
        assert seen | spy.fitted[name] == everything
    assert spy.held
    assert spy.fitted["training"] == everything - spy.held
    work = fitting._Work(authored[:12], NEWS_ROLES, recipe, tmp_path, print)
    for index in range(3):  # so the chain that scores an article has not seen it, either
        rows = work.rows([number for number in range(12) if spy.part[number] == index])
        assert {str(row["input_ids"]) for row in rows} == spy.scored[f"cross-fitting {index + 1} of 3"]


def test_calibration_on_what_chose_the_best_state(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, spy: Spy
) -> None:
    """Its own figures are of chains that have not seen the article."""
    found = fitting.fit_encoder(authored[:24], NEWS_ROLES, encoder_recipe(fit={"validation": 0.34}), tmp_path / "run")
    assert found is not None
    assert list(spy.fitted) == ["training"]
    assert spy.scored["training"] == spy.held
    assert not spy.held & spy.fitted["training"]
    assert len(found.scored) == len(spy.part) >= 5
    assert set(spy.part) == {0, 1, 2, 3, 4}
    assert len(found.scores) == sum(len(authored[number].paragraphs) for number in found.scored)


def test_a_teacher(
    authored: list[Article],
    unseen: list[Article],
    tiny_tagger: LinearTagger,
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    said = Interrupt()
    recipe = encoder_recipe("mpnet", fit={"epochs": 1.0}, export=FP32)
    found = train(
        authored[20:35],
        tmp_path / "m",
        recipe=recipe,
        held_out=0,
        teachers=[tiny_tagger],
        unlabelled=iter(bare(unseen)),
        say=said,
    ).folder
    assert found.manifest["distilled"]["teachers"] == [tiny_tagger.fingerprint]
    assert found.manifest["distilled"]["articles"] == len(unseen)
    assert found.manifest["distilled"]["paragraphs"] == sum(len(article.paragraphs) for article in unseen)
    assert found.manifest["training_data"]["articles"] == 15
    own = {digest for article in [*authored[20:35], *unseen] for digest in paragraph_digests(article)}
    assert trained_on(found) == own | trained_on(tiny_tagger.folder)
    told = list(dict.fromkeys(line.split(":")[0] for line in said.lines))
    assert told[:3] == ["asking the teacher about articles 1 to 20 of 20", "distilling", "training"]
    assert nutgraf.load(tmp_path / "m").predict(unseen[0]).segments


def test_what_a_teacher_teaches(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    class Sure(LinearTagger):
        """Says the first label of everything."""

        def score_many(self, articles: Any) -> Any:
            return [(np.eye(7)[np.zeros(len(scores), dtype=int)], cut) for scores, cut in super().score_many(articles)]

    theirs = [tiny_tagger.score(article)[0] for article in unseen]
    plain = soft_targets([tiny_tagger], unseen, 1.0)
    both = soft_targets([tiny_tagger, Sure(tiny_tagger.folder)], unseen, 1.0)
    flat, sharp = soft_targets([tiny_tagger], unseen, 4.0), soft_targets([tiny_tagger], unseen, 0.25)
    assert [len(found) for found in plain] == [len(article.paragraphs) for article in unseen]
    for index, scores in enumerate(theirs):
        np.testing.assert_allclose(plain[index], scores, atol=1e-6)
        np.testing.assert_allclose(both[index], (scores + np.eye(7)[0]) / 2, atol=1e-6)
        np.testing.assert_allclose(flat[index], scores**0.25 / (scores**0.25).sum(axis=1, keepdims=True), atol=1e-6)
        assert (flat[index].max(axis=1) <= plain[index].max(axis=1) + 1e-6).all()
        assert (sharp[index].max(axis=1) >= plain[index].max(axis=1) - 1e-6).all()
        assert plain[index].dtype == np.float32


Teach = Callable[..., list[str]]


@pytest.fixture
def teach(authored: list[Article], unseen: list[Article], tiny_tagger: LinearTagger, tmp_path: Path) -> Teach:
    """Trains on a teacher's answers about the first articles of those without labels, and says what was said."""

    def call(recipe: EncoderRecipe, count: int, answers: Path | None = None) -> list[str]:
        said = Interrupt()
        train(
            authored[20:26],
            tmp_path / "m",
            recipe=recipe,
            held_out=0,
            teachers=[tiny_tagger],
            unlabelled=bare(unseen[:count]),
            answers=answers,
            force=True,
            say=said,
        )
        return said.lines

    return call


def test_answers_are_kept(
    teach: Teach,
    unseen: list[Article],
    tiny_tagger: LinearTagger,
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A second run finds them, whatever it does with them; other articles are asked about."""
    monkeypatch.setattr(teaching, "_ASKED", 8)
    answers = tmp_path / "answers"

    def asked(count: int, epochs: float) -> list[str]:
        lines = teach(encoder_recipe(fit={"epochs": epochs}, export=FP32), count, answers)
        return [line for line in lines if "asking" in line]

    assert asked(16, 0.5) == [f"asking the teacher about articles {n} to {n + 7} of 16" for n in (1, 9)]
    assert len(list(answers.iterdir())) == 2
    assert asked(16, 1.0) == []
    assert asked(19, 1.0) == ["asking the teacher about articles 17 to 19 of 19"]
    expected = np.concatenate(soft_targets([tiny_tagger], unseen[:8], 1.0))
    kept = [np.load(file) for file in answers.iterdir()]
    assert any(found.shape == expected.shape and np.allclose(found, expected, atol=1e-3) for found in kept)


@pytest.mark.parametrize("content", ["nothing", "the beginning", "other answers"])
def test_answers_that_were_damaged(teach: Teach, encoder_recipe: MakeRecipe, tmp_path: Path, content: str) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.5}, export=FP32)
    teach(recipe, 4, tmp_path / "answers")
    (file,) = (tmp_path / "answers").iterdir()
    whole = file.read_bytes()
    if content == "other answers":
        np.save(file, np.load(file)[1:])
    else:
        file.write_bytes(whole[: 0 if content == "nothing" else len(whole) // 2])
    with pytest.raises(DataError, match=f"{file.name}: it does not hold a teacher's answers; remove it"):
        teach(recipe, 4, tmp_path / "answers")


def test_answers_have_a_teacher_and_a_folder(
    teach: Teach, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="answers are kept where a teacher is asked, and there is none; give a teacher"):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe(), answers=tmp_path / "answers")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"answers cannot be kept there: .*; name another folder"):
        teach(encoder_recipe(), 4, tmp_path / "file")


@pytest.mark.parametrize("simulate", [True, False])
def test_both_stages_round_as_the_export_will(
    teach: Teach, encoder_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch, simulate: bool
) -> None:
    found = []

    def spy(encoder: torch.nn.Module) -> None:
        found.append(encoder)
        simulate_int8(encoder)

    monkeypatch.setattr(fitting, "simulate_int8", spy)
    teach(encoder_recipe(fit={"epochs": 0.5, "simulate_int8": simulate}, export=FP32), 8)
    assert len(found) == (2 if simulate else 0)


@pytest.mark.parametrize("most", [0, 1])
def test_training_alone_has_windows_of_its_own(
    teach: Teach,
    authored: list[Article],
    unseen: list[Article],
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    most: int,
) -> None:
    """``fit.most`` cuts what is learned from; what chooses the state, calibrates and is predicted is read as before."""
    taken: list[list[int]] = []

    def spy(stage: running.Stage, start: Any, rows: Dataset, held: Dataset, *rest: Any) -> NutgrafModel:
        taken.extend([sum(each) for each in part["taken"]] for part in (rows, held))
        return running.run_stage(stage, start, rows, held, *rest)

    monkeypatch.setattr(fitting, "run_stage", spy)
    teach(encoder_recipe(fit={"most": most, "epochs": 0.5, "validation": 0.5}, export=FP32), 8)
    distilled, chosen, fitted, chosen_again = taken
    assert sum(distilled) == sum(len(article.paragraphs) for article in unseen[:8])
    assert sum(fitted) + sum(chosen) == sum(len(article.paragraphs) for article in authored[20:26])
    for learned in (distilled, fitted):
        assert (set(learned) == {1}) == (most == 1)
    assert max(chosen) > 1
    assert chosen_again == chosen
    assert read_model(tmp_path / "m").settings["window"]["most"] == 0


def test_the_mean_of_several_runs(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed each, from the same beginning; and what is finished is not done again."""
    recipe = encoder_recipe(fit={"runs": 3, "epochs": 1.0}, export={**FP32, "keep_weights": True})
    recipe = replace(recipe, seed=2**32 - 2)
    seeds: list[int] = []
    states: list[dict[str, torch.Tensor]] = []
    starts: list[dict[str, torch.Tensor]] = []

    def spy(stage: running.Stage, start: Callable[[], NutgrafModel], *rest: Any) -> NutgrafModel:
        starts.append(start().state_dict())
        model = running.run_stage(stage, start, *rest)
        seeds.append(stage.seed)
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        return model

    monkeypatch.setattr(fitting, "run_stage", spy)
    with pytest.raises(KeyboardInterrupt):
        train(authored[:8], tmp_path / "m", recipe=recipe, held_out=0, say=Interrupt("training, run 3 of 3: epoch"))
    said = Interrupt()
    train(authored[:8], tmp_path / "m", recipe=recipe, held_out=0, say=said)
    done = [line for line in said.lines if "finished before" in line]
    assert done == [f"training, run {n} of 3: finished before, reading it" for n in (1, 2)]
    assert seeds == [2**32 - 2, 2**32 - 1, 2**32 - 2, 2**32 - 1, 0]
    found = NutgrafModel.from_pretrained(tmp_path / "m").state_dict()
    first, second, third = states[2:]
    weight = "classifier.weight"
    assert not torch.equal(first[weight], second[weight])
    for each in starts[1:]:
        torch.testing.assert_close(each, starts[0], rtol=0, atol=0)
    for name, value in found.items():
        torch.testing.assert_close(value, (first[name] + second[name] + third[name]) / 3)


@pytest.mark.parametrize("simulate", [True, False])
def test_weights_are_stored_as_training_rounded_them(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, simulate: bool
) -> None:
    recipe = encoder_recipe(fit={"simulate_int8": simulate, "epochs": 0.5}, export={**FP32, "keep_weights": True})
    train(authored[:8], tmp_path / "m", recipe=recipe, held_out=0)
    model = NutgrafModel.from_pretrained(tmp_path / "m")
    found = copy.deepcopy(model)
    round_weights(found.encoder)
    largest = max((a - b).abs().max() for a, b in zip(found.parameters(), model.parameters(), strict=True))
    assert (largest < 1e-6) == simulate


def test_a_teacher_that_kept_its_weights_is_run_by_torch(
    authored: list[Article],
    unseen: list[Article],
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = encoder_recipe("mpnet", fit={"epochs": 1.0}, export={"precision": "fp32", "keep_weights": True})
    train(authored[:8], tmp_path / "teacher", recipe=recipe, held_out=0)
    teacher = nutgraf.load(tmp_path / "teacher")
    theirs = [scores for scores, _ in teacher.score_many(unseen)]
    half = replace(recipe.fit, precision="bf16")
    for settings, tolerance in ((recipe.fit, 1e-4), (half, 0.02)):
        own = [scores for scores, _ in TorchTagger(teacher.folder, settings).score_many(unseen)]
        for expected, found in zip(theirs, own, strict=True):
            np.testing.assert_allclose(found, expected, atol=tolerance)
    monkeypatch.setattr(EncoderTagger, "_logits", lambda *_: pytest.fail("it was run by onnxruntime"))
    pupil = encoder_recipe(fit={"epochs": 1.0}, export=FP32)
    folder = train(
        authored[8:16], tmp_path / "m", recipe=pupil, held_out=0, teachers=[teacher], unlabelled=bare(unseen)
    ).folder
    assert folder.manifest["distilled"]["teachers"] == [teacher.fingerprint]


def test_kept_weights_that_do_not_fit(result: TrainResult, encoder_recipe: MakeRecipe) -> None:
    folder, settings = result.folder, encoder_recipe().fit
    assert TorchTagger(folder, settings).label_set == folder.label_set
    config, weights = (folder.files[name] for name in KEPT)
    other = json.loads(config)
    fewer = {**other, "id2label": {"0": "one", "1": "two"}, "label2id": {"one": 0, "two": 1}}
    head = load(weights)
    for name in ("classifier.weight", "classifier.bias"):
        head[name] = head[name][:2].copy()
    for changes, message in (
        ({KEPT[0]: b"{}"}, "model.safetensors does not fit config.json"),
        ({KEPT[1]: weights[:-1]}, "model.safetensors does not fit config.json"),
        ({KEPT[1]: save({"x": np.zeros(2)})}, "model.safetensors does not fit config.json"),
        ({KEPT[0]: json.dumps(fewer).encode()}, "model.safetensors does not fit config.json"),
        ({KEPT[0]: json.dumps(fewer).encode(), KEPT[1]: save(head)}, "config.json has 2 labels, expected 7"),
    ):
        damaged = replace(folder, files={**folder.files, **changes})
        with pytest.raises(ModelError, match=message):
            TorchTagger(damaged, settings)


# --- beginning with a trained model ---------------------------------------------------------------


def test_training_goes_on_from_a_trained_model(
    result: TrainResult, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.2, "learning_rate": 1e-9, "head_learning_rate": 1e-9}, export=FP32)
    path = str(result.folder.path)
    same = train(authored[25:35], tmp_path / "same", recipe=recipe, encoder=path, held_out=0).folder
    described = {"model": result.folder.fingerprint, "training_data": result.folder.manifest["training_data"]}
    assert same.manifest["began_with"] == described
    assert f"began with the weights of the model `{result.folder.fingerprint}`" in same.files["README.md"].decode()
    assert trained_on(same) == trained_on(result.folder) | {d for a in authored[25:35] for d in paragraph_digests(a)}
    # It has learned next to nothing since, so its labels before the chain are those of the model that it began with.
    before, after = (nutgraf.load(each.path) for each in (result.folder, same))
    assert isinstance(before, EncoderTagger)
    assert isinstance(after, EncoderTagger)
    precise = TorchTagger(result.folder, recipe.fit)
    for theirs, own in zip(precise.margins(authored[40:44]), after.margins(authored[40:44]), strict=True):
        np.testing.assert_allclose(own, theirs, atol=1e-3)
    settings = tomllib.loads(same.files["settings.toml"].decode())
    assert settings["encoder"]["name"] == result.folder.path.name
    assert "began with, so these are too kind" not in same.manifest["metrics"]["chosen_on"]["of"]


def test_what_chose_the_state_and_was_known_before_is_said(
    result: TrainResult, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    path = str(result.folder.path)
    recipe = encoder_recipe(fit={"epochs": 0.2}, export=FP32)
    found = train(authored[:25], tmp_path / "m", recipe=recipe, encoder=path, held_out=0).folder
    assert "read by the model that it began with" in found.manifest["metrics"]["chosen_on"]["of"]


def test_what_chose_the_state_and_a_teacher_answered_is_said(
    tiny_tagger: LinearTagger, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.2}, export=FP32)
    found = train(
        authored[20:26],
        tmp_path / "m",
        recipe=recipe,
        teachers=[tiny_tagger],
        unlabelled=bare(authored[20:26]),
        held_out=0,
    )
    assert "among those that a teacher answered, so these are too kind" in found.inner["of"]
    with pytest.raises(DataError, match="in the training data and in the validation data"):
        train(
            authored[20:26],
            tmp_path / "n",
            recipe=recipe,
            teachers=[tiny_tagger],
            unlabelled=bare(authored[28:32]),
            validation=authored[30:34],
            held_out=0,
        )


def test_training_goes_on_with_other_labels(result: TrainResult, encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.2, "learning_rate": 1e-9}, export={**FP32, "keep_weights": True})
    found = train(small(20), tmp_path / "m", recipe=recipe, encoder=str(result.folder.path), held_out=0).folder
    assert found.label_set.labels == ("advert", "news")
    before, after = (load(folder.files[KEPT[1]]) for folder in (result.folder, found))
    assert before.keys() == after.keys()
    assert after["classifier.weight"].shape == (2, before["classifier.weight"].shape[1])
    for name in ("positions.weight", "encoder.embeddings.word_embeddings.weight"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-3)
    own, given = (AutoTokenizer.from_pretrained(folder.path) for folder in (found, result.folder))
    assert own.mask_token_id == given.mask_token_id is not None
    assert own.pad_token_id == given.pad_token_id is not None


def test_what_a_model_began_with_is_no_stranger_to_its_articles(
    result: TrainResult, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.2}, export=FP32)
    known = trained_on(result.folder)
    seen = next(a for a in authored[:25] if set(paragraph_digests(a)) <= known)
    for more in ({"encoder": str(result.folder.path)}, {"teachers": [nutgraf.load(result.folder.path)]}):
        with pytest.raises(DataError, match=r"the model .* was trained on it \(1 such\)"):
            train(
                authored[30:40],
                tmp_path / "m",
                recipe=recipe,
                dev=[seen],
                unlabelled=bare(authored[50:60]) if "teachers" in more else (),
                **more,
            )
    assert not (tmp_path / "m.run").exists()


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_training_goes_on_from_the_graph_of_a_model_that_kept_no_weights(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, precision: str
) -> None:
    fit = {"epochs": 1.0, "simulate_int8": precision == "int8"}
    recipe = encoder_recipe(fit=fit, export={"precision": precision, "agreement": 0.0})
    first = train(authored[:20], tmp_path / "first", recipe=recipe, held_out=0).folder
    assert KEPT[1] not in first.files
    still = {"epochs": 0.2, "learning_rate": 1e-9, "head_learning_rate": 1e-9}
    recipe = encoder_recipe(fit=still, export={**FP32, "keep_weights": True})
    same = train(authored[25:35], tmp_path / "same", recipe=recipe, encoder=str(first.path), held_out=0).folder
    before, after = (nutgraf.load(each.path) for each in (first, same))
    assert isinstance(before, EncoderTagger)
    assert isinstance(after, EncoderTagger)
    near = 1e-3 if precision == "fp32" else 0.1  # eight bits round activations, too
    for theirs, own in zip(before.margins(authored[40:44]), after.margins(authored[40:44]), strict=True):
        np.testing.assert_allclose(own, theirs, atol=near)


def test_a_graph_that_does_not_fit_is_refused(
    result: TrainResult, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    model = NutgrafModel.from_encoder(result.folder.path, NEWS_ROLES.labels)
    graph = result.folder.files["model.onnx"]
    restore(model, graph)
    with pytest.raises(ValueError, match=r"products of matrices, expected 1"):
        restore(torch.nn.Linear(2, 2), graph)
    model.positions = torch.nn.Embedding(model.config.positions + 1, model.config.encoder.hidden_size)
    with pytest.raises(ValueError, match="has other shapes"):
        restore(model, graph)
    model.more = torch.nn.LayerNorm(4)
    with pytest.raises(ValueError, match=r"lacks more\.weight"):
        restore(model, graph)


def test_the_default_can_be_gone_on_with() -> None:
    model = NutgrafModel.from_encoder(model_path("default"), NEWS_ROLES.labels).eval()
    tagger = nutgraf.load("default")
    assert isinstance(tagger, EncoderTagger)
    article = nutgraf.Article.from_paragraphs(["A shell hit the market on Monday.", '"We heard a bang," said Ann Lee.'])
    tokenizer = Tokenizer.from_str(tagger.folder.files["tokenizer.json"].decode())
    settings = WindowSettings.from_dict(tagger.folder.settings["window"])
    first, last = tokenizer.encode("").ids
    (window,) = windows(encode([article], tokenizer, settings)[0], settings, first, last)
    with torch.inference_mode():
        found = model(**{name: torch.from_numpy(array) for name, array in graph_inputs(window).items()}).logits
    np.testing.assert_allclose(found[0].numpy(), tagger.margins([article])[0], atol=0.3)


def test_the_default_is_fine_tuned_with_other_labels(tmp_path: Path) -> None:
    recipe = load_recipe("fine-tune")
    assert isinstance(recipe, EncoderRecipe)
    fit = replace(recipe.fit, epochs=2.0, min_steps=0, simulate_int8=False)
    recipe = replace(recipe, fit=fit, export=replace(recipe.export, precision="fp32"))
    found = train(small(24), tmp_path / "m", recipe=recipe, held_out=0).folder
    began = nutgraf.load("default").folder
    assert found.manifest["began_with"]["model"] == began.fingerprint
    for key in ("distilled", "began_with"):
        assert found.manifest["began_with"].get(key) == began.manifest.get(key)
    with pytest.raises(DataError, match="was taught by another one"):
        recipe_of(found)
    assert tomllib.loads(found.files["settings.toml"].decode())["encoder"]["name"] == "default"
    annotation = nutgraf.load(found.path).predict("Subscribe now and save 80 crowns with code market!")
    assert [segment.label for segment in annotation] == ["advert"]


def test_a_model_that_is_no_encoder_is_not_gone_on_with(
    tiny_encoder: Path, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="training cannot go on from it: it is no encoder"):
        train(authored[:8], tmp_path / "m", recipe=encoder_recipe(), encoder="linear", held_out=0)


def test_articles_can_be_given_that_choose_the_state(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.5}, export=FP32)
    found = train(authored[:20], tmp_path / "m", recipe=recipe, validation=authored[30:37], held_out=0).folder
    chosen_on = found.manifest["metrics"]["chosen_on"]
    assert chosen_on["articles"] == 7
    assert chosen_on["paragraphs"] == sum(len(article.paragraphs) for article in authored[30:37])
    assert chosen_on["of"] == "validation articles that chose the best state and calibrated it"
    assert (found.manifest["training_data"]["articles"], found.manifest["validation"]["articles"]) == (20, 7)
    assert "7 other articles" in found.files["README.md"].decode()
    assert trained_on(found) >= {digest for article in authored[30:37] for digest in paragraph_digests(article)}
    folded = encoder_recipe(fit={"folds": 2})
    for given, chosen_by, message in (
        (recipe, authored[19:25], "in the training data and in the validation data"),
        (recipe, [], "0 of the validation articles have labels, expected at least two"),
        (recipe, bare(authored[30:33]), "0 of the validation articles have labels"),
        (folded, authored[30:37], "folds is 2, and there are validation articles"),
        ("linear", authored[30:37], "trains no encoder"),
    ):
        with pytest.raises(DataError, match=message):
            train(authored[:20], tmp_path / "n", recipe=given, validation=chosen_by, held_out=0)


def test_a_run_with_other_validation_articles_is_another_run(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = encoder_recipe(fit={"epochs": 0.5}, export=FP32)
    stop = Interrupt("calibrating")
    with pytest.raises(KeyboardInterrupt):
        train(authored[:12], tmp_path / "m", recipe=recipe, validation=authored[30:33], held_out=0, say=stop)
    with pytest.raises(DataError, match=r"another run \(other articles, validation\)"):
        train(authored[:15], tmp_path / "m", recipe=recipe, validation=authored[33:36], held_out=0)


def test_frozen_layers_stay_as_they_are(
    result: TrainResult, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    fit = {"epochs": 0.5, "frozen_layers": 1}
    recipe = encoder_recipe(fit=fit, export={**FP32, "keep_weights": True})
    found = train(authored[25:35], tmp_path / "m", recipe=recipe, encoder=str(result.folder.path), held_out=0).folder
    before, after = (load(folder.files[KEPT[1]]) for folder in (result.folder, found))
    same = {name for name in before if np.array_equal(before[name], after[name])}
    assert {name for name in before if "embeddings." in name or ".layer.0." in name} <= same
    assert "classifier.weight" not in same
    assert any(".layer.1." in name for name in set(before) - same)
    with pytest.raises(DataError, match=r"frozen_layers is 99, and the encoder has \d layers"):
        train(authored[25:35], tmp_path / "n", recipe=encoder_recipe(fit={"frozen_layers": 99}), held_out=0)
    recipe = encoder_recipe(fit={"frozen_layers": 2, "lora_rank": 4})
    with pytest.raises(DataError, match=r"frozen_layers is 2, which leaves fit.lora_rank no layer"):
        train(authored[25:35], tmp_path / "n", recipe=recipe, held_out=0)


def test_what_low_rank_adaptation_changes(
    result: TrainResult, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    """The matrices of layers that are not frozen, by a product of narrow ones; interrupted and gone on with or not."""
    fit = {"lora_rank": 2, "frozen_layers": 1, "hide_tokens": 0.0}
    recipe = encoder_recipe(fit=fit, export={**FP32, "keep_weights": True})
    options: dict[str, Any] = {"recipe": recipe, "encoder": str(result.folder.path), "held_out": 0}
    found = train(authored[25:35], tmp_path / "m", **options).folder
    with pytest.raises(KeyboardInterrupt):
        train(authored[25:35], tmp_path / "n", say=Interrupt("macro-F1", 2), **options)
    said = Interrupt()
    assert train(authored[25:35], tmp_path / "n", say=said, **options).folder.files == found.files
    assert said.lines[0].startswith("training: going on from checkpoint-")
    before, after = (load(folder.files[KEPT[1]]) for folder in (result.folder, found))
    assert set(before) == set(after)
    changed = {name for name in before if name.startswith("encoder.") and not np.array_equal(before[name], after[name])}
    assert changed == {
        name for name in before if ".layer.1." in name and name.endswith(".weight") and "Norm" not in name
    }
    for name in changed:
        assert np.linalg.svd(after[name] - before[name], compute_uv=False)[2:].max() < 1e-5


def test_an_encoder_that_is_pickled_is_refused(
    pretrained: Pretrained, authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    folder = shutil.copytree(pretrained("bert"), tmp_path / "pickled")
    torch.save(AutoModel.from_pretrained(folder).state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"cannot be read: .*safetensors"):
        train(authored[:8], tmp_path / "m", recipe=encoder_recipe(), encoder=str(folder), held_out=0)


def test_half_precision_ends_with_training(authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Trainer wraps a model that it trains in half precision, and what is exported has to be free of it."""
    recipe = encoder_recipe(
        "mpnet", fit={"epochs": 1.0, "precision": "bf16"}, export={"agreement": 0.0, "keep_weights": True}
    )
    found = train(authored[:8], tmp_path / "m", recipe=recipe, held_out=0).folder
    assert found.manifest["export"]["precision"] == "int8"
    assert {array.dtype for array in load(found.files[KEPT[1]]).values()} == {np.dtype(np.float32)}
    graph = onnx.load_from_string(found.files[GRAPH]).graph
    assert onnx.TensorProto.BFLOAT16 not in {each.data_type for each in graph.initializer}
    assert onnx.TensorProto.BFLOAT16 not in {
        each.i for node in graph.node if node.op_type == "Cast" for each in node.attribute
    }


# --- corpora of other kinds -----------------------------------------------------------------------


def test_other_labels(encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = encoder_recipe("roberta", fit={"epochs": 6.0}, export=FP32)
    found = train(small(40), tmp_path / "m", recipe=recipe, held_out=0.2)
    assert found.folder.label_set.labels == ("advert", "news")
    assert found.evaluation is not None
    assert found.evaluation.scores.accuracy.value is not None
    assert found.evaluation.scores.accuracy.value > 0.9
    (other,) = bare(small(50)[-1:])
    assert [segment.label for segment in nutgraf.load(tmp_path / "m").predict(other)] == ["news", "news", "advert"]


def test_a_corpus_labelled_in_part(authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Most articles have no label at all, so that whole batches have none; the others have few."""
    sparse = [
        replace(
            article,
            paragraphs=tuple(
                replace(p, label=p.label if number % 3 == 0 and place % 2 else None)
                for place, p in enumerate(article.paragraphs)
            ),
        )
        for number, article in enumerate(authored[:24])
    ]
    recipe = encoder_recipe(fit={"batch_windows": 1, "validation": 0.3, "epochs": 1.0}, export=FP32)
    found = train(sparse, tmp_path / "m", recipe=recipe, held_out=0)
    assert found.folder.manifest["training_data"]["articles"] == 24
    chosen = found.folder.manifest["metrics"]["chosen_on"]
    labelled = [sum(p.label is not None for p in article.paragraphs) for article in sparse]
    assert 0 < chosen["paragraphs"] < sum(labelled)
    scores, _ = nutgraf.load(tmp_path / "m").score(authored[30])
    assert np.isfinite(scores).all()


def test_no_label_is_left_to_train_on(authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    articles = [authored[0], *bare(authored[1:6])]
    with pytest.raises(DataError, match="none of the articles to train on has a label"):
        train(
            articles,
            tmp_path / "m",
            recipe=encoder_recipe(fit={"validation": 0.0, "folds": 2}),
            held_out=0,
            label_set=NEWS_ROLES,
        )
    with pytest.raises(DataError, match="cannot make 2 folds of 1 articles"):
        train(articles, tmp_path / "n", recipe=encoder_recipe(), held_out=0, label_set=NEWS_ROLES)


# --- what is refused ------------------------------------------------------------------------------


def test_one_article(authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one training article was found, expected at least two"):
        train(authored[:1], tmp_path / "m", recipe=encoder_recipe(), held_out=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["nobody/no-such-encoder", "no-such-encoder", "./nowhere", "/no/where/at/all"])
def test_an_encoder_that_is_not_there(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "m"
    with pytest.raises(DataError) as caught:
        train(authored[:4], out, recipe=encoder_recipe(), encoder=name)
    message = str(caught.value)
    assert message.startswith(f"the encoder {name!r} cannot be read: ")
    assert message.endswith("; --encoder names another")
    assert "\n" not in message
    # The name is put right, and nothing has to be cleared away.
    said = Interrupt("training: epoch")
    with pytest.raises(KeyboardInterrupt):
        train(authored[:4], out, recipe=encoder_recipe(), say=said)


@pytest.mark.parametrize("damage", ["weights", "config", "tokenizer", "no weights", "no tokenizer", "no config"])
def test_a_damaged_encoder(
    authored: list[Article], pretrained: Pretrained, encoder_recipe: MakeRecipe, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(pretrained("bert"), folder)
    what = damage.removeprefix("no ")
    for name in {"weights": ["model.safetensors"], "config": ["config.json"]}.get(
        what, ["tokenizer.json", "tokenizer_config.json"]
    ):
        file = folder / name
        if damage.startswith("no "):
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=r"the (encoder|tokenizer of) .*damaged") as caught:
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe(), encoder=str(folder))
    assert "\n" not in str(caught.value)


def test_windows_longer_than_the_encoder_reads(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, pretrained: Pretrained
) -> None:
    for family in ("bert", "roberta", "mpnet"):
        name = str(pretrained(family))
        with pytest.raises(DataError, match=rf"window.tokens is 129, and {name} reads at most 128; set it lower"):
            train(authored[:4], tmp_path / "m", recipe=encoder_recipe(family, window={"tokens": 129}))


def test_a_tokenizer_of_another_encoder(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, pretrained: Pretrained
) -> None:
    shutil.copytree(pretrained("bert"), tmp_path / "mixed")
    file = tmp_path / "mixed" / "tokenizer.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    record["model"]["vocab"]["anotherword"] = len(record["model"]["vocab"])
    file.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(DataError, match=r"the tokenizer of .*mixed has 2,001 tokens, and its encoder 2,000"):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe(), encoder=str(tmp_path / "mixed"))


def test_too_little_memory(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**26))
        with pytest.raises(
            DataError,
            match=r"training needs about 0\.5 GB of memory, and 0\.1 GB are free; set fit.batch_windows \(now 8",
        ):
            train(authored[:4], tmp_path / "m", recipe=encoder_recipe())
    # It is set lower, and nothing has to be cleared away.
    with pytest.raises(KeyboardInterrupt):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe(fit={"batch_windows": 4}), say=Interrupt("macro-F1"))


def test_the_memory_that_training_needs(pretrained: Pretrained, encoder_recipe: MakeRecipe) -> None:
    needed = {}
    for family in ("bert", "mpnet"):
        model = NutgrafModel.from_encoder(pretrained(family), NEWS_ROLES.labels)
        for size in (8, 64):
            for tokens in (128, 512):
                settings = encoder_recipe(family, fit={"batch_windows": size}).fit
                needed[family, size, tokens] = device.memory_needed(model, tokens, settings)
    for (family, size, tokens), value in needed.items():
        assert value <= needed[family, 64, tokens]
        assert value <= needed[family, size, 512]
        assert value <= needed["mpnet", size, tokens]
    assert needed["bert", 64, 512] > needed["bert", 8, 512] > 2**29


def test_what_is_frozen_needs_less_memory(pretrained: Pretrained, encoder_recipe: MakeRecipe) -> None:
    """A trained weight has a gradient and two moments beside it; a frozen layer keeps nothing for the way back."""
    model = NutgrafModel.from_encoder(pretrained("bert"), NEWS_ROLES.labels)
    config, layers = model.config.encoder, model.config.encoder.num_hidden_layers
    found = []
    for frozen in (0, layers):
        settings = encoder_recipe(fit={"frozen_layers": frozen}).fit
        model.freeze(frozen)
        found.append(device.memory_needed(model, 100, settings))
    still = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    kept = settings.batch_windows * 100 * layers * config.hidden_size * 24 * 4
    assert still > 0.9 * sum(p.numel() for p in model.parameters())
    assert found[0] - found[1] == 12 * still + kept


def test_processes_share_the_memory(
    pretrained: Pretrained, encoder_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, settings = NutgrafModel.from_encoder(pretrained("bert"), NEWS_ROLES.labels), encoder_recipe().fit
    free = int(1.5 * device.memory_needed(model, 100, settings))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    device.check_memory(model, 100, settings)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(DataError, match=r"set fit.batch_windows .* fit.frozen_layers higher, or fit.lora_rank above 0"):
        device.check_memory(model, 100, settings)
    with pytest.raises(DataError, match=r"set fit.batch_windows") as refused:
        device.check_memory(model, 100, encoder_recipe(fit={"lora_rank": 2}).fit)
    assert "lora_rank" not in str(refused.value)  # it is set already


def test_training_that_diverged(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: NutgrafModel, rows: Dataset, *_: Any) -> Any:
        return np.full((len(rows), max(map(len, rows["starts"])), 7), np.nan)

    monkeypatch.setattr(fitting, "windows_logits", broken)
    with pytest.raises(DataError, match=r"training diverged: .* set fit.learning_rate lower"):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe(fit={"epochs": 1.0}))


def test_what_only_an_encoder_takes(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tiny_tagger: LinearTagger, unseen: list[Article], tmp_path: Path
) -> None:
    options: list[dict[str, Any]] = [{"encoder": "x"}, {"teachers": [tiny_tagger]}, {"unlabelled": unseen}]
    for given in options:
        with pytest.raises(DataError, match="the recipe 'tiny' trains no encoder; --recipe encoder-small does"):
            train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, **given)


def test_a_teacher_and_articles_for_it_come_together(
    authored: list[Article],
    unseen: list[Article],
    tiny_tagger: LinearTagger,
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    options: list[dict[str, Any]] = [{"teachers": [tiny_tagger]}, {"unlabelled": bare(unseen)}]
    for given in options:
        with pytest.raises(DataError, match="a teacher needs articles without labels, and those need a teacher"):
            train(authored[:4], tmp_path / "m", recipe=encoder_recipe(), **given)
    assert not list(tmp_path.iterdir())


def test_a_teacher_of_other_labels(
    authored: list[Article],
    unseen: list[Article],
    tiny_tagger: LinearTagger,
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
) -> None:
    with pytest.raises(
        DataError, match=r"the labels of a teacher are incident_report, .*, and those to learn are advert, news; take a"
    ):
        train(small(6), tmp_path / "m", recipe=encoder_recipe(), teachers=[tiny_tagger], unlabelled=bare(unseen))
    turned = copy.copy(tiny_tagger)
    turned.label_set = LabelSet("turned", dict.fromkeys(NEWS_ROLES.labels[::-1], ""))
    with pytest.raises(DataError, match="with the same labels in the same order"):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe(), teachers=[tiny_tagger, turned], unlabelled=unseen)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("split", [True, False])
def test_a_teacher_never_annotates_what_is_held_out(
    authored: list[Article], tiny_tagger: LinearTagger, encoder_recipe: MakeRecipe, tmp_path: Path, split: bool
) -> None:
    """Its scores may be those of one that was trained on them."""
    options: dict[str, Any] = {"held_out": 0.5} if split else {"dev": authored[8:10]}
    with pytest.raises(DataError, match="most of it is in the training data and in the held-out data"):
        train(
            authored[:8],
            tmp_path / "m",
            recipe=encoder_recipe(),
            teachers=[tiny_tagger],
            unlabelled=bare(authored[:10]),
            **options,
        )
    assert not list(tmp_path.iterdir())


def test_a_folder_beside_a_linear_model_is_left_alone(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path
) -> None:
    """Only an encoder has a run folder."""
    (tmp_path / "m.run").mkdir()
    (tmp_path / "m.run" / "thesis.txt").write_text("years of work")
    train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe)
    assert (tmp_path / "m.run" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"recipe": "x"}', None])
def test_a_foreign_folder_in_the_place_of_the_run(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, content: str | None
) -> None:
    run = tmp_path / "m.run"
    run.mkdir()
    (run / "thesis.txt").write_text("years of work")
    if content is not None:
        (run / "run.json").write_text(content)
    with pytest.raises(DataError, match=r"m\.run exists and is no run of nutgraf; remove it, or name another --out"):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe())
    shutil.rmtree(run)
    run.write_text("notes")
    with pytest.raises(DataError, match=r"m\.run exists and is no run of nutgraf"):
        train(authored[:4], tmp_path / "m", recipe=encoder_recipe())
    assert run.read_text() == "notes"


# --- interruptions --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def interrupted(authored: list[Article], encoder_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder that was left in the third epoch; copy it before use."""
    out = tmp_path_factory.mktemp("interrupted") / "m"
    with pytest.raises(KeyboardInterrupt):
        train(
            authored[:12],
            out,
            recipe=encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32),
            held_out=0,
            say=Interrupt("macro-F1", 6),
        )
    return out.with_name("m.run")


@pytest.fixture(scope="module")
def uninterrupted(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """The same run, in one go."""
    recipe = encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32)
    return train(authored[:12], tmp_path_factory.mktemp("uninterrupted") / "m", recipe=recipe, held_out=0)


def checkpoints(run: Path) -> list[Path]:
    return sorted((run / "final").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))


def test_an_interruption_leaves_checkpoints(interrupted: Path) -> None:
    assert {path.name for path in interrupted.iterdir()} == {"run.json", "final"}
    assert len(checkpoints(interrupted)) == 2
    assert not interrupted.with_name("m").exists()


def test_a_run_is_gone_on_with(
    authored: list[Article],
    encoder_recipe: MakeRecipe,
    interrupted: Path,
    uninterrupted: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To the very same bytes, from the middle of an epoch and from its end, from another working folder, too."""
    shutil.copytree(interrupted, tmp_path / "m.run")
    recipe = encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32)
    last = checkpoints(interrupted)[-1].name
    again = Interrupt("macro-F1", 2)
    with pytest.raises(KeyboardInterrupt):
        train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0, say=again)
    assert again.lines[0] == f"training: going on from {last}"
    monkeypatch.chdir(tmp_path)
    said = Interrupt()
    found = train(authored[:12], "m", recipe=recipe, held_out=0, say=said)
    assert said.lines[0].startswith("training: going on from checkpoint-")
    assert said.lines[0] != again.lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
    assert found.folder.files == uninterrupted.folder.files
    assert found.folder.fingerprint == uninterrupted.folder.fingerprint


def test_interrupted_after_the_last_step(
    authored: list[Article],
    encoder_recipe: MakeRecipe,
    uninterrupted: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """First before the result of a stage is there, then while the model is exported."""
    recipe = encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32)

    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    said = Interrupt("exporting")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "touch", stop)
        with pytest.raises(KeyboardInterrupt):
            train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0)
    with pytest.raises(KeyboardInterrupt):
        train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0, say=said)
    assert said.lines[0].startswith("training: going on from checkpoint-")
    said = Interrupt()
    found = train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0, say=said)
    assert said.lines[:2] == ["training: finished before, reading it", "calibrating"]
    assert found.folder.files == uninterrupted.folder.files


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seed": 1}, "recipe"),
        ({"held_out": 0.3}, "articles"),
        ({"label_set": LabelSet("turned", dict.fromkeys(NEWS_ROLES.labels[::-1], ""))}, "label_set"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_another_run_is_not_gone_on_with(
    authored: list[Article],
    encoder_recipe: MakeRecipe,
    interrupted: Path,
    tmp_path: Path,
    change: dict[str, Any],
    what: str,
) -> None:
    shutil.copytree(interrupted, tmp_path / "m.run")
    recipe = encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32)
    with pytest.raises(
        DataError, match=rf"m\.run holds the checkpoints of another run \(other {what}\); remove it, or"
    ):
        train(authored[:12], tmp_path / "m", **{"recipe": recipe, "held_out": 0, **change})
    assert checkpoints(tmp_path / "m.run")
    first, second, *rest = authored[:12]
    for others in (
        [bare([first])[0], second, *rest],
        [second, first, *rest],  # checkpoints and a teacher's answers go by the place of an article
        [replace(first, headline="Another headline"), second, *rest],
    ):
        with pytest.raises(DataError, match=r"\(other articles\)"):
            train(others, tmp_path / "m", recipe=recipe, held_out=0)


def test_a_run_in_other_circumstances_is_not_gone_on_with(
    authored: list[Article],
    encoder_recipe: MakeRecipe,
    interrupted: Path,
    pretrained: Pretrained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step of two processes takes twice as many windows; and a path may lead to another encoder than before."""
    shutil.copytree(interrupted, tmp_path / "m.run")
    recipe = encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32)
    with monkeypatch.context() as patch:
        patch.setenv("WORLD_SIZE", "2")
        with pytest.raises(DataError, match=r"another run \(other number of processes\)"):
            train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0)
    other = AutoModel.from_pretrained(pretrained("bert"))
    torch.nn.init.ones_(next(other.parameters()))
    with monkeypatch.context() as patch:
        patch.setattr(AutoModel, "from_pretrained", lambda *_, **__: copy.deepcopy(other))
        with pytest.raises(DataError, match=r"another run \(other weights to begin with\)"):
            train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0)
    with pytest.raises(KeyboardInterrupt):
        train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0, say=Interrupt("training: going on from"))


@pytest.mark.parametrize(
    "file", ["trainer_state.json", "optimizer.pt", "scheduler.pt", "model.safetensors", "rng_state.pth"]
)
@pytest.mark.parametrize("kept", [None, 0.0, 0.5, 0.99])
def test_a_half_written_checkpoint_is_passed_over(
    interrupted: Path, tmp_path: Path, file: str, kept: float | None
) -> None:
    shutil.copytree(interrupted, tmp_path / "m.run")
    older, newer = checkpoints(tmp_path / "m.run")
    assert last_checkpoint(tmp_path / "m.run" / "final", remove=True) == newer
    damaged = newer / file
    if kept is None:
        damaged.unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[: int(kept * damaged.stat().st_size)])
    if file == "rng_state.pth" and kept is None:  # of several processes each has its own
        assert last_checkpoint(tmp_path / "m.run" / "final", remove=True) == newer
        return
    assert last_checkpoint(tmp_path / "m.run" / "final", remove=True) == older
    assert not newer.exists()


def test_no_checkpoint(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path, remove=True) is None
    assert last_checkpoint(tmp_path / "none", remove=True) is None
    (tmp_path / "checkpoint-3").mkdir()
    (tmp_path / "checkpoint-x").mkdir()
    (tmp_path / "checkpoint-9").write_text("a file")
    assert last_checkpoint(tmp_path, remove=True) is None


def test_a_checkpoint_that_is_a_link_is_refused(
    authored: list[Article], encoder_recipe: MakeRecipe, interrupted: Path, tmp_path: Path
) -> None:
    shutil.copytree(interrupted, tmp_path / "m.run")
    elsewhere = tmp_path / "elsewhere"
    newest = checkpoints(tmp_path / "m.run")[-1]
    newest.rename(elsewhere)
    newest.symlink_to(elsewhere)
    recipe = encoder_recipe(fit={"epochs": 4.0, "hide_tokens": 0.0}, export=FP32)
    with pytest.raises(DataError, match=rf"{newest.name} is a link; only checkpoints that this run wrote are read"):
        train(authored[:12], tmp_path / "m", recipe=recipe, held_out=0)
    assert (elsewhere / "trainer_state.json").is_file()


# --- one run of the trainer -----------------------------------------------------------------------


def test_the_order_of_windows() -> None:
    lengths = [int(length) for length in np.random.default_rng(0).integers(5, 500, 203)]
    sampler = running._ByLength(lengths, 8, 3)
    assert len(sampler) == 203
    first = list(sampler)
    torch.rand(10)  # what else draws from torch's numbers changes nothing
    assert list(sampler) == first == list(running._ByLength(lengths, 8, 3))
    assert sorted(first) == list(range(203))
    sampler.epoch = 1
    assert sorted(sampler) == list(range(203))
    assert list(sampler) != first
    assert list(running._ByLength(lengths, 8, 4)) != first
    steps = [first[begin : begin + 8] for begin in range(0, 203, 8)]
    spread = np.mean([np.ptp([lengths[index] for index in step]) for step in steps])
    assert spread < 0.3 * np.ptp(lengths)  # little is padding


def test_an_epoch_has_an_order_of_its_own(
    authored: list[Article], encoder_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders: list[list[int]] = []

    def spy(self: running._ByLength) -> Any:
        orders.append(list(order(self)))
        return iter(orders[-1])

    order = running._ByLength.__iter__
    monkeypatch.setattr(running._ByLength, "__iter__", spy)
    recipe = encoder_recipe(fit={"accumulate": 2, "batch_windows": 3})
    work = fitting._Work(authored[:6], NEWS_ROLES, recipe, tmp_path, print)
    rows = work.rows(range(6))
    stage = running.Stage("x", tmp_path / "x", 3.0, 1e-4, 5)
    running.run_stage(stage, work.fresh, rows, None, work.collator, recipe.fit, print)
    expected = running._ByLength(rows["length"], 6, 5)
    for epoch, found in enumerate(orders):
        expected.epoch = epoch
        assert found == list(order(expected))
    assert len(orders) == 3


def test_checkpoints_are_found_from_another_folder(
    pretrained: Pretrained, encoder_recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, rows = NutgrafModel.from_encoder(pretrained("bert"), NEWS_ROLES.labels), Dataset.from_dict({"length": [8]})
    stage = running.Stage("x", Path("m.run"), 1.0, 1e-4, 0)
    made = running._trainer(stage, model, rows, None, Collator(0), encoder_recipe().fit, print)
    assert made.args.output_dir == str(tmp_path / "m.run")


@pytest.mark.parametrize(
    ("epochs", "min_steps", "expected", "every"),
    [(2.0, 0, 2.0, 5), (2.0, 20, 2.0, 5), (2.0, 21, 3, 7), (2.0, 60, 6, 15), (0.5, 4, 0.5, 5), (0.5, 6, 1, 10)],
)
def test_few_articles_are_read_more_often(
    pretrained: Pretrained,
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
    epochs: float,
    min_steps: int,
    expected: float,
    every: int,
) -> None:
    """Ten steps an epoch; the state is evaluated as often as without."""
    model, rows = (
        NutgrafModel.from_encoder(pretrained("bert"), NEWS_ROLES.labels),
        Dataset.from_dict({"length": [8] * 20}),
    )
    said: list[str] = []
    stage = running.Stage("x", tmp_path / "x", epochs, 1e-4, 0, min_steps)
    settings = encoder_recipe(fit={"batch_windows": 2}).fit
    made = running._trainer(stage, model, rows, None, Collator(0), settings, said.append)
    assert (made.args.num_train_epochs, made.args.eval_steps, made.args.save_steps) == (expected, every, every)
    assert said == (
        [f"x: {expected} epochs, as fewer would be less than fit.min_steps = {min_steps}"] * (expected > epochs)
    )


def test_each_layer_learns_at_its_rate(pretrained: Pretrained, encoder_recipe: MakeRecipe, tmp_path: Path) -> None:
    for family in ("bert", "roberta", "mpnet", "modernbert"):
        settings = encoder_recipe(
            family, fit={"learning_rate": 1e-4, "head_learning_rate": 3e-4, "layer_decay": 0.5, "weight_decay": 0.1}
        ).fit
        model = NutgrafModel.from_encoder(pretrained(family), NEWS_ROLES.labels)
        stage = running.Stage("x", tmp_path / family, 1.0, 1e-4, 0)
        rows = Dataset.from_dict({"length": [8, 8]})
        made = running._trainer(stage, model, rows, None, Collator(0), settings, print)
        optimizer = made.create_optimizer()
        groups = {
            id(p): (group["lr"], group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]
        }
        trained = {name: groups[id(p)] for name, p in model.named_parameters() if p.requires_grad}
        assert len(groups) == len(trained)
        rates: dict[str, set[float]] = {"head": set(), "last": set(), "first": set(), "embeddings": set()}
        for name, (rate, decay) in trained.items():
            parts = name.split(".")
            part = "head" if parts[0] != "encoder" else "embeddings" if "embeddings" in parts else "first"
            if part == "first" and ("1" in parts or not {"0", "1"} & set(parts)):
                part = "last"  # with a norm that comes after it
            rates[part].add(rate)
            assert decay == (0.0 if name.endswith("bias") or "norm" in name.lower() else 0.1), name
        assert rates == {"head": {3e-4}, "last": {1e-4}, "first": {0.5e-4}, "embeddings": {0.25e-4}}, family


def test_the_best_state_is_kept(
    authored: list[Article],
    encoder_recipe: MakeRecipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Here the second of six, as the scores have it."""
    saved: dict[str, dict[str, Any]] = {}
    scores = iter([0.1, 0.9, 0.3, 0.4, 0.5, 0.6])

    def save(self: NutgrafModel, folder: Any, **options: Any) -> None:
        saved[Path(folder).name] = {name: value.clone() for name, value in self.state_dict().items()}
        save_pretrained(self, folder, **options)

    save_pretrained = NutgrafModel.save_pretrained
    monkeypatch.setattr(NutgrafModel, "save_pretrained", save)
    monkeypatch.setattr(running, "_metrics", lambda found: {"macro_f1": next(scores), "accuracy": 0.5})
    recipe = encoder_recipe(fit={"batch_windows": 4})
    work = fitting._Work(authored[:12], NEWS_ROLES, recipe, tmp_path, print)
    rows, held = work.rows(range(9)), work.rows(range(9, 12))
    stage = running.Stage("x", tmp_path / "x", 2.8, 3e-3, 0)
    model = running.run_stage(stage, work.fresh, rows, held, work.collator, recipe.fit, print)
    assert not list(scores)
    *states, last = saved
    assert last == "model"
    assert len(states) == 6
    for name, value in model.state_dict().items():
        assert torch.equal(value, saved[states[1]][name])
        assert torch.equal(value, saved["model"][name])
    assert any(not torch.equal(value, saved[states[-1]][name]) for name, value in model.state_dict().items())
    assert {path.name for path in (tmp_path / "x").iterdir()} == {"done", "model"}

    logits = running.windows_logits(model, held, work.collator, recipe.fit)
    again = running.windows_logits(running.read_result(tmp_path / "x"), held, work.collator, recipe.fit)
    np.testing.assert_array_equal(again, logits)
    for row, found in zip(held, logits, strict=True):
        batch = Collator(0, training=False)([row])
        with torch.inference_mode():
            alone = model(**{name: batch[name] for name in ("input_ids", "attention_mask", "segments", "positions")})
        np.testing.assert_allclose(found[: len(row["starts"])], alone.logits[0].numpy(), atol=1e-5)


def test_scores_while_training() -> None:
    predictions = np.zeros((2, 3, 3))
    predictions[0, 0, 1] = predictions[0, 1, 2] = predictions[1, 0, 1] = predictions[1, 1, 0] = 1.0
    labels = np.array([[1, 1, -100], [1, 0, -100]])
    found = running._metrics(EvalPrediction(predictions=predictions, label_ids=labels))
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((1.0 + 0.8) / 2)  # of the labels that occur
