"""Abstention: what is left without the doubtful paragraphs, thresholds for a target, and conformal sets.

El-Yaniv and Wiener (2010) for risk and coverage, Geifman et al. (2019) for the area under that curve. A threshold
chosen and judged on the same paragraphs flatters itself, so what it gives is measured by cross-fitting over articles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf_training.evaluation.intervals import Interval, bootstrap, intervals, plain
from nutgraf_training.evaluation.predictions import Predictions

__all__ = ["Conformal", "Curve", "Threshold", "conformal", "label_thresholds", "risk_coverage", "threshold"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FOLDS = 5
_FEW = 20  # predictions of a label below which no threshold of its own is chosen


@dataclass(frozen=True)
class Curve:
    """The risk–coverage curve, most confident first.

    Attributes:
        coverage: ``(points,)`` the share of paragraphs that is kept.
        risk: ``(points,)`` the share of those that is wrong.
        area: under the curve, less is better, with its interval over articles.
    """

    coverage: Floats
    risk: Floats
    area: Interval

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {"area": plain(self.area), "coverage": self.coverage.tolist(), "risk": self.risk.tolist()}


@dataclass(frozen=True)
class Threshold:
    """A ``min_confidence`` for a target.

    Attributes:
        target: the accuracy that was asked for.
        label: the label that it is for, or None for all.
        min_confidence: chosen on all paragraphs; None where no threshold reaches the target, or there are too few.
        accuracy, coverage: of thresholds that were chosen on other articles (five-fold cross-fitting).
    """

    target: float
    label: str | None
    min_confidence: float | None
    accuracy: Interval
    coverage: Interval

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "target": self.target,
            "label": self.label,
            "min_confidence": self.min_confidence,
            "accuracy": plain(self.accuracy),
            "coverage": plain(self.coverage),
        }


@dataclass(frozen=True)
class Conformal:
    """Conformal prediction sets: all labels whose score is at least ``1 - quantile``.

    Attributes:
        level: the share of paragraphs whose set is to hold the given label.
        quantile: of one less the score of the given label, on all paragraphs.
        coverage: the share that did, by cross-fitting over articles.
        size: the mean number of labels in a set.
    """

    level: float
    quantile: float
    coverage: Interval
    size: Interval

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {"level": self.level, "quantile": self.quantile} | {
            "coverage": plain(self.coverage),
            "size": plain(self.size),
        }


def risk_coverage(predictions: Predictions, *, points: int = 200, resamples: int = 500, seed: int = 0) -> Curve:
    """The curve over labelled paragraphs; those of one confidence are kept or left together.

    Args:
        points: of the curve at most; the area is of all of them.
    """
    known = predictions.known
    confidence, wrong = predictions.confidence[known], ~predictions.right[known]
    article = np.unique(predictions.article[known], return_inverse=True)[1]
    order = np.argsort(-confidence, kind="stable")
    wrong, article = wrong[order].astype(np.float64), article[order]
    # The last of every run of equal confidences.
    ends = np.flatnonzero(np.r_[np.diff(confidence[order]) != 0, True])
    count = int(article.max()) + 1
    kept = np.arange(1, len(wrong) + 1)
    risk = np.cumsum(wrong)[ends] / kept[ends]
    coverage = kept[ends] / len(wrong)
    chosen = np.unique(np.linspace(0, len(ends) - 1, min(points, len(ends))).round().astype(np.int64))

    def areas(weights: Floats) -> dict[str, Floats]:
        """``(samples, articles)`` how often each article was drawn."""
        found = []
        for row in weights:
            weight = row[article]
            size, bad = np.cumsum(weight), np.cumsum(weight * wrong)
            steps = np.diff(size[ends], prepend=0.0)
            found.append(float((bad[ends] / np.maximum(size[ends], 1) * steps).sum() / max(size[-1], 1)))
        return {"area": np.array(found)}

    area = intervals(bootstrap(np.eye(count), areas, resamples=resamples, seed=seed)["area"])
    return Curve(coverage[chosen], risk[chosen], area)


def threshold(predictions: Predictions, target: float, *, resamples: int = 2000, seed: int = 0) -> Threshold:
    """The least ``min_confidence`` that leaves a share of ``target`` right, and what it gives on other articles."""
    return _threshold(predictions, target, None, resamples, seed)


def label_thresholds(
    predictions: Predictions, target: float, *, resamples: int = 2000, seed: int = 0
) -> tuple[Threshold, ...]:
    """As ``threshold``, one for each predicted label; the accuracy is then that label's precision."""
    return tuple(
        _threshold(predictions, target, number, resamples, seed) for number in range(len(predictions.label_set))
    )


def conformal(predictions: Predictions, level: float = 0.9, *, resamples: int = 2000, seed: int = 0) -> Conformal:
    """Sets by the least ambiguous rule (Sadinle, Lei and Wasserman, 2019), cross-fitted over articles.

    The guarantee of split conformal prediction is for paragraphs like those that it was calibrated on: articles drawn
    from the same source. It is no promise for another outlet or another year.
    """
    known = predictions.known
    own = np.take_along_axis(predictions.scores, np.maximum(predictions.gold, 0)[:, None], axis=1)[:, 0]
    strange = 1 - own
    fold = _folds(predictions, seed)
    limit = np.ones(len(own))
    for number in range(_FOLDS):
        here = fold == number
        if here.any() and (known & ~here).any():
            limit[here] = _quantile(strange[known & ~here], level)
    inside = predictions.scores >= (1 - limit - 1e-12)[:, None]
    held = strange <= limit + 1e-12
    rows = predictions.per_article(np.column_stack([held, inside.sum(axis=1), np.ones(len(own))]).astype(np.float64))

    def statistic(sums: Floats) -> dict[str, Floats]:
        size = np.maximum(sums[:, 2], 1)
        return {"coverage": sums[:, 0] / size, "size": sums[:, 1] / size}

    found = bootstrap(rows, statistic, resamples=resamples, seed=seed)
    return Conformal(level, _quantile(strange[known], level), intervals(found["coverage"]), intervals(found["size"]))


def _quantile(strange: Floats, level: float) -> float:
    """The finite-sample quantile of split conformal prediction; 1, which every label meets, where there are too few."""
    rank = int(np.ceil((len(strange) + 1) * level))
    return 1.0 if rank > len(strange) else float(np.partition(strange, rank - 1)[rank - 1])


def _folds(predictions: Predictions, seed: int) -> NDArray[np.int64]:
    """``(paragraphs,)`` which fold each one's article is in."""
    part = np.random.default_rng(seed).permutation(len(predictions.articles)) % _FOLDS
    return np.asarray(part[predictions.article], dtype=np.int64)


def _threshold(predictions: Predictions, target: float, number: int | None, resamples: int, seed: int) -> Threshold:
    wanted = predictions.known if number is None else predictions.known & (predictions.predicted == number)
    label = None if number is None else predictions.label_set.labels[number]
    undefined = Interval(np.nan, np.nan, np.nan)
    if wanted.sum() < _FEW:
        return Threshold(target, label, None, undefined, undefined)
    confidence, right = predictions.confidence, predictions.right
    chosen = _least(confidence[wanted], right[wanted], target)
    fold = _folds(predictions, seed)
    limit = np.full(len(confidence), np.inf)
    for part in range(_FOLDS):
        found = _least(confidence[wanted & (fold != part)], right[wanted & (fold != part)], target)
        limit[fold == part] = np.inf if found is None else found
    kept = wanted & (confidence >= limit)
    rows = predictions.per_article(np.column_stack([kept & right, kept, wanted]).astype(np.float64), wanted)

    def statistic(sums: Floats) -> dict[str, Floats]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"accuracy": sums[:, 0] / sums[:, 1], "coverage": sums[:, 1] / sums[:, 2]}

    made = bootstrap(rows, statistic, resamples=resamples, seed=seed)
    return Threshold(target, label, chosen, intervals(made["accuracy"]), intervals(made["coverage"]))


def _least(confidence: Floats, right: Bools, target: float) -> float | None:
    """The least confidence from which on a share of ``target`` is right."""
    if not len(confidence):
        return None
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    share = np.cumsum(right[order]) / np.arange(1, len(ranked) + 1)
    enough = (share >= target) & np.r_[np.diff(ranked) != 0, True]
    return float(ranked[np.flatnonzero(enough)[-1]]) if enough.any() else None
