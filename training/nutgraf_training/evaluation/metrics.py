"""Classification metrics of confusion tables, with intervals from resampling articles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf_training.evaluation.intervals import Interval, bootstrap, intervals, plain

__all__ = ["Scores", "confusion_tables", "difference", "metrics_of", "score_tables"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Scores:
    """Metrics of one set of predictions.

    Attributes:
        labels: in the order of the confusion table.
        precision, recall, f1: one for each label.
        support: how many paragraphs have the label.
        macro_f1: the mean F1 of the labels that occur or are predicted.
        accuracy: the share of paragraphs with the right label.
        kappa: Cohen's (1960), agreement with the given labels beyond chance.
        mcc: Matthews' correlation for several classes (Gorodkin, 2004).
        confusion: ``(labels, labels)`` counts, gold in rows, predicted in columns.
        articles, paragraphs: how many were scored.
    """

    labels: tuple[str, ...]
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f1: tuple[Interval, ...]
    support: tuple[int, ...]
    macro_f1: Interval
    accuracy: Interval
    kappa: Interval
    mcc: Interval
    confusion: Ints
    articles: int
    paragraphs: int

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON; undefined values are null."""
        return {
            "articles": self.articles,
            "paragraphs": self.paragraphs,
            "macro_f1": plain(self.macro_f1),
            "accuracy": plain(self.accuracy),
            "kappa": plain(self.kappa),
            "mcc": plain(self.mcc),
            "labels": {
                label: {
                    "precision": plain(self.precision[i]),
                    "recall": plain(self.recall[i]),
                    "f1": plain(self.f1[i]),
                    "support": self.support[i],
                }
                for i, label in enumerate(self.labels)
            },
            "confusion": {
                gold: dict(zip(self.labels, row, strict=True))
                for gold, row in zip(self.labels, self.confusion.tolist(), strict=True)
            },
        }


def confusion_tables(gold: Sequence[Ints], predicted: Sequence[Ints], labels: int) -> Ints:
    """One confusion table an article.

    Args:
        gold, predicted: ``(articles)(paragraphs,)`` numbers of labels; a gold of -1 is not counted.
        labels: how many there are.

    Returns:
        ``(articles, labels, labels)`` counts, gold in rows.

    Raises:
        ValueError: the two do not have the same shape.
    """
    tables = np.zeros((len(gold), labels, labels), dtype=np.int64)
    for table, truth, guess in zip(tables, gold, predicted, strict=True):
        if truth.shape != guess.shape:
            raise ValueError(f"an article has {len(truth)} gold labels and {len(guess)} predictions")
        known = truth >= 0
        np.add.at(table, (truth[known], guess[known]), 1)
    return tables


def score_tables(tables: Ints, labels: Sequence[str], *, resamples: int = 2000, seed: int = 0) -> Scores:
    """Metrics of confusion tables, with BCa intervals from resampling articles.

    Args:
        tables: ``(articles, labels, labels)``, from ``confusion_tables``.
        labels: their names.
        resamples: how many times articles are drawn with replacement.
        seed: of the draws.

    Raises:
        ValueError: no paragraph is labelled.
    """
    total = tables.sum(axis=0)
    if not total.sum():
        raise ValueError("no paragraph has a label to compare with")
    found = bootstrap(_flat(tables), lambda sums: metrics_of(_square(sums)), resamples=resamples, seed=seed)
    return Scores(
        labels=tuple(labels),
        **{name: intervals(values) for name, values in found.items()},
        support=tuple(int(n) for n in total.sum(axis=1)),
        confusion=total,
        articles=int((tables.sum(axis=(1, 2)) > 0).sum()),
        paragraphs=int(total.sum()),
    )


def difference(ours: Ints, theirs: Ints, *, resamples: int = 2000, seed: int = 0) -> dict[str, Interval]:
    """How much better one set of predictions is than another on the same articles: the paired bootstrap.

    Args:
        ours, theirs: ``(articles, labels, labels)`` tables of the same articles in the same order.

    Returns:
        the differences of ``accuracy`` and ``macro_f1``, ours less theirs.

    Raises:
        ValueError: the gold labels differ.
    """
    if not np.array_equal(ours.sum(axis=2), theirs.sum(axis=2)):
        raise ValueError("the two sets of predictions are not of the same articles and gold labels")
    columns = ours.shape[1] * ours.shape[2]

    def gain(sums: Floats) -> dict[str, Floats]:
        mine, other = metrics_of(_square(sums[:, :columns])), metrics_of(_square(sums[:, columns:]))
        return {name: mine[name] - other[name] for name in ("accuracy", "macro_f1")}

    both = np.concatenate([_flat(ours), _flat(theirs)], axis=1)
    return {name: intervals(values) for name, values in bootstrap(both, gain, resamples=resamples, seed=seed).items()}


def metrics_of(tables: NDArray[Any]) -> dict[str, Floats]:
    """Metrics of summed tables ``(samples, labels, labels)``; NaN where one is not defined."""
    right = np.diagonal(tables, axis1=1, axis2=2).astype(np.float64)
    gold, predicted = tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(gold + predicted > 0, right / np.maximum(predicted, 1), np.nan)
        recall = right / gold
        f1 = 2 * right / (gold + predicted)
        accuracy = right.sum(axis=1) / gold.sum(axis=1)
        marked = predicted.astype(np.float64)
        given = gold.astype(np.float64)
        size = given.sum(axis=1)
        chance = (given * marked).sum(axis=1)
        hits = right.sum(axis=1)
        kappa = (size * hits - chance) / (size**2 - chance)
        mcc = (size * hits - chance) / np.sqrt((size**2 - (given**2).sum(axis=1)) * (size**2 - (marked**2).sum(axis=1)))
    count = np.maximum((~np.isnan(f1)).sum(axis=1), 1)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "macro_f1": np.nansum(f1, axis=1) / count,
        "accuracy": accuracy,
        "kappa": kappa,
        "mcc": mcc,
    }


def _flat(tables: Ints) -> Floats:
    return tables.reshape(len(tables), -1).astype(np.float64)


def _square(sums: Floats) -> Floats:
    labels = round(sums.shape[1] ** 0.5)
    return sums.reshape(len(sums), labels, labels)
