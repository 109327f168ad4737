"""Training: reproducible to the byte, honest about what was held out, and careful with what is there."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml  # type: ignore[import-untyped]

from nutgraf.artefact import read_model
from nutgraf.linear import LinearTagger
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError, ModelError
from nutgraf_data.labels import NEWS_ROLES, LabelSet
from nutgraf_data.splits import HELD_OUT, TRAIN, make_split
from nutgraf_training.provenance import paragraph_digests, seen_articles, trained_on
from nutgraf_training.recipe import Recipe
from nutgraf_training.train import TrainResult, train


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_the_same_gives_the_same_bytes(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tiny_result: TrainResult, tmp_path: Path
) -> None:
    again = train(iter(tiny_corpus), tmp_path / "of another name", recipe=tiny_recipe, held_out=0.2)
    assert content(again.folder.path) == content(tiny_result.folder.path)
    assert set(content(again.folder.path)) == {
        "README.md",
        "manifest.json",
        "model.safetensors",
        "settings.toml",
        "trained_on.txt",
    }
    assert again.folder.fingerprint == tiny_result.folder.fingerprint
    assert not list(tmp_path.glob(".*"))


def test_the_order_of_the_corpus_does_not_split_it_otherwise(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tiny_result: TrainResult, tmp_path: Path
) -> None:
    turned = train(tiny_corpus[::-1], tmp_path / "m", recipe=tiny_recipe, held_out=0.2)
    assert trained_on(turned.folder) == trained_on(tiny_result.folder)


def test_another_seed_gives_another_model(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tiny_result: TrainResult, tmp_path: Path
) -> None:
    other = train(tiny_corpus, tmp_path / "tiny", recipe=tiny_recipe, held_out=0.2, seed=1)
    assert other.folder.manifest["seed"] == 1
    assert tomllib.loads(other.folder.files["settings.toml"].decode())["seed"] == 1
    assert other.folder.files["model.safetensors"] != tiny_result.folder.files["model.safetensors"]
    assert other.folder.fingerprint != tiny_result.folder.fingerprint


def test_no_path_and_no_time_in_the_folder(tiny_result: TrainResult) -> None:
    everything = b"".join(content(tiny_result.folder.path).values())
    assert str(tiny_result.folder.path).encode() not in everything
    assert str(tiny_result.folder.path.parent).encode() not in everything


def test_held_out_articles_are_not_trained_on(tiny_corpus: list[Article], tiny_result: TrainResult) -> None:
    known = trained_on(tiny_result.folder)
    held = [article for article in tiny_corpus if not seen_articles([article], known)]
    assert tiny_result.evaluation is not None
    assert len(held) == tiny_result.evaluation.scores.articles > 0
    data = tiny_result.folder.manifest["training_data"]
    assert data["articles"] == len(tiny_corpus) - len(held)
    assert data["paragraphs"] + tiny_result.evaluation.scores.paragraphs == sum(len(a.paragraphs) for a in tiny_corpus)
    assert tiny_result.evaluation.seen == 0


def test_held_out_labels_do_not_matter_to_the_weights(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tiny_result: TrainResult, tmp_path: Path
) -> None:
    known = trained_on(tiny_result.folder)
    spoilt = [
        a
        if seen_articles([a], known)
        else replace(a, paragraphs=tuple(replace(p, label="boilerplate") for p in a.paragraphs))
        for a in tiny_corpus
    ]
    other = train(spoilt, tmp_path / "m", recipe=tiny_recipe, held_out=0.2).folder
    assert other.files["model.safetensors"] == tiny_result.folder.files["model.safetensors"]
    assert other.manifest["metrics"] != tiny_result.folder.manifest["metrics"]


def test_a_split_is_obeyed(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path) -> None:
    split = make_split(tiny_corpus, held_out=0.4, seed=3)
    result = train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, split=split)
    parts = split.apply(tiny_corpus)
    assert trained_on(result.folder) == {d for article in parts[TRAIN] for d in paragraph_digests(article)}
    assert result.evaluation is not None
    assert result.evaluation.scores.articles == len(parts[HELD_OUT])


def test_dev_articles(tiny_corpus: list[Article], tiny_recipe: Recipe, unseen: list[Article], tmp_path: Path) -> None:
    result = train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, dev=unseen, dev_name="the others")
    assert result.evaluation is not None
    assert result.evaluation.scores.articles == len(unseen)
    assert result.evaluation.model == result.folder.fingerprint
    assert result.folder.manifest["training_data"]["articles"] == len(tiny_corpus)
    assert result.folder.manifest["metrics"]["held_out"]["of"] == "the others"
    again = LinearTagger(read_model(tmp_path / "m"))
    gold = [p.label for article in unseen for p in article.paragraphs]
    guess = [segment.label for article in unseen for segment in again.predict(article)]
    share = np.mean([a == b for a, b in zip(gold, guess, strict=True)])
    assert result.evaluation.scores.accuracy.value == pytest.approx(share)


def test_dev_must_not_overlap(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path) -> None:
    copy = replace(tiny_corpus[4], id="another id")
    with pytest.raises(
        DataError, match=r"article 'another id': most of it is in the training data and in the held-out data \(1"
    ):
        train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, dev=[copy])
    assert not (tmp_path / "m").exists()


def test_a_paragraph_more_makes_no_article_new(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tiny_tagger: LinearTagger, tmp_path: Path
) -> None:
    known = trained_on(tiny_tagger.folder)
    seen = seen_articles(tiny_corpus, known)
    longer = [Article.from_paragraphs([*a.paragraphs, Paragraph(f"Advertisement {a.id}", 0, 0)], id=a.id) for a in seen]
    assert seen_articles(longer, known) == longer
    with pytest.raises(DataError, match="most of it is in the training data"):
        train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, dev=longer)
    mostly_new = [
        Article.from_paragraphs([*a.paragraphs[:2], "New text. " * 30, "Newer text. " * 30], id=a.id) for a in seen
    ]
    assert not seen_articles(mostly_new, known)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_that_is_none(tiny_corpus: list[Article], tmp_path: Path, share: float) -> None:
    with pytest.raises(DataError, match="held_out is"):
        train(tiny_corpus, tmp_path / "m", held_out=share)


def test_no_held_out_articles(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path) -> None:
    result = train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, held_out=0)
    assert result.evaluation is None
    assert "held_out" not in result.folder.manifest["metrics"]
    assert result.folder.manifest["training_data"]["articles"] == len(tiny_corpus)
    assert result.inner["paragraphs"] == sum(len(a.paragraphs) for a in tiny_corpus)
    assert result.inner["accuracy"]["value"] > 0.5


def test_nothing_is_overwritten_without_force(
    tiny_corpus: list[Article], tiny_recipe: Recipe, unseen: list[Article], tmp_path: Path
) -> None:
    out = tmp_path / "m"
    train(tiny_corpus, out, recipe=tiny_recipe)
    before = content(out)
    with pytest.raises(ModelError, match="already holds a model; use --force to replace it"):
        train(unseen, out, recipe=tiny_recipe)
    assert content(out) == before
    train(unseen, out, recipe=tiny_recipe, force=True)
    assert content(out) != before
    read_model(out)
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_what_is_no_model_is_never_replaced(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path) -> None:
    folder, file = tmp_path / "thesis", tmp_path / "notes.txt"
    folder.mkdir()
    (folder / "chapter.txt").write_text("years of work")
    file.write_text("notes")
    for out in (folder, file):
        with pytest.raises(ModelError, match="is no model folder"):
            train(tiny_corpus, out, recipe=tiny_recipe, force=True)
    assert (folder / "chapter.txt").read_text() == "years of work"
    assert file.read_text() == "notes"


def test_a_failed_training_leaves_nothing(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "m"
    train(tiny_corpus, out, recipe=tiny_recipe)
    before = content(out)
    monkeypatch.setattr("nutgraf.artefact.os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_corpus, out, recipe=tiny_recipe, seed=1, force=True)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_corpus, tmp_path / "new", recipe=tiny_recipe)
    assert content(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_labels_that_the_set_does_not_have(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path) -> None:
    two = LabelSet("two", {"background": "", "analysis": ""})
    with pytest.raises(DataError, match="is not one of the model's"):
        train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, label_set=two)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("hearsay", "the label 'hearsay' is not one of the model's"),
        (None, "none of the held-out paragraphs has a label"),
    ],
)
def test_held_out_articles_that_cannot_be_scored(
    tiny_corpus: list[Article],
    tiny_recipe: Recipe,
    unseen: list[Article],
    tmp_path: Path,
    label: str | None,
    message: str,
) -> None:
    """They are refused before anything is fitted, not hours later."""
    said: list[str] = []
    dev = [
        replace(a, paragraphs=tuple(replace(p, label=label, alt=None) for p in a.paragraphs), origin=None)
        for a in unseen
    ]
    with pytest.raises(DataError, match=message):
        train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, dev=dev, say=said.append)
    assert said == []


@pytest.mark.parametrize("seed", [-1, 2**32, True])
def test_a_seed_that_is_none(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path, seed: int) -> None:
    with pytest.raises(DataError, match=f"the recipe 'tiny' cannot be trained so: its seed is {seed}"):
        train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, seed=seed)


def test_no_article(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the corpus has no article"):
        train([], tmp_path / "m")


def test_a_given_label_set_keeps_its_order(tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path: Path) -> None:
    turned = LabelSet("turned", {label: f"about {label}" for label in NEWS_ROLES.labels[::-1]} | {"never": "x"})
    folder = train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, label_set=turned).folder
    assert folder.label_set == turned
    annotation = LinearTagger(folder).predict(tiny_corpus[0])
    assert tuple(annotation[0].scores) == turned.labels
    assert "never" not in {segment.label for segment in annotation}


def test_scores_are_probabilities(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    confidence, right = [], []
    for article in unseen:
        for segment, paragraph in zip(tiny_tagger.predict(article), article.paragraphs, strict=True):
            assert sum(segment.scores.values()) == pytest.approx(1.0, abs=1e-9)
            assert min(segment.scores.values()) >= 0
            assert segment.label == max(segment.scores, key=lambda label: segment.scores[label])
            assert segment.confidence == segment.scores[segment.label]
            confidence.append(segment.confidence)
            right.append(segment.label == paragraph.label)
    # The surer half is right more often; that shares are met is tested where there is enough to fit on (test_chain).
    order = np.argsort(confidence)
    half = len(order) // 2
    assert np.mean(np.array(right)[order[half:]]) > np.mean(np.array(right)[order[:half]]) + 0.1


def front_matter(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, head, _ = text.split("---\n", 2)
    found = yaml.safe_load(head)
    assert isinstance(found, dict)
    return found


def test_the_model_card(tiny_result: TrainResult) -> None:
    head = front_matter(tiny_result.folder.path)
    metrics = tiny_result.folder.manifest["metrics"]["held_out"]
    assert head["library_name"] == "nutgraf"
    assert head["pipeline_tag"] == "text-classification"
    assert head["model-index"] == [
        {
            "name": "nutgraf-tiny",
            "results": [
                {
                    "task": {"type": "text-classification", "name": "roles of news paragraphs"},
                    "dataset": {"name": "articles held out of the same corpus", "type": "news-roles"},
                    "metrics": [
                        {"type": "f1", "name": "macro-F1", "value": round(metrics["macro_f1"]["value"], 4)},
                        {"type": "accuracy", "value": round(metrics["accuracy"]["value"], 4)},
                    ],
                }
            ],
        }
    ]
    text = (tiny_result.folder.path / "README.md").read_text(encoding="utf-8")
    assert tiny_result.folder.files["settings.toml"].decode().strip() in text
    assert all(f"| `{label}` | " in text for label in NEWS_ROLES.labels)


def test_a_model_card_with_awkward_names(
    tiny_corpus: list[Article], tiny_recipe: Recipe, unseen: list[Article], tmp_path: Path
) -> None:
    name = 'mine: "best" #1 — für Ümläute'
    labels = dict.fromkeys(NEWS_ROLES.labels, 'a | b\n"c": d')
    folder = train(
        tiny_corpus,
        tmp_path / "odd",
        recipe=replace(tiny_recipe, name=name),
        label_set=LabelSet("set: {odd}", labels),
        dev=unseen,
        dev_name="dev: 'x' & y",
        about="---\nWritten by hand.\n",
    ).folder
    (entry,) = front_matter(folder.path)["model-index"]
    assert entry["name"] == f"nutgraf-{name}"
    assert entry["results"][0]["dataset"] == {"name": "dev: 'x' & y", "type": "set: {odd}"}
    text = (folder.path / "README.md").read_text(encoding="utf-8")
    assert "Written by hand." in text
    assert '| `analysis` | a \\| b "c": d |' in text


def test_the_manifest_is_plain_json(tiny_result: TrainResult) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    text = (tiny_result.folder.path / "manifest.json").read_text(encoding="utf-8")
    manifest = json.loads(text, parse_constant=refuse)
    assert manifest["format"] == 1
    assert {"python", "numpy", "scipy", "scikit-learn", "safetensors", "nutgraf"} == set(manifest["versions"])


@pytest.mark.parametrize("module", ["tomli_w", "sklearn"])
def test_missing_packages_are_noticed_before_the_fit(
    tiny_corpus: list[Article],
    tiny_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
) -> None:
    import sys

    from nutgraf_data.errors import MissingExtraError

    for name in list(sys.modules):
        if name.split(".")[0] == module or name == "nutgraf_training.linear":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    lines: list[str] = []
    with pytest.raises(MissingExtraError, match=r'Training needs packages .*pip install "nutgraf\[train\]"'):
        train(tiny_corpus, tmp_path / "m", recipe=tiny_recipe, say=lines.append)
    assert "reading features" not in lines
