"""Annotations as JSON lines, Parquet, and a table for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from nutgraf.annotation import Annotation
from nutgraf.terminal import stdout_console, visible
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.files import check_output, replacing
from nutgraf_data.labels import LabelSet

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = ["check_target", "write_file", "write_jsonl", "write_parquet", "write_table"]

#: Colours of labels in their order; they differ in lightness, too, and the label's name always stands beside.
_COLOURS = ("red", "blue", "magenta", "green", "yellow", "cyan", "bright_black")
_ROWS = 10_000  # segments in a Parquet row group
_NESTED = 40  # lists in lists; pyarrow writes deeper ones, but no reader opens them


def check_target(path: Path, inputs: Sequence[Path], *, force: bool) -> None:
    """Refuses an output file before any work is done.

    Raises:
        DataError: its type is not known, it is one of the inputs, or it exists and ``force`` is false.
    """
    if path.suffix not in {".jsonl", ".parquet"}:
        raise DataError("the output file is neither .jsonl nor .parquet", path=path, hint="name one of these")
    check_output(path, inputs, force=force)


def write_file(annotations: Iterable[Annotation], path: str | Path) -> int:
    """Writes ``.jsonl`` or ``.parquet``, whole or not at all; returns the number of articles.

    Raises:
        DataError: the file cannot be written.
        MissingExtraError: Parquet was asked for and pyarrow is not installed.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        return write_parquet(annotations, path)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        return write_jsonl(annotations, stream)


def write_jsonl(annotations: Iterable[Annotation], stream: IO[str]) -> int:
    """One article a line; returns how many.

    Of the fields that came with an article, dates become ISO 8601 strings, decimal numbers strings of their digits,
    and NaN and infinity, which JSON does not have, null.

    Raises:
        DataError: a field holds what JSON cannot.
    """
    count = 0
    for annotation in annotations:
        stream.write(_line(annotation))
        count += 1
    return count


def _line(annotation: Annotation) -> str:
    # ASCII, so that no terminal, encoding or line separator inside a text can break a line
    record = annotation.to_json()
    try:
        try:
            return json.dumps(record, allow_nan=False, default=_plain) + "\n"
        except ValueError:
            finite = json.loads(json.dumps(record, default=_plain), parse_constant=lambda _: None)
            return json.dumps(finite) + "\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise annotation.article.error(
            f"its fields cannot be written as JSON: {error}", hint="leave them out of the input"
        ) from None


def _plain(value: object) -> str:
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__}")


def write_parquet(annotations: Iterable[Annotation], path: str | Path) -> int:
    """One segment a row; returns the number of articles.

    The columns are those of the first row group; a column that first appears later is an error rather than lost.

    Raises:
        DataError: rows do not fit into one table, or the file cannot be written.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("Writing Parquet", "parquet") from None
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for annotation in annotations:
            count += 1
            yield from annotation.to_rows()

    stream = rows()
    with replacing(path) as temporary:
        writer = None
        try:
            while batch := list(islice(stream, _ROWS)):
                columns = list(dict.fromkeys(key for row in batch for key in row))
                try:
                    table = pyarrow.table({name: [row.get(name) for row in batch] for name in columns})
                    if deep := [field.name for field in table.schema if _depth(field.type, pyarrow) > _NESTED]:
                        raise pyarrow.ArrowInvalid(f"{deep[0]!r} is nested more than {_NESTED} deep")
                    if writer is None:
                        writer = pyarrow.parquet.ParquetWriter(temporary, _settled(table.schema, pyarrow))
                    if unknown := set(columns) - set(writer.schema.names):
                        raise pyarrow.ArrowInvalid(f"columns {sorted(unknown)} appear only after {_ROWS:,} rows")
                    writer.write_table(
                        pyarrow.table(
                            {name: [row.get(name) for row in batch] for name in writer.schema.names},
                            schema=writer.schema,
                        )
                    )
                except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError, RecursionError) as error:
                    raise DataError(
                        f"the fields of the articles do not fit into one table: {error}",
                        path=path,
                        hint="write .jsonl, which takes any fields",
                    ) from None
            if writer is None:  # no article: a table without rows, as a file of no bytes is not Parquet
                pyarrow.parquet.write_table(pyarrow.table({}), temporary)
        finally:
            if writer is not None:
                writer.close()
    return count


def _depth(kind: Any, pyarrow: Any) -> int:
    if not pyarrow.types.is_nested(kind):
        return 0
    return 1 + max((_depth(kind.field(number).type, pyarrow) for number in range(kind.num_fields)), default=0)


def _settled(schema: Any, pyarrow: Any) -> Any:
    """Columns that were empty so far hold strings."""
    return pyarrow.schema(
        [field.with_type(pyarrow.string()) if pyarrow.types.is_null(field.type) else field for field in schema]
    )


def write_table(annotations: Iterable[Annotation], label_set: LabelSet, console: Console | None = None) -> None:
    """Prints articles as coloured tables: label, confidence, paragraph.

    Args:
        label_set: of the model, for the colours.
        console: where to print; standard output by default.
    """
    from rich.table import Table
    from rich.text import Text

    console = console or stdout_console()
    colours = {label: _COLOURS[index % len(_COLOURS)] for index, label in enumerate(label_set.labels)}

    def cell(text: str, style: str = "") -> Text:
        return Text(visible(text), style=style)

    for annotation in annotations:
        article = annotation.article
        title = " · ".join(part for part in (article.headline, article.outlet, article.published, article.id) if part)
        console.print(cell(title, "bold"))
        table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0), show_header=False)
        table.add_column(no_wrap=True, max_width=28)
        table.add_column(justify="right")
        table.add_column(ratio=1)
        for segment in annotation:
            note = " (cut: too long to read whole)" if segment.truncated else ""
            text = segment.text if len(segment.text) <= 2000 else segment.text[:2000] + " …"
            table.add_row(
                # A doubtful label is dim and has a question mark, so that it is not taken for a sure one.
                cell(segment.label + "?", "dim")
                if segment.abstained
                else cell(segment.label, f"bold {colours[segment.label]}"),
                cell(f"{segment.confidence:.2f}", "" if segment.confidence >= 0.5 else "dim"),
                cell(" ".join(text.split()) + note),
            )
        console.print(table)
