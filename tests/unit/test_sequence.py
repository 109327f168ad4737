"""The chain: marginals against brute force, many chains at once, long chains, large potentials."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nutgraf.sequence import Chains, ChainWeights, Transitions, context, context_width, forward_backward

Floats = NDArray[np.float64]


def draw(seed: int, paragraphs: int, labels: int, scale: float = 1.0) -> tuple[Floats, Transitions]:
    rng = np.random.default_rng(seed)
    transitions = Transitions(*(scale * rng.normal(size=shape) for shape in ((labels, labels), labels, labels)))
    return scale * rng.normal(size=(paragraphs, labels)), transitions


def enumerate_paths(unary: Floats, transitions: Transitions) -> tuple[Floats, float, Floats]:
    """Marginals, log-partition and expected transitions by going through every sequence of labels."""
    length, labels = unary.shape
    scores, paths = [], list(product(range(labels), repeat=length))
    for path in paths:
        score = transitions.start[path[0]] + transitions.end[path[-1]]
        score += sum(unary[place, label] for place, label in enumerate(path))
        score += sum(transitions.between[a, b] for a, b in pairwise(path))
        scores.append(score)
    top = max(scores)
    log_partition = top + float(np.log(np.exp(np.array(scores) - top).sum()))
    marginals, expected = np.zeros_like(unary), np.zeros((labels, labels))
    for path, score in zip(paths, scores, strict=True):
        share = np.exp(score - log_partition)
        for place, label in enumerate(path):
            marginals[place, label] += share
        for a, b in pairwise(path):
            expected[a, b] += share
    return marginals, log_partition, expected


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 5),
    labels=st.integers(2, 4),
    scale=st.sampled_from([0.1, 1.0, 10.0]),
)
def test_one_chain_against_every_path(seed: int, length: int, labels: int, scale: float) -> None:
    unary, transitions = draw(seed, length, labels, scale)
    found = forward_backward(unary, transitions, Chains([length]))
    expected = enumerate_paths(unary, transitions)
    for place in range(3):
        ours, theirs = np.asarray(found[place]), np.asarray(expected[place])
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_many_chains_equal_one_at_a_time(seed: int, lengths: list[int]) -> None:
    unary, transitions = draw(seed, sum(lengths), 5)
    marginals, log_partition, expected = forward_backward(unary, transitions, Chains(lengths))
    bounds = np.cumsum([0, *lengths])
    alone = [forward_backward(unary[start:end], transitions, Chains([end - start])) for start, end in pairwise(bounds)]
    np.testing.assert_allclose(marginals, np.concatenate([one[0] for one in alone]), rtol=0, atol=1e-12)
    assert log_partition == pytest.approx(sum(one[1] for one in alone), abs=1e-9)
    np.testing.assert_allclose(expected, sum(one[2] for one in alone), rtol=0, atol=1e-9)


def test_chains_know_their_rows() -> None:
    chains = Chains([2, 4, 1])
    assert chains.first.tolist() == [0, 2, 6]
    assert chains.last.tolist() == [1, 5, 6]
    assert chains.order.tolist() == [2, 0, 6, 3, 1, 4, 5]
    assert chains.edges == [0, 3, 5, 6, 7]


def test_one_paragraph() -> None:
    unary, transitions = draw(0, 1, 3)
    marginals, log_partition, expected = forward_backward(unary, transitions, Chains([1]))
    weights = np.exp(unary[0] + transitions.start + transitions.end)
    np.testing.assert_allclose(marginals[0], weights / weights.sum(), rtol=1e-12)
    assert log_partition == pytest.approx(np.log(weights.sum()))
    assert not expected.any()


def test_two_thousand_paragraphs() -> None:
    length = 2000
    unary, transitions = draw(1, length, 7, scale=3.0)
    marginals, log_partition, expected = forward_backward(unary, transitions, Chains([length]))
    np.testing.assert_allclose(marginals.sum(axis=1), 1.0, rtol=1e-12)
    assert expected.sum() == pytest.approx(length - 1)
    # Transitions out of a label are its marginals but for the last paragraph, and into it but for the first.
    np.testing.assert_allclose(expected.sum(axis=1), marginals[:-1].sum(axis=0), rtol=1e-8)
    np.testing.assert_allclose(expected.sum(axis=0), marginals[1:].sum(axis=0), rtol=1e-8)
    # The textbook recursion in log space.
    alpha = unary[0] + transitions.start
    for row in unary[1:]:
        joint = alpha[:, None] + transitions.between
        alpha = np.logaddexp.reduce(joint, axis=0) + row
    assert log_partition == pytest.approx(np.logaddexp.reduce(alpha + transitions.end), rel=1e-12)


@pytest.mark.parametrize("scale", [1e2, 1e4, 1e6])
def test_large_potentials(scale: float) -> None:
    rng = np.random.default_rng(2)
    unary = scale * rng.normal(size=(50, 4))
    transitions = Transitions(*(30 * rng.normal(size=shape) for shape in ((4, 4), 4, 4)))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        marginals, log_partition, expected = forward_backward(unary, transitions, Chains([50]))
    np.testing.assert_allclose(marginals.sum(axis=1), 1.0, rtol=1e-12)
    assert np.isfinite(log_partition)
    assert expected.sum() == pytest.approx(49)


def test_a_shift_of_a_paragraph_changes_only_the_partition() -> None:
    unary, transitions = draw(3, 6, 3)
    shifted = unary.copy()
    shifted[2] += 5000.0
    one = forward_backward(unary, transitions, Chains([6]))
    other = forward_backward(shifted, transitions, Chains([6]))
    np.testing.assert_allclose(one[0], other[0], atol=1e-10)
    assert other[1] - one[1] == pytest.approx(5000.0)


def test_inputs_are_not_changed() -> None:
    unary, transitions = draw(4, 6, 3)
    copy = unary.copy(), transitions.between.copy()
    forward_backward(unary, transitions, Chains([4, 2]))
    np.testing.assert_array_equal(unary, copy[0])
    np.testing.assert_array_equal(transitions.between, copy[1])


# Weights


def weights(seed: int, labels: int, scale: float = 1.0) -> ChainWeights:
    rng = np.random.default_rng(seed)
    return ChainWeights.from_arrays(
        {name: scale * rng.normal(size=shape) for name, shape in ChainWeights.shapes(labels).items()}
    )


@pytest.mark.parametrize("labels", [2, 3, 7, 40])
def test_weights_as_arrays_and_back(labels: int) -> None:
    chosen = weights(0, labels)
    arrays = chosen.to_arrays()
    assert {name: array.shape for name, array in arrays.items()} == ChainWeights.shapes(labels)
    assert arrays["emission"].shape == (context_width(labels), labels)
    again = ChainWeights.from_arrays(arrays)
    np.testing.assert_array_equal(again.emission, chosen.emission)
    for name in ("between", "start", "end"):
        np.testing.assert_array_equal(getattr(again.transitions, name), getattr(chosen.transitions, name))
        assert arrays[f"transitions.{name}"] is getattr(chosen.transitions, name)


def test_weights_are_found_by_name() -> None:
    """Not by their order in a file, nor by what else is there."""
    arrays = weights(1, 3).to_arrays()
    mixed = {"other": np.zeros(1), **dict(reversed(arrays.items()))}
    again = ChainWeights.from_arrays(mixed).to_arrays()
    assert all(again[name] is arrays[name] for name in arrays)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), length=st.integers(1, 5), labels=st.integers(2, 4))
def test_scores_against_every_path(seed: int, length: int, labels: int) -> None:
    chosen, own = weights(seed, labels), draw(seed, length, labels)[0]
    scores = chosen.scores(own)
    unary = context(own, Chains([length])) @ chosen.emission
    np.testing.assert_allclose(scores, enumerate_paths(unary, chosen.transitions)[0], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-12)


def test_scores_by_hand() -> None:
    """Without transitions and with the identity for emission, they are the softmax of the margins."""
    arrays = {name: np.zeros(shape) for name, shape in ChainWeights.shapes(3).items()}
    arrays["emission"][:3] = np.eye(3)
    own = draw(5, 4, 3)[0]
    expected = np.exp(own) / np.exp(own).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(ChainWeights.from_arrays(arrays).scores(own), expected, rtol=1e-12)
    arrays["transitions.start"] = np.log(np.array([1.0, 2.0, 4.0]))
    expected[0] *= [1.0, 2.0, 4.0]
    expected[0] /= expected[0].sum()
    np.testing.assert_allclose(ChainWeights.from_arrays(arrays).scores(own), expected, rtol=1e-12)


def test_the_mean_of_the_margins_of_a_paragraph_says_nothing() -> None:
    chosen, own = weights(2, 4), draw(2, 6, 4)[0]
    np.testing.assert_allclose(chosen.scores(own + np.arange(6.0)[:, None]), chosen.scores(own), rtol=1e-9)


def test_a_chain_of_one_and_of_two_thousand() -> None:
    chosen = weights(3, 5)
    for length in (1, 2000):
        scores = chosen.scores(draw(3, length, 5)[0])
        assert scores.shape == (length, 5)
        np.testing.assert_allclose(scores.sum(axis=1), 1.0, rtol=1e-12)


@pytest.mark.parametrize("scale", [1e200, 1e307])
def test_what_is_too_large_is_not_finite_and_says_no_warning(scale: float, recwarn: pytest.WarningsRecorder) -> None:
    large = weights(4, 3, scale)
    scores = large.scores(1e150 * draw(4, 5, 3)[0])
    assert not np.isfinite(scores).all()
    assert not recwarn.list


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_margin_that_is_not_finite_spoils_all_scores(value: float) -> None:
    """So that a check of the scores finds it."""
    own = draw(6, 5, 3)[0]
    own[2, 1] = value
    assert not np.isfinite(weights(6, 3).scores(own)).any()
