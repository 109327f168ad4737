"""Plain text: paragraphs between blank lines, at exact offsets, and the dated format of the seed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import islice
from typing import Any

from nutgraf_data.article import MAX_PARAGRAPHS, Article, Origin, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.readers.encoding import LINE_END, read_decoded
from nutgraf_data.readers.source import Source

__all__ = ["paragraph_spans", "read_text", "read_text_file"]

_MARK = "\ufeff"
_DATED = re.compile(rf"{_MARK}?\s*date ([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})\s+")


def read_text(
    text: str,
    *,
    id: str = "article",
    lines: bool = False,
    headline: str | None = None,
    published: str | None = None,
    outlet: str | None = None,
    extra: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
) -> Article:
    r"""Makes an article of plain text; ``article.source`` is that text, unchanged.

    Paragraphs stand between lines of nothing but whitespace; lines end with ``\n``, ``\r\n`` or
    ``\r``. Whitespace at a paragraph's ends and a byte order mark before the first one stand
    outside of it; its inner line breaks are kept. With ``lines``, every line is a paragraph.

    A text may begin as the seed does, with ``date YYYY-MM-DD`` and the first paragraph after it. That
    date becomes ``published``, unless another one is given here: then it is left in the text.

    Raises:
        DataError: no text in it, or as ``Article``.
    """
    if not isinstance(text, str):
        raise DataError(f"the text of an article is a {type(text).__name__}, expected a str")
    start = len(_MARK) if text.startswith(_MARK) else 0
    if (dated := _DATED.match(text)) is not None and published in (None, dated[1]) and _is_date(dated[1]):
        published, start = dated[1], dated.end()
    return Article(
        id=id,
        paragraphs=tuple(
            Paragraph(text[a:b], a, b) for a, b in islice(paragraph_spans(text, start, lines=lines), MAX_PARAGRAPHS + 1)
        ),
        source=text,
        headline=headline,
        published=published,
        outlet=outlet,
        extra=extra or {},
        origin=origin,
    )


def read_text_file(
    source: Source, *, encoding: str | None = None, lines: bool = False, report: Callable[[DataError], None]
) -> Iterator[Article]:
    """Yields the one article of a text file, under the file's stem; ``report`` gets what went wrong."""
    try:
        article = read_text(read_decoded(source, encoding), id=source.stem, lines=lines, origin=Origin(source.path))
    except DataError as error:
        report(error)
        return
    yield article


def paragraph_spans(text: str, start: int = 0, *, lines: bool = False) -> Iterator[tuple[int, int]]:
    """Start and end of each paragraph from ``start`` on, without the whitespace around it; linear time.

    Args:
        lines: whether a paragraph ends with its line, and not only at a blank one.
    """
    first = last = None  # where the open paragraph began, and the end of its last line so far
    for a, b in _line_spans(text, start):
        line = text[a:b].rstrip()
        if line:
            if first is None:
                first = b - len(text[a:b].lstrip())
            last = a + len(line)
        if (lines or not line) and first is not None and last is not None:
            yield first, last
            first = last = None
    if first is not None and last is not None:
        yield first, last


def _line_spans(text: str, start: int) -> Iterator[tuple[int, int]]:
    for end in LINE_END.finditer(text, start):
        yield start, end.start()
        start = end.end()
    yield start, len(text)


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
