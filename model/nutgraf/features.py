"""The features of a paragraph in its article, the same for fitting and for prediction.

A paragraph becomes a sparse row of hashed features in *blocks*: its words and word pairs, how whoever speaks was
introduced, the words of the paragraph after it, its opening, and *signals*: where it stands, how much of it is
quoted, where its verbs of saying are, and how many words of which class it has. Each block of each row is scaled to
unit length, then by its weight in the recipe. Words are hashed (Weinberger et al., 2009), so that a model holds no
word list of its training articles.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.lexicon import Lexicon
from nutgraf.signals import SIGNALS, Passage, mix
from nutgraf_data.article import Article

__all__ = ["BLOCKS", "FeatureExtractor", "FeatureSettings", "FeatureTable", "Features"]

#: The blocks of features in the order of their numbers.
BLOCKS = ("word", "pair", "introduction", "next", "opening", *SIGNALS)

_TOKEN = re.compile(r"\w{1,40}(?:['’]\w{1,40}){0,2}|[^\w\s]")
_CHUNK = 256  # paragraphs; bounds memory for very long articles
_BLOCK_BITS = 5
_OPENING = 3  # words

#: 1 + ln(count), the sublinear term frequency of scikit-learn; a word that stands more than 255 times counts as 255.
_TERM_FREQUENCY = (1 + np.log(np.maximum(np.arange(256), 1))).astype(np.float32)

_GOLDEN, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x165667B19E3779F9)
_SALTS = [np.uint64(0xC2B2AE3D27D4EB4F * (number + 1) % (1 << 64)) for number in range(len(BLOCKS))]

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
        for name in ("bits", "min_count", "max_characters"):
            if not isinstance(value := getattr(self, name), int) or isinstance(value, bool):
                raise ValueError(f"features.{name} is {value!r}, expected a whole number")
        if not 8 <= self.bits <= 24:
            raise ValueError(f"features.bits is {self.bits}, expected 8 to 24")
        if self.min_count < 1 or self.max_characters < 1:
            raise ValueError("features.min_count and features.max_characters must be at least 1")
        if not isinstance(self.weights, Mapping):
            raise ValueError(f"features.weights is {self.weights!r}, expected a table of block = weight")
        if unknown := set(self.weights) - set(BLOCKS):
            raise ValueError(f"features.weights has unknown blocks {sorted(unknown)}, expected some of {list(BLOCKS)}")
        for name, weight in self.weights.items():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
                raise ValueError(f"features.weights.{name} is {weight!r}, expected a number from 0 up")
        if not any(self.weights.values()):
            raise ValueError("features.weights has no block above 0, so that nothing would be read")

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> FeatureSettings:
        """From the ``[features]`` table of a recipe.

        Raises:
            ValueError: a key is unknown or a value is out of range.
        """
        if not isinstance(settings, Mapping):
            raise ValueError(f"features is {settings!r}, expected a table [features]")
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

    def extract(self, articles: Sequence[Article]) -> Iterator[Features]:
        """The features of articles, one after the other, in chunks of consecutive paragraphs.

        How articles are put together makes no difference to the features of any of them.
        """
        self._lexicon.trim()
        limit = self.settings.max_characters
        tokens = [self._tokens(paragraph.text[:limit]) for article in articles for paragraph in article.paragraphs]
        passage = Passage(tokens, self._lexicon, [len(article.paragraphs) for article in articles])
        signals = passage.signals() if any(self._on[name] for name in SIGNALS) else {}
        for start in range(0, len(tokens), _CHUNK):
            yield self._chunk(passage, signals, start, min(start + _CHUNK, len(tokens)))

    def names(self, article: Article) -> dict[int, str]:
        """What falls into each hash bucket in an article: words, pairs of them, and signals with their values.

        A word of a block other than ``word`` has the block's name before it; several names of one bucket have an "or"
        between them.
        """
        limit = self.settings.max_characters
        words = [_TOKEN.findall(paragraph.text[:limit]) or ["."] for paragraph in article.paragraphs]
        passage = Passage([[self._lexicon[word] for word in row] for row in words], self._lexicon)
        flat = [word.lower() for row in words for word in row]
        found: dict[int, dict[str, None]] = {}

        def put(name: str, hashes: Hashes, texts: Sequence[str]) -> None:
            if self._on[name]:
                shown = texts if name in {"word", "pair"} else [f"{name}: {text}" for text in texts]
                for bucket, text in zip(self._bucket(name, hashes).tolist(), shown, strict=True):
                    found.setdefault(bucket, {})[text] = None

        hashes = passage.hashes
        for name in ("word", "introduction", "next"):
            put(name, hashes, flat)
        put("pair", hashes[:-1] * _STEP + hashes[1:], [f"{a} {b}" for a, b in itertools.pairwise(flat)])
        begins = np.flatnonzero(passage.place < _OPENING)
        put("opening", hashes[begins] + passage.place[begins].view(np.uint64), [flat[i] for i in begins])
        for name, table in passage.signals().items():
            signal = mix(table + (np.arange(table.shape[1]) << 20))
            texts = [f"{column} = {value}" for row in table.tolist() for column, value in enumerate(row)]
            put(name, signal.ravel(), texts)
        return {bucket: " or ".join(texts) for bucket, texts in found.items()}

    def _bucket(self, name: str, hashes: Hashes) -> Ints:
        """The buckets of hashes of a block."""
        salted = (hashes ^ _SALTS[BLOCKS.index(name)]) * _GOLDEN
        return (salted >> np.uint64(64 - self.settings.bits)).view(np.int64)

    def _tokens(self, text: str) -> list[int]:
        lexicon = self._lexicon
        return [lexicon[token] for token in _TOKEN.findall(text)] or [lexicon["."]]

    def _chunk(self, passage: Passage, signals: Mapping[str, Ints], start: int, end: int) -> Features:
        """The features of the paragraphs from ``start`` up to ``end``."""
        bits = self.settings.bits
        keys: list[Ints] = []

        def put(name: str, row: Ints, hashes: Hashes) -> None:
            number = BLOCKS.index(name)
            bucket = self._bucket(name, hashes)
            keys.append((row - start << _BLOCK_BITS | number) << bits | bucket)

        first, last = passage.bounds(start, end)
        row, words = passage.row[first:last], passage.hashes[first:last]
        if self._on["word"]:
            put("word", row, words)
        if self._on["pair"]:
            same = row[1:] == row[:-1]
            put("pair", row[1:][same], (words[:-1] * _STEP + words[1:])[same])
        if self._on["introduction"]:
            of, hashes = passage.introductions
            here = slice(*np.searchsorted(of, (start, end)))
            put("introduction", of[here], hashes[here])
        if self._on["next"]:
            after = slice(*passage.bounds(start + 1, min(end + 1, len(passage.lengths))))
            goes_on = ~passage.opens[passage.row[after]]
            put("next", passage.row[after][goes_on] - 1, passage.hashes[after][goes_on])
        if self._on["opening"]:
            place = passage.place[first:last]
            begins = place < _OPENING
            put("opening", row[begins], words[begins] + place[begins].view(np.uint64))
        for name, table in signals.items():
            if self._on[name]:
                part = table[start:end]
                hashes = mix(part + (np.arange(part.shape[1]) << 20))
                put(name, np.repeat(np.arange(start, end), part.shape[1]), hashes.ravel())

        key = np.concatenate(keys)
        key.sort()
        new = np.flatnonzero(np.r_[True, key[1:] != key[:-1]][: len(key)])
        count = np.diff(new, append=len(key))
        key = key[new]
        group = key >> bits
        return Features(
            end - start, group >> _BLOCK_BITS, group & ((1 << _BLOCK_BITS) - 1), key & ((1 << bits) - 1), count
        )


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
        value = _TERM_FREQUENCY[np.minimum(features.count[kept], 255)] * self.idf[column]
        group = (row << _BLOCK_BITS) | block
        norm = np.sqrt(np.bincount(group, weights=value * value, minlength=1))
        value *= self._weights[block] / norm[group].astype(np.float32)
        return row, column, value
