"""Reads articles: files, folders, standard input, strings and data sets.

::

    for article in read_articles("corpus.jsonl"):
        ...
    article = read_text("The mayor resigned.\\n\\nHer deputy takes over.")
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.encoding import check_encoding
from nutgraf_data.readers.formats import check_format, files_in, format_of, is_gzipped, stem_of
from nutgraf_data.readers.huggingface import PREFIX, is_saved_dataset, read_dataset
from nutgraf_data.readers.jsonlines import read_json, read_json_lines
from nutgraf_data.readers.parquet import read_parquet
from nutgraf_data.readers.source import Source
from nutgraf_data.readers.tables import read_csv, read_tsv
from nutgraf_data.readers.text import read_text, read_text_file

__all__ = ["read_articles", "read_text"]


def read_articles(
    path: str | Path,
    *,
    format: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    on_error: Callable[[DataError], None] | None = None,
) -> Iterator[Article]:
    """Yields the articles of a path, one by one.

    Args:
        path: a file; a folder, whose files are read in the order of their names; ``-`` for standard
            input; ``hf:NAME_OR_FOLDER[@split]`` for a Hugging Face data set.
        format: ``text``, ``lines`` (text with a paragraph a line), ``jsonl``, ``json``, ``csv``,
            ``tsv``, ``parquet`` or ``hf``; by default the suffix says it, and for standard input
            whether it begins with ``{`` (JSON lines) or ``[{`` (JSON).
        columns: field → column of a table (``{"text": "body", "label": "role"}``); the fields are
            ``article``, ``text``, ``label``, ``alt``, ``headline``, ``published`` and ``outlet``.
            ``{"article": ""}`` makes every row an article of its own, split at blank lines as text is
            unless the row has a label; any other row is one paragraph.
        encoding: of text, JSON and CSV; UTF-8 by default. A byte order mark outweighs UTF-8,
            -16 and -32, but not a name that ends in -le or -be.
        on_error: gets each error in the data, and reading goes on with the next article; without it,
            the first one is raised.

    Raises:
        DataError: at once for an argument that makes no sense, on iteration for what is read.
        MissingExtraError: on iteration, for Parquet without pyarrow and for data sets without datasets.
    """
    check_format(format)
    check_encoding(encoding)
    return _read(str(path), format, Columns.from_mapping(columns), encoding, on_error or _refuse)


def _read(
    path: str, format: str | None, columns: Columns, encoding: str | None, report: Callable[[DataError], None]
) -> Iterator[Article]:
    folder = os.path.isdir(path)  # unlike Path.is_dir, it never raises
    if format == "hf" or (format is None and (path.startswith(PREFIX) or (folder and is_saved_dataset(Path(path))))):
        yield from read_dataset(path, columns=columns, report=report)
        return
    try:
        if path == "-":
            sources = [_stdin(format)]
        elif folder:
            sources = [_source(file, file.relative_to(path), format) for file in files_in(Path(path), format)]
        else:
            sources = [_source(Path(path), Path(Path(path).name), format)]
    except DataError as error:
        report(error)
        return
    for found, source in sources:
        yield from _read_source(found, source, columns, encoding, report)


def _stdin(format: str | None) -> tuple[str, Source]:
    source = Source.from_stdin()
    if format is None:
        format = "jsonl" if source.starts_with(b"{") else "json" if source.starts_with(b"[{") else "text"
    return format, source


def _source(file: Path, name: Path, format: str | None) -> tuple[str, Source]:
    """Format and source of a file; its stem comes from ``name``, the path below the folder that was asked for."""
    return format or format_of(file), Source(str(file), stem_of(name), file, is_gzipped(file))


def _read_source(
    format: str, source: Source, columns: Columns, encoding: str | None, report: Callable[[DataError], None]
) -> Iterator[Article]:
    match format:
        case "text" | "lines":
            return read_text_file(source, encoding=encoding, lines=format == "lines", report=report)
        case "jsonl":
            return read_json_lines(source, columns=columns, encoding=encoding, report=report)
        case "json":
            return read_json(source, columns=columns, encoding=encoding, report=report)
        case "csv":
            return read_csv(source, columns=columns, encoding=encoding, report=report)
        case "tsv":
            return read_tsv(source, columns=columns, encoding=encoding, report=report)
        case _:
            return read_parquet(source, columns=columns, report=report)


def _refuse(error: DataError) -> None:
    raise error
