"""The sequence of roles: calibrated scores as the marginals of a linear-chain conditional random field.

Lafferty, McCallum and Pereira (2001), "Conditional Random Fields"; the forward–backward recursions are in the scaled
form of Rabiner (1989), section V.A. One function serves prediction (one article) and fitting (many articles at once).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ChainWeights", "Chains", "Transitions", "context", "context_width", "forward_backward"]

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


@dataclass(frozen=True)
class ChainWeights:
    """What turns the margins of any tagger into calibrated scores, paragraph beside paragraph.

    Attributes:
        emission: ``(context features, labels)`` float64, from the margins in their context to potentials.
        transitions: between the labels of neighbouring paragraphs.
    """

    emission: Floats
    transitions: Transitions

    def scores(self, own: Floats) -> Floats:
        """Probabilities ``(paragraphs, labels)`` of one article from its margins, which have the same shape.

        One chain at a time: a product of matrices rounds differently with other articles beside it. Values so large
        that nothing finite comes of them give scores that are not finite.
        """
        chain = Chains([len(own)])
        with np.errstate(all="ignore"):
            return forward_backward(context(own, chain) @ self.emission, self.transitions, chain)[0]

    def to_arrays(self) -> dict[str, Floats]:
        """By the names that they are saved under."""
        return {
            "emission": self.emission,
            "transitions.between": self.transitions.between,
            "transitions.start": self.transitions.start,
            "transitions.end": self.transitions.end,
        }

    @classmethod
    def from_arrays(cls, found: Mapping[str, NDArray[np.float64]]) -> ChainWeights:
        """From arrays of the shapes that ``shapes`` gives."""
        emission, *transitions = (found[name] for name in cls.shapes(2))
        return cls(emission, Transitions(*transitions))

    @staticmethod
    def shapes(labels: int) -> dict[str, tuple[int, ...]]:
        """Name → shape of every array, all of them float64."""
        return {
            "emission": (context_width(labels), labels),
            "transitions.between": (labels, labels),
            "transitions.start": (labels,),
            "transitions.end": (labels,),
        }


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
        total = np.add.reduce(here, axis=1, keepdims=True)
        scale[start:end] = total
        before = alpha[start:end]
        np.divide(here, total, out=before)
    potential /= scale

    beta = np.ones_like(potential)
    back = step.T
    for (start, _), (middle, end) in zip(places[-2::-1], places[:0:-1], strict=True):
        beta[start : start + end - middle] = (potential[middle:end] * beta[middle:end]) @ back
    sizes = np.diff(chains.edges)
    begin = chains.edges[1]
    # In the order by place, the paragraph before one stands as many rows above as the place before has articles.
    previous = np.arange(begin, len(potential)) - np.repeat(sizes[:-1], sizes[1:])
    expected = alpha[previous].T @ (potential[begin:] * beta[begin:])
    alpha *= beta
    alpha /= alpha.sum(axis=1, keepdims=True)
    marginals = np.empty_like(alpha)
    marginals[chains.order] = alpha
    joints = len(unary) - len(chains.first)
    return marginals, float(np.log(scale).sum() + top.sum() + shift * joints), expected * step


def context(own: Floats, chains: Chains) -> Floats:
    """What the chain's potentials are computed from.

    Args:
        own: ``(paragraphs, labels)`` margins.
        chains: which paragraphs form an article.

    Returns:
        ``(paragraphs, 4 * labels + 1)``: the paragraph's margins less their mean; the softmax of the margins of the
        paragraph before, of the one after, and averaged over the article; and a constant 1.
    """
    centred = own - own.mean(axis=1, keepdims=True)
    soft = np.exp(centred - centred.max(axis=1, keepdims=True))
    soft /= soft.sum(axis=1, keepdims=True)
    before, after = np.zeros_like(soft), np.zeros_like(soft)
    before[1:], after[:-1] = soft[:-1], soft[1:]
    before[chains.first] = 0.0
    after[chains.last] = 0.0
    lengths = chains.last - chains.first + 1
    mean = np.add.reduceat(soft, chains.first, axis=0) / lengths[:, None]
    return np.column_stack([centred, before, after, np.repeat(mean, lengths, axis=0), np.ones(len(own))])


def context_width(labels: int) -> int:
    """The number of columns of ``context``."""
    return 4 * labels + 1
