"""Every headline figure of a set of paragraphs at once: of labels, lenient, and of probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf_training.evaluation.intervals import Interval, bootstrap, intervals, plain
from nutgraf_training.evaluation.metrics import metrics_of
from nutgraf_training.evaluation.predictions import Predictions

__all__ = ["BINS", "METRICS", "Bin", "quality", "reliability"]

Floats = NDArray[np.float64]

#: Bins of confidence, of equal width, for the reliability diagram and the expected calibration error.
BINS = 10

#: The figures of ``quality``, by their names in JSON, and what people call them.
METRICS = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "kappa": "Cohen's kappa",
    "mcc": "Matthews correlation",
    "lenient_macro_f1": "macro-F1, second label accepted",
    "lenient_accuracy": "accuracy, second label accepted",
    "log_loss": "log-loss",
    "brier": "Brier score",
    "ece": "expected calibration error",
}

_LEAST = 1e-15  # a probability of 0 would make the log-loss infinite


@dataclass(frozen=True)
class Bin:
    """Paragraphs of about the same confidence.

    Attributes:
        low, high: what the confidence lies between.
        paragraphs: how many there are.
        confidence: its mean.
        accuracy: the share that is right, with its interval; all NaN where the bin is empty.
    """

    low: float
    high: float
    paragraphs: int
    confidence: float
    accuracy: Interval

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        mean = None if np.isnan(self.confidence) else self.confidence
        return {"low": self.low, "high": self.high, "paragraphs": self.paragraphs, "confidence": mean} | {
            "accuracy": plain(self.accuracy)
        }


def quality(
    predictions: Predictions, where: NDArray[np.bool_] | None = None, *, resamples: int = 2000, seed: int = 0
) -> dict[str, Interval]:
    """The figures that ``METRICS`` names, each with its interval over articles.

    The log-loss is in nats; the Brier score is the mean squared distance between the scores and the given label as a
    vector of zeros and a one (Brier, 1950), 0 to 2; the expected calibration error is of the chosen label over ten bins
    of equal width (Naeini et al., 2015; Guo et al., 2017), and a little too large on few paragraphs.

    Args:
        predictions: what was predicted.
        where: ``(paragraphs,)`` which to count; all labelled ones by default.
        resamples, seed: of the bootstrap.
    """
    labels = len(predictions.label_set)
    square = labels * labels
    strict, lenient = (
        predictions.tables(where, lenient=kind).reshape(-1, square).astype(np.float64) for kind in (False, True)
    )
    rows = np.concatenate([strict, lenient, predictions.per_article(_columns(predictions), where)], axis=1)

    def statistic(sums: Floats) -> dict[str, Floats]:
        hard = metrics_of(sums[:, :square].reshape(-1, labels, labels))
        soft = metrics_of(sums[:, square : 2 * square].reshape(-1, labels, labels))
        size = np.maximum(sums[:, :square].sum(axis=1), 1)
        loss, brier, *bins = np.split(sums[:, 2 * square :], [1, 2, 2 + BINS], axis=1)
        confident, right = bins
        return {
            **{name: hard[name] for name in ("macro_f1", "accuracy", "kappa", "mcc")},
            "lenient_macro_f1": soft["macro_f1"],
            "lenient_accuracy": soft["accuracy"],
            "log_loss": loss[:, 0] / size,
            "brier": brier[:, 0] / size,
            "ece": np.abs(confident - right).sum(axis=1) / size,
        }

    found = bootstrap(rows, statistic, resamples=resamples, seed=seed)
    return {name: intervals(values) for name, values in found.items()}


def reliability(predictions: Predictions, *, resamples: int = 2000, seed: int = 0) -> tuple[Bin, ...]:
    """The reliability diagram (DeGroot and Fienberg, 1983): how often paragraphs of a confidence are right."""
    which = _bins(predictions.confidence)
    member = which[:, None] == np.arange(BINS)
    columns = np.concatenate(
        [member, member * predictions.confidence[:, None], member * predictions.right[:, None]], axis=1
    ).astype(np.float64)

    def statistic(sums: Floats) -> dict[str, Floats]:
        count, confident, right = np.split(sums, 3, axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"accuracy": right / count, "confidence": confident / count}

    rows = predictions.per_article(columns)
    found = bootstrap(rows, statistic, resamples=resamples, seed=seed)
    return tuple(
        Bin(
            number / BINS,
            (number + 1) / BINS,
            int(rows[:, number].sum()),
            float(found["confidence"][0, number]),
            Interval(*map(float, found["accuracy"][:, number])),
        )
        for number in range(BINS)
    )


def _bins(confidence: Floats) -> NDArray[np.int64]:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)


def _columns(predictions: Predictions) -> Floats:
    """``(paragraphs, 2 + 2 * BINS)``: log-loss, Brier score, and for each bin confidence and whether right."""
    scores = predictions.scores
    given = np.maximum(predictions.gold, 0)[:, None]
    own = np.take_along_axis(scores, given, axis=1)[:, 0]
    member = _bins(predictions.confidence)[:, None] == np.arange(BINS)
    return np.column_stack(
        [
            -np.log(np.clip(own, _LEAST, 1.0)),
            (scores**2).sum(axis=1) - 2 * own + 1,
            member * predictions.confidence[:, None],
            member * predictions.right[:, None],
        ]
    )
