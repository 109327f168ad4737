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

from nutgraf.lexicon import FLAGS, Lexicon, bit
from nutgraf_data.article import Article

__all__ = ["BLOCKS", "FeatureExtractor", "FeatureSettings", "FeatureTable", "Features"]

#: The blocks of features in the order of their numbers.
BLOCKS = ("word", "pair", "quoted", "attribution", "previous", "next", "opening", "signal", "combination")
_SIGNAL_BLOCKS = ("signal", "combination")

_TOKEN = re.compile(r"\w{1,40}(?:['’]\w{1,40}){0,2}|[^\w\s]")
_CHUNK = 256  # paragraphs; bounds memory for very long articles
_WINDOW = 4  # tokens around a verb of saying
_COUNTED = [bit(flag) for flag in FLAGS if not flag.endswith("_quote")]
_SPEAKERS = [bit(flag) for flag in ("office", "expertise", "private", "first_person", "third_person", "capitalised")]

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
        for start in range(0, len(tokens), _CHUNK):
            yield self._chunk(tokens, headline, start, min(start + _CHUNK, len(tokens)))

    def _tokens(self, text: str) -> list[int]:
        lexicon = self._lexicon
        return [lexicon[token] for token in _TOKEN.findall(text)] or [lexicon["."]]

    def _chunk(self, tokens: Sequence[list[int]], headline: list[int], start: int, end: int) -> Features:
        passage = _Passage(tokens[start:end], self._lexicon)
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
        if self._on["opening"]:
            place = passage.place
            first = place < 3
            put("opening", row[first], words[first] * np.uint64(7) + place[first].astype(np.uint64))
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
        if self._on["signal"] or self._on["combination"]:
            signals, combinations = passage.signals(
                first=start,
                total=len(tokens),
                lead=self._lexicon.hashes[tokens[0]],
                headline=self._lexicon.hashes[np.asarray(headline, dtype=np.int64)],
            )
            for name, table in (("signal", signals), ("combination", combinations)):
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
        place, block = np.divmod(key >> bits, len(BLOCKS))
        return Features(end - start, place, block, key & ((1 << bits) - 1), count)


class _Passage:
    """The tokens of consecutive paragraphs, flat.

    Attributes:
        row: ``(tokens,)`` the paragraph of each token.
        hashes, flags: ``(tokens,)`` from the lexicon.
        starts: ``(paragraphs,)`` where each paragraph begins.
        inside: ``(tokens,)`` whether the token stands in quotation marks.
        saying: ``(tokens,)`` whether it is a verb of saying outside of them.
    """

    def __init__(self, tokens: Sequence[list[int]], lexicon: Lexicon) -> None:
        self.lengths: Ints = np.array([len(ids) for ids in tokens], dtype=np.int64)
        flat = np.array([row for ids in tokens for row in ids], dtype=np.int64)
        self.row: Ints = np.repeat(np.arange(len(tokens)), self.lengths)
        self.starts: Ints = np.cumsum(self.lengths) - self.lengths
        self.hashes: Hashes = lexicon.hashes[flat]
        self.flags = lexicon.flags[flat]
        straight, opening, closing = (
            (self.flags >> np.uint32(bit(flag)) & np.uint32(1)).astype(np.int64)
            for flag in ("straight_quote", "opening_quote", "closing_quote")
        )
        self.marks: Ints = np.add.reduceat(straight + opening, self.starts)
        self.inside = (self._running(straight) % 2 == 1) | (self._running(opening - closing) > 0)
        self.saying = (self.flags >> np.uint32(bit("saying")) & np.uint32(1)).astype(np.bool_) & ~self.inside

    @property
    def place(self) -> Ints:
        """``(tokens,)`` the place of each token in its paragraph, from 0."""
        return np.arange(len(self.row)) - self.starts[self.row]

    @property
    def near_saying(self) -> NDArray[np.bool_]:
        """``(tokens,)`` outside quotation marks, up to four tokens from a verb of saying, but not that verb."""
        near = np.zeros(len(self.row), dtype=np.bool_)
        for step in range(1, _WINDOW + 1):
            same = self.row[step:] == self.row[:-step]
            near[step:] |= self.saying[:-step] & same
            near[:-step] |= self.saying[step:] & same
        outside: NDArray[np.bool_] = ~self.inside
        return near & outside

    def _running(self, marks: Ints) -> Ints:
        """Running sum of marks within each paragraph."""
        total = np.cumsum(marks)
        before = total[self.starts] - marks[self.starts]
        return total - before[self.row]

    def _sum(self, of: NDArray[Any]) -> Ints:
        return np.add.reduceat(of.astype(np.int64), self.starts)

    def signals(self, *, first: int, total: int, lead: Hashes, headline: Hashes) -> tuple[Ints, Ints]:
        """Signals ``(paragraphs, 55)`` and combinations of them ``(paragraphs, 8)``, all small whole numbers.

        Args:
            first: the place of the first paragraph in its article, from 0.
            total: the number of paragraphs in the article.
            lead, headline: hashes of their words.
        """
        rows, length = len(self.lengths), self.lengths
        index = np.arange(first, first + rows)
        quoted = self._sum(self.inside)
        said = self._sum(self.saying)
        flags = np.unpackbits(self.flags.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        counts = np.add.reduceat(flags, self.starts, axis=0, dtype=np.int64)
        near = np.add.reduceat(flags * self.near_saying[:, None], self.starts, axis=0, dtype=np.int64)
        in_lead = 10 * self._sum(np.isin(self.hashes, lead)) // length
        in_headline = self._sum(np.isin(self.hashes, headline))
        last = total - 1 - index
        opens = self.flags[self.starts] >> np.uint32(bit("straight_quote")) & np.uint32(3)
        signals = np.column_stack(
            [
                np.minimum(index, 12),
                np.minimum(last, 6),
                index * 8 // total,
                np.full(rows, min(total, 40) // 5),
                np.minimum(np.log2(length + 1) * 2, 20).astype(np.int64),
                np.minimum(6 * quoted // length + (quoted > 0), 6),
                opens != 0,
                np.minimum(self.marks, 6),
                np.minimum(said, 4),
                np.minimum(counts[:, _COUNTED], 5),
                np.minimum(counts[:, _COUNTED] * 20 // length[:, None], 8),
                np.minimum(near[:, _SPEAKERS], 3),
                in_lead,
                np.minimum(in_headline, 8),
            ]
        )
        speech = np.minimum(said, 2) + 3 * (quoted > 0.3 * length) + 6 * (quoted > 0.7 * length)
        place = np.minimum(index, 4) + 5 * (last == 0)
        voice = np.minimum(counts[:, bit("expertise")] + 3 * counts[:, bit("private")], 5)
        speaker = speech * 20 + np.minimum(counts[:, bit("office")], 2) * 6 + voice
        year = np.minimum(counts[:, bit("year")], 1)
        combinations = np.column_stack(
            [
                speech * 20 + place,
                _shift(speech, 1) * 20 + speech,
                _shift(speech, -1) * 20 + speech,
                speaker,
                _shift(speaker, 1),
                _shift(speaker, -1),
                year * 20 + place,
                in_lead * 20 + place,
            ]
        )
        return signals.astype(np.int64), combinations.astype(np.int64)


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
        signal = np.isin(features.block, [BLOCKS.index(name) for name in _SIGNAL_BLOCKS])
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


def _shift(values: Ints, by: int) -> Ints:
    """Values of the paragraph ``by`` places before; -1 where there is none."""
    moved = np.full(len(values), -1, dtype=np.int64)
    if by > 0:
        moved[by:] = values[:-by]
    else:
        moved[:by] = values[-by:]
    return moved
