"""Compares taggers on the same articles: paired intervals, McNemar's test, and where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf_data.errors import DataError
from nutgraf_training.evaluation.intervals import Interval, plain
from nutgraf_training.evaluation.metrics import Scores, difference, score_tables
from nutgraf_training.evaluation.predictions import Predictions

__all__ = ["Comparison", "Pair", "compare"]


@dataclass(frozen=True)
class Pair:
    """Two taggers.

    Attributes:
        first, second: their names.
        accuracy, macro_f1: the first's less the second's, with paired intervals over articles.
        only_first, only_second: ``(n,)`` rows of the paragraphs that only one of them gets right.
        agreement: the share of labelled paragraphs that both give the same label.
        mcnemar: the exact two-sided p-value of McNemar's test (1947) on those paragraphs. It takes paragraphs for
            independent, which those of one article are not, so it is too small; the intervals are the ones to go by.
    """

    first: str
    second: str
    accuracy: Interval
    macro_f1: Interval
    only_first: NDArray[np.int64]
    only_second: NDArray[np.int64]
    agreement: float
    mcnemar: float

    @property
    def different(self) -> bool:
        """Whether the interval of the accuracies' difference leaves 0 out."""
        return not self.accuracy.low <= 0 <= self.accuracy.high

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "first": self.first,
            "second": self.second,
            "accuracy": plain(self.accuracy),
            "macro_f1": plain(self.macro_f1),
            "only_first": len(self.only_first),
            "only_second": len(self.only_second),
            "agreement": self.agreement,
            "mcnemar": self.mcnemar,
            "different": self.different,
        }


@dataclass(frozen=True)
class Comparison:
    """All pairs of some taggers.

    Attributes:
        scores: name → metrics.
        pairs: in the order of the names.
        predictions: name → what it said.
    """

    scores: dict[str, Scores]
    pairs: tuple[Pair, ...]
    predictions: dict[str, Predictions]

    def to_json(self, *, paragraphs: bool = True) -> dict[str, Any]:
        """As an object of JSON.

        Args:
            paragraphs: with every paragraph on which the taggers differ.
        """
        record: dict[str, Any] = {
            "models": {name: scores.to_json() for name, scores in self.scores.items()},
            "pairs": [pair.to_json() for pair in self.pairs],
        }
        if paragraphs:
            record["paragraphs"] = self.differing()
        return record

    def differing(self) -> list[dict[str, Any]]:
        """The labelled paragraphs that not all give the same label: article, paragraph, label, and what each said."""
        one = next(iter(self.predictions.values()))
        said = np.stack([p.predicted for p in self.predictions.values()])
        labels = one.label_set.labels
        starts = np.searchsorted(one.article, np.arange(len(one.articles)))
        rows = np.flatnonzero(one.known & (said != said[0]).any(axis=0))
        return [
            {
                "article": one.articles[one.article[row]].id,
                "paragraph": int(row - starts[one.article[row]]),
                "label": labels[one.gold[row]],
                "predicted": {name: labels[said[i, row]] for i, name in enumerate(self.predictions)},
            }
            for row in rows
        ]


def compare(predictions: Mapping[str, Predictions], *, resamples: int = 2000, seed: int = 0) -> Comparison:
    """Compares what taggers said of the same labelled articles.

    Args:
        predictions: name → predictions, at least two.
        resamples, seed: of the bootstrap, which draws the same articles for both of a pair.

    Raises:
        DataError: they are not of the same articles, or of other labels.
    """
    from scipy.stats import binomtest

    if len(predictions) < 2:
        raise DataError("one tagger was given, expected at least two to compare")
    one = next(iter(predictions.values()))
    for name, other in predictions.items():
        if other.label_set.labels != one.label_set.labels:
            raise DataError(
                f"{name} has other labels than the first model, or in another order",
                hint="compare models of one label set",
            )
        if not np.array_equal(other.gold, one.gold) or not np.array_equal(other.article, one.article):
            raise DataError(f"{name} was not run on the same articles")
    labels = one.label_set.labels
    tables = {name: p.tables() for name, p in predictions.items()}
    scores = {name: score_tables(t, labels, resamples=resamples, seed=seed) for name, t in tables.items()}
    pairs = []
    for first, second in combinations(predictions, 2):
        a, b = predictions[first], predictions[second]
        gain = difference(tables[first], tables[second], resamples=resamples, seed=seed)
        only_first, only_second = (np.flatnonzero(one.known & x.right & ~y.right) for x, y in ((a, b), (b, a)))
        discordant = len(only_first) + len(only_second)
        p_value = float(binomtest(len(only_first), discordant).pvalue) if discordant else 1.0
        agreement = float((a.predicted == b.predicted)[one.known].mean())
        pairs.append(
            Pair(first, second, gain["accuracy"], gain["macro_f1"], only_first, only_second, agreement, p_value)
        )
    return Comparison(scores, tuple(pairs), dict(predictions))
