"""What can be told of a paragraph from its tokens, where it stands, and what was said before it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.lexicon import FLAGS, Lexicon, bit

__all__ = ["SIGNALS", "Passage", "mix"]

#: Blocks of signals. A signal is a small whole number, and every value of it becomes a feature of its own.
SIGNALS = ("position", "speech", "speaker", "classes")

_NEAR = 4  # tokens around a verb of saying
_AROUND = 6  # tokens around a name where it is first mentioned
_COUNTED = [bit(flag) for flag in FLAGS if not flag.endswith("_quote")]
_SPEAKERS = [bit(flag) for flag in ("office", "expertise", "private", "first_person", "third_person", "capitalised")]
_NO_NAME = ("office", "saying", "first_person", "third_person", "day", "month")

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]


class Passage:
    """The tokens of the paragraphs of articles, flat.

    Args:
        tokens: ``(paragraphs)(tokens)`` rows of the lexicon, at least one a paragraph.
        lexicon: where they are rows of.
        sizes: ``(articles,)`` the number of paragraphs of each article; one article by default.

    Attributes:
        row: ``(tokens,)`` the paragraph of each token.
        hashes, flags: ``(tokens,)`` from the lexicon.
        starts, lengths: ``(paragraphs,)`` where each paragraph begins, and its number of tokens.
        index, total: ``(paragraphs,)`` its place in its article, from 0, and how many that article has.
        opens: ``(paragraphs,)`` whether it is the first of its article.
        inside: ``(tokens,)`` whether the token stands in quotation marks.
        saying: ``(tokens,)`` whether it is a verb of saying outside of them.
    """

    def __init__(self, tokens: Sequence[list[int]], lexicon: Lexicon, sizes: Sequence[int] | None = None) -> None:
        articles = np.array([len(tokens)] if sizes is None else sizes, dtype=np.int64)
        self._article: Ints = np.repeat(np.arange(len(articles)), articles)
        self.total: Ints = articles[self._article]
        self.index: Ints = np.arange(len(tokens)) - (np.cumsum(articles) - articles)[self._article]
        self.opens: Bools = self.index == 0
        self.lengths: Ints = np.array([len(ids) for ids in tokens], dtype=np.int64)
        flat = np.fromiter(itertools.chain.from_iterable(tokens), dtype=np.int64, count=int(self.lengths.sum()))
        self.row: Ints = np.repeat(np.arange(len(tokens)), self.lengths)
        self.starts: Ints = np.cumsum(self.lengths) - self.lengths
        self.hashes: Hashes = lexicon.hashes[flat]
        self.flags = lexicon.flags[flat]
        straight, raised, low, closing = (
            self._has(f"{kind}_quote").view(np.int8) for kind in ("straight", "opening", "low", "closing")
        )
        # “this” opens with the mark that closes „this“, so where a low one stands the raised one closes.
        german = (self._sum(low) > 0)[self.row]
        opening = np.where(german, low, raised)
        closing = closing + np.where(german, raised, 0)
        self.marks: Ints = self._sum(straight + opening)
        self.inside: Bools = (self._running(straight) % 2 == 1) | (self._running(opening - closing) > 0)
        self.saying: Bools = self._has("saying") & ~self.inside

    def bounds(self, start: int, end: int) -> tuple[int, int]:
        """Where the tokens of the paragraphs from ``start`` up to ``end`` begin and end."""
        edges = np.append(self.starts, len(self.row))
        return int(edges[start]), int(edges[max(start, end)])

    @cached_property
    def place(self) -> Ints:
        """``(tokens,)`` the place of each token in its paragraph, from 0."""
        return np.arange(len(self.row)) - self.starts[self.row]

    @cached_property
    def near_saying(self) -> Bools:
        """``(tokens,)`` outside quotation marks and at most four tokens from a verb of saying."""
        near = np.zeros(len(self.row), dtype=np.bool_)
        for step in range(1, _NEAR + 1):
            reached = self.saying[:-step] & (self.row[step:] == self.row[:-step])
            near[step:] |= reached
            reached = self.saying[step:] & (self.row[step:] == self.row[:-step])
            near[:-step] |= reached
        near &= ~self.inside
        return near

    @cached_property
    def _speakers(self) -> tuple[Ints, Ints]:
        """Who speaks in which paragraph: the paragraph, and the token where the speaker is first mentioned.

        Names near a verb of saying speak. A paragraph that has none of them, but is mostly quoted or has a pronoun near
        a verb of saying, goes on with the speakers of the paragraph before.
        """
        name = self._has("capitalised")
        for flag in _NO_NAME:
            name &= ~self._has(flag)
        names = np.flatnonzero(name)
        if not len(names):
            return names, names
        keys = self.hashes[names] ^ mix(self._article)[self.row[names]]  # a name in another article is another name
        _, first, number = np.unique(keys, return_index=True, return_inverse=True)
        speaks = self.near_saying[names]
        row, mention = self.row[names[speaks]], names[first[number[speaks]]]

        rows = np.arange(len(self.lengths))
        named = np.bincount(row, minlength=len(rows)) > 0
        said = self._sum(self.saying) > 0
        mostly = 2 * self._sum(self.inside) > self.lengths
        goes_on = ~named & ((self._sum(self._has("third_person") & self.near_saying) > 0) | (mostly & ~said))
        ends = said & ~named & ~goes_on
        source = np.maximum.accumulate(np.where(named | ends, rows, -1))
        goes_on &= (source >= rows - self.index) & named[source]
        heirs = np.flatnonzero(goes_on)
        left = np.searchsorted(row, source[heirs], side="left")
        size = np.searchsorted(row, source[heirs], side="right") - left
        inherited = np.repeat(left - (np.cumsum(size) - size), size) + np.arange(size.sum())
        all_rows = np.concatenate([row, np.repeat(heirs, size)])
        order = np.argsort(all_rows, kind="stable")
        return all_rows[order], np.concatenate([mention, mention[inherited]])[order]

    @cached_property
    def _introducing(self) -> tuple[Ints, Ints]:
        """For every paragraph, the tokens around the first mention of its speakers: paragraph and token, each once."""
        row, mention = self._speakers
        token = mention[:, None] + np.arange(-_AROUND, _AROUND + 1)
        home = self.row[mention]
        inside = (token >= self.starts[home][:, None]) & (token < (self.starts + self.lengths)[home][:, None])
        pairs = np.unique(np.repeat(row, inside.sum(axis=1)) * len(self.row) + token[inside])
        return pairs // max(len(self.row), 1), pairs % max(len(self.row), 1)

    @cached_property
    def introductions(self) -> tuple[Ints, Hashes]:
        """The words by which a paragraph's speakers were introduced in an earlier one: paragraph and hash, in order."""
        row, token = self._introducing
        earlier = self.row[token] != row
        return row[earlier], self.hashes[token[earlier]]

    def _has(self, flag: str) -> Bools:
        return (self.flags >> np.uint32(bit(flag)) & np.uint32(1)).astype(np.bool_)

    def _running(self, marks: NDArray[np.int8]) -> Ints:
        """Running sum of marks within each paragraph."""
        total = np.cumsum(marks, dtype=np.int64)
        before = total[self.starts] - marks[self.starts]
        return total - before[self.row]

    def _sum(self, of: NDArray[Any]) -> Ints:
        return np.add.reduceat(of, self.starts, dtype=np.int64)

    def signals(self) -> dict[str, Ints]:
        """The blocks of ``SIGNALS``, each ``(paragraphs, signals of the block)``."""
        length = self.lengths
        flags = np.unpackbits(self.flags.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        counts = np.add.reduceat(flags, self.starts, axis=0, dtype=np.int64)[:, _COUNTED]
        speakers = np.add.reduceat(flags[:, _SPEAKERS] * self.near_saying[:, None], self.starts, axis=0, dtype=np.int64)
        quoted = self._sum(self.inside)
        opens = self.flags[self.starts] >> np.uint32(bit("straight_quote")) & np.uint32(7)  # straight, opening, low
        run, before, after = self._longest_quote, *self._attribution_place
        early = np.minimum(self.index, 2)
        return {
            "position": np.column_stack(
                [
                    np.minimum(self.index, 12),
                    np.minimum(self.total - 1 - self.index, 6),
                    self.index * 8 // self.total,
                    np.minimum(self.total, 40) // 5,
                    np.minimum(np.log2(length + 1) * 2, 20).astype(np.int64),
                ]
            ),
            "speech": np.column_stack(
                [
                    np.minimum(6 * quoted // length + (quoted > 0), 6),
                    opens != 0,
                    np.minimum(self.marks, 6),
                    np.minimum(self._sum(self.saying), 4),
                    np.minimum(speakers, 3),
                    run,
                    before,
                    after,
                    run * 20 + before,
                    before * 20 + after,
                    (np.minimum(run, 6) * 6 + before) * 3 + early,
                    after * 3 + early,
                ]
            ),
            "speaker": self._speaker_classes[:, None],
            "classes": np.column_stack([np.minimum(counts, 5), np.minimum(counts * 20 // length[:, None], 8)]),
        }

    @property
    def _longest_quote(self) -> Ints:
        """``(paragraphs,)`` size class of the longest run of quoted tokens: a few words, or whole sentences."""
        begins = self.inside.copy()
        begins[1:] &= ~(self.inside[:-1] & (self.row[1:] == self.row[:-1]))
        run = np.cumsum(begins)
        longest = np.zeros(len(self.lengths), dtype=np.int64)
        np.maximum.at(longest, self.row[begins], np.bincount(run[self.inside])[1:] if begins.any() else 0)
        return np.minimum(np.log2(longest + 1) * 1.5, 10).astype(np.int64)

    @property
    def _attribution_place(self) -> tuple[Ints, Ints]:
        """``(paragraphs,)`` each: how far into the paragraph the first verb of saying stands (5 for none), and how many
        tokens follow the last one, by fours (12 for none)."""
        rows = len(self.lengths)
        first, last = np.full(rows, 1 << 40), np.full(rows, -1)
        np.minimum.at(first, self.row[self.saying], self.place[self.saying])
        np.maximum.at(last, self.row[self.saying], self.place[self.saying])
        some = last >= 0
        before = np.where(some, np.minimum(5 * first // self.lengths, 4), 5)
        return before, np.where(some, np.minimum(self.lengths - 1 - last, 40) // 4, 12)

    @property
    def _speaker_classes(self) -> Ints:
        """``(paragraphs,)`` what the speakers were introduced as, and whether that was here; 0 where nobody speaks."""
        rows = len(self.lengths)
        row, token = self._introducing
        found = (np.bincount(row, minlength=rows) > 0).astype(np.int64)
        here = self.row[token] == row
        classes = found + 8 * (np.bincount(row[here], minlength=rows) > 0)
        for place, flag in enumerate(("office", "expertise", "private")):
            classes += (np.bincount(row[self._has(flag)[token]], minlength=rows) > 0) << (place + 4)
        return classes


def mix(numbers: Ints) -> Hashes:
    """Spreads small whole numbers over 64 bits (the finaliser of SplitMix64: Steele, Lea and Flood, 2014)."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
