"""``nutgraf evaluate`` and ``nutgraf compare``."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from nutgraf.tagger import Tagger
    from nutgraf_data.article import Article
    from nutgraf_training.evaluation.evaluate import Evaluation

__all__ = ["COMPARE_EXAMPLES", "EXAMPLES", "compare", "evaluate"]

EXAMPLES = (
    "Examples:\n\nnutgraf evaluate my-model/ held-out.jsonl --by outlet --target 0.95\n\n"
    "nutgraf evaluate my-model/ corpus.jsonl --split split.json --report report.html\n\n"
    "nutgraf evaluate my-model/ held-out.jsonl --train corpus.jsonl --seeds 5\n\n"
    "nutgraf evaluate my-model/ corpus.jsonl --folds 5"
)
COMPARE_EXAMPLES = "Example: nutgraf compare default linear held-out.jsonl"


@guarded
def evaluate(  # noqa: PLR0912 one branch for each way of evaluating
    model: Annotated[str, typer.Argument(help="A model folder or a bundled model.", show_default=False)],
    held_out: CorpusArgument,
    split: Annotated[
        Path | None, typer.Option(help="Score only the held-out part of a split made by 'nutgraf data split'.")
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Score articles that the model was trained on, too.")
    ] = False,
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD",
            help="Also for each outlet, year, position, length, or value of a field of the corpus; repeatable.",
        ),
    ] = None,
    target: Annotated[
        list[float] | None,
        typer.Option(min=0.0, max=1.0, help="Choose the --min-confidence that leaves this share right; repeatable."),
    ] = None,
    coverage: Annotated[
        list[float] | None,
        typer.Option(min=0.01, max=0.999, help="Conformal sets that hold the label this often; repeatable."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report: this .html file, and beside it .md and .json.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the report when it exists.")] = False,
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Train the model's recipe with so many seeds on --train, and say the spread."),
    ] = None,
    train: Annotated[list[str] | None, typer.Option(help="The corpus that --seeds trains on; repeatable.")] = None,
    folds: Annotated[
        int | None, typer.Option(min=2, help="Cross-validate the model's recipe on the articles, in so many folds.")
    ] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of articles for the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling, and of folds.")] = 0,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Score a model on labelled articles that it has not seen.

    Every figure has a 95 % interval from resampling whole articles.
    """
    if bool(seeds) != bool(train):
        raise typer.BadParameter("--seeds needs --train, the corpus to train on, and --train needs --seeds")
    if seeds and folds:
        raise typer.BadParameter("choose one of --seeds and --folds")
    from nutgraf.cli.tables import print_more, print_scores, print_spread
    from nutgraf.registry import load
    from nutgraf_data.splits import HELD_OUT, Split
    from nutgraf_training.evaluation.evaluate import evaluate as run
    from nutgraf_training.report import check_report, write_report

    if report is not None:
        check_report(report, held_out, force=force)
    tagger = load(model)
    articles = list(progress(read_corpus(held_out, format=format, column=column, encoding=encoding), "reading"))
    if split is not None:
        articles = Split.load(split).apply(articles)[HELD_OUT]
    if seeds:
        from nutgraf_training.evaluation.repeat import recipe_of, repeat

        corpus = list(read_corpus(train or [], format=format, column=column, encoding=encoding))
        spread = repeat(recipe_of(tagger.folder), corpus, articles, range(seeds), resamples=resamples, say=say)
        if json:
            print_json(spread.to_json())
        else:
            print_spread(spread)
        return
    result: Evaluation
    if folds:
        from nutgraf_training.evaluation.repeat import cross_validate, recipe_of

        result = cross_validate(recipe_of(tagger.folder), articles, folds, resamples=resamples, seed=seed, say=say)
    else:
        result = run(tagger, articles, include_seen=include_seen, resamples=resamples, seed=seed)
    asked: dict[str, Any] = {"by": by or (), "targets": target or (), "coverage": coverage or ()}
    if report is not None:
        given = {key: value for key, value in asked.items() if value}
        name = result.model if folds else model
        written = write_report(result, report, model=name, data=", ".join(held_out), **given)
        say(f"wrote {', '.join(map(str, written))}")
    if json:
        print_json(result.to_json(**asked))
        return
    print_scores(result.scores, f"{model} (model {result.model}) on {', '.join(held_out)}")
    print_more(result, **asked)
    if result.unlabelled:
        say(f"{result.unlabelled:,} paragraphs have no label and were read as context only")
    if result.seen:
        say(f"warning: the model was trained on {result.seen:,} of these articles; do not quote these figures")


@guarded
def compare(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL MODEL … HELD_OUT",
            help="Two models or more, and last the labelled articles.",
            show_default=False,
        ),
    ],
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Score articles that a model was trained on, too.")
    ] = False,
    show: Annotated[int, typer.Option(min=0, help="Paragraphs of each kind to show that only one gets right.")] = 5,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of articles for the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling.")] = 0,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Compare models on the same labelled articles: paired intervals, McNemar's test, where they differ."""
    if len(inputs) < 3:
        raise typer.BadParameter("give at least two models, and last the labelled articles")
    *models, held_out = inputs
    if len(set(models)) < len(models):
        raise typer.BadParameter("a model is given twice")
    from nutgraf.cli.tables import print_comparison
    from nutgraf.registry import load
    from nutgraf_training.evaluation.compare import compare as run
    from nutgraf_training.evaluation.evaluate import evaluate as score

    taggers: dict[str, Tagger] = {model: load(model) for model in models}
    articles: list[Article] = list(
        progress(read_corpus([held_out], format=format, column=column, encoding=encoding), "reading")
    )
    made = {
        model: score(tagger, articles, include_seen=include_seen, resamples=100) for model, tagger in taggers.items()
    }
    found = run({model: each.predictions for model, each in made.items()}, resamples=resamples, seed=seed)
    if json:
        print_json(found.to_json())
        return
    print_comparison(found, f"on {held_out}", show=show)
    for model, each in made.items():
        if each.seen:
            say(f"warning: {model} was trained on {each.seen:,} of these articles; do not quote its figures")
