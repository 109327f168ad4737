"""Trains a tagger: corpus → split by article → fit → calibrate → model folder."""

from __future__ import annotations

import hashlib
import platform
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from nutgraf.artefact import ModelFolder, check_vacant, write_model
from nutgraf.linear import WEIGHTS, LinearTagger
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.labels import LabelSet
from nutgraf_data.splits import HELD_OUT, TRAIN, Split, corpus_fingerprint, make_split
from nutgraf_training.card import model_card
from nutgraf_training.evaluate import Evaluation, evaluate, gold_numbers
from nutgraf_training.metrics import confusion_tables, score_tables
from nutgraf_training.provenance import TRAINED_ON, paragraph_digests, seen_articles, write_trained_on
from nutgraf_training.recipe import Recipe, load_recipe

__all__ = ["TrainResult", "train"]


@dataclass(frozen=True)
class TrainResult:
    """What training gave.

    Attributes:
        folder: the model folder that was written.
        evaluation: how the model did on the articles held out of training, or None where there were none.
        cross_fitted: metrics of cross-fitting on the training articles, as JSON.
    """

    folder: ModelFolder
    evaluation: Evaluation | None
    cross_fitted: dict[str, Any]


def train(
    articles: Iterable[Article],
    out: str | Path,
    *,
    recipe: str | Path | Recipe = "linear",
    label_set: LabelSet | None = None,
    held_out: float = 0.1,
    split: Split | None = None,
    dev: Sequence[Article] | None = None,
    dev_name: str = "held-out articles",
    seed: int | None = None,
    about: str = "",
    force: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> TrainResult:
    """Trains a tagger and writes its folder.

    Args:
        articles: labelled articles.
        out: the model folder to write.
        recipe: the name of a recipe, the path of one, or a Recipe.
        label_set: the labels and their order; by default those that occur.
        held_out: the share of paragraphs to split off by article for evaluation, 0 to train on all. Near-duplicate
            articles stay together.
        split: which articles are held out, instead of ``held_out``.
        dev: other articles to evaluate on, instead of splitting some off; never trained on.
        dev_name: what to call those in the model card.
        seed: overrides the recipe's.
        about: Markdown for the model card.
        force: replace a model folder that is already there.
        say: called with a line of progress.

    Raises:
        DataError: the articles cannot be trained on.
        ModelError: something is at ``out`` already.
        MissingExtraError: the extra ``train`` is not installed.
    """
    check_vacant(out, force=force)
    if not 0 <= held_out < 1:
        raise DataError(f"held_out is {held_out}, expected a share from 0 to below 1")
    try:
        from threadpoolctl import threadpool_limits

        from nutgraf_training.linear import fit_linear
    except ImportError:
        raise MissingExtraError("Training", "train") from None
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    if seed is not None:
        recipe = replace(recipe, seed=seed)
    articles = list(articles)
    if not articles:
        raise DataError("the corpus has no article", hint="nutgraf data check CORPUS shows what was read")
    label_set = label_set or LabelSet.from_articles(articles)
    gold_numbers(articles, label_set)  # refuses unknown labels before anything is fitted
    name = "articles held out of the same corpus"
    if dev is not None:
        dev, name = list(dev), dev_name
        known = {digest for article in articles for digest in paragraph_digests(article)}
        if shared := seen_articles(dev, known):
            raise shared[0].error(
                f"most of it is in the training data and in the held-out data ({len(shared)} such)",
                hint="take it out of one",
            )
    elif split is not None or held_out > 0:
        say("splitting by article")
        split = split or make_split(articles, held_out=held_out, seed=recipe.seed)
        parts = split.apply(articles)
        articles, dev = parts[TRAIN], parts[HELD_OUT]

    settings = recipe.to_toml()  # before the fit, as it needs a package that may be missing
    with threadpool_limits(1):  # sums of several threads round differently, and the bytes have to be the same
        fit = fit_linear(articles, label_set, recipe, say=say)
    files = {WEIGHTS: fit.weights.to_bytes(), "settings.toml": settings, TRAINED_ON: write_trained_on(articles)}
    manifest: dict[str, Any] = {
        "recipe": {"name": recipe.name, "kind": recipe.kind},
        "seed": recipe.seed,
        "training_data": {
            "articles": len(articles),
            "paragraphs": sum(len(article.paragraphs) for article in articles),
            "fingerprint": corpus_fingerprint(articles),
            "labels_sha256": _labels_digest(articles),
        },
        "versions": _versions(),
    }
    metrics: dict[str, Any] = {
        "cross_fitted": {"of": "the training articles", **_cross_fitted(articles, label_set, fit.cross_fitted)}
    }
    evaluation = None
    if dev:
        say("evaluating")
        # The manifest holds the figures, so the model is evaluated before its folder is written.
        folder = ModelFolder(Path(out), {}, label_set, tomllib.loads(settings.decode()), files, "")
        # What was split off shares no text by the split's own, stricter measure; dev was checked above.
        evaluation = evaluate(LinearTagger(folder), dev, include_seen=True)
        metrics["held_out"] = {"of": name, **evaluation.scores.to_json()}
    manifest["metrics"] = metrics
    files["README.md"] = model_card(
        name=f"nutgraf-{recipe.name}", label_set=label_set, manifest=manifest, about=about, settings=settings.decode()
    )
    say("writing the model")
    written = write_model(out, kind=recipe.kind, label_set=label_set, files=files, manifest=manifest, force=force)
    if evaluation is not None:
        evaluation = replace(evaluation, model=written.fingerprint)
    return TrainResult(written, evaluation, metrics["cross_fitted"])


def _cross_fitted(articles: Sequence[Article], label_set: LabelSet, scores: np.ndarray[Any, Any]) -> dict[str, Any]:
    bounds = np.cumsum([len(article.paragraphs) for article in articles])[:-1]
    predicted = np.split(scores.argmax(axis=1).astype(np.int64), bounds)
    tables = confusion_tables(gold_numbers(articles, label_set), predicted, len(label_set))
    return score_tables(tables, label_set.labels).to_json()


def _labels_digest(articles: Sequence[Article]) -> str:
    labels = "\n".join(f"{p.label}\t{p.alt}" for article in articles for p in article.paragraphs)
    return hashlib.sha256(labels.encode()).hexdigest()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in ("nutgraf", "numpy", "scipy", "scikit-learn", "safetensors"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # a checkout that was put on the path by hand
            found[package] = "unknown"
    return found
