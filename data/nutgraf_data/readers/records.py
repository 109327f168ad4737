"""Records (of JSON lines, CSV, Parquet, data sets) to articles.

A record is one of three kinds, decided by its keys:

===========  ==========================  ==============================================================
kind         keys                        becomes
===========  ==========================  ==============================================================
whole        ``paragraphs``              an article; its paragraphs are strings or objects with ``text``
row          ``article_id`` and ``text``  one paragraph; rows that stand together make an article. Where
                                         every row is an article, one without a label is split as plain
plain        ``text`` only               an article; its text is split at blank lines
===========  ==========================  ==============================================================

Whatever has no place in an article or a paragraph is kept in its ``extra``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from nutgraf_data.article import Article, Origin, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.rows import RowGroup
from nutgraf_data.readers.source import Source
from nutgraf_data.readers.text import read_text
from nutgraf_data.readers.values import article_fields, describe, identifier, paragraph_fields

__all__ = ["read_records"]

Kind = Literal["whole", "row", "plain"]


def read_records(
    records: Iterable[tuple[int, object]],
    source: Source,
    columns: Columns,
    report: Callable[[DataError], None],
    *,
    rows_only: bool = False,
) -> Iterator[Article]:
    """Yields the articles of a file's records, one by one.

    Args:
        records: line and record; in place of a record that could not be read, its DataError. An
            error that the iterable raises ends the file.
        report: gets each error; if it does not raise, reading goes on. Articles that an unreadable
            row may belong to are reported and left out, never yielded in part.
        rows_only: all records are rows, whatever their keys.
    """
    group = RowGroup(source, columns, report)
    iterator = iter(records)
    while True:
        try:
            line, record = next(iterator)
        except StopIteration:
            break
        except DataError as error:
            report(error)
            group.lose(error.line)
            break
        if isinstance(record, DataError):
            report(record)
            group.lose(line)
            continue
        if not isinstance(record, Mapping):
            report(source.error(f"a record is {describe(record)}, expected an object", line=line))
            group.lose(line)
            continue
        kind: Kind = "row" if rows_only else _kind(record, columns)
        finished = group.add(record, line) if kind == "row" else group.close()
        if finished is not None:
            yield finished
        if kind != "row":
            try:
                article = (_whole if kind == "whole" else _plain)(record, line, source, columns)
            except DataError as error:
                report(error)
                continue
            yield article
    finished = group.close()
    if finished is not None:
        yield finished


def _kind(record: Mapping[str, Any], columns: Columns) -> Kind:
    # A table of mixed kinds has null in the columns of the other kinds.
    if "paragraphs" in record and (record["paragraphs"] is not None or columns.text not in record):
        return "whole"
    if "article" in columns.named or columns.article in record:
        return "row"
    return "plain"


def _whole(record: Mapping[str, Any], line: int, source: Source, columns: Columns) -> Article:
    given = record["paragraphs"]
    if not isinstance(given, list | tuple):
        raise source.error(f"paragraphs is {describe(given)}, expected a list", line=line)
    paragraphs: list[Paragraph] = []
    for index, item in enumerate(given):
        name = f"paragraphs[{index}]"
        if isinstance(item, str):
            paragraphs.append(Paragraph(item, 0, 0))
        elif not isinstance(item, Mapping):
            raise source.error(f"{name} is {describe(item)}, expected a string or an object with 'text'", line=line)
        elif columns.text not in item:
            raise source.error(
                f"{name} has no {columns.text!r}, found {', '.join(map(repr, item)) or 'nothing'}",
                line=line,
                hint="name the key with --column text=NAME",
            )
        else:
            paragraphs.append(paragraph_fields(item, columns, source, line, prefix=f"{name}."))
    return Article.from_paragraphs(
        paragraphs,
        id=_id(record, line, source, columns),
        **article_fields(record, columns, source, line),
        extra=_extra(record, columns, "paragraphs"),
        origin=Origin(source.path, line),
    )


def _plain(record: Mapping[str, Any], line: int, source: Source, columns: Columns) -> Article:
    if columns.text not in record:
        raise source.error(
            f"has neither 'paragraphs' nor {columns.text!r}, found {', '.join(map(repr, record)) or 'no keys'}",
            line=line,
            hint="name the column of the text with --column text=NAME",
        )
    text = record[columns.text]
    if not isinstance(text, str):
        raise source.error(f"{columns.text} is {describe(text)}, expected a string", line=line)
    return read_text(
        text,
        id=_id(record, line, source, columns),
        **article_fields(record, columns, source, line),
        extra=_extra(record, columns, columns.text),
        origin=Origin(source.path, line),
    )


def _id(record: Mapping[str, Any], line: int, source: Source, columns: Columns) -> str:
    if record.get(columns.id) is None:
        return f"{source.stem}:{line}"
    return identifier(record[columns.id], columns.id, source, line)


def _extra(record: Mapping[str, Any], columns: Columns, content: str) -> dict[str, Any]:
    used = {content, columns.id, *columns.of_article.values()}
    return {key: value for key, value in record.items() if key not in used}
