"""``nutgraf train``."""

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
from nutgraf_data.errors import DataError

__all__ = ["EXAMPLES", "train"]

EXAMPLES = (
    "Examples:\n\nnutgraf train authored --out my-model/\n\n"
    "nutgraf train rows.csv --column article=doc --column text=body --out my-model/"
)


@guarded
def train(
    corpus: CorpusArgument,
    out: Annotated[Path, typer.Option(help="The model folder to write.", show_default=False)],
    recipe: Annotated[str, typer.Option(help="A recipe that ships with nutgraf, or a TOML file.")] = "linear",
    held_out: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="The share to split off, by article, for evaluation; 0 for none.")
    ] = 0.1,
    split: Annotated[
        Path | None, typer.Option(help="A split made by 'nutgraf data split', instead of --held-out.")
    ] = None,
    dev: Annotated[
        list[str] | None, typer.Option(help="Evaluate on these articles instead of splitting some off; repeatable.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="A label set with descriptions (TOML or JSON).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Overrides the recipe's seed.")] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            help="For an encoder recipe: one on the hub, a folder, or an encoder model to go on from, such as "
            "'default'."
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(help="For an encoder recipe: a model whose scores are learned first; repeatable, for their mean."),
    ] = None,
    unlabelled: Annotated[
        list[str] | None, typer.Option(help="Articles that the teacher annotates; repeatable.")
    ] = None,
    answers: Annotated[
        Path | None, typer.Option(help="A folder where the teacher's scores are kept, and found again by a later run.")
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(help="For an encoder recipe: articles that choose its best state and calibrate it; repeatable."),
    ] = None,
    about: Annotated[Path | None, typer.Option(help="Markdown to put into the model card.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model folder that is already there.")] = False,
    json: JsonOption = False,
    format: FormatOption = None,
    column: ColumnOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Train a tagger on labelled articles and write a model folder.

    A table has one paragraph a row, with an article id; the labels are those of the corpus, whatever they are.
    An encoder's run goes on where it was interrupted when the same command is given again.
    """
    from nutgraf.artefact import check_vacant
    from nutgraf.cli.tables import print_scores, print_share
    from nutgraf.registry import load
    from nutgraf_data.checks import rare_labels
    from nutgraf_data.labels import LabelSet
    from nutgraf_data.splits import Split
    from nutgraf_training.train import train as run

    if split is not None and dev:
        raise typer.BadParameter("choose one of --split and --dev")
    check_vacant(out, force=force)
    text = ""
    if about is not None:
        try:
            text = about.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"the text for the model card cannot be read: {error}", path=about) from None
    label_set = None if labels is None else LabelSet.from_file(labels)
    options = {"format": format, "column": column, "encoding": encoding}
    articles = list(progress(read_corpus(corpus, **options), "reading"))  # type: ignore[arg-type]
    held = list(read_corpus(dev, **options)) if dev else None  # type: ignore[arg-type]
    paragraphs = [p for article in articles for p in article.paragraphs]
    say(f"read {len(articles):,} articles, {len(paragraphs):,} paragraphs, from {', '.join(corpus)}")
    for problem in rare_labels(articles):
        say(f"warning: {problem.message}")
    texts = list(progress(read_corpus(unlabelled, **options), "reading")) if unlabelled else []  # type: ignore[arg-type]
    if texts:
        say(f"read {len(texts):,} articles for the teacher, from {', '.join(unlabelled or ())}")
    chosen_on = list(progress(read_corpus(validation, **options), "reading")) if validation else None  # type: ignore[arg-type]
    if chosen_on is not None:
        say(f"read {len(chosen_on):,} validation articles, from {', '.join(validation or ())}")
    result = run(
        articles,
        out,
        recipe=recipe,
        label_set=label_set,
        held_out=held_out,
        split=None if split is None else Split.load(split),
        dev=held,
        dev_name=" and ".join(Path(name).stem for name in dev or ()),
        seed=seed,
        encoder=encoder,
        teachers=[load(name) for name in teacher or ()],
        unlabelled=texts,
        answers=answers,
        validation=chosen_on,
        about=text,
        force=force,
        say=say,
    )
    if json:
        print_json({"model": result.folder.fingerprint, "metrics": result.folder.manifest["metrics"]})
        return
    print_share(result, from_corpus=held is None)
    if result.evaluation is not None:
        if result.evaluation.seen:
            say(
                f"warning: most of the text of {result.evaluation.seen:,} held-out articles stands in training "
                "articles, too; these figures are too kind"
            )
        print_scores(result.evaluation.scores, "On the articles held out of training")
    else:
        print_scores(result.inner, f"On {result.inner['of']}")
    say(f"wrote {out} (model {result.folder.fingerprint})")
