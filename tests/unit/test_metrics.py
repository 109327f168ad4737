"""Metrics: scikit-learn's, with intervals over articles."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from nutgraf_training.evaluation.metrics import Scores, confusion_tables, difference, score_tables

Ints = NDArray[np.int64]


def numbers(*rows: list[int]) -> list[Ints]:
    return [np.array(row, dtype=np.int64) for row in rows]


def scores(gold: list[Ints], predicted: list[Ints], labels: int, **options: Any) -> Scores:
    options.setdefault("resamples", 100)
    return score_tables(confusion_tables(gold, predicted, labels), [f"label {n}" for n in range(labels)], **options)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[list[Ints], list[Ints], int]:
    labels = draw(st.integers(2, 6))
    lengths = draw(st.lists(st.integers(1, 12), min_size=1, max_size=6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    used = draw(st.integers(1, labels))  # labels that never occur are common in small sets
    gold = [rng.integers(0, used, n) for n in lengths]
    return gold, [np.where(rng.random(len(g)) < 0.5, g, rng.integers(0, labels, len(g))) for g in gold], labels


@settings(max_examples=150, deadline=None)
@given(predictions())
def test_values_are_scikit_learns(case: tuple[list[Ints], list[Ints], int]) -> None:
    gold, predicted, labels = case
    found = scores(gold, predicted, labels)
    truth, guess = np.concatenate(gold), np.concatenate(predicted)
    every = list(range(labels))
    precision, recall, f1, support = reference.precision_recall_fscore_support(
        truth, guess, labels=every, zero_division=np.nan
    )
    occurs = np.isin(every, truth)
    predicted_ever = np.isin(every, guess)
    np.testing.assert_array_equal(found.confusion, reference.confusion_matrix(truth, guess, labels=every))
    np.testing.assert_array_equal(found.support, support)
    # A label that occurs but is never predicted has precision 0, not an undefined one.
    np.testing.assert_allclose([i.value for i in found.precision], np.where(occurs & ~predicted_ever, 0.0, precision))
    np.testing.assert_allclose([i.value for i in found.recall], recall)
    np.testing.assert_allclose([i.value for i in found.f1], np.where(occurs | predicted_ever, f1, np.nan))
    assert found.accuracy.value == pytest.approx(reference.accuracy_score(truth, guess))
    seen = np.flatnonzero(occurs | predicted_ever)
    assert found.macro_f1.value == pytest.approx(
        reference.f1_score(truth, guess, labels=seen, average="macro", zero_division=0.0)
    )
    assert (found.articles, found.paragraphs) == (len(gold), len(truth))


def test_undefined_values() -> None:
    found = scores(numbers([0, 0, 1]), numbers([0, 0, 3]), 4)
    assert [i.value for i in found.precision[:2]] == [1.0, 0.0]  # label 1 occurs and is never predicted
    assert found.recall[1].value == 0.0
    assert np.isnan([found.precision[2].value, found.recall[2].value, found.f1[2].value]).all()  # neither
    assert found.precision[3].value == found.f1[3].value == 0.0  # predicted, never right
    assert np.isnan(found.recall[3].value)
    assert np.isnan([found.recall[3].low, found.recall[3].high]).all()
    assert found.macro_f1.value == pytest.approx((1 + 0 + 0) / 3)
    record = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert record["labels"]["label 2"] == {
        "precision": {"value": None, "low": None, "high": None},
        "recall": {"value": None, "low": None, "high": None},
        "f1": {"value": None, "low": None, "high": None},
        "support": 0,
    }
    assert record["confusion"]["label 1"] == {"label 0": 0, "label 1": 0, "label 2": 0, "label 3": 1}
    assert (record["articles"], record["paragraphs"]) == (1, 3)


def test_unlabelled_paragraphs_are_not_counted() -> None:
    found = scores(numbers([0, -1, 1], [-1, -1]), numbers([0, 1, 0], [0, 0]), 2)
    assert found.confusion.tolist() == [[1, 0], [1, 0]]
    assert (found.articles, found.paragraphs) == (1, 2)


def test_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="no paragraph has a label"):
        scores(numbers([-1, -1]), numbers([0, 1]), 2)


def test_shapes_have_to_fit() -> None:
    with pytest.raises(ValueError, match="2 gold labels and 3 predictions"):
        confusion_tables(numbers([0, 1]), numbers([0, 1, 1]), 2)
    with pytest.raises(ValueError, match="zip"):
        confusion_tables(numbers([0, 1], [0]), numbers([0, 1]), 2)


def width(found: Scores) -> float:
    return found.accuracy.high - found.accuracy.low


def test_articles_are_resampled_and_not_paragraphs() -> None:
    """Twenty articles of fifty paragraphs, each right or wrong as a whole."""
    right = [number % 2 == 0 for number in range(20)]
    gold = [np.zeros(50, dtype=np.int64) for _ in right]
    predicted = [np.full(50, 0 if ok else 1, dtype=np.int64) for ok in right]
    by_article = scores(gold, predicted, 2, resamples=2000)
    # The same paragraphs, each an article of its own: what resampling paragraphs would say.
    by_paragraph = scores(
        [np.zeros(1, dtype=np.int64)] * 1000, [g[:1] for g in predicted for _ in range(50)], 2, resamples=2000
    )
    assert by_article.accuracy.value == by_paragraph.accuracy.value == 0.5
    # Standard errors: sqrt(0.25 / 20) against sqrt(0.25 / 1000), seven times as wide.
    assert width(by_article) == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 20), abs=0.06)
    assert width(by_article) > 5 * width(by_paragraph)


def test_intervals_hold_their_value_and_are_ordered() -> None:
    rng = np.random.default_rng(0)
    gold = [rng.integers(0, 3, 10) for _ in range(40)]
    predicted = [np.where(rng.random(10) < 0.7, g, rng.integers(0, 3, 10)) for g in gold]
    found = scores(gold, predicted, 3, resamples=1000)
    for interval in (found.accuracy, found.macro_f1, *found.precision, *found.recall, *found.f1):
        assert 0 <= interval.low < interval.value < interval.high <= 1


def test_the_seed_decides() -> None:
    rng = np.random.default_rng(1)
    gold = [rng.integers(0, 3, 10) for _ in range(30)]
    predicted = [np.where(rng.random(10) < 0.7, g, rng.integers(0, 3, 10)) for g in gold]
    one = scores(gold, predicted, 3, resamples=700, seed=5).to_json()
    assert one == scores(gold, predicted, 3, resamples=700, seed=5).to_json()
    assert one != scores(gold, predicted, 3, resamples=700, seed=6).to_json()


def test_one_article_has_an_interval_of_no_width() -> None:
    found = scores(numbers([0, 1, 1, 0]), numbers([0, 1, 0, 0]), 2)
    assert (found.accuracy.low, found.accuracy.value, found.accuracy.high) == (0.75, 0.75, 0.75)


def test_the_interval_of_accuracy_covers() -> None:
    """Articles of one difficulty each; the interval has to hold the true accuracy about 95 times in 100."""
    rng = np.random.default_rng(2)
    simulations, covered = 200, 0
    for seed in range(simulations):
        ease = rng.beta(6, 3, size=60)  # its mean, 2/3, is the true accuracy
        tables = np.zeros((60, 2, 2), dtype=np.int64)
        tables[:, 0, 0] = rng.binomial(12, ease)
        tables[:, 0, 1] = 12 - tables[:, 0, 0]
        found = score_tables(tables, ["a", "b"], resamples=400, seed=seed).accuracy
        covered += found.low <= 2 / 3 <= found.high
    assert 0.88 <= covered / simulations <= 0.99


def test_the_difference_of_the_same_is_nothing() -> None:
    rng = np.random.default_rng(3)
    gold = [rng.integers(0, 3, 10) for _ in range(20)]
    predicted = [rng.integers(0, 3, 10) for _ in gold]
    tables = confusion_tables(gold, predicted, 3)
    for interval in difference(tables, tables.copy()).values():
        assert (interval.value, interval.low, interval.high) == (0.0, 0.0, 0.0)


def test_the_difference_is_paired() -> None:
    """Articles differ a lot, two taggers by little: paired, the little shows."""
    rng = np.random.default_rng(4)
    ease = rng.choice([1, 10], size=80)
    ours, theirs = np.zeros((80, 2, 2), dtype=np.int64), np.zeros((80, 2, 2), dtype=np.int64)
    for tables, right in ((ours, ease + 1), (theirs, ease)):
        tables[:, 0, 0], tables[:, 0, 1] = right, 12 - right
    found = difference(ours, theirs)["accuracy"]
    assert found.value == pytest.approx(1 / 12)
    assert found.low == pytest.approx(1 / 12)  # every article is better by one paragraph in twelve
    assert found.high == pytest.approx(1 / 12)
    alone = score_tables(ours, ["a", "b"]).accuracy
    assert alone.high - alone.low > 0.1
    back = difference(theirs, ours)["accuracy"]
    assert back.value == pytest.approx(-1 / 12)
    assert set(difference(ours, theirs)) == {"accuracy", "macro_f1"}


def test_a_difference_needs_the_same_golds() -> None:
    ours = confusion_tables(numbers([0, 1], [1, 1]), numbers([0, 1], [1, 1]), 2)
    for other in (
        confusion_tables(numbers([0, 0], [1, 1]), numbers([0, 1], [1, 1]), 2),
        confusion_tables(numbers([1, 1], [0, 1]), numbers([1, 1], [0, 1]), 2),
        ours[:1],
    ):
        with pytest.raises(ValueError, match="not of the same articles"):
            difference(ours, other)


def test_the_interval_holds_95_percent() -> None:
    # One paragraph an article, half of them right: the resampled accuracy is binomial.
    tables = np.zeros((400, 2, 2), dtype=np.int64)
    tables[:200, 0, 0] = tables[200:, 0, 1] = 1
    accuracy = score_tables(tables, ("a", "b"), resamples=20_000).accuracy
    spread = 1.96 * np.sqrt(0.25 / 400)
    assert accuracy.low == pytest.approx(0.5 - spread, abs=0.004)
    assert accuracy.high == pytest.approx(0.5 + spread, abs=0.004)
