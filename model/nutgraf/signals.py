"""What can be told of a paragraph from its tokens, where it stands, and what was said before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.lexicon import FLAGS, Lexicon, bit

__all__ = ["SIGNALS", "Passage", "mix"]

#: Blocks of signals. A signal is a small whole number, and every value of it becomes a feature of its own.
SIGNALS = ("position", "speech", "speaker", "classes", "overlap", "combination")

_NEAR = 4  # tokens around a verb of saying
_AROUND = 6  # tokens around a name where it is first mentioned
_COUNTED = [bit(flag) for flag in FLAGS if not flag.endswith("_quote")]
_SPEAKERS = [bit(flag) for flag in ("office", "expertise", "private", "first_person", "third_person", "capitalised")]
_NO_NAME = ("office", "saying", "first_person", "third_person", "day", "month")

Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]


class Passage:
    """The tokens of consecutive paragraphs, flat.

    Args:
        tokens: ``(paragraphs)(tokens)`` rows of the lexicon, at least one a paragraph.
        lexicon: where they are rows of.

    Attributes:
        row: ``(tokens,)`` the paragraph of each token.
        hashes, flags: ``(tokens,)`` from the lexicon.
        starts, lengths: ``(paragraphs,)`` where each paragraph begins, and its number of tokens.
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
        _, first, number = np.unique(self.hashes[names], return_index=True, return_inverse=True)
        speaks = self.near_saying[names]
        row, mention = self.row[names[speaks]], names[first[number[speaks]]]

        rows = np.arange(len(self.lengths))
        named = np.bincount(row, minlength=len(rows)) > 0
        said = self._sum(self.saying) > 0
        mostly = 2 * self._sum(self.inside) > self.lengths
        goes_on = ~named & ((self._sum(self._has("third_person") & self.near_saying) > 0) | (mostly & ~said))
        ends = said & ~named & ~goes_on
        source = np.maximum.accumulate(np.where(named | ends, rows, -1))
        goes_on &= (source >= 0) & named[source]
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

    def signals(self, headline: Hashes) -> dict[str, Ints]:
        """The blocks of ``SIGNALS``, each ``(paragraphs, signals of the block)``.

        Args:
            headline: hashes of its words.
        """
        rows, length = len(self.lengths), self.lengths
        index = np.arange(rows)
        last = rows - 1 - index
        flags = np.unpackbits(self.flags.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        counts = np.add.reduceat(flags, self.starts, axis=0, dtype=np.int64)
        near = np.add.reduceat(flags * self.near_saying[:, None], self.starts, axis=0, dtype=np.int64)
        quoted, said = self._sum(self.inside), self._sum(self.saying)
        share = 10 * self._sum(_among(self.hashes, self.hashes[: length[0]])) // length
        named = self._sum(_among(self.hashes, headline))
        opens = self.flags[self.starts] >> np.uint32(bit("straight_quote")) & np.uint32(7)  # straight, opening, low
        run, before, after = self._longest_quote, *self._attribution_place
        manner = np.minimum(said, 2) + 3 * (quoted > 0.3 * length) + 6 * (quoted > 0.7 * length)
        place = np.minimum(index, 4) + 5 * (last == 0)
        voice = np.minimum(counts[:, bit("expertise")] + 3 * counts[:, bit("private")], 5)
        who = manner * 20 + np.minimum(counts[:, bit("office")], 2) * 6 + voice
        return {
            "position": np.column_stack(
                [
                    np.minimum(index, 12),
                    np.minimum(last, 6),
                    index * 8 // rows,
                    np.full(rows, min(rows, 40) // 5),
                    np.minimum(np.log2(length + 1) * 2, 20).astype(np.int64),
                ]
            ),
            "speech": np.column_stack(
                [
                    np.minimum(6 * quoted // length + (quoted > 0), 6),
                    opens != 0,
                    np.minimum(self.marks, 6),
                    np.minimum(said, 4),
                    np.minimum(near[:, _SPEAKERS], 3),
                    run,
                    before,
                    after,
                    run * 20 + before,
                    before * 20 + after,
                    (np.minimum(run, 6) * 6 + before) * 3 + np.minimum(index, 2),
                    after * 3 + np.minimum(index, 2),
                ]
            ),
            "speaker": self._speaker_classes[:, None],
            "classes": np.column_stack(
                [np.minimum(counts[:, _COUNTED], 5), np.minimum(counts[:, _COUNTED] * 20 // length[:, None], 8)]
            ),
            "overlap": np.column_stack([share, np.minimum(named, 8)]),
            "combination": np.column_stack(
                [
                    manner * 20 + place,
                    _shift(manner, 1) * 20 + manner,
                    _shift(manner, -1) * 20 + manner,
                    who,
                    _shift(who, 1),
                    _shift(who, -1),
                    np.minimum(counts[:, bit("year")], 1) * 20 + place,
                    share * 20 + place,
                ]
            ),
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


def _among(hashes: Hashes, some: Hashes) -> Bools:
    """Which hashes are among some, by their last 16 bits: ten times as fast as ``numpy.isin`` at this size."""
    low = np.uint64(0xFFFF)
    marked = np.zeros(1 << 16, dtype=np.bool_)
    marked[some & low] = True
    found: Bools = marked[hashes & low]
    return found


def _shift(values: Ints, by: int) -> Ints:
    """Values of the paragraph ``by`` places before; -1 where there is none."""
    moved = np.full(len(values), -1, dtype=np.int64)
    if by > 0:
        moved[by:] = values[:-by]
    else:
        moved[:by] = values[-by:]
    return moved
