"""Intervals: the BCa bootstrap against scipy's, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from nutgraf_training.evaluation.intervals import Interval, bootstrap, intervals, plain

Floats = NDArray[np.float64]


def share(sums: Floats) -> dict[str, Floats]:
    """Of two columns, what was right and how many there were."""
    return {"share": sums[:, 0] / sums[:, 1]}


@pytest.mark.parametrize("articles", [12, 60])
def test_ends_are_scipys(articles: int) -> None:
    draw = np.random.default_rng(articles)
    size = draw.integers(3, 30, articles).astype(float)
    right = draw.binomial(size.astype(int), draw.beta(6, 1.2, articles)).astype(float)
    found = intervals(bootstrap(np.column_stack([right, size]), share, resamples=20_000)["share"])
    reference = stats.bootstrap(
        (right, size),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found.value == pytest.approx(right.sum() / size.sum())
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.004)
    percentile = np.percentile(right / size, 50)
    assert found.low < percentile + 0.1


def test_it_is_not_the_percentile_interval_where_the_statistic_is_skewed() -> None:
    right = np.array([10.0] * 30 + [0.0, 2.0])
    rows = np.column_stack([right, np.full(32, 10.0)])
    found = bootstrap(rows, share, resamples=4000)["share"]
    counts = np.random.default_rng(0).multinomial(32, np.full(32, 1 / 32), size=4000)
    low = np.percentile(share(counts @ rows)["share"], 2.5)
    assert found[1] < low - 0.01


def test_nothing_to_resample() -> None:
    sure = intervals(bootstrap(np.array([[3.0, 3.0], [5.0, 5.0]]), share, resamples=100)["share"])
    assert (sure.value, sure.low, sure.high) == (1.0, 1.0, 1.0)
    one = intervals(bootstrap(np.array([[3.0, 4.0]]), share, resamples=100)["share"])
    assert (one.value, one.low, one.high) == (0.75, 0.75, 0.75)


def test_articles_without_labels_are_none() -> None:
    rows = np.array([[3.0, 4.0], [1.0, 4.0], [2.0, 2.0]])
    empty = np.concatenate([rows, np.zeros((50, 2))])
    np.testing.assert_array_equal(
        bootstrap(rows, share, resamples=300)["share"], bootstrap(empty, share, resamples=300)["share"]
    )


def test_undefined_values_stay_undefined() -> None:
    with np.errstate(invalid="ignore"):
        found = bootstrap(np.array([[0.0, 0.0, 1.0]]), lambda s: {"x": s[:, :2] / s[:, :1]}, resamples=100)
    assert all(not interval.defined for interval in intervals(found["x"]))
    assert plain(Interval(np.nan, np.nan, np.nan)) == {"value": None, "low": None, "high": None}


def test_the_seed_decides() -> None:
    rows = np.random.default_rng(0).integers(1, 9, (20, 2)).astype(float)
    first, again, other = (bootstrap(rows, share, resamples=300, seed=s)["share"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert first[1] != other[1]
