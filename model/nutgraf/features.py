"""The features of a paragraph in its article, the same for fitting and for prediction.

A paragraph becomes a sparse row of hashed features in *blocks*: its words and word pairs, the words inside and
outside quotation marks, who says it, the words of the paragraphs before and after it, and *signals* — where it
stands, how much of it is quoted, how many words of which class it has, how much it shares with the headline and the
lead. Each block of each row is scaled to unit length and then by the weight that the recipe gives the block.
Words are hashed (Weinberger et al., 2009), so that a model holds no word list of its training articles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.lexicon import Lexicon
from nutgraf.signals import SIGNALS, Passage, date_words
from nutgraf_data.article import Article

__all__ = ["BLOCKS", "FeatureExtractor", "FeatureSettings", "FeatureTable", "Features"]

#: The blocks of features in the order of their numbers.
BLOCKS = ("word", "pair", "quoted", "attribution", "previous", "next", "opening", "ending", *SIGNALS)

_TOKEN = re.compile(r"\w{1,40}(?:['’]\w{1,40}){0,2}|[^\w\s]")
_CHUNK = 256  # paragraphs; bounds memory for very long articles
_GOLDEN, _MIX, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class FeatureSettings:
    """What a recipe says of the features.

    Attributes:
        bits: features are hashed into ``2 ** bits`` buckets.
        min_count: buckets that fewer training paragraphs fall into are dropped.
        max_characters: how much of a paragraph is read; the rest is cut and the segment says ``truncated``.
        weights: block → weight; a block of weight 0 is left out.
    """

    bits: int = 22
    min_count: int = 2
    max_characters: int = 20_000
    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(BLOCKS, 1.0))

    def __post_init__(self) -> None:
        if not 8 <= self.bits <= 24:
            raise ValueError(f"features.bits is {self.bits}, expected 8 to 24")
        if self.min_count < 1 or self.max_characters < 1:
            raise ValueError("features.min_count and features.max_characters must be at least 1")
        if unknown := set(self.weights) - set(BLOCKS):
            raise ValueError(f"features.weights has unknown blocks {sorted(unknown)}, expected some of {list(BLOCKS)}")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> FeatureSettings:
        """From the ``[features]`` table of a recipe.

        Raises:
            ValueError: a key is unknown or a value is out of range.
        """
        if unknown := set(settings) - set(cls.__dataclass_fields__):
            raise ValueError(f"[features] has unknown keys {sorted(unknown)}")
        return cls(**settings)


@dataclass(frozen=True)
class Features:
    """Hashed features of ``paragraphs`` paragraphs, in order of paragraph, block and bucket.

    Attributes:
        paragraphs: the number of rows.
        row: ``(features,)`` the paragraph of each feature.
        block: ``(features,)`` the number of its block in ``BLOCKS``.
        bucket: ``(features,)`` its hash, below ``2 ** bits``.
        count: ``(features,)`` how often it occurs in the paragraph.
    """

    paragraphs: int
    row: Ints
    block: Ints
    bucket: Ints
    count: Ints


class FeatureExtractor:
    """Turns articles into ``Features``.

    Args:
        settings: what to extract.
    """

    def __init__(self, settings: FeatureSettings) -> None:
        self.settings = settings
        self._lexicon = Lexicon()
        self._on = {name: settings.weights.get(name, 0.0) > 0 for name in BLOCKS}

    def truncated(self, article: Article) -> NDArray[np.bool_]:
        """``(paragraphs,)`` which paragraphs are longer than ``max_characters``."""
        limit = self.settings.max_characters
        return np.array([len(p.text) > limit for p in article.paragraphs], dtype=np.bool_)

    def extract(self, article: Article) -> Iterator[Features]:
        """The features of an article in consecutive chunks of paragraphs."""
        self._lexicon.trim()
        limit = self.settings.max_characters
        tokens = [self._tokens(paragraph.text[:limit]) for paragraph in article.paragraphs]
        headline = self._tokens((article.headline or "")[:limit])
        dates = None if article.published is None else self._lexicon.hashes[self._tokens(date_words(article.published))]
        for start in range(0, len(tokens), _CHUNK):
            yield self._chunk(tokens, headline, dates, start, min(start + _CHUNK, len(tokens)))

    def _tokens(self, text: str) -> list[int]:
        lexicon = self._lexicon
        return [lexicon[token] for token in _TOKEN.findall(text)] or [lexicon["."]]

    def _chunk(
        self, tokens: Sequence[list[int]], headline: list[int], dates: Hashes | None, start: int, end: int
    ) -> Features:
        passage = Passage(tokens[start:end], self._lexicon)
        rows, blocks, hashes = [], [], []

        def put(name: str, row: Ints, hashed: Hashes) -> None:
            block = BLOCKS.index(name)
            rows.append(row)
            blocks.append(np.full(len(row), block))
            hashes.append(_mix(hashed, block))

        words, row = passage.hashes, passage.row
        if self._on["word"]:
            put("word", row, words)
        if self._on["pair"]:
            same = row[1:] == row[:-1]
            put("pair", row[1:][same], (_mix(words[:-1], 101) + words[1:] * _STEP)[same])
        if self._on["quoted"]:
            put("quoted", row, words + passage.inside.astype(np.uint64))
        if self._on["attribution"]:
            near = passage.near_saying
            put("attribution", row[near], words[near])
        for name, place in (("opening", passage.place), ("ending", passage.place_from_end)):
            if self._on[name]:
                edge = place < 3
                put(name, row[edge], words[edge] * np.uint64(7) + place[edge].astype(np.uint64))
        for name, step in (("previous", -1), ("next", 1)):
            if self._on[name]:
                around = [(i - start, tokens[i + step]) for i in range(start, end) if 0 <= i + step < len(tokens)]
                if around:
                    flat = np.concatenate([np.asarray(ids, dtype=np.int64) for _, ids in around])
                    put(
                        name,
                        np.repeat([i for i, _ in around], [len(ids) for _, ids in around]),
                        self._lexicon.hashes[flat],
                    )
        if any(self._on[name] for name in SIGNALS):
            tables = passage.signals(
                first=start,
                total=len(tokens),
                lead=self._lexicon.hashes[tokens[0]],
                headline=self._lexicon.hashes[np.asarray(headline, dtype=np.int64)],
                dates=dates,
            )
            for name, table in tables.items():
                if self._on[name]:
                    columns = np.arange(table.shape[1]) << 20
                    put(
                        name,
                        np.repeat(np.arange(end - start), table.shape[1]),
                        (table + columns).ravel().view(np.uint64),
                    )
        bits = self.settings.bits
        bucket = (np.concatenate(hashes) >> np.uint64(64 - bits)).view(np.int64)
        key = ((np.concatenate(rows) * len(BLOCKS) + np.concatenate(blocks)) << bits) | bucket
        key, count = np.unique(key, return_counts=True)
        row, block = np.divmod(key >> bits, len(BLOCKS))
        return Features(end - start, row, block, key & ((1 << bits) - 1), count)


class FeatureTable:
    """Which buckets a model keeps, and the inverse document frequency of each.

    Args:
        settings: the settings the features were extracted with.
        buckets: ``(kept,)`` the buckets that have a weight, ascending.
        idf: ``(kept,)`` their inverse document frequency; 1 for signals.
    """

    def __init__(self, settings: FeatureSettings, buckets: NDArray[np.uint32], idf: NDArray[np.floating[Any]]) -> None:
        self.settings, self.buckets, self.idf = settings, buckets, idf.astype(np.float32)
        self._weights = np.array([settings.weights.get(name, 0.0) for name in BLOCKS], dtype=np.float32)
        self._column = np.full(1 << settings.bits, -1, dtype=np.int32)
        self._column[buckets] = np.arange(len(buckets), dtype=np.int32)

    @classmethod
    def fit(cls, settings: FeatureSettings, features: Features) -> FeatureTable:
        """Keeps the buckets that at least ``min_count`` paragraphs fall into; smoothed idf as scikit-learn has it."""
        frequency = np.bincount(features.bucket, minlength=1 << settings.bits)
        buckets = np.flatnonzero(frequency >= settings.min_count)
        idf = np.log((1 + features.paragraphs) / (1 + frequency[buckets])) + 1
        signal = np.isin(features.block, [BLOCKS.index(name) for name in SIGNALS])
        idf[np.isin(buckets, np.unique(features.bucket[signal]))] = 1.0
        return cls(settings, buckets.astype(np.uint32), idf.astype(np.float16))

    def weigh(self, features: Features) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Sparse rows of the features that are kept.

        Returns:
            ``row``, ``column`` and ``value``, each ``(kept features,)``, in order of rows.
        """
        column = self._column[features.bucket]
        kept = column >= 0
        row, block, column = features.row[kept], features.block[kept], column[kept]
        value = (1 + np.log(features.count[kept].astype(np.float32))) * self.idf[column]
        group = row * len(BLOCKS) + block
        norm = np.sqrt(np.bincount(group, weights=value * value, minlength=1))
        value *= self._weights[block] / norm[group].astype(np.float32)
        return row, column, value


def _mix(hashes: Hashes, salt: int) -> Hashes:
    """Mixes 64-bit hashes with a salt so that every bit of the result depends on all of theirs."""
    mixed = hashes * _GOLDEN + np.uint64((salt * 0x9E3779B97F4A7C15 + 12345) % (1 << 64))
    mixed ^= mixed >> np.uint64(29)
    mixed *= _MIX
    mixed ^= mixed >> np.uint64(32)
    return mixed
