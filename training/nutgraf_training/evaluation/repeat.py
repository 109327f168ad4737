"""Trains again and again: with other seeds, or without one fold of the articles after the other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nutgraf.artefact import ModelFolder
from nutgraf.registry import make_tagger
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.splits import folds as make_folds
from nutgraf_training.evaluation.evaluate import Evaluation, evaluate
from nutgraf_training.evaluation.metrics import Scores, score_tables
from nutgraf_training.evaluation.predictions import collect, gold_numbers, predictions_of
from nutgraf_training.recipe import EncoderRecipe, LinearRecipe, Recipe

__all__ = ["Spread", "cross_validate", "recipe_of", "repeat"]


@dataclass(frozen=True)
class Spread:
    """What several seeds gave.

    Attributes:
        seeds: which.
        evaluations: one for each.
    """

    seeds: tuple[int, ...]
    evaluations: tuple[Evaluation, ...]

    def to_json(self) -> dict[str, Any]:
        """Mean, standard deviation (over seeds, with n - 1) and range of each figure."""
        record: dict[str, Any] = {"seeds": list(self.seeds)}
        for name in ("macro_f1", "accuracy", "kappa", "mcc"):
            values = np.array([getattr(e.scores, name).value for e in self.evaluations])
            record[name] = {
                "mean": float(values.mean()),
                "sd": float(values.std(ddof=1)) if len(values) > 1 else None,
                "low": float(values.min()),
                "high": float(values.max()),
                "values": values.tolist(),
            }
        return record


def recipe_of(folder: ModelFolder) -> Recipe:
    """The recipe that a model was trained with.

    Raises:
        DataError: it was taught by another model, which a recipe does not hold.
    """
    if _taught(folder.manifest):
        raise DataError(
            f"the model {folder.path} was taught by another one, so its recipe alone does not train it again",
            hint="train it with nutgraf train --teacher and several seeds, and compare those",
        )
    settings = {key: value for key, value in folder.settings.items() if key != "name"}
    kind = EncoderRecipe if folder.kind == "encoder" else LinearRecipe
    return kind.from_dict(str(folder.manifest["recipe"]["name"]), settings)


def _taught(manifest: Mapping[str, Any]) -> bool:
    """Whether it, or any model that its training goes back to, learned another one's answers."""
    return "distilled" in manifest or ("began_with" in manifest and _taught(manifest["began_with"]))


def repeat(
    recipe: Recipe,
    articles: Sequence[Article],
    held_out: Sequence[Article],
    seeds: Sequence[int],
    *,
    resamples: int = 2000,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Spread:
    """Trains with each seed and evaluates on the same held-out articles.

    Args:
        recipe: that all are trained with.
        articles, held_out: which share no article.
        seeds: at least one.
        resamples: of the bootstrap.
        options: for ``train``, such as ``encoder``.
    """
    from nutgraf_training.train import train

    found = []
    for seed in seeds:
        say(f"seed {seed}")
        with tempfile.TemporaryDirectory() as folder:
            made = train(
                articles,
                Path(folder, "model"),
                recipe=recipe,
                held_out=0.0,
                dev=held_out,
                seed=seed,
                say=say,
                **options,
            )
            found.append(evaluate(make_tagger(made.folder), held_out, resamples=resamples))
    return Spread(tuple(seeds), tuple(found))


def cross_validate(
    recipe: Recipe,
    articles: Sequence[Article],
    folds: int,
    *,
    resamples: int = 2000,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
    **options: Any,
) -> Evaluation:
    """Scores every article by a model that was trained without it and its near-duplicates.

    Args:
        recipe: that all are trained with.
        articles: the corpus.
        folds: how many.
        resamples, seed: of the bootstrap, and of the folds.
        options: for ``train``.

    Raises:
        DataError: there are too few articles.
    """
    from nutgraf_data.labels import LabelSet
    from nutgraf_training.train import train

    label_set = LabelSet.from_articles(articles)
    scores: list[Any] = [None] * len(articles)
    parts = make_folds(articles, folds, seed)
    for number, members in enumerate(parts, 1):
        say(f"fold {number} of {len(parts)}")
        held = [articles[i] for i in members]
        rest = [article for i, article in enumerate(articles) if i not in set(members)]
        with tempfile.TemporaryDirectory() as folder:
            made = train(
                rest,
                Path(folder, "model"),
                recipe=recipe,
                label_set=label_set,
                held_out=0.0,
                dev=held,  # so that a model to begin with that knows them is refused
                say=say,
                **options,
            )
            predicted = predictions_of(make_tagger(made.folder), held)
        bounds = np.cumsum([len(a.paragraphs) for a in held])[:-1]
        for place, own in zip(members, np.split(predicted.scores, bounds), strict=True):
            scores[place] = own
    pooled = collect(articles, label_set, gold_numbers(articles, label_set), np.concatenate(scores))
    found: Scores = score_tables(pooled.tables(), label_set.labels, resamples=resamples, seed=seed)
    name = f"{len(parts)}-fold cross-validation of the recipe {recipe.name}"
    return Evaluation(name, pooled, found, int((~pooled.known).sum()), 0, resamples, seed)
