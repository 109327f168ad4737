"""What all commands share: messages, progress, errors, and reading their input."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

from nutgraf.terminal import visible
from nutgraf_data.errors import DataError, NutgrafError

if TYPE_CHECKING:
    from nutgraf_data.article import Article

__all__ = [
    "ColumnOption",
    "CorpusArgument",
    "EncodingOption",
    "FormatOption",
    "JsonOption",
    "guarded",
    "parse_columns",
    "print_json",
    "progress",
    "read_corpus",
    "resolve",
    "say",
]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

CorpusArgument = Annotated[
    list[str],
    typer.Argument(
        help="Files, folders, '-' for standard input, hf:NAME for a Hugging Face data set, or a "
        "shipped corpus, 'authored' or 'authored-held-out'.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="Read every input as text, lines (a paragraph a line), json, jsonl, csv, tsv or parquet.",
    ),
]
ColumnOption = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="FIELD=NAME",
        help="Name a column of your table: article (article_id by default), text, label, alt, headline, published "
        "or outlet, each called so by default. "
        "'article=' makes every row an article of its own.",
    ),
]
EncodingOption = Annotated[str | None, typer.Option("--encoding", help="How the files are encoded; UTF-8 by default.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turns errors made on purpose, and those of files and pipes, into one line and exit code 1, Ctrl-C into 130."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            try:
                result = command(*args, **kwargs)
                sys.stdout.flush()
                return result
            except NutgrafError as error:
                say(f"error: {error}")
                raise typer.Exit(1) from None
            except MemoryError:
                say("error: the input does not fit into memory; split it into smaller files")
                raise typer.Exit(1) from None
            except KeyboardInterrupt:
                say("interrupted")
                raise typer.Exit(130) from None
            finally:  # a command that exits with 1 has its output, too
                sys.stdout.flush()
        except OSError as error:
            _drop_output()
            if not isinstance(error, BrokenPipeError):  # the reader went away, as in `nutgraf predict … | head`
                say(f"error: {error.filename or 'the output cannot be written'}: {error.strerror or error}")
            raise typer.Exit(1) from None

    return run


def _drop_output() -> None:
    """Lets go of what standard output does not take, or Python would try again as it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(message: str) -> None:
    """Prints a line to standard error, control characters made visible, and without the middle of a very long one.

    Of the processes that torchrun starts, only the first one speaks, but for errors.
    """
    if os.environ.get("RANK", "0") != "0" and not message.startswith("error"):
        return
    if len(message) > _LONGEST:
        message = f"{message[: _LONGEST // 2]} … {message[-_LONGEST // 2 :]}"
    print(visible(message), file=sys.stderr, flush=True)


_LONGEST = 1000  # characters of a message; an id or a column name inside of it may have megabytes


def print_json(record: Mapping[str, Any]) -> None:
    """Prints one JSON object, indented."""
    import json

    ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
    # Half a surrogate pair, which no encoding has, is written as its escape.
    print(json.dumps(record, ensure_ascii=ascii_only, indent=2).encode("utf-8", "backslashreplace").decode())


def progress(items: Iterable[T], what: str, *, total: int | None = None) -> Iterator[T]:
    """Passes items on and shows a bar on standard error, where that is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield from bar.track(items, total=total, description=what)


def parse_columns(pairs: Sequence[str] | None) -> dict[str, str]:
    """``["text=body"]`` as ``{"text": "body"}``."""
    columns = {}
    for pair in pairs or ():
        field, equals, name = pair.partition("=")
        if not equals or not field:
            raise typer.BadParameter(f"{pair!r} is not FIELD=NAME, as in text=body", param_hint="--column")
        columns[field] = name
    return columns


def resolve(source: str) -> str:
    """The file of a corpus that ships with nutgraf, where a source is the name of one; else the source itself."""
    from nutgraf_data import corpora

    return str(corpora.path(source)) if source in (*corpora.names(), *corpora.labels_names()) else source


def read_corpus(
    sources: Sequence[str],
    *,
    format: str | None = None,
    column: Sequence[str] | None = None,
    encoding: str | None = None,
    on_error: Callable[[DataError], None] | None = None,
) -> Iterator[Article]:
    """Reads articles from everything that was named, one source after the other."""
    from nutgraf_data.readers import read_articles

    columns = parse_columns(column)
    for source in sources:
        yield from read_articles(
            resolve(source), format=format, columns=columns or None, encoding=encoding, on_error=on_error
        )
