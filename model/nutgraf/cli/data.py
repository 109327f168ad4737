"""``nutgraf data audit | check | join | split | stats``."""

from __future__ import annotations

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nutgraf.cli.console import (
    ColumnOption,
    CorpusArgument,
    EncodingOption,
    FormatOption,
    JsonOption,
    guarded,
    print_json,
    progress,
    read_corpus,
    say,
)
from nutgraf.terminal import stdout_console, visible
from nutgraf_data.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nutgraf_data.article import Article

__all__ = ["By", "app", "audit", "check", "join", "split", "stats"]

app = typer.Typer(
    help="Audit, check, join, split and count corpora.",
    epilog="Example: nutgraf data check corpus.jsonl",
    no_args_is_help=True,
)


class By(StrEnum):
    """What a split keeps together."""

    article = "article"
    outlet = "outlet"
    date = "date"


@app.command("audit", epilog="Example: nutgraf data audit corpus.jsonl --second other-annotator.jsonl")
@guarded
def audit(
    corpus: CorpusArgument,
    second: Annotated[
        list[str] | None, typer.Option(help="The same articles, labelled by a second annotator; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many suspects to list.")] = 100,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Look for wrong labels: least likely ones first, the same paragraph labelled differently, a second annotator.

    Labels are judged by a linear tagger that never saw their article (cross-fitting, cleanlab).
    """
    from nutgraf_training.audit import agreement, clashes, suspects

    articles = list(progress(read_corpus(corpus, format=format, column=column, encoding=encoding), "reading"))
    both = None
    if second:
        both = agreement(articles, list(read_corpus(second, format=format, column=column, encoding=encoding)))
    found, same = suspects(articles, say=say), clashes(articles)
    issues = sum(each.issue for each in found)
    if json:
        print_json(
            {
                "estimated_errors": issues,
                "suspects": [each.to_json() for each in found[:limit]],
                "clashes": [each.to_json() for each in same],
                "agreement": None if both is None else both.to_json(),
            }
        )
        return
    for suspect in found[:limit]:
        where = f"{suspect.path}:{suspect.line}: " if suspect.line else ""
        text = " ".join(suspect.text.split())[:100]
        what = f"{suspect.label}, or {suspect.suggested}? ({suspect.quality:.3f})"
        print(visible(f"{where}{suspect.article} {suspect.paragraph}: {what} {text}"))
    for clash in same[:limit]:
        places = ", ".join(f"{article} {number} {label}" for article, number, label in clash.places[:6])
        print(visible(f"the same paragraph: {places}: {' '.join(clash.text.split())[:80]}"))
    if both is not None:
        print(
            f"second annotator: {both.paragraphs:,} paragraphs, {both.same:.1%} the same, "
            f"kappa {both.kappa:.3f}, macro-F1 {both.macro_f1:.3f}"
        )
        for label, row in both.labels.items():
            print(visible(f"  {label}: F1 {row['f1']:.3f} (first {row['first']:,}, second {row['second']:,})"))
        for first, other, count in both.confusions[:10]:
            print(visible(f"  {first} by the first, {other} by the second: {count:,}"))
    say(f"an estimated {issues:,} labels are wrong; {len(same):,} paragraphs have different labels in several places")


@app.command("check", epilog="Example: nutgraf data check corpus.csv --held-out test.csv")
@guarded
def check(
    corpus: CorpusArgument,
    held_out: Annotated[
        list[str] | None, typer.Option(help="Articles that must not be in the corpus; repeatable.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="The labels that may occur (TOML or JSON); the corpus's own by default.")
    ] = None,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """List all problems of a labelled corpus at once; exit with 1 when there are errors."""
    from nutgraf_data.checks import check_corpus
    from nutgraf_data.labels import LabelSet

    problems: list[DataError] = []
    label_set = None if labels is None else LabelSet.from_file(labels)

    def read(sources: list[str]) -> list[Article]:
        articles: list[Article] = []
        for source in sources:
            try:
                articles += read_corpus(
                    [source], format=format, column=column, encoding=encoding, on_error=problems.append
                )
            except DataError as error:
                problems.append(error)
        return articles

    articles = read(corpus)
    found = check_corpus(
        articles, label_set=label_set, held_out=read(held_out) if held_out else None, problems=problems
    )
    errors = sum(problem.level == "error" for problem in found)
    if json:
        print_json(
            {
                "articles": len(articles),
                "errors": errors,
                "warnings": len(found) - errors,
                "problems": [_vars_of(problem) for problem in found],
            }
        )
    else:
        for problem in found:
            where = f"{problem.path}:{problem.line}: " if problem.line else f"{problem.path}: " if problem.path else ""
            print(visible(f"{problem.level}: {where}{problem.message} [{problem.code}]"))
        say(f"{len(articles):,} articles: {errors:,} errors, {len(found) - errors:,} warnings")
    if errors:
        raise typer.Exit(1)


def _vars_of(problem: Any) -> dict[str, Any]:
    """A problem as an object of JSON."""
    from dataclasses import asdict

    return asdict(problem)


@app.command("join", epilog="Example: nutgraf data join newswire-train train.zip --out newswire-train.jsonl")
@guarded
def join(
    labels: Annotated[
        str, typer.Argument(help="A file of stand-off labels, or the name of one that ships with nutgraf.")
    ],
    texts: CorpusArgument,
    out: Annotated[Path, typer.Option(help="The labelled corpus to write, .jsonl.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace the --out file when it exists.")] = False,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Rebuild a labelled corpus from its labels and texts that you have.

    Paragraphs are matched by their hashes, whatever your articles are called. A .zip is read as NewsDiscourse.
    """
    from nutgraf_data import corpora
    from nutgraf_data.files import check_output, write_text_atomically
    from nutgraf_data.readers.newsdiscourse import is_newsdiscourse, read_newsdiscourse
    from nutgraf_data.standoff import join as run

    check_output(out, [labels, *texts], force=force)

    def read() -> Iterator[Article]:
        for source in texts:
            if is_newsdiscourse(source):
                yield from read_newsdiscourse(source)
            else:
                yield from read_corpus([source], format=format, column=column, encoding=encoding)

    path = Path(labels)
    if labels in corpora.labels_names():
        path = corpora.labels_path(labels)
    elif not path.exists():
        raise DataError(
            "there is no such file, and no labels of that name ship with nutgraf",
            path=labels,
            hint=f"those that do are {', '.join(corpora.labels_names())}",
        )
    result = run(path, progress(read(), "matching"))
    if not result.articles:
        raise DataError(
            "none of the labelled paragraphs was found in the texts, so nothing was written",
            hint="check that these are its sources",
        )
    lines = (json_module.dumps(article.to_json(), ensure_ascii=False) + "\n" for article in result.articles)
    write_text_atomically(out, "".join(lines))
    if json:
        print_json(
            {
                "articles": len(result.articles),
                "matched": result.matched,
                "total": result.total,
                "missing": [{"id": m.id, "indices": list(m.indices), "kept": m.kept} for m in result.missing],
            }
        )
    else:
        print(_visible_lines(result.summary()))
    say(f"wrote {len(result.articles):,} articles to {out}")


def _visible_lines(text: str) -> str:
    """``visible``, line by line."""
    return "\n".join(visible(line) for line in text.splitlines())


@app.command("split", epilog="Example: nutgraf data split corpus.jsonl --by date --held-out 0.2 --out split.json")
@guarded
def split(
    corpus: CorpusArgument,
    by: Annotated[
        By, typer.Option(help="Keep articles or outlets together, or hold out the newest articles.")
    ] = By.article,
    held_out: Annotated[float, typer.Option(min=0.01, max=0.9, help="The share of paragraphs to hold out.")] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the split, a small JSON file.")] = None,
    show: Annotated[Path | None, typer.Option(help="Show a saved split of the corpus instead of making one.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the --out file when it exists.")] = False,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Split a corpus into training and held-out articles; near-duplicate articles stay together."""
    from nutgraf_data.files import check_output
    from nutgraf_data.splits import Split, make_split

    if show is not None and out is not None:
        raise typer.BadParameter("choose one of --show and --out")
    if out is not None:
        check_output(out, corpus, force=force)
    articles = list(progress(read_corpus(corpus, format=format, column=column, encoding=encoding), "reading"))
    made = make_split(articles, by=by.value, held_out=held_out, seed=seed) if show is None else Split.load(show)
    rows = made.summary(articles)
    if out is not None:
        made.save(out)
        say(f"wrote {out}")
    if json:
        print_json({"by": made.by, "seed": made.seed, "parts": rows, "notes": list(made.notes)})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    names = sorted({label for row in rows for label in row["labels"]})
    for name in ("", *(row["part"] for row in rows)):
        table.add_column(Text(visible(name)), justify="right" if name else "left")
    for name in ("articles", "paragraphs"):
        table.add_row(name, *(f"{row[name]:,}" for row in rows))
    table.add_row("share", *(f"{row['share']:.1%}" for row in rows))
    for name in names:
        table.add_row(Text(visible(name)), *(f"{row['labels'].get(name, 0):,}" for row in rows))
    stdout_console().print(table)
    for note in made.notes:
        say(f"note: {note}")


@app.command("stats", epilog="Example: nutgraf data stats corpus.jsonl")
@guarded
def stats(
    corpus: CorpusArgument,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Count articles, paragraphs, labels, lengths, dates and outlets."""
    from nutgraf_data.stats import corpus_stats

    found = corpus_stats(
        list(progress(read_corpus(corpus, format=format, column=column, encoding=encoding), "reading"))
    )
    if json:
        print_json(found)
        return
    for key, value in found.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, entry in value.items():
                print(f"  {visible(str(name))}: {visible(str(entry))}")
        else:
            print(f"{key}: {visible(str(value))}")
