"""JSON: one record a line, or a document that is a list of records or a single one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.encoding import read_decoded, read_lines
from nutgraf_data.readers.records import read_records
from nutgraf_data.readers.source import Source

__all__ = ["read_json", "read_json_lines"]

_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def read_json_lines(
    source: Source, *, columns: Columns, encoding: str | None = None, report: Callable[[DataError], None]
) -> Iterator[Article]:
    """Yields the articles of JSON lines, with one line in memory at a time; ``report`` gets each error."""
    lines = (error or line for line, error in read_lines(source, encoding))
    yield from read_records(_records(lines, source), source, columns, report)


def read_json(
    source: Source, *, columns: Columns, encoding: str | None = None, report: Callable[[DataError], None]
) -> Iterator[Article]:
    """Yields the articles of a ``.json`` file: a list of records, a single record, or JSON lines.

    The text is held in memory, its records are not.
    """
    try:
        text = read_decoded(source, encoding)
    except DataError as error:
        report(error)
        return
    start = _skip_blanks(text, 0)
    if text.startswith("[", start):
        records = _elements(text, start, source)
    elif _is_lines(text, start):
        records = _records(text.split("\n"), source)
    elif start == len(text):
        records = iter(())
    else:
        records = _single(text, start, source)
    yield from read_records(records, source, columns, report)


def _records(lines: Iterable[str | DataError], source: Source) -> Iterator[tuple[int, object]]:
    for number, line in enumerate(lines, start=1):
        if isinstance(line, DataError):
            yield number, line
        elif line.strip(" \t\r\n"):
            try:
                yield number, json.loads(line.rstrip("\r\n"))  # or columns would count from the next line
            except (ValueError, RecursionError) as error:
                yield number, _invalid(error, source, number)


def _is_lines(text: str, start: int) -> bool:
    """Whether more than one value follows; a first one that is broken counts as a line if an object follows it."""
    try:
        _, end = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        line_end = text.find("\n", start)
        return line_end >= 0 and text.startswith("{", _skip_blanks(text, line_end))
    return _skip_blanks(text, end) < len(text)


def _single(text: str, start: int, source: Source) -> Iterator[tuple[int, object]]:
    line = 1 + text.count("\n", 0, start)
    try:
        yield line, json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(error, source, line, within=text) from None


def _elements(text: str, start: int, source: Source) -> Iterator[tuple[int, object]]:
    """The records of a list, each with the line on which it begins.

    Raises:
        DataError: the list is malformed; what follows cannot be told apart any more.
    """
    line, counted = 1, 0
    position = _skip_blanks(text, start + 1)
    if text.startswith("]", position):
        position += 1
    else:
        while True:
            line += text.count("\n", counted, position)
            counted = position
            try:
                record, position = _DECODER.raw_decode(text, position)
            except (ValueError, RecursionError) as error:
                raise _invalid(error, source, line, within=text) from None
            yield line, record
            position = _skip_blanks(text, position)
            closing = text[position : position + 1]
            if closing not in (",", "]"):
                missing = json.JSONDecodeError("Expecting ',' delimiter", text, position)
                raise _invalid(missing, source, line, within=text)
            position = _skip_blanks(text, position + 1)
            if closing == "]":
                break
    position = _skip_blanks(text, position)
    if position < len(text):
        raise _invalid(json.JSONDecodeError("Extra data", text, position), source, line, within=text)


def _skip_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return position if match is None else match.end()


def _invalid(error: Exception, source: Source, line: int, within: str | None = None) -> DataError:
    """The error about JSON that cannot be parsed.

    Args:
        line: where the record begins.
        within: the document that positions count in, if it is not that line alone.
    """
    if isinstance(error, RecursionError):
        return source.error("JSON is nested too deep", line=line)
    if not isinstance(error, json.JSONDecodeError):
        return source.error(f"is not valid JSON: {error}", line=line)
    if within is not None:
        line = error.lineno
    hint = None
    if "control character" in error.msg:
        hint = r"write line breaks inside of strings as \n"
    return source.error(f"is not valid JSON: {error.msg} (column {error.colno})", line=line, hint=hint)
