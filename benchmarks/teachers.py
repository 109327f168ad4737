"""Teachers alone and together, on every dev set: ``nutgraf train --teacher A --teacher B`` learns from their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from benchmarks.accuracy import span
from benchmarks.common import BESIDE, DEV, arguments, command_line, load, mean, report
from nutgraf.registry import load as load_model
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.metrics import difference, score_tables
from nutgraf_training.evaluation.predictions import Predictions, predictions_of

DEFAULT = "the default"
#: world-dev labelled again, without sight of the first labels.
SECOND = "world-dev-second"


def main() -> None:
    """Scores each, and means of their probabilities."""
    options = arguments(__doc__ or "", models=True)
    if not options.models:
        raise SystemExit("no teacher is given; name each with --model TITLE=FOLDER")
    sets = {
        "newswire-dev, world-dev": load(options.corpora, *DEV),
        "paragraphs of world-dev whose two labels agree": agreed(
            load(options.corpora, "world-dev"), load(options.corpora, SECOND)
        ),
        **{name: load(options.corpora, name) for name in BESIDE},
    }
    taggers = {title: load_model(folder) for title, folder in options.models} | {DEFAULT: load_model("default")}
    rows: dict[str, list[str]] = {}
    for articles in sets.values():
        found = together({title: predictions_of(tagger, articles) for title, tagger in taggers.items()})
        tables = {title: predictions.tables() for title, predictions in found.items()}
        first, *_ = tables
        for title, table in tables.items():
            scores, more = score_tables(table, NEWS_ROLES.labels), difference(table, tables[first])
            gain = f"{span(more['macro_f1'])} / {span(more['accuracy'])}"
            cells = [f"{span(scores.macro_f1)} / {span(scores.accuracy)}", "" if title == first else gain]
            rows.setdefault(title, []).extend(cells)
    lines = [
        "Macro-F1 / accuracy with 95 % intervals from resampling articles; `more` is than the first row's on the same "
        "resamples. The means are of probabilities.",
        "",
        "| | " + " | ".join(f"{title} | more" for title in sets) + " |",
        "| --- |" + " --- |" * (2 * len(sets)),
        *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items()),
    ]
    report("teachers", command_line("teachers", options), lines, write=options.write)


def agreed(first: Sequence[Article], second: Sequence[Article]) -> list[Article]:
    """The articles that two passes labelled, as the first did, without the labels that the second did not give.

    Raises:
        ValueError: an article has another number of paragraphs in the other pass.
    """
    others = {article.id: article for article in second}
    return [
        replace(
            article,
            paragraphs=tuple(
                paragraph if paragraph.label == other.label else replace(paragraph, label=None)
                for paragraph, other in zip(article.paragraphs, others[article.id].paragraphs, strict=True)
            ),
        )
        for article in first
        if article.id in others
    ]


def together(alone: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Each one's predictions, those of the teachers' mean, and of each and all with half as much of the default."""
    teachers = [title for title in alone if title != DEFAULT]
    parts = {f"two parts of {title}, one of the default": [title, title, DEFAULT] for title in teachers}
    if len(teachers) > 1:
        both = {
            "the mean of the teachers": teachers,
            "two parts of each teacher, one of the default": [*teachers, *teachers, DEFAULT],
        }
        parts = both | parts
    return {**alone, **{title: mean([alone[part] for part in each]) for title, each in parts.items()}}


if __name__ == "__main__":
    main()
