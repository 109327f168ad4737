"""95 % intervals from resampling articles: the bias-corrected and accelerated bootstrap.

Paragraphs of one article are not independent, so whole articles are drawn (the cluster bootstrap: Davison and Hinkley,
1997, section 3.8). BCa is of Efron (1987), "Better Bootstrap Confidence Intervals", with the acceleration from the
jackknife over articles. With a few dozen articles even it is somewhat too narrow for macro-F1: benchmarks/RESULTS.md
says by how much.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "bootstrap", "intervals", "plain"]

Floats = NDArray[np.float64]
Statistic = Callable[[Floats], Mapping[str, Floats]]

_CHUNK = 256  # resamples at a time; bounds memory
_TAILS = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval; all NaN where it is not defined (recall of a label that never occurs)."""

    value: float
    low: float
    high: float

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not np.isnan(self.value)


def bootstrap(table: Floats, statistic: Statistic, *, resamples: int = 2000, seed: int = 0) -> dict[str, Floats]:
    """Values and BCa intervals of statistics of sums over articles.

    Args:
        table: ``(articles, columns)`` what each article adds.
        statistic: from sums ``(samples, columns)`` to named values ``(samples,)`` or ``(samples, …)``; NaN where one
            is not defined, and such samples do not count.
        resamples: how many times articles are drawn with replacement.
        seed: of the draws.

    Returns:
        name → ``(3, …)``: the value, the low and the high end.
    """
    rows = np.asarray(table, dtype=np.float64)
    rows = rows[np.any(rows != 0, axis=1)]  # an article without labelled paragraphs is none to draw
    articles = len(rows)
    total = rows.sum(axis=0)
    value = statistic(total[None])
    draw = np.random.default_rng(seed)
    drawn: list[Mapping[str, Floats]] = []
    for start in range(0, resamples, _CHUNK):
        size = min(_CHUNK, resamples - start)
        counts = draw.multinomial(articles, np.full(articles, 1 / max(articles, 1)), size=size) if articles else None
        drawn.append(statistic(np.repeat(total[None], size, axis=0) if counts is None else counts @ rows))
    left: list[Mapping[str, Floats]] = [
        statistic(total - rows[start : start + _CHUNK]) for start in range(0, articles if articles > 1 else 0, _CHUNK)
    ]
    return {
        name: _bca(
            np.asarray(value[name][0], dtype=np.float64),
            np.concatenate([chunk[name] for chunk in drawn]),
            np.concatenate([chunk[name] for chunk in left]) if left else None,
        )
        for name in value
    }


_NORMAL = NormalDist()


def _ndtr(x: Floats) -> Floats:
    return np.array([np.nan if np.isnan(v) else _NORMAL.cdf(v) for v in x])


def _ndtri(p: Floats) -> Floats:
    return np.array([np.nan if np.isnan(v) else _NORMAL.inv_cdf(v) for v in p])


def _bca(value: Floats, drawn: Floats, left: Floats | None) -> Floats:
    """The value and the ends of its interval ``(3, …)`` from resamples and jackknife values ``(samples, …)``."""
    flat = drawn.reshape(len(drawn), -1)
    point = value.reshape(-1)
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a label that no sample has gives NaN, as it should
        known = (~np.isnan(flat)).sum(axis=0)
        below = ((flat < point).sum(axis=0) + 0.5 * (flat == point).sum(axis=0)) / np.maximum(known, 1)
        half = 0.5 / np.maximum(known, 1)
        bias = _ndtri(np.clip(below, half, 1 - half))
        accelerate = np.zeros_like(point)
        if left is not None:
            lever = left.reshape(len(left), -1)
            lever = np.nanmean(lever, axis=0) - lever
            spread = np.nansum(lever**2, axis=0) ** 1.5
            accelerate = np.where(spread > 0, np.nansum(lever**3, axis=0) / (6 * spread), 0.0)
        ends = np.full((2, len(point)), np.nan)
        for row, tail in enumerate(_TAILS):
            shifted = bias + _NORMAL.inv_cdf(tail)
            at = _ndtr(bias + shifted / (1 - accelerate * shifted))
            for column in range(len(point)):
                if known[column] and not np.isnan(point[column]):
                    ends[row, column] = np.nanquantile(flat[:, column], at[column])
    return np.concatenate([point[None], ends]).reshape(3, *value.shape)


def plain(interval: Interval) -> dict[str, float | None]:
    """As an object of JSON; undefined values are null."""
    return {key: None if np.isnan(value) else float(value) for key, value in asdict(interval).items()}


def intervals(found: Floats) -> Any:
    """``(3,)`` as an Interval, ``(3, n)`` as a tuple of them."""
    if found.ndim == 1:
        return Interval(*map(float, found))
    return tuple(Interval(*map(float, column)) for column in found.T)
