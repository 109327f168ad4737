"""The values of a record, checked for their types; errors say what was found and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, TypedDict

from nutgraf_data.article import Paragraph
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.source import Source

__all__ = ["ArticleFields", "article_fields", "describe", "identifier", "paragraph_fields"]


class ArticleFields(TypedDict):
    """What an article has besides its id, its paragraphs and its extra."""

    headline: str | None
    published: str | None
    outlet: str | None


def describe(value: object) -> str:
    """What a value is, in the words of JSON, with the value itself where it is short."""
    match value:
        case None:
            found = "null"
        case bool():
            found = f"a boolean ({str(value).lower()})"
        case int() if abs(value) >= 10**20:
            found = "a number (of more than 20 digits)"
        case int() | float():
            found = f"a number ({value})"
        case "":
            found = "an empty string"
        case str():
            found = f"a string ({value[:40]!r})"
        case list() | tuple():
            found = "a list"
        case Mapping():
            found = "an object"
        case _:
            found = f"a value of type {type(value).__name__}"
    return found


def identifier(value: object, name: str, source: Source, line: int) -> str:
    """An article's id; an integer becomes its digits.

    Raises:
        DataError: it is neither a string that is not blank nor an integer.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise source.error(f"{name} is {describe(value)}, expected a string or an integer", line=line)
    if not value.strip():
        raise source.error(f"{name} is blank, expected the id of an article", line=line)
    return _valid(value, name, source, line)


def article_fields(record: Mapping[str, Any], columns: Columns, source: Source, line: int) -> ArticleFields:
    """``headline``, ``published`` and ``outlet`` of a record; dates become ISO 8601 strings.

    Raises:
        DataError: one of them is neither a string nor null.
    """
    published = record.get(columns.published)
    if isinstance(published, date):
        published = published.isoformat()
    return ArticleFields(
        headline=_optional(record.get(columns.headline), columns.headline, source, line),
        published=_optional(published, columns.published, source, line),
        outlet=_optional(record.get(columns.outlet), columns.outlet, source, line),
    )


def paragraph_fields(
    record: Mapping[str, Any],
    columns: Columns,
    source: Source,
    line: int,
    *,
    prefix: str = "",
    used: frozenset[str] = frozenset(),
) -> Paragraph:
    """The paragraph of a record, without offsets.

    Args:
        record: has the column of the text.
        prefix: stands before the names in messages (``paragraphs[3].``); without one, the record has a line of its own.
        used: further columns that are not the paragraph's.

    Raises:
        DataError: the text is not a string, or a label is neither null nor a string that is not blank.
    """
    text = record[columns.text]
    if not isinstance(text, str):
        raise source.error(f"{prefix}{columns.text} is {describe(text)}, expected a string", line=line)
    label, alt = (
        _label(record.get(column), f"{prefix}{column}", source, line) for column in (columns.label, columns.alt)
    )
    used |= {columns.text, columns.label, columns.alt}
    extra = {key: value for key, value in record.items() if key not in used}
    return Paragraph(text, 0, 0, label, alt, extra, None if prefix else line)


def _label(value: object, name: str, source: Source, line: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        found = "blank" if isinstance(value, str) and value else describe(value)
        raise source.error(
            f"{name} is {found}, expected the name of a label or null",
            line=line,
            hint="use null for a paragraph without a label",
        )
    return _valid(value, name, source, line)


def _optional(value: object, name: str, source: Source, line: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise source.error(f"{name} is {describe(value)}, expected a string or null", line=line)
    return _valid(value, name, source, line)


def _valid(value: str, name: str, source: Source, line: int) -> str:
    """The value, unless it holds half a surrogate pair, which no file could be written with."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise source.error(
            f"{name} holds a lone surrogate U+{ord(value[error.start]):04X} at character {error.start}, "
            "which is not valid Unicode",
            line=line,
            hint="decode the original bytes again, or replace that character",
        ) from None
    return value
