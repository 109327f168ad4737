"""Fits the chain over the labels of an article, which also calibrates the scores.

The weights of the potentials and of the transitions maximise the likelihood of whole label sequences (a linear-chain
conditional random field: Lafferty, McCallum and Pereira, 2001), given margins that were computed for each article by a
model that had not seen it. So its marginals are calibrated by cross-fitting over articles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nutgraf.sequence import Chains, Transitions, forward_backward
from nutgraf_training.recipe import ChainSettings

__all__ = ["fit_chain"]

Floats = NDArray[np.float64]


def fit_chain(
    inputs: Floats, labels: NDArray[np.int64], count: int, chains: Chains, settings: ChainSettings
) -> tuple[Floats, Transitions]:
    """Maximum a-posteriori weights, by L-BFGS.

    Args:
        inputs: ``(paragraphs, context features)``, as ``nutgraf.linear.context`` makes them.
        labels: ``(paragraphs,)`` numbers of the labels; -1 where a paragraph has none, which is then summed over.
        count: the number of labels.
        chains: which paragraphs form an article.
        settings: regularisation and iterations.

    Returns:
        the emission weights ``(context features, labels)`` and the transitions.
    """
    from scipy.optimize import minimize

    paragraphs, width = inputs.shape
    prior = np.zeros(width * count + count * count + 2 * count)
    # Without evidence a paragraph's own margins are its potentials.
    prior[: width * count].reshape(width, count)[:count] = np.eye(count)

    def unpack(flat: Floats) -> tuple[Floats, Transitions]:
        emission, between, start, end = np.split(flat, np.cumsum([width * count, count * count, count]))
        return emission.reshape(width, count), Transitions(between.reshape(count, count), start, end)

    # Clamping the known labels gives the numerator of the likelihood, with unlabelled paragraphs summed over.
    barred = (labels[:, None] >= 0) & (labels[:, None] != np.arange(count))

    def loss(flat: Floats) -> tuple[float, Floats]:
        emission, transitions = unpack(flat)
        potentials = inputs @ emission
        free, log_free, pairs_free = forward_backward(potentials, transitions, chains)
        held, log_held, pairs_held = forward_backward(np.where(barred, -1e4, potentials), transitions, chains)
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
    return unpack(found.x)
