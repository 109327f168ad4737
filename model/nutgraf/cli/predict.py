"""``nutgraf predict``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nutgraf.cli.console import (
    ColumnOption,
    CorpusArgument,
    EncodingOption,
    FormatOption,
    guarded,
    progress,
    read_corpus,
    say,
)
from nutgraf_data.errors import DataError

__all__ = ["EXAMPLES", "OnError", "predict"]

if TYPE_CHECKING:
    from nutgraf_data.article import Article

EXAMPLES = (
    "Examples:\n\nnutgraf predict article.txt\n\nnutgraf predict articles.jsonl --out roles.parquet\n\n"
    "cat article.txt | nutgraf predict - --json | jq -r '.segments[].label'\n\n"
    "nutgraf predict articles/ --html roles.html"
)


_MANY_LINES = 4  # more of them in the only paragraph of an article are worth a note


class OnError(StrEnum):
    """What to do with an article that cannot be read."""

    stop = "stop"
    skip = "skip"


@guarded
def predict(
    inputs: CorpusArgument,
    model: Annotated[str, typer.Option(help="A model folder, default, or linear: small and fast.")] = "default",
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines, as when piped.")] = False,
    table: Annotated[bool, typer.Option("--table", help="Print a table, as on a terminal.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write a .jsonl file (an article a line) or a .parquet file (a segment a row).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the --out or --html file when it exists.")] = False,
    min_confidence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N|LABEL=N", help="Mark segments below this confidence as abstained; for one label with LABEL=N."
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page for a browser that shows and filters roles.")] = None,
    on_error: Annotated[
        OnError,
        typer.Option(help="Stop at input that cannot be read, or report it, skip it and exit with 1 at the end."),
    ] = OnError.stop,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Annotate articles: say what each paragraph does.

    Reads text (paragraphs between blank lines), JSON lines, CSV, Parquet, folders of them and standard input.
    """
    if json and table:
        raise typer.BadParameter("choose one of --json and --table")
    if html is not None and out is not None:
        raise typer.BadParameter("choose one of --html and --out")
    limits = _limits(min_confidence or [])
    from nutgraf import writers
    from nutgraf.registry import load

    if html is not None:
        from nutgraf_data.files import check_output

        check_output(html, inputs, force=force)
    if out is not None:
        writers.check_target(out, [Path(source) for source in inputs], force=force)
    gc.set_threshold(100_000)  # an article of many paragraphs is many objects, none of them in a cycle
    tagger = load(model)
    skipped: list[DataError] = []

    def skip(error: DataError) -> None:
        skipped.append(error)
        say(f"skipped: {error}")

    articles = read_corpus(
        inputs, format=format, column=column, encoding=encoding, on_error=skip if on_error is OnError.skip else None
    )

    annotations = tagger.predict_many(_noting(articles, inputs, format), min_confidence=limits)
    if out is not None:
        done = writers.write_file(progress(annotations, "annotating"), out)
        say(f"wrote {done:,} articles to {out}")
    elif html is not None:
        from nutgraf.html import write_html

        done = write_html(progress(annotations, "annotating"), html, tagger)
        say(f"wrote {done:,} articles to {html}")
    elif json or not (table or sys.stdout.isatty()):
        # A bar would erase lines of the results where both are shown on one terminal.
        shown = annotations if sys.stdout.isatty() else progress(annotations, "annotating")
        writers.write_jsonl(shown, sys.stdout)
    else:
        writers.write_table(annotations, tagger.label_set)
    if skipped:
        say(f"{len(skipped):,} skipped, see above")
        raise typer.Exit(1)


def _limits(given: list[str]) -> float | dict[str, float]:
    """``["0.6"]`` as 0.6, ``["analysis=0.8"]`` as a number for each label."""
    limits: dict[str, float] = {}
    for text in given:
        label, equals, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0.0 <= value <= 1.0:
            raise typer.BadParameter(
                f"{text!r} is neither a number from 0 to 1 nor LABEL=NUMBER", param_hint="--min-confidence"
            )
        if not equals and len(given) > 1:
            raise typer.BadParameter("give one number, or LABEL=NUMBER for each label", param_hint="--min-confidence")
        if not equals:
            return value
        limits[label] = value
    return limits or 0.0


def _noting(articles: Iterable[Article], inputs: list[str], format: str | None) -> Iterator[Article]:
    """Passes articles on and notes on standard error what a user may not expect of how they were read."""
    from nutgraf_data.readers.encoding import LINE_END
    from nutgraf_data.readers.formats import passed_over
    from nutgraf_data.readers.huggingface import is_saved_dataset

    folders = map(Path, filter(os.path.isdir, inputs)) if format is None else ()  # unlike Path.is_dir, it never raises
    for folder in folders:
        if not is_saved_dataset(folder) and (others := passed_over(folder)):
            names = ", ".join(path.name for path in others[:3]) + (" …" if len(others) > 3 else "")
            say(f"note: {folder}: {len(others):,} files of other types are not read: {names}")
    count, solid, first = 0, 0, ""
    for count, article in enumerate(articles, 1):  # noqa: B007
        if len(article.paragraphs) == 1:
            lines = LINE_END.split(article.source.strip())
            if len(lines) > _MANY_LINES and all(line.strip() for line in lines):
                solid, first = solid + 1, first or article.id
        yield article
    if not count:
        say("note: no article was found in the input")
    if solid:
        say(
            f"note: {solid:,} articles, the first {first!r}, have many lines but no blank one and were read as one "
            "paragraph each; --format lines reads a paragraph a line"
        )
