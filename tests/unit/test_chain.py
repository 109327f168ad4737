"""Fitting the chain: its gradient, what it recovers, and that it calibrates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nutgraf.sequence import Chains, context, context_width, forward_backward
from nutgraf_training.chain import fit_chain
from nutgraf_training.recipe import ChainSettings

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Loss = Callable[[Floats], tuple[float, Floats]]


def sample(rng: np.random.Generator, articles: int, between: Floats, start: Floats) -> tuple[Ints, list[int]]:
    """Labels of articles from a Markov chain with the given probabilities, and the articles' lengths."""
    lengths = rng.integers(4, 12, articles).tolist()
    labels: list[int] = []
    for length in lengths:
        labels.append(int(rng.choice(len(start), p=start)))
        for _ in range(length - 1):
            labels.append(int(rng.choice(len(start), p=between[labels[-1]])))
    return np.array(labels), lengths


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Loss, Floats]]:
    """The loss and the starting point that fit_chain hands to the optimiser."""
    import scipy.optimize

    seen: list[tuple[Loss, Floats]] = []
    minimize = scipy.optimize.minimize

    def spy(loss: Loss, start: Floats, **options: Any) -> Any:
        assert options["jac"] is True
        seen.append((loss, start.copy()))
        return minimize(loss, start, **options)

    monkeypatch.setattr(scipy.optimize, "minimize", spy)
    return seen


@pytest.mark.parametrize("hidden", [0.0, 0.3])
def test_gradient_by_finite_differences(captured: list[tuple[Loss, Floats]], hidden: float) -> None:
    rng = np.random.default_rng(0)
    count, chains = 3, Chains([4, 1, 6, 3])
    labels = rng.integers(0, count, 14)
    labels[rng.random(14) < hidden] = -1
    assert (labels < 0).any() == bool(hidden)
    inputs = context(rng.normal(size=(14, count)), chains)
    fit_chain(inputs, labels, count, chains, ChainSettings(max_iterations=1))
    ((loss, start),) = captured
    for point in (start, start + 0.5 * rng.normal(size=start.shape)):
        _, gradient = loss(point)
        step = 1e-6
        numeric = np.empty_like(gradient)
        for place in range(len(point)):
            moved = point.copy()
            moved[place] += step
            above = loss(moved)[0]
            moved[place] -= 2 * step
            numeric[place] = (above - loss(moved)[0]) / (2 * step)
        np.testing.assert_allclose(gradient, numeric, rtol=1e-5, atol=1e-7)


def test_loss_is_the_negative_log_likelihood(captured: list[tuple[Loss, Floats]]) -> None:
    rng = np.random.default_rng(1)
    chains, labels = Chains([5]), np.array([0, 1, 1, 0, 2])
    inputs = context(rng.normal(size=(5, 3)), chains)
    weights = fit_chain(inputs, labels, 3, chains, ChainSettings(l2=0.5))
    emission, transitions = weights.emission, weights.transitions
    ((loss, start),) = captured
    fitted = np.concatenate([emission.ravel(), transitions.between.ravel(), transitions.start, transitions.end])
    potentials = inputs @ emission
    score = potentials[np.arange(5), labels].sum() + transitions.start[labels[0]] + transitions.end[labels[-1]]
    score += transitions.between[labels[:-1], labels[1:]].sum()
    log_partition = forward_backward(potentials, transitions, chains)[1]
    penalty = 0.25 * ((fitted - start) ** 2).sum()
    assert loss(fitted)[0] == pytest.approx((log_partition - score + penalty) / 5, rel=1e-10)
    assert loss(fitted)[0] < loss(start)[0]
    assert np.abs(loss(fitted)[1]).max() < 1e-3  # it has converged


def test_strong_regularisation_leaves_the_margins_alone() -> None:
    rng = np.random.default_rng(2)
    chains = Chains([6, 6])
    inputs = context(rng.normal(size=(12, 3)), chains)
    fitted = fit_chain(inputs, rng.integers(0, 3, 12), 3, chains, ChainSettings(l2=1e9))
    prior = np.zeros((context_width(3), 3))
    prior[:3] = np.eye(3)
    np.testing.assert_allclose(fitted.emission, prior, atol=1e-6)
    np.testing.assert_allclose(fitted.transitions.between, 0, atol=1e-6)


def test_recovers_the_transitions_of_a_synthetic_chain() -> None:
    rng = np.random.default_rng(3)
    between = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.25, 0.5, 0.25]])
    start = np.array([0.8, 0.1, 0.1])
    labels, lengths = sample(rng, 1500, between, start)
    chains = Chains(lengths)
    inputs = np.zeros((len(labels), context_width(3)))  # margins that say nothing at all
    transitions = fit_chain(inputs, labels, 3, chains, ChainSettings(l2=1e-3, max_iterations=500)).transitions
    # A chain is known up to functions of one label that cancel out: ratios of ratios are what is recovered.
    ours, theirs = transitions.between, np.log(between)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        for c, d in ((0, 1), (0, 2), (1, 2)):
            found = ours[a, c] - ours[a, d] - ours[b, c] + ours[b, d]
            expected = theirs[a, c] - theirs[a, d] - theirs[b, c] + theirs[b, d]
            assert found == pytest.approx(expected, abs=0.2)
    first = forward_backward(inputs @ np.zeros((context_width(3), 3)), transitions, chains)[0][chains.first]
    np.testing.assert_allclose(first.mean(axis=0), start, atol=0.03)


def expected_calibration_error(scores: Floats, labels: Ints) -> float:
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == labels
    bins = np.minimum((confidence * 10).astype(int), 9)
    inside = [bins == number for number in set(bins.tolist())]
    return float(sum(abs(confidence[rows].mean() - right[rows].mean()) * rows.mean() for rows in inside))


def test_calibrates_margins_that_are_too_sure() -> None:
    rng = np.random.default_rng(4)
    between = np.array([[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6]])
    labels, lengths = sample(rng, 600, between, np.full(3, 1 / 3))
    margins = 6.0 * (np.eye(3)[labels] + 1.2 * rng.normal(size=(len(labels), 3)))
    half = 300
    rows = sum(lengths[:half])
    fitted_on, tested_on = Chains(lengths[:half]), Chains(lengths[half:])
    fitted = fit_chain(context(margins[:rows], fitted_on), labels[:rows], 3, fitted_on, ChainSettings(l2=1.0))
    raw = np.exp(margins[rows:] - margins[rows:].max(axis=1, keepdims=True))
    raw /= raw.sum(axis=1, keepdims=True)
    calibrated, _, _ = forward_backward(
        context(margins[rows:], tested_on) @ fitted.emission, fitted.transitions, tested_on
    )
    before, after = (expected_calibration_error(scores, labels[rows:]) for scores in (raw, calibrated))
    assert before > 0.2
    assert after < 0.05
    assert (calibrated.argmax(axis=1) == labels[rows:]).mean() > (raw.argmax(axis=1) == labels[rows:]).mean()


def test_unlabelled_paragraphs_are_summed_over() -> None:
    """A chain without any label teaches nothing."""
    rng = np.random.default_rng(5)
    inputs = context(rng.normal(size=(12, 3)), Chains([6, 6]))
    labels = rng.integers(0, 3, 12)
    settings = ChainSettings(l2=1.0, max_iterations=500)
    half = np.concatenate([labels[:6], np.full(6, -1)])
    # The loss is a mean over paragraphs, of which those without labels are part: half the paragraphs, the same fit.
    one = fit_chain(inputs, half, 3, Chains([6, 6]), settings)
    other = fit_chain(inputs[:6], labels[:6], 3, Chains([6]), settings)
    np.testing.assert_allclose(one.emission, other.emission, atol=5e-3)
    np.testing.assert_allclose(one.transitions.between, other.transitions.between, atol=5e-3)


def test_balance_takes_the_labels_shares_from_the_scores() -> None:
    """Margins that say little are read by how often labels occur, unless that is taken from them."""
    rng = np.random.default_rng(1)
    labels = np.where(rng.random(3000) < 0.15, 1, 0)
    labels[:100] = -1
    margins = rng.normal(size=(3000, 2)) + 0.7 * np.eye(2)[labels]
    chains = Chains([10] * 300)
    inputs, rare = context(margins, chains), labels == 1
    plain = fit_chain(inputs, labels, 2, chains, ChainSettings())
    recalls = []
    for balance in (0.0, 0.5, 1.0):
        found = fit_chain(inputs, labels, 2, chains, ChainSettings(balance=balance))
        shares = (np.bincount(labels[100:]) + 1) / 2902
        np.testing.assert_allclose(found.emission[:-1], plain.emission[:-1])
        np.testing.assert_allclose(found.emission[-1], plain.emission[-1] - balance * np.log(shares))
        np.testing.assert_allclose(found.transitions.between, plain.transitions.between)
        scores, _, _ = forward_backward(inputs @ found.emission, found.transitions, chains)
        recalls.append(float((scores[rare].argmax(axis=1) == 1).mean()))
    assert recalls[0] + 0.1 < recalls[1] < recalls[2] - 0.1
