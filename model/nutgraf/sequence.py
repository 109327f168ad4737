"""The sequence of roles: marginals of a linear-chain conditional random field.

Lafferty, McCallum and Pereira (2001), "Conditional Random Fields"; the forward–backward recursions are in the scaled
form of Rabiner (1989), section V.A. One function serves prediction (one article) and fitting (many articles at once).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chains", "Transitions", "forward_backward"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Transitions:
    """Log-potentials of neighbouring labels.

    Attributes:
        between: ``(labels, labels)``, from row to column.
        start, end: ``(labels,)``, for the first and the last paragraph.
    """

    between: Floats
    start: Floats
    end: Floats


class Chains:
    """How the paragraphs of several articles, one after the other, form chains.

    Args:
        lengths: ``(articles,)`` the number of paragraphs of each, at least 1.

    Attributes:
        steps: for each place in an article, the rows of the paragraphs that stand there, longest article first.
        last: ``(articles,)`` the rows of the last paragraphs.
        first: ``(articles,)`` the rows of the first ones, in the order of ``lengths``.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        sizes = np.asarray(lengths, dtype=np.int64)
        self.first: Ints = np.cumsum(sizes) - sizes
        self.last: Ints = self.first + sizes - 1
        order = np.argsort(-sizes, kind="stable")
        alive = [int(n) for n in np.searchsorted(-sizes[order], -np.arange(sizes.max()), side="left")]
        self.steps: list[Ints] = [self.first[order[:n]] + place for place, n in enumerate(alive)]


def forward_backward(unary: Floats, transitions: Transitions, chains: Chains) -> tuple[Floats, float, Floats]:
    """Marginal probabilities of the labels in every chain.

    Args:
        unary: ``(paragraphs, labels)`` log-potentials.
        transitions: of neighbouring labels.
        chains: which rows follow each other.

    Returns:
        marginals ``(paragraphs, labels)``, rows summing to 1; the log-partition summed over the chains; and the
        expected number of transitions ``(labels, labels)``.
    """
    top = unary.max(axis=1, keepdims=True)
    potential = np.exp(unary - top)
    potential[chains.first] *= np.exp(transitions.start)
    potential[chains.last] *= np.exp(transitions.end)
    shift = float(transitions.between.max())
    step = np.exp(transitions.between - shift)

    alpha = np.empty_like(potential)
    scale = np.empty((len(potential), 1))
    before = np.empty((0, 0))
    for place, rows in enumerate(chains.steps):
        here = potential[rows]
        if place:
            here *= before[: len(rows)] @ step
        scale[rows] = total = here.sum(axis=1, keepdims=True)
        before = alpha[rows] = here / total
    potential /= scale

    beta = np.ones_like(potential)
    expected = np.zeros_like(step)
    for rows, after in zip(chains.steps[-2::-1], chains.steps[:0:-1], strict=True):
        message = potential[after] * beta[after]
        here = rows[: len(after)]
        beta[here] = message @ step.T
        expected += alpha[here].T @ message
    marginals = alpha * beta
    marginals /= marginals.sum(axis=1, keepdims=True)
    joints = len(unary) - len(chains.first)
    return marginals, float(np.log(scale).sum() + top.sum() + shift * joints), expected * step
