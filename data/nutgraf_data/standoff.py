"""Stand-off labels: the labels of a corpus without its text, and how to join them to texts again.

News belongs to its outlets, so what ships is a hash for each paragraph. A file is JSON lines: a
header, then one record an article::

    {"format": "nutgraf-standoff", "version": 1, "normalisation": "nutgraf-1", "articles": 416, "paragraphs": 6170}
    {"id": …, "published": …, "outlet": …, "topic": …, "source": {"repository": …, "path": …},
     "paragraphs": [{"sha256": "…", "label": "background", "alt": "analysis"}, …]}

``sha256`` is the SHA-256 of the UTF-8 bytes of ``normalise(text)``; ``alt`` is left out where there
is none. Headlines are text and stay out.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nutgraf_data.article import Article, Origin, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.files import write_text_atomically

__all__ = [
    "NORMALISATION",
    "JoinResult",
    "Missing",
    "StandoffParagraph",
    "StandoffRecord",
    "join",
    "normalise",
    "paragraph_hash",
    "read_standoff",
    "write_standoff",
]

#: The name of what ``normalise`` does. Another normalisation gets another name.
NORMALISATION = "nutgraf-1"

_FORMAT, _VERSION = "nutgraf-standoff", 1
_NO_WORD = re.compile(r"[\W_]+")
_HASH = re.compile("[0-9a-f]{64}")
_BLANKS = re.compile(r"\s+")
_SENTENCE_ENDS, _CLOSERS = ".!?:;", "\"'”’)]"


def normalise(text: str) -> str:
    """``nutgraf-1``: the text's letters and digits alone.

    HTML entities are resolved, then Unicode NFKC, case folding and NFKC again, then everything but
    letters and digits is dropped: spaces, punctuation, symbols, invisible characters. So quote marks,
    dashes, spacing and line breaks of a re-extracted text do not matter, and the paragraphs of a text
    that was cut more finely simply add up. Text without any letter or digit loses only its spaces.
    """
    if "&" in text:
        text = html.unescape(text)
    if text.isascii():
        folded = text.lower()
    else:
        folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _NO_WORD.sub("", folded) or "".join(folded.split())


def paragraph_hash(text: str) -> str:
    """The SHA-256 of the normalised text, in hexadecimal."""
    return hashlib.sha256(normalise(text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class StandoffParagraph:
    """A paragraph without its text: 64 hexadecimal digits and its labels."""

    sha256: str
    label: str | None
    alt: str | None = None


@dataclass(frozen=True, slots=True)
class StandoffRecord:
    """An article without its text; ``line`` is its line in the file, from 1."""

    id: str
    paragraphs: tuple[StandoffParagraph, ...]
    published: str | None = None
    outlet: str | None = None
    topic: str | None = None
    source: Mapping[str, Any] | None = None
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Missing:
    """What was not found of one record.

    Attributes:
        id: the record's.
        indices: its paragraphs that were not found, from 0.
        total: how many paragraphs it has.
        kept: whether the article is in the result without them; if not, all its paragraphs are left out.
    """

    id: str
    indices: tuple[int, ...]
    total: int
    kept: bool


@dataclass(frozen=True, slots=True)
class JoinResult:
    """A labelled corpus rebuilt from a user's texts.

    Attributes:
        articles: the joined articles, in the order of the labels.
        matched: paragraphs in ``articles``; those found in articles that were left out do not count.
        total: paragraphs of the labels.
        missing: every record of which something was not found, in the order of the labels.
    """

    articles: list[Article]
    matched: int
    total: int
    missing: list[Missing]

    def summary(self) -> str:
        """How much was found, in a few lines."""
        share = 100 * self.matched / self.total if self.total else 0.0
        partial = [m for m in self.missing if m.kept]
        absent = [m for m in self.missing if not m.kept and len(m.indices) == m.total]
        dropped = [m for m in self.missing if not m.kept and len(m.indices) < m.total]
        records = len(self.articles) + len(absent) + len(dropped)
        lines = [
            f"{self.matched:,} of {self.total:,} paragraphs joined ({share:.1f} %), "
            f"{len(self.articles):,} of {records:,} articles"
        ]
        if partial:
            lines.append(f"{len(partial):,} of them lack {sum(len(m.indices) for m in partial):,} paragraphs")
        if dropped:
            found = sum(m.total - len(m.indices) for m in dropped)
            lines.append(f"{len(dropped):,} articles left out: too little of them found ({found:,} paragraphs)")
        if absent:
            lines.append(f"{len(absent):,} articles not found, the first {absent[0].id!r}")
        return "\n".join(lines)


def write_standoff(articles: Iterable[Article], path: str | Path) -> None:
    """Writes the labels of a corpus, atomically; the same corpus gives the same bytes.

    Of an article's further fields only ``topic`` and ``source`` are kept, and of ``source`` only
    ``repository`` and ``path``: any other could hold text.

    Raises:
        DataError: two articles have the same id, or the file cannot be written.
    """
    lines, seen, count = [], set[str](), 0
    for article in articles:
        if article.id in seen:
            raise article.error("this id occurs twice", hint="ids must be unique in a corpus")
        seen.add(article.id)
        source = article.extra.get("source")
        record = {
            "id": article.id,
            "published": article.published,
            "outlet": article.outlet,
            "topic": article.extra.get("topic"),
            "source": {key: source[key] for key in ("repository", "path") if key in source}
            if isinstance(source, Mapping)
            else None,
            "paragraphs": [
                {"sha256": paragraph_hash(p.text), "label": p.label} | ({"alt": p.alt} if p.alt is not None else {})
                for p in article.paragraphs
            ],
        }
        lines.append(_dump(record))
        count += len(article.paragraphs)
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "normalisation": NORMALISATION,
        "articles": len(lines),
        "paragraphs": count,
    }
    write_text_atomically(path, "\n".join([_dump(header), *lines]) + "\n")


def _dump(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))


def read_standoff(path: str | Path) -> list[StandoffRecord]:
    """Reads a file of stand-off labels.

    Raises:
        DataError: the file is missing, is no such file, has another version or normalisation, is cut
            short, or a record is malformed or repeats an id; the error names the line.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path=path) from None
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8: {error.reason} at byte {error.start}", path=path) from None
    header = _object(lines[0], path, 1)
    if header.get("format") != _FORMAT:
        raise DataError(
            f'expected a header with "format": "{_FORMAT}"', path=path, line=1, hint="give the labels first, then texts"
        )
    for key, known in (("version", _VERSION), ("normalisation", NORMALISATION)):
        if header.get(key) != known:
            raise DataError(
                f"{key} is {header.get(key)!r}, expected {known!r}", path=path, line=1, hint="use a newer nutgraf"
            )
    records, seen = [], set[str]()
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        record = _record(_object(line, path, number), path, number)
        if record.id in seen:
            raise DataError(f"the id {record.id!r} occurs twice", path=path, line=number)
        seen.add(record.id)
        records.append(record)
    if header.get("articles", len(records)) != len(records):
        raise DataError(
            f"has {len(records)} records, its header says {header['articles']}", path=path, hint="get the file again"
        )
    return records


def _object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"is not valid JSON: {error}", path=path, line=number) from None
    if not isinstance(value, dict):
        raise DataError(f"expected a JSON object, found {type(value).__name__}", path=path, line=number)
    return value


def _record(value: dict[str, Any], path: Path, number: int) -> StandoffRecord:
    def fail(message: str) -> DataError:
        return DataError(message, path=path, line=number)

    if not isinstance(value.get("id"), str):
        raise fail(f"id is {value.get('id')!r}, expected a string")
    for key in ("published", "outlet", "topic"):
        if not isinstance(value.get(key), str | None):
            raise fail(f"{key} is {value[key]!r}, expected a string or null")
    if not isinstance(value.get("source"), dict | None):
        raise fail("source is no object")
    rows = value.get("paragraphs")
    if not isinstance(rows, list) or not rows:
        raise fail("has no list 'paragraphs'")
    for index, row in enumerate(rows):
        if not isinstance(row, dict) or not isinstance(row.get("sha256"), str) or not _HASH.fullmatch(row["sha256"]):
            raise fail(f"paragraph {index} has no 'sha256' of 64 hexadecimal digits")
        if not isinstance(row.get("label"), str | None) or not isinstance(row.get("alt"), str | None):
            raise fail(f"paragraph {index}: label and alt have to be strings or null")
    return StandoffRecord(
        id=value["id"],
        paragraphs=tuple(StandoffParagraph(row["sha256"], row.get("label"), row.get("alt")) for row in rows),
        published=value.get("published"),
        outlet=value.get("outlet"),
        topic=value.get("topic"),
        source=value.get("source"),
        line=number,
    )


def join(
    labels_path: str | Path, articles: Iterable[Article], *, min_share: float = 0.8, longest_run: int = 16
) -> JoinResult:
    """Joins stand-off labels to the texts that a user has.

    Articles are found by the hashes of their paragraphs, never by id or path. Paragraphs need not be
    cut alike: up to ``longest_run`` consecutive paragraphs of the user's (sentences, lines) together
    may make one of ours, and one of the user's may hold several of ours if they part at a line or
    sentence end. The text stays the user's own; paragraphs that were joined are joined by a space.

    Args:
        articles: the texts, in any order, read once; labels they carry are ignored.
        min_share: an article of which less was found is left out, because the role of a paragraph
            depends on what stands around it. Between that and 1 it is kept without what is missing.

    Raises:
        DataError: the labels cannot be read, or ``min_share`` or ``longest_run`` is out of range.
    """
    if not 0 < min_share <= 1 or longest_run < 1:
        raise DataError(f"min_share is {min_share}, longest_run {longest_run}; expected 0 < min_share <= 1 <= run")
    records = read_standoff(labels_path)
    index: dict[bytes, list[tuple[int, int]]] = defaultdict(list)
    for number, record in enumerate(records):
        for position, paragraph in enumerate(record.paragraphs):
            index[bytes.fromhex(paragraph.sha256)].append((number, position))
    best: dict[int, tuple[Article, dict[int, str]]] = {}
    for article in articles:
        for number, found in _find(article, index, longest_run).items():
            if number not in best or len(found) > len(best[number][1]):
                best[number] = article, found
    made: list[Article] = []
    missing: list[Missing] = []
    matched = 0
    for number, record in enumerate(records):
        texts = best[number][1] if number in best else {}
        size = len(record.paragraphs)
        kept = len(texts) >= min_share * size
        if kept:
            made.append(_joined(record, best[number][0], texts, str(labels_path)))
            matched += len(texts)
        if len(texts) < size:
            missing.append(Missing(record.id, tuple(i for i in range(size) if i not in texts), size, kept))
    return JoinResult(made, matched, sum(len(record.paragraphs) for record in records), missing)


def _find(
    article: Article, index: Mapping[bytes, list[tuple[int, int]]], longest_run: int
) -> dict[int, dict[int, str]]:
    """For each record of which a paragraph occurs in the article: paragraph number → the user's text."""
    texts = [p.text for p in article.paragraphs]
    hits: dict[bytes, list[str]] = defaultdict(list)
    whole = set[int]()  # paragraphs of the user's that are, or belong to, one of ours
    for start, end, key in _runs(texts, longest_run):
        if key in index:
            hits[key].append(" ".join(texts[start:end]))
            whole.update(range(start, end))
    for number, text in enumerate(texts):
        if number not in whole:
            spans = _pieces(text)
            if len(spans) == 1:
                continue
            for start, end, key in _runs([text[a:b] for a, b in spans], longest_run):
                if key in index:
                    hits[key].append(text[spans[start][0] : spans[end - 1][1]])
    found: dict[int, dict[int, str]] = defaultdict(dict)
    for key, occurrences in hits.items():
        used: dict[int, int] = defaultdict(int)
        for number, position in index[key]:
            # A paragraph that an article has twice needs two of the user's.
            if used[number] < len(occurrences):
                found[number][position] = occurrences[used[number]]
                used[number] += 1
    return found


def _runs(texts: list[str], longest: int) -> Iterator[tuple[int, int, bytes]]:
    """Every run of up to ``longest`` texts as (start, end, hash), shorter runs of a start first."""
    pieces = [normalise(text) for text in texts]
    coded = [piece.encode() for piece in pieces]
    # Symbols alone ("* * *") count for nothing beside words, as normalise has it for the whole.
    worded = [piece[:1].isalnum() for piece in pieces]
    for start in range(len(coded)):
        yield start, start + 1, hashlib.sha256(coded[start]).digest()
        if not worded[start]:
            continue
        running = hashlib.sha256(coded[start])
        for end in range(start + 1, min(start + longest, len(coded))):
            if worded[end]:
                running.update(coded[end])
                yield start, end + 1, running.digest()


def _pieces(text: str) -> list[tuple[int, int]]:
    """Spans of the lines and sentences of a paragraph, without the spaces at their ends; linear time.

    There a paragraph of the user's may hold several of ours.
    """
    spans, start = [], 0
    for gap in _BLANKS.finditer(text):
        end = last = gap.start()
        while last > start and text[last - 1] in _CLOSERS:
            last -= 1
        if "\n" not in gap.group() and (last == start or text[last - 1] not in _SENTENCE_ENDS):
            continue
        if text[start:end].strip():
            spans.append((start, end))
        start = gap.end()
    if text[start:].strip():
        spans.append((start, len(text)))
    return spans


def _joined(record: StandoffRecord, article: Article, texts: Mapping[int, str], path: str) -> Article:
    extra = {"topic": record.topic, "source": record.source}
    return Article.from_paragraphs(
        [
            Paragraph(texts[position], 0, 0, paragraph.label, paragraph.alt)
            for position, paragraph in enumerate(record.paragraphs)
            if position in texts
        ],
        id=record.id,
        headline=article.headline,
        published=record.published or article.published,
        outlet=record.outlet or article.outlet,
        extra={key: value for key, value in extra.items() if value is not None},
        origin=article.origin or Origin(path, record.line),
    )
