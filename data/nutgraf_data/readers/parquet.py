"""Parquet: whole articles, flat rows or plain texts, read batch by batch. Needs pyarrow."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.records import read_records
from nutgraf_data.readers.source import LARGEST, Source

__all__ = ["BATCH_ROWS", "read_parquet"]

BATCH_ROWS = 512


def read_parquet(source: Source, *, columns: Columns, report: Callable[[DataError], None]) -> Iterator[Article]:
    """Yields the articles of a Parquet file; where other files have lines, it has rows, counted from 1.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise MissingExtraError("Reading Parquet", "parquet") from None
    yield from read_records(_records(source, columns), source, columns, report)


def _records(source: Source, columns: Columns) -> Iterator[tuple[int, Any]]:
    """Row number and record.

    Raises:
        DataError: the file is damaged or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    row, opened = 0, False
    try:
        if source.file is not None:
            source.file.open("rb").close()  # the system's own words for a missing file are better
        # Without these two settings, pyarrow holds whole row groups, and often that is the whole file.
        place = io.BytesIO(source.read(largest=None)) if source.file is None else source.file
        with pq.ParquetFile(place, pre_buffer=False, buffer_size=1 << 20) as file:
            opened = True
            columns.check(file.schema_arrow.names, source, rows_only=False)
            for batch in file.iter_batches(batch_size=_batch_rows(file.metadata, source)):
                for record in batch.to_pylist():
                    row += 1
                    yield row, record
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        message = (error.strerror if isinstance(error, OSError) else None) or _first_line(error)
        if isinstance(error, OSError) and not opened and error.strerror:
            raise source.error(f"cannot be read: {message}") from None
        raise source.error(
            f"cannot be read after row {row}: {message}" if opened else f"is not a valid Parquet file: {message}",
            hint="write or download it again",
        ) from None


def _batch_rows(metadata: Any, source: Source) -> int:
    """So many rows that a batch of them fits into ``LARGEST`` bytes.

    Raises:
        DataError: not even one row does.
    """
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    widest = max((group.total_byte_size // max(group.num_rows, 1) for group in groups), default=0)
    if widest > LARGEST:
        raise source.error(f"has rows of {widest:,} bytes, unpacked, expected at most {LARGEST:,}")
    return max(1, min(BATCH_ROWS, LARGEST // max(widest, 1)))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
