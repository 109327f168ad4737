"""Splits of a corpus into training and held-out articles that share no text."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nutgraf_data.article import Article
from nutgraf_data.duplicates import merge_groups, near_duplicates
from nutgraf_data.errors import DataError
from nutgraf_data.files import write_text_atomically

__all__ = ["HELD_OUT", "TRAIN", "By", "Split", "corpus_fingerprint", "folds", "make_split"]

TRAIN, HELD_OUT = "train", "held_out"

#: What is kept on one side: an article, all articles of an outlet, or the newest articles.
By = Literal["article", "outlet", "date"]

_FORMAT, _VERSION = "nutgraf-split", 1


@dataclass(frozen=True, slots=True)
class Split:
    """Which articles train and which are held out.

    Attributes:
        parts: ``"train"`` and ``"held_out"`` → article ids, sorted.
        by: what was kept together.
        seed: of the order in which articles were drawn.
        held_out: the share of paragraphs that was asked for, 0 to 1.
        fingerprint: of the ids and texts that were split (not of their labels, which may be corrected).
        notes: what a report has to say about it.
    """

    parts: Mapping[str, tuple[str, ...]]
    by: By
    seed: int
    held_out: float
    fingerprint: str
    notes: tuple[str, ...] = ()

    def apply(self, articles: Iterable[Article]) -> dict[str, list[Article]]:
        """The articles of each part, in the order of the corpus.

        Raises:
            DataError: the corpus is not the one that was split: articles are missing, unknown or their
                texts have changed, or an id occurs twice.
        """
        articles = list(articles)
        _check_ids(articles)
        part_of = {id: part for part, ids in self.parts.items() for id in ids}
        here = {article.id for article in articles}
        hint = "split the corpus again, or give the corpus that the split was made from"
        for ids, found in (
            (part_of.keys() - here, "of the split are not in the corpus"),
            (here - part_of.keys(), "of the corpus are not in the split"),
        ):
            if ids:
                raise DataError(f"{len(ids)} article(s) {found}, the first {min(ids)!r}", hint=hint)
        if corpus_fingerprint(articles) != self.fingerprint:
            raise DataError("the corpus has the same ids as the split but other texts", hint=hint)
        return {part: [a for a in articles if part_of[a.id] == part] for part in self.parts}

    def summary(self, articles: Iterable[Article]) -> list[dict[str, Any]]:
        """One row a part: ``{"part", "articles", "paragraphs", "share", "labels": {label: count}}``.

        Raises:
            DataError: as ``apply``.
        """
        parts = self.apply(articles)
        total = sum(_size(members) for members in parts.values())
        rows: list[dict[str, Any]] = []
        for part, members in parts.items():
            labels = Counter(p.label for article in members for p in article.paragraphs if p.label is not None)
            size = _size(members)
            row = {"part": part, "articles": len(members), "paragraphs": size, "share": size / total}
            rows.append({**row, "labels": dict(sorted(labels.items()))})
        return rows

    def save(self, path: str | Path) -> None:
        """Writes the split as a small JSON file, atomically.

        Raises:
            DataError: the file cannot be written.
        """
        record = {
            "format": _FORMAT,
            "version": _VERSION,
            "by": self.by,
            "seed": self.seed,
            "held_out_share": self.held_out,
            "fingerprint": self.fingerprint,
            "notes": list(self.notes),
            "parts": {part: list(ids) for part, ids in self.parts.items()},
        }
        write_text_atomically(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Split:
        """Reads what ``save`` wrote.

        Raises:
            DataError: the file is missing, no split, of another version or malformed.
        """
        path = Path(path)
        try:
            record: Any = json.loads(path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}", path=path) from None
        except (ValueError, RecursionError) as error:
            raise DataError(f"is not valid JSON: {error}", path=path) from None
        if not isinstance(record, dict) or record.get("format") != _FORMAT:
            raise DataError(f'is no split, expected "format": "{_FORMAT}"', path=path)
        if record.get("version") != _VERSION:
            raise DataError(
                f"has version {record.get('version')!r}, expected {_VERSION}", path=path, hint="use a newer nutgraf"
            )
        try:
            parts = {part: tuple(record["parts"][part]) for part in (TRAIN, HELD_OUT)}
            ids = [id for members in parts.values() for id in members]
            if not all(isinstance(id, str) for id in ids) or len(set(ids)) < len(ids) or len(record["parts"]) != 2:
                raise ValueError("ids must be strings, each in one of the parts 'train' and 'held_out'")
            if record["by"] not in get_args(By):
                raise ValueError(f"by is {record['by']!r}")
            return cls(
                parts,
                record["by"],
                int(record["seed"]),
                float(record["held_out_share"]),
                str(record["fingerprint"]),
                tuple(str(note) for note in record.get("notes", ())),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"is malformed: {error}", path=path, hint="split the corpus again") from None


def corpus_fingerprint(articles: Iterable[Article]) -> str:
    """SHA-256 of the ids and paragraph texts of a corpus, in hexadecimal, whatever the order of its articles."""
    records = sorted(json.dumps([a.id, *(p.text for p in a.paragraphs)]) for a in articles)
    return hashlib.sha256("\n".join(records).encode()).hexdigest()


def make_split(articles: Iterable[Article], *, by: By = "article", held_out: float = 0.1, seed: int = 0) -> Split:
    """Holds out about a share of the paragraphs; near-duplicate articles never straddle.

    The result depends on the articles, the seed and the share, not on the order of the corpus or the
    machine. Groups of articles that must stay together are drawn in an order that the seed gives; one that
    would overshoot the share is passed over.

    Args:
        by: ``"article"``: groups are near-duplicates. ``"outlet"``: besides, all articles of an outlet;
            an article without outlet stands for itself. ``"date"``: the newest articles are held out,
            a group of near-duplicates goes by its newest, and articles without a date train.
        held_out: the share of paragraphs to hold out, above 0 and below 1.

    Raises:
        DataError: an id occurs twice, the share is out of range, no article has a date, or everything
            belongs together so that nothing can be held out.
        MissingExtraError: datasketch is not installed.
    """
    articles = list(articles)
    _check_ids(articles)
    if by not in get_args(By):
        raise DataError(f"by is {by!r}, expected one of {', '.join(get_args(By))}")
    if not 0 < held_out < 1:
        raise DataError(f"held_out is {held_out}, expected a share above 0 and below 1")
    pairs = [(i, j) for i, j, _ in near_duplicates(articles)]
    notes = [f"{len(pairs)} pairs of near-duplicate articles were kept together"] if pairs else []
    if by == "outlet":
        first: dict[str, int] = {}
        pairs += [
            (first.setdefault(a.outlet, number), number) for number, a in enumerate(articles) if a.outlet is not None
        ]
        if unknown := sum(a.outlet is None for a in articles):
            notes.append(f"{unknown} articles without outlet were drawn one by one")
    groups = _groups(articles, pairs, seed)
    if by == "date":
        if undated := sum(a.published is None for a in articles):
            notes.append(f"{undated} articles without date train, unless a near-duplicate with a date is held out")
        groups = [group for group in groups if _newest(articles, group)]
        # A stable sort: the seed decides between articles of one day.
        groups.sort(key=lambda group: _newest(articles, group), reverse=True)
    held = _draw(
        [(group, _size(articles, group)) for group in groups],
        held_out * _size(articles),
        limit=len(articles),
        in_turn=by == "date",
    )
    if not held:
        raise DataError(
            f"cannot hold out {held_out:.0%} of {len(articles)} articles by {by}: "
            + (f"they form {len(groups)} group(s)" if groups else "no article has a date"),
            hint="add articles" if by == "article" else "split by article, or add articles",
        )
    if by == "date":
        days = sorted(filter(None, (_newest(articles, group) for group in groups if held & set(group))))
        notes.append(f"held out: {days[0]} to {days[-1]}")
    if by == "outlet":
        outlets = sorted({articles[number].outlet or "(none)" for number in held})
        notes.append(f"held out: {', '.join(outlets[:20])}" + (" …" if len(outlets) > 20 else ""))
    parts = {
        TRAIN: tuple(sorted(a.id for number, a in enumerate(articles) if number not in held)),
        HELD_OUT: tuple(sorted(articles[number].id for number in held)),
    }
    return Split(parts, by, seed, held_out, corpus_fingerprint(articles), tuple(notes))


def folds(articles: Iterable[Article], n: int, seed: int = 0) -> list[list[int]]:
    """Splits a corpus into folds of about the same number of paragraphs, for cross-fitting.

    Args:
        n: how many, at least 2; a corpus with fewer groups of articles that share text gives one a group.

    Returns:
        lists of article numbers, each sorted; near-duplicates share a fold. Folds differ by no more
        paragraphs than the largest group has.

    Raises:
        DataError: an id occurs twice, there are fewer than two groups of articles, or ``n`` is below 2.
        MissingExtraError: datasketch is not installed.
    """
    articles = list(articles)
    _check_ids(articles)
    groups = _groups(articles, [(i, j) for i, j, _ in near_duplicates(articles)], seed)
    if n < 2 or len(groups) < 2:
        raise DataError(
            f"cannot make {n} folds of {len(articles)} articles in {len(groups)} groups without shared text",
            hint="expected at least two folds and two such groups",
        )
    made: list[list[int]] = [[] for _ in range(min(n, len(groups)))]
    sizes = [0] * len(made)
    for group in groups:
        smallest = sizes.index(min(sizes))
        made[smallest] += group
        sizes[smallest] += _size(articles, group)
    return [sorted(fold) for fold in made]


def _check_ids(articles: Sequence[Article]) -> None:
    seen: set[str] = set()
    for article in articles:
        if article.id in seen:
            raise article.error("this id occurs twice", hint="give each article an id of its own")
        seen.add(article.id)


def _groups(articles: Sequence[Article], pairs: Sequence[tuple[int, int]], seed: int) -> list[list[int]]:
    """Article numbers that must stay together, in an order that depends on ids and seed alone."""
    groups: dict[int, list[int]] = {}
    for number, group in enumerate(merge_groups(len(articles), pairs)):
        groups.setdefault(group, []).append(number)

    def rank(number: int) -> bytes:
        return hashlib.sha256(f"{seed}\0{articles[number].id}".encode()).digest()

    return sorted(groups.values(), key=lambda group: min(map(rank, group)))


def _size(articles: Sequence[Article], group: Iterable[int] | None = None) -> int:
    return sum(len(articles[number].paragraphs) for number in (range(len(articles)) if group is None else group))


def _newest(articles: Sequence[Article], group: Iterable[int]) -> str:
    return max((articles[number].published or "")[:10] for number in group)


def _draw(groups: Sequence[tuple[list[int], int]], target: float, *, limit: int, in_turn: bool) -> set[int]:
    """Takes groups until their paragraphs come nearest to the target, but fewer than ``limit`` articles.

    With ``in_turn`` none is passed over. Where every group is larger than the target, one is taken nonetheless.
    """
    held: set[int] = set()
    size = 0
    passed: list[tuple[list[int], int]] = []
    for group, paragraphs in groups:
        if len(held) + len(group) >= limit:
            continue
        if size + (paragraphs / 2 if in_turn else paragraphs) <= target or (in_turn and not held):
            held.update(group)
            size += paragraphs
        elif in_turn:
            break
        else:
            passed.append((group, paragraphs))
    # One group over the target may come nearer to it, and something has to be held out.
    for group, paragraphs in sorted(passed, key=lambda given: given[1])[:1]:
        if len(held) + len(group) < limit and (not held or size + paragraphs / 2 < target):
            held.update(group)
    return held
