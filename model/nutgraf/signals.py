"""Signals of a paragraph: what can be counted in it, given where it stands and what the lead said.

A signal is a small whole number; every value of it becomes a feature of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.lexicon import FLAGS, MONTHS, Lexicon, bit

__all__ = ["SIGNALS", "Passage", "date_words"]

#: Blocks of signals.
SIGNALS = ("position", "speech", "classes", "dates", "countries", "overlap", "combination")

_WINDOW = 4  # tokens around a verb of saying
_COUNTED = [bit(flag) for flag in FLAGS if not flag.endswith("_quote")]
_SPEAKERS = [bit(flag) for flag in ("office", "expertise", "private", "first_person", "third_person", "capitalised")]

Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]


class Passage:
    """The tokens of consecutive paragraphs, flat.

    Attributes:
        row: ``(tokens,)`` the paragraph of each token.
        hashes, flags, country: ``(tokens,)`` from the lexicon.
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
        self.country: Ints = lexicon.countries[flat].astype(np.int64)
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
    def place_from_end(self) -> Ints:
        """``(tokens,)`` the place of each token counted from the end of its paragraph, from 0."""
        return self.lengths[self.row] - 1 - self.place

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

    def _has(self, flag: str) -> NDArray[np.bool_]:
        return (self.flags >> np.uint32(bit(flag)) & np.uint32(1)).astype(np.bool_)

    def signals(
        self, *, first: int, total: int, lead: Hashes, headline: Hashes, dates: Hashes | None
    ) -> dict[str, Ints]:
        """The blocks of ``SIGNALS``, each ``(paragraphs, signals of the block)``.

        Args:
            first: the place of the first paragraph in its article, from 0.
            total: the number of paragraphs in the article.
            lead, headline: hashes of their words.
            dates: hashes of ``date_words`` of the day of publication, or None where it is not known.
        """
        rows, length = len(self.lengths), self.lengths
        index = np.arange(first, first + rows)
        last = total - 1 - index
        position = np.column_stack(
            [
                np.minimum(index, 12),
                np.minimum(last, 6),
                index * 8 // total,
                np.full(rows, min(total, 40) // 5),
                np.minimum(np.log2(length + 1) * 2, 20).astype(np.int64),
            ]
        )
        flags = np.unpackbits(self.flags.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
        counts = np.add.reduceat(flags, self.starts, axis=0, dtype=np.int64)
        near = np.add.reduceat(flags * self.near_saying[:, None], self.starts, axis=0, dtype=np.int64)
        quoted, said = self._sum(self.inside), self._sum(self.saying)
        opens = self.flags[self.starts] >> np.uint32(bit("straight_quote")) & np.uint32(3)
        speech = np.column_stack(
            [
                np.minimum(6 * quoted // length + (quoted > 0), 6),
                opens != 0,
                np.minimum(self.marks, 6),
                np.minimum(said, 4),
                np.minimum(near[:, _SPEAKERS], 3),
            ]
        )
        classes = np.column_stack(
            [np.minimum(counts[:, _COUNTED], 5), np.minimum(counts[:, _COUNTED] * 20 // length[:, None], 8)]
        )
        in_lead = np.isin(self.hashes, lead)
        share = 10 * self._sum(in_lead) // length
        overlap = np.column_stack([share, np.minimum(self._sum(np.isin(self.hashes, headline)), 8)])
        day = self._has("day")
        of_lead = [np.minimum(self._sum(day & in_lead), 2), np.minimum(self._sum(day & ~in_lead), 2)]
        if dates is None:
            of_date = [np.full(rows, -1)] * 4
        else:
            same = np.isin(self.hashes, dates)
            of_date = [
                np.minimum(self._sum(self._has(flag) & (same if here else ~same)), 2)
                for flag in ("month", "year")
                for here in (True, False)
            ]
        states = self._countries()
        combined = np.minimum(np.minimum(said, 2) + 3 * (quoted > 0.3 * length) + 6 * (quoted > 0.7 * length), 11)
        place = np.minimum(index, 4) + 5 * (last == 0)
        voice = np.minimum(counts[:, bit("expertise")] + 3 * counts[:, bit("private")], 5)
        speaker = combined * 20 + np.minimum(counts[:, bit("office")], 2) * 6 + voice
        year = np.minimum(counts[:, bit("year")], 1)
        blocks = {
            "position": position,
            "speech": speech,
            "classes": classes,
            "dates": np.column_stack([*of_lead, *of_date, of_lead[0] * 3 + of_lead[1]]),
            "countries": np.column_stack([np.minimum(states, 5), np.minimum(states, 3) * 20 + combined]),
            "overlap": overlap,
            "combination": np.column_stack(
                [
                    combined * 20 + place,
                    _shift(combined, 1) * 20 + combined,
                    _shift(combined, -1) * 20 + combined,
                    speaker,
                    _shift(speaker, 1),
                    _shift(speaker, -1),
                    year * 20 + place,
                    share * 20 + place,
                ]
            ),
        }
        return {name: table.astype(np.int64) for name, table in blocks.items()}

    def _countries(self) -> Ints:
        """``(paragraphs,)`` how many different countries are named."""
        named = self.country > 0
        pairs = np.unique((self.row[named] << 16) | self.country[named])
        return np.bincount(pairs >> 16, minlength=len(self.lengths))


def date_words(published: str) -> str:
    """The words by which an article calls the month and the year of an ISO 8601 date: ``2024 april apr``."""
    return f"{published[:4]} {MONTHS[int(published[5:7]) - 1]}" if published[5:7].isdigit() else published[:4]


def _shift(values: Ints, by: int) -> Ints:
    """Values of the paragraph ``by`` places before; -1 where there is none."""
    moved = np.full(len(values), -1, dtype=np.int64)
    if by > 0:
        moved[by:] = values[:-by]
    else:
        moved[:by] = values[-by:]
    return moved
