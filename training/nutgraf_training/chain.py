"""Fits the chain over the labels of an article, which also calibrates the scores.

The weights of the potentials and of the transitions maximise the likelihood of whole label sequences (a linear-chain
conditional random field: Lafferty, McCallum and Pereira, 2001), given margins that were computed for each article by a
model that had not seen it. So its marginals are calibrated by cross-fitting over articles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nutgraf.sequence import Chains, ChainWeights, Transitions, context, forward_backward
from nutgraf_training.recipe import ChainSettings

__all__ = ["calibrate", "fit_chain"]

Floats = NDArray[np.float64]


def calibrate(
    own: Floats, labels: NDArray[np.int64], lengths: Sequence[int], part: NDArray[np.int64], settings: ChainSettings
) -> tuple[ChainWeights, Floats]:
    """Fits the chain on margins of articles that the margins' models had not seen.

    Args:
        own: ``(paragraphs, labels)`` out-of-fold margins.
        labels: ``(paragraphs,)`` numbers of the labels, -1 where a paragraph has none.
        lengths: ``(articles,)`` paragraphs of each.
        part: ``(articles,)`` which fold each was in; with one fold the second result is of chains that have seen it.
        settings: of the chain.

    Returns:
        the weights; and probabilities ``(paragraphs, labels)``, each from a chain that was fitted without its fold.
    """
    chains = Chains(lengths)
    inputs = context(own, chains)
    weights = fit_chain(inputs, labels, own.shape[1], chains, settings)
    sizes, fold = np.asarray(lengths), np.repeat(part, lengths)
    cross_fitted = np.zeros_like(own)
    for index in np.unique(part):
        here, there = fold == index, fold != index
        other = weights
        if there.any():
            other = fit_chain(inputs[there], labels[there], own.shape[1], Chains(sizes[part != index]), settings)
        cross_fitted[here], _, _ = forward_backward(
            inputs[here] @ other.emission, other.transitions, Chains(sizes[part == index])
        )
    return weights, cross_fitted


def fit_chain(
    inputs: Floats, labels: NDArray[np.int64], count: int, chains: Chains, settings: ChainSettings
) -> ChainWeights:
    """Maximum a-posteriori weights, by L-BFGS.

    Args:
        inputs: ``(paragraphs, context features)``, as ``nutgraf.sequence.context`` makes them.
        labels: ``(paragraphs,)`` numbers of the labels; -1 where a paragraph has none, which is then summed over.
        count: the number of labels.
        chains: which paragraphs form an article.
        settings: regularisation and iterations; and ``balance``, the power of the labels' shares that the potentials
            are divided by afterwards (logit adjustment: Menon et al., 2021, arXiv:2007.07314).
    """
    from scipy.optimize import minimize

    paragraphs, width = inputs.shape
    prior = np.zeros(width * count + count * count + 2 * count)
    # Without evidence a paragraph's own margins are its potentials.
    prior[: width * count].reshape(width, count)[:count] = np.eye(count)

    def unpack(flat: Floats) -> ChainWeights:
        emission, between, start, end = np.split(flat, np.cumsum([width * count, count * count, count]))
        return ChainWeights(emission.reshape(width, count), Transitions(between.reshape(count, count), start, end))

    # Clamping the known labels gives the numerator of the likelihood, with unlabelled paragraphs summed over.
    barred = (labels[:, None] >= 0) & (labels[:, None] != np.arange(count))

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = unpack(flat)
        potentials = inputs @ weights.emission
        free, log_free, pairs_free = forward_backward(potentials, weights.transitions, chains)
        held, log_held, pairs_held = forward_backward(np.where(barred, -1e4, potentials), weights.transitions, chains)
        excess = free - held
        gradient = np.concatenate(
            [
                (inputs.T @ excess).ravel(),
                (pairs_free - pairs_held).ravel(),
                excess[chains.first].sum(axis=0),
                excess[chains.last].sum(axis=0),
            ]
        )
        step = flat - prior
        value = log_free - log_held + 0.5 * settings.l2 * float(step @ step)
        return value / paragraphs, (gradient + settings.l2 * step) / paragraphs

    found = minimize(loss, prior, jac=True, method="L-BFGS-B", options={"maxiter": settings.max_iterations})
    weights = unpack(found.x)
    if settings.balance:
        often = np.bincount(labels[labels >= 0], minlength=count) + 1.0
        weights.emission[-1] -= settings.balance * np.log(often / often.sum())  # the row of the constant
    return weights
