"""The article and its paragraphs: what every reader makes and every tagger takes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from nutgraf_data.errors import DataError

__all__ = ["JOINER", "MAX_PARAGRAPHS", "Article", "Origin", "Paragraph"]

#: More paragraphs than any article has; a file that says otherwise would fill the memory.
MAX_PARAGRAPHS = 150_000

#: What stands between two paragraphs in the source of an article that came as a list of paragraphs.
JOINER = "\n\n"

_DAY = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]|$)")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an article was read: a file (or ``<stdin>``, or a data set's name) and its line, from 1."""

    path: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph of an article.

    Attributes:
        text: the paragraph exactly as it stands in the source, inner line breaks included.
        start, end: character offsets, so that ``article.source[start:end] == text``.
        label: the role that an annotator gave, or None.
        alt: a second label that a careful colleague could well have chosen, or None.
        extra: other columns or keys that came with the paragraph, untouched.
        line: the line of its file that it was read from, where paragraphs have their own.
    """

    text: str
    start: int
    end: int
    label: str | None = None
    alt: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Article:
    """A news article.

    Attributes:
        id: names the article in its corpus.
        paragraphs: at least one, in order, none of them blank.
        source: the text that paragraph offsets count in: the file's text where there was one, else
            the paragraphs joined by blank lines.
        headline: the headline, or None where it is not known.
        published: an ISO 8601 date or date and time (``2024-04-24``), or None.
        outlet: who published it, or None.
        extra: other fields of the record, untouched.
        origin: where it was read, for messages.

    Raises:
        DataError: a paragraph is blank, offsets do not fit the source, text is not valid Unicode, or
            the date is not ISO 8601.
    """

    id: str
    paragraphs: tuple[Paragraph, ...]
    source: str
    headline: str | None = None
    published: str | None = None
    outlet: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    origin: Origin | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.paragraphs:
            raise self.error("no paragraph was found", hint="an article needs at least one line of text")
        if len(self.paragraphs) > MAX_PARAGRAPHS:
            raise self.error(
                f"it has more than {MAX_PARAGRAPHS:,} paragraphs", hint="check that it is one article, and split it"
            )
        for name in ("id", "headline", "outlet"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or _SURROGATE.search(value)):
                raise DataError(f"the {name} of an article is {value!r}, expected valid Unicode text")
        if (bad := _SURROGATE.search(self.source)) is not None:
            raise self.error(
                f"the text holds a lone surrogate U+{ord(bad.group()):04X} at character {bad.start()}, "
                "which is not valid Unicode",
                hint="decode the original bytes again, or replace that character",
            )
        end = 0
        for index, paragraph in enumerate(self.paragraphs):
            if not paragraph.text.strip():
                raise self.error(
                    f"paragraph {index} is blank, expected text", line=paragraph.line, hint="remove it from the input"
                )
            if paragraph.start < end or self.source[paragraph.start : paragraph.end] != paragraph.text:
                raise self.error(
                    f"paragraph {index} does not stand at [{paragraph.start}:{paragraph.end}] of the source, in order"
                )
            end = paragraph.end
        if self.published is not None and not _is_iso_date(self.published):
            raise self.error(
                f"published is {self.published!r}, expected an ISO 8601 date such as 2024-04-24",
                hint="convert it, or leave the field out",
            )

    def error(self, message: str, *, line: int | None = None, hint: str | None = None) -> DataError:
        """A DataError that names this article and where it was read."""
        origin = self.origin
        return DataError(
            f"article {self.id!r}: {message}",
            path=None if origin is None else origin.path,
            line=line if line is not None else (None if origin is None else origin.line),
            hint=hint,
        )

    @classmethod
    def from_paragraphs(
        cls,
        paragraphs: Iterable[str | Paragraph],
        *,
        id: str = "article",
        headline: str | None = None,
        published: str | None = None,
        outlet: str | None = None,
        extra: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
    ) -> Article:
        """Builds an article whose source is its paragraphs joined by blank lines.

        Args:
            paragraphs: texts, or Paragraphs whose offsets are computed anew.

        Raises:
            DataError: as the class.
        """
        if isinstance(paragraphs, str):
            raise DataError(f"paragraphs must be a list of strings, found one string: {paragraphs[:60]!r}")
        placed, start = [], 0
        for given in paragraphs:
            if not isinstance(given, str | Paragraph):
                raise DataError(f"a paragraph is a {type(given).__name__}, expected a str or a Paragraph")
            p = given if isinstance(given, Paragraph) else Paragraph(given, 0, 0)
            placed.append(Paragraph(p.text, start, start + len(p.text), p.label, p.alt, p.extra, p.line))
            start += len(p.text) + len(JOINER)
        return cls(
            id=id,
            paragraphs=tuple(placed),
            source=JOINER.join(p.text for p in placed),
            headline=headline,
            published=published,
            outlet=outlet,
            extra=extra or {},
            origin=origin,
        )

    def to_json(self) -> dict[str, Any]:
        """The article as one record of JSON lines, the shape that ``read_articles`` reads back.

        Raises:
            DataError: another field that came with it has the name of one of ours.
        """
        record = {"id": self.id, "published": self.published, "outlet": self.outlet, "headline": self.headline}
        paragraphs = []
        for p in self.paragraphs:
            known = {"text": p.text, "label": p.label, "alt": p.alt}
            paragraphs.append({**self._beside(known, p.extra), **p.extra})
        return {**self._beside({**record, "paragraphs": None}, self.extra), **self.extra, "paragraphs": paragraphs}

    def _beside(self, known: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
        if taken := known.keys() & extra.keys():
            raise self.error(
                f"has a field {min(taken)!r} beside the column that was read as {min(taken)!r}",
                hint="rename one of them in the input",
            )
        return known


def _is_iso_date(text: str) -> bool:
    if not _DAY.match(text):  # dates are compared as strings, so weeks (2024-W17-3) will not do
        return False
    try:
        (date if len(text) == 10 else datetime).fromisoformat(text)
    except ValueError:
        return False
    return True
