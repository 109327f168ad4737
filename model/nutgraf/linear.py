"""The linear tagger: hashed features, one weight vector a label, and a chain over the labels of the article.

scikit-learn fits it; here a few lines of numpy run it over the saved arrays.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nutgraf.arrays import check_arrays, read_arrays
from nutgraf.artefact import ModelFolder
from nutgraf.features import FeatureExtractor, Features, FeatureSettings, FeatureTable
from nutgraf.sequence import ChainWeights
from nutgraf.tagger import Tagger
from nutgraf_data.article import Article

__all__ = ["WEIGHTS", "LinearTagger", "LinearWeights", "margins"]

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
        chain: from margins to scores.
    """

    buckets: NDArray[np.uint32]
    idf: NDArray[np.float16]
    coefficients: NDArray[np.float16]
    intercepts: Floats
    chain: ChainWeights

    def to_bytes(self) -> bytes:
        """As safetensors."""
        from safetensors.numpy import save

        content: bytes = save(
            {
                "buckets": self.buckets,
                "idf": self.idf,
                "coefficients": self.coefficients,
                "intercepts": self.intercepts,
                **self.chain.to_arrays(),
            }
        )
        return content

    @classmethod
    def from_bytes(cls, content: bytes, *, labels: int, bits: int) -> LinearWeights:
        """From safetensors.

        Raises:
            ValueError: an array is missing, or has another shape or type than ``labels`` and ``bits`` ask for.
        """
        found = read_arrays(content)
        features = len(found.get("buckets", ()))
        check_arrays(
            found,
            {
                "buckets": ((features,), np.uint32),
                "idf": ((features,), np.float16),
                "coefficients": ((features, labels), np.float16),
                "intercepts": ((labels,), np.float64),
                **{name: (shape, np.float64) for name, shape in ChainWeights.shapes(labels).items()},
            },
            f"for {labels} labels",
        )
        buckets = found["buckets"]
        if features and (buckets[-1] >= 1 << bits or (np.diff(buckets.astype(np.int64)) <= 0).any()):
            raise ValueError(f"its buckets are not ascending numbers below 2 ** {bits}")
        return cls(
            buckets,
            found["idf"],
            found["coefficients"],
            found["intercepts"],
            ChainWeights.from_arrays(found),
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

    def explain(self, article: Article) -> list[dict[str, Floats]]:
        """For each paragraph, what each of its words and signals adds to its margins ``(labels,)``.

        The parts of a paragraph and the intercepts sum to its row of ``margins``; the scores come of those of its
        neighbours, too. Names are as ``FeatureExtractor.names`` gives them.
        """
        with self._lock:
            names = self._extractor.names(article)
            found: list[dict[str, Floats]] = []
            for chunk in self._extractor.extract([article]):
                row, column, value = self._table.weigh(chunk)
                parts = (self._coefficients[column] * value[:, None]).astype(np.float64)
                here: list[dict[str, Floats]] = [{} for _ in range(chunk.paragraphs)]
                for number, bucket, part in zip(row.tolist(), self._table.buckets[column].tolist(), parts, strict=True):
                    known = here[number]
                    known[names[bucket]] = known[names[bucket]] + part if names[bucket] in known else part
                found += here
        return found

    def score_many(self, articles: Sequence[Article]) -> list[tuple[Floats, NDArray[np.bool_]]]:
        """For each article, probabilities ``(paragraphs, labels)`` and which paragraphs were cut ``(paragraphs,)``."""
        if not articles:
            return []
        weights = self._weights
        ends = np.cumsum([len(article.paragraphs) for article in articles])
        results = []
        with np.errstate(all="ignore"):
            own = np.split(self.margins(articles), ends[:-1])
        for article, margins_ in zip(articles, own, strict=True):
            scores = weights.chain.scores(margins_)
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
