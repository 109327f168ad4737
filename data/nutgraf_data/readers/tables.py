"""CSV and TSV: one paragraph a row, quoted fields kept to the character."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from itertools import chain

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.encoding import LINE_END, read_lines
from nutgraf_data.readers.records import read_records
from nutgraf_data.readers.source import Source

__all__ = ["FIELD_LIMIT", "read_csv", "read_tsv"]

#: The longest field, in characters; the csv module's own limit (131,072) is shorter than some articles.
FIELD_LIMIT = 1 << 25


def read_csv(
    source: Source, *, columns: Columns, encoding: str | None = None, report: Callable[[DataError], None]
) -> Iterator[Article]:
    """Yields the articles of comma-separated rows, or semicolon-separated ones if the header says so.

    Blank cells of labels, headline, published and outlet are None. ``report`` gets each error.
    """
    table = _Table(source, encoding, columns, delimiter=None)
    yield from read_records(table.records(), source, columns, report, rows_only=True)


def read_tsv(
    source: Source, *, columns: Columns, encoding: str | None = None, report: Callable[[DataError], None]
) -> Iterator[Article]:
    """Yields the articles of tab-separated rows; as ``read_csv``."""
    table = _Table(source, encoding, columns, delimiter="\t")
    yield from read_records(table.records(), source, columns, report, rows_only=True)


class _Table:
    """The rows of a delimited file; the lines are counted as an editor counts them."""

    def __init__(self, source: Source, encoding: str | None, columns: Columns, delimiter: str | None) -> None:
        self.source, self.encoding, self.columns, self.delimiter = source, encoding, columns, delimiter
        self._undecodable: list[DataError] = []  # of the lines that the current row has taken

    def records(self) -> Iterator[tuple[int, object]]:
        """Line and record of each row, or its error.

        Raises:
            DataError: no header, a column is missing, or quotes that make the ends of rows uncertain.
        """
        csv.field_size_limit(max(csv.field_size_limit(), FIELD_LIMIT))
        rows = self._rows()
        line, header = next(rows, (1, []))
        if self._undecodable:
            raise self._undecodable[0]
        self._check_header(header, line)
        nullable = {self.columns.label, self.columns.alt, *self.columns.of_article.values()}
        blankable = [column for column in header if column in nullable]
        for line, cells in rows:
            if self._undecodable:
                for error in self._undecodable:
                    yield line, error
                self._undecodable.clear()
                continue
            if len(cells) != len(header):
                yield (
                    line,
                    self.source.error(
                        f"the row has {len(cells)} cells, expected {len(header)} as in the header",
                        line=line,
                        hint=f"quote cells that hold {self.delimiter!r}, a quote or a line break",
                    ),
                )
                continue
            record: dict[str, str | None] = dict(zip(header, cells, strict=True))
            for column in blankable:
                if not (record[column] or "").strip():
                    record[column] = None
            yield line, record

    def _check_header(self, header: list[str], line: int) -> None:
        if not header:
            raise self.source.error("is empty, expected a header with the names of the columns")
        self.columns.check(header, self.source, rows_only=True, line=line)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Cells of each row that is not empty, and the line on which it begins."""
        lines = self._lines()
        start = []
        for line in lines:
            start.append(line)
            if line.strip():
                break
        if self.delimiter is None:
            self.delimiter = ";" if start and ";" in start[-1] and "," not in start[-1] else ","
        reader = csv.reader(chain(start, lines), delimiter=self.delimiter, strict=True)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise self.source.error(
                    f"the row that begins here is not valid CSV: {error}",
                    line=number,
                    hint="close its quotes, and write a quote inside of quotes twice; the rows after it were not read",
                ) from None
            if cells:
                yield number, cells

    def _lines(self) -> Iterator[str]:
        """Lines with their ends, split at ``\\r`` too, as the csv module wants them."""
        for line, error in read_lines(self.source, self.encoding):
            if error is not None:
                self._undecodable.append(error)
            if "\r" not in line:
                yield line
                continue
            start = 0
            for end in LINE_END.finditer(line):
                yield line[start : end.end()]
                start = end.end()
            if start < len(line):
                yield line[start:]
