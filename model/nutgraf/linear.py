"""The linear tagger: hashed features, one weight vector a label, and a chain over the labels of the article.

scikit-learn fits it; here a few lines of numpy run it over the saved arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nutgraf.artefact import ModelFolder
from nutgraf.features import FeatureExtractor, Features, FeatureSettings, FeatureTable
from nutgraf.sequence import Chains, Transitions, forward_backward
from nutgraf.tagger import Tagger
from nutgraf_data.article import Article

__all__ = ["WEIGHTS", "LinearTagger", "LinearWeights", "context", "context_width", "margins"]

WEIGHTS = "model.safetensors"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearWeights:
    """The arrays of a linear tagger, as they are saved.

    Attributes:
        buckets: ``(features,)`` uint32, the hash buckets that have weights, ascending.
        idf: ``(features,)`` float16.
        coefficients: ``(features, labels)`` float16.
        intercepts: ``(labels,)`` float64.
        emission: ``(context features, labels)`` float64, from the margins in their context to potentials.
        transitions: between the labels of neighbouring paragraphs.
    """

    buckets: NDArray[np.uint32]
    idf: NDArray[np.float16]
    coefficients: NDArray[np.float16]
    intercepts: Floats
    emission: Floats
    transitions: Transitions

    def to_bytes(self) -> bytes:
        """As safetensors."""
        from safetensors.numpy import save

        content: bytes = save(
            {
                "buckets": self.buckets,
                "idf": self.idf,
                "coefficients": self.coefficients,
                "intercepts": self.intercepts,
                "emission": self.emission,
                "transitions.between": self.transitions.between,
                "transitions.start": self.transitions.start,
                "transitions.end": self.transitions.end,
            }
        )
        return content

    @classmethod
    def from_bytes(cls, content: bytes, *, labels: int, bits: int) -> LinearWeights:
        """From safetensors.

        Raises:
            ValueError: an array is missing, or has another shape or type than ``labels`` and ``bits`` ask for.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            found = load(content)
        except (SafetensorError, KeyError, TypeError) as error:
            raise ValueError(f"it is not valid safetensors ({error})") from None
        features = len(found.get("buckets", ()))
        expected = {
            "buckets": ((features,), np.uint32),
            "idf": ((features,), np.float16),
            "coefficients": ((features, labels), np.float16),
            "intercepts": ((labels,), np.float64),
            "emission": ((context_width(labels), labels), np.float64),
            "transitions.between": ((labels, labels), np.float64),
            "transitions.start": ((labels,), np.float64),
            "transitions.end": ((labels,), np.float64),
        }
        for name, (shape, kind) in expected.items():
            if name not in found:
                raise ValueError(f"it has no array {name!r}")
            array = found[name]
            if array.shape != shape or array.dtype != kind:
                raise ValueError(
                    f"its array {name!r} is {array.dtype} {array.shape}, expected {np.dtype(kind)} {shape} "
                    f"for {labels} labels"
                )
            if kind != np.uint32 and not np.isfinite(array).all():
                raise ValueError(f"its array {name!r} holds values that are not finite")
        buckets = found["buckets"]
        if features and (buckets[-1] >= 1 << bits or (np.diff(buckets.astype(np.int64)) <= 0).any()):
            raise ValueError(f"its buckets are not ascending numbers below 2 ** {bits}")
        return cls(
            buckets,
            found["idf"],
            found["coefficients"],
            found["intercepts"],
            found["emission"],
            Transitions(*(found[f"transitions.{name}"] for name in ("between", "start", "end"))),
        )


class LinearTagger(Tagger):
    """Runs a linear model.

    Args:
        folder: a checked model folder of kind ``linear``.

    Raises:
        ModelError: its settings or weights do not fit each other.
    """

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__(folder)
        try:
            settings = FeatureSettings.from_dict(folder.settings["features"])
            self._weights = LinearWeights.from_bytes(
                folder.files[WEIGHTS], labels=len(folder.label_set), bits=settings.bits
            )
        except (KeyError, TypeError, ValueError) as error:
            raise folder.refuse(f"{WEIGHTS} or settings.toml does not fit: {error}") from None
        self._extractor = FeatureExtractor(settings)
        self._table = FeatureTable(settings, self._weights.buckets, self._weights.idf)
        self._coefficients = self._weights.coefficients.astype(np.float32)  # twice as fast as half precision
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[LinearTagger], tuple[ModelFolder]]:
        return type(self), (self.folder,)  # a lock cannot be pickled

    def margins(self, articles: Sequence[Article]) -> Floats:
        """``(paragraphs of all of them, labels)`` distances from the decision boundaries, before calibration."""
        weights = self._weights
        with self._lock:  # the extractor remembers words, which threads must not do at once
            return np.concatenate(
                [
                    margins(self._table, chunk, self._coefficients) + weights.intercepts
                    for chunk in self._extractor.extract(articles)
                ]
            )

    def score_many(self, articles: Sequence[Article]) -> list[tuple[Floats, NDArray[np.bool_]]]:
        """For each article, probabilities ``(paragraphs, labels)`` and which paragraphs were cut ``(paragraphs,)``."""
        if not articles:
            return []
        weights = self._weights
        ends = np.cumsum([len(article.paragraphs) for article in articles])
        results = []
        with np.errstate(all="ignore"):
            # One chain at a time: a product of matrices rounds differently with other articles beside it.
            for article, own in zip(articles, np.split(self.margins(articles), ends[:-1]), strict=True):
                chain = Chains([len(own)])
                scores, _, _ = forward_backward(context(own, chain) @ weights.emission, weights.transitions, chain)
                if not np.isfinite(scores).all():
                    raise self.folder.refuse(f"{WEIGHTS} holds values so large that scores are not finite")
                results.append((scores, self._extractor.truncated(article)))
        return results


def margins(table: FeatureTable, features: Features, coefficients: NDArray[np.floating]) -> Floats:
    """Sparse rows times weights: ``(paragraphs, labels)``, without intercepts."""
    row, column, value = table.weigh(features)
    product = coefficients[column] * value[:, None]
    total = np.zeros((features.paragraphs, coefficients.shape[1]))
    starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]]) if len(row) else np.zeros(0, dtype=np.int64)
    if len(starts):
        total[row[starts]] = np.add.reduceat(product, starts, axis=0, dtype=np.float64)
    return total


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
