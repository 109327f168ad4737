"""``nutgraf evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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

__all__ = ["EXAMPLES", "evaluate"]

EXAMPLES = (
    "Examples:\n\nnutgraf evaluate my-model/ held-out.jsonl\n\n"
    "nutgraf evaluate my-model/ corpus.jsonl --split split.json --json"
)


@guarded
def evaluate(
    model: Annotated[str, typer.Argument(help="A model folder or a bundled model.", show_default=False)],
    held_out: CorpusArgument,
    split: Annotated[
        Path | None, typer.Option(help="Score only the held-out part of a split made by 'nutgraf data split'.")
    ] = None,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Score articles that the model was trained on, too.")
    ] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of articles for the intervals.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling.")] = 0,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Score a model on labelled articles that it has not seen.

    Every figure has a 95 % interval from resampling whole articles.
    """
    from nutgraf.cli.tables import print_scores
    from nutgraf.registry import load
    from nutgraf_data.splits import HELD_OUT, Split
    from nutgraf_training.evaluation.evaluate import evaluate as run

    tagger = load(model)
    articles = list(progress(read_corpus(held_out, format=format, column=column, encoding=encoding), "reading"))
    if split is not None:
        articles = Split.load(split).apply(articles)[HELD_OUT]
    result = run(
        tagger,
        articles,
        include_seen=include_seen,
        resamples=resamples,
        seed=seed,
    )
    if json:
        print_json(result.to_json())
        return
    print_scores(result.scores, f"{model} (model {result.model}) on {', '.join(held_out)}")
    if result.unlabelled:
        say(f"{result.unlabelled:,} paragraphs have no label and were read as context only")
    if result.seen:
        say(f"warning: the model was trained on {result.seen:,} of these articles; do not quote these figures")
