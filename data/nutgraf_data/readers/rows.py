"""Flat tables: rows of one paragraph each, gathered into articles without holding more than one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from nutgraf_data.article import MAX_PARAGRAPHS, Article, Origin, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.source import Source
from nutgraf_data.readers.text import read_text
from nutgraf_data.readers.values import ArticleFields, article_fields, identifier, paragraph_fields

__all__ = ["RowGroup"]


class RowGroup:
    """The rows of the article that is being read; of earlier articles it keeps their ids only.

    Args:
        source: what the rows are read from.
        columns: which columns they have.
        report: gets each error; an article with an error is left out as a whole.
    """

    def __init__(self, source: Source, columns: Columns, report: Callable[[DataError], None]) -> None:
        self.source, self.columns, self.report = source, columns, report
        self._seen: set[str] = set()
        self._unread: int | str | None = None  # the line of a row just lost, which may be of the next article
        self._id: str | None = None
        self._line = 0
        self._first: Mapping[str, Any] = {}
        self._fields = ArticleFields(headline=None, published=None, outlet=None)
        self._paragraphs: list[Paragraph] = []
        self._whole = True  # no error in any of its rows so far

    def add(self, record: Mapping[str, Any], line: int) -> Article | None:
        """Takes a row; returns the article before it if the row begins another one."""
        try:
            article_id = self._article_id(record, line)
        except DataError as error:
            self.report(error)
            self.lose(line)
            return None
        finished = None
        # Records of a JSON list may share a line, and so an id made of it.
        if article_id != self._id or not self.columns.article:
            finished = self._finish()
            self._begin(article_id, record, line)
        self._unread = None
        if len(self._paragraphs) > MAX_PARAGRAPHS:
            return finished  # no article can be made of them, whatever follows
        try:
            self._paragraphs.append(self._paragraph(record, line))
        except DataError as error:
            self.report(error)
            self._whole = False
        return finished

    def lose(self, line: int | None) -> None:
        """Notes that a row could not be read: it may belong to the article before it and to the one after."""
        self._unread = line if line is not None else "?"
        if self._id is not None and self._whole:
            self._leave_out()

    def close(self) -> Article | None:
        """Ends the rows that stand together; returns their article, if it has no errors."""
        finished = self._finish()
        self._unread = None
        return finished

    def _article_id(self, record: Mapping[str, Any], line: int) -> str:
        column = self.columns.article
        if not column:
            return f"{self.source.stem}:{line}"
        if column not in record:
            raise self.columns.missing("article", record, self.source, line)
        return identifier(record[column], column, self.source, line)

    def _begin(self, article_id: str, record: Mapping[str, Any], line: int) -> None:
        self._id, self._line, self._first = article_id, line, record
        if article_id in self._seen:
            self._whole = False
            self.report(
                self.source.error(
                    f"article {article_id!r} begins again after another; rows of one article must stand together",
                    line=line,
                    hint=f"sort the file by {self.columns.article!r}, keeping the order of the paragraphs",
                )
            )
        elif self.columns.article:
            self._seen.add(article_id)
        if self._unread is not None and self._whole:
            self._leave_out()
        try:
            self._fields = article_fields(record, self.columns, self.source, line)
        except DataError as error:
            self._whole = False
            self.report(error)

    def _paragraph(self, record: Mapping[str, Any], line: int) -> Paragraph:
        columns = self.columns
        if columns.text not in record:
            raise columns.missing("text", record, self.source, line)
        # The article has the values of its first row; another row's value stays with its paragraph.
        used = {columns.article}
        for column in columns.of_article.values():
            value = record.get(column)
            if value is None or line == self._line or value == self._first.get(column):
                used.add(column)
        return paragraph_fields(record, columns, self.source, line, used=frozenset(used))

    def _finish(self) -> Article | None:
        article_id, paragraphs, whole = self._id, self._paragraphs, self._whole
        self._id, self._paragraphs, self._whole = None, [], True
        if article_id is None or not whole:
            return None
        origin = Origin(self.source.path, self._line)
        try:
            if self.columns.article or paragraphs[0].label is not None or paragraphs[0].alt is not None:
                return Article.from_paragraphs(paragraphs, id=article_id, **self._fields, origin=origin)
            # A text of its own, and no label that would belong to the whole of it.
            (row,) = paragraphs
            article = read_text(row.text, id=article_id, **self._fields, origin=origin)
            return replace(
                article, paragraphs=tuple(replace(p, extra=row.extra, line=row.line) for p in article.paragraphs)
            )
        except DataError as error:
            self.report(error)
            return None

    def _leave_out(self) -> None:
        self._whole = False
        self.report(
            self.source.error(
                f"article {self._id!r} is left out: the unreadable row on line {self._unread} may belong to it",
                line=self._line,
            )
        )
