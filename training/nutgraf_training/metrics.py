"""Classification metrics with intervals from resampling articles.

Paragraphs of one article are not independent, so whole articles are drawn (the cluster bootstrap: Davison and Hinkley,
1997, section 3.8). The intervals are plain percentiles; with a few dozen articles the one of macro-F1 is somewhat too
narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "Scores", "confusion_tables", "difference", "score_tables"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CHUNK = 256  # resamples at a time; bounds memory


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval; all NaN where it is not defined (recall of a label that never occurs)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scores:
    """Metrics of one set of predictions.

    Attributes:
        labels: in the order of the confusion table.
        precision, recall, f1: one for each label.
        support: how many paragraphs have the label.
        macro_f1: the mean F1 of the labels that occur or are predicted.
        accuracy: the share of paragraphs with the right label.
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
    confusion: Ints
    articles: int
    paragraphs: int

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON; undefined values are null."""
        return {
            "articles": self.articles,
            "paragraphs": self.paragraphs,
            "macro_f1": _plain(self.macro_f1),
            "accuracy": _plain(self.accuracy),
            "labels": {
                label: {
                    "precision": _plain(self.precision[i]),
                    "recall": _plain(self.recall[i]),
                    "f1": _plain(self.f1[i]),
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
    """Metrics of confusion tables, with percentile intervals from resampling articles.

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
    drawn = {name: _interval(values) for name, values in _resampled(tables, resamples, seed).items()}
    found = {name: values[0] for name, values in _metrics(total[None]).items()}

    def one(name: str) -> Interval:
        return Interval(float(found[name]), *map(float, drawn[name]))

    def each(name: str) -> tuple[Interval, ...]:
        return tuple(
            Interval(float(value), float(low), float(high))
            for value, low, high in zip(found[name], *drawn[name], strict=True)
        )

    return Scores(
        labels=tuple(labels),
        precision=each("precision"),
        recall=each("recall"),
        f1=each("f1"),
        support=tuple(int(n) for n in total.sum(axis=1)),
        macro_f1=one("macro_f1"),
        accuracy=one("accuracy"),
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
    value_a, value_b = _metrics(ours.sum(axis=0)[None]), _metrics(theirs.sum(axis=0)[None])
    drawn_a, drawn_b = _resampled(ours, resamples, seed), _resampled(theirs, resamples, seed)
    return {
        name: Interval(
            float(value_a[name][0] - value_b[name][0]), *map(float, _interval(drawn_a[name] - drawn_b[name]))
        )
        for name in ("accuracy", "macro_f1")
    }


def _metrics(tables: NDArray[Any]) -> dict[str, Floats]:
    """Metrics of summed tables ``(samples, labels, labels)``; NaN where one is not defined."""
    right = np.diagonal(tables, axis1=1, axis2=2).astype(np.float64)
    gold, predicted = tables.sum(axis=2), tables.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.where(gold + predicted > 0, right / np.maximum(predicted, 1), np.nan)
        recall = right / gold
        f1 = 2 * right / (gold + predicted)
        accuracy = right.sum(axis=1) / gold.sum(axis=1)
    count = np.maximum((~np.isnan(f1)).sum(axis=1), 1)
    return {
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "macro_f1": np.nansum(f1, axis=1) / count,
        "accuracy": accuracy,
    }


def _resampled(tables: Ints, resamples: int, seed: int) -> dict[str, Floats]:
    articles, labels = tables.shape[0], tables.shape[1]
    draw = np.random.default_rng(seed)
    flat = tables.reshape(articles, -1).astype(np.float64)
    chunks = []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        counts = draw.multinomial(articles, np.full(articles, 1 / articles), size=size)
        chunks.append(_metrics((counts @ flat).reshape(size, labels, labels)))
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _interval(values: Floats) -> Floats:
    """The 2.5th and 97.5th percentile of samples ``(samples, …)``, ignoring NaN: ``(2, …)``."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a label that no sample has gives NaN, as it should
        return np.asarray(np.nanpercentile(values, [2.5, 97.5], axis=0))


def _plain(interval: Interval) -> dict[str, float | None]:
    return {key: None if np.isnan(value) else value for key, value in asdict(interval).items()}
