"""The sequence of roles: marginals of a linear-chain conditional random field.

Lafferty, McCallum and Pereira (2001), "Conditional Random Fields"; the forward–backward recursions are in the scaled
form of Rabiner (1989), section V.A. One function serves prediction (one article) and fitting (many articles at once).
"""

from __future__ import annotations

import itertools
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
        first, last: ``(articles,)`` the rows of the first and of the last paragraphs, in the order of ``lengths``.
        order: ``(paragraphs,)`` the rows by their place in the article: all first paragraphs, then all second ones, and
            so on, longest article first, so that the articles that go on stand in front.
        edges: where in ``order`` each place begins and ends.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        sizes = np.asarray(lengths, dtype=np.int64)
        self.first: Ints = np.cumsum(sizes) - sizes
        self.last: Ints = self.first + sizes - 1
        longest = np.argsort(-sizes, kind="stable")
        alive = np.searchsorted(-sizes[longest], -np.arange(sizes.max()), side="left")
        self.edges: list[int] = [0, *np.cumsum(alive).tolist()]
        self.order: Ints = np.concatenate([self.first[longest[:n]] + place for place, n in enumerate(alive)])


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

    potential = potential[chains.order]
    places = list(itertools.pairwise(chains.edges))
    alpha = np.empty_like(potential)
    scale = np.empty((len(potential), 1))
    before = alpha[:0]
    for place, (start, end) in enumerate(places):
        here = potential[start:end]
        if place:
            here = here * (before[: end - start] @ step)
        total = here.sum(axis=1, keepdims=True)
        scale[start:end] = total
        before = alpha[start:end]
        np.divide(here, total, out=before)
    potential /= scale

    beta = np.ones_like(potential)
    expected = np.zeros_like(step)
    for (start, _), (middle, end) in zip(places[-2::-1], places[:0:-1], strict=True):
        message = potential[middle:end] * beta[middle:end]
        goes_on = slice(start, start + end - middle)
        beta[goes_on] = message @ step.T
        expected += alpha[goes_on].T @ message
    alpha *= beta
    alpha /= alpha.sum(axis=1, keepdims=True)
    marginals = np.empty_like(alpha)
    marginals[chains.order] = alpha
    joints = len(unary) - len(chains.first)
    return marginals, float(np.log(scale).sum() + top.sum() + shift * joints), expected * step
