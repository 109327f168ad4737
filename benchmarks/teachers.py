"""Teachers alone and together, on every dev set: ``nutgraf train --teacher A --teacher B`` learns from their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from benchmarks.accuracy import span
from benchmarks.common import BESIDE, DEV, arguments, command_line, labels, load, report
from nutgraf.registry import load as load_model
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.metrics import difference, score_tables
from nutgraf_training.evaluation.predictions import Predictions, predictions_of

DEFAULT = "the default"
#: world-dev labelled again, without sight of the first labels.
SECOND = "world-dev-second"
AGREED = "paragraphs of world-dev whose two labels agree"
SETS = {"newswire-dev, world-dev": DEV, AGREED: ("world-dev",)} | {name: (name,) for name in BESIDE}


def main() -> None:
    """Scores each, and means of their probabilities."""
    options = arguments(__doc__ or "", models=True)
    if not options.models:
        raise SystemExit("no teacher is given; name each with --model TITLE=FOLDER")
    taggers = {title: load_model(folder) for title, folder in options.models} | {DEFAULT: load_model("default")}
    rows: dict[str, list[str]] = {}
    for title_of_set, names in SETS.items():
        articles = load(options.corpora, *names)
        again = {article.id: article for article in load(options.corpora, SECOND)} if title_of_set == AGREED else {}
        where = labels(articles) == labels([again.get(article.id, article) for article in articles])
        found = together({title: predictions_of(tagger, articles) for title, tagger in taggers.items()})
        first = found[options.models[0][0]].tables(where)
        for title, predictions in found.items():
            tables = predictions.tables(where)
            scores = score_tables(tables, NEWS_ROLES.labels)
            rows.setdefault(title, []).append(f"{span(scores.macro_f1)} / {span(scores.accuracy)}")
            more = difference(tables, first)
            gain = f"{span(more['macro_f1'])} / {span(more['accuracy'])}"
            rows[title].append("" if title == options.models[0][0] else gain)
    lines = [
        "Macro-F1 / accuracy with 95 % intervals from resampling articles; `more` is than the first row's on the same "
        "resamples. The means are of probabilities.",
        "",
        "| | " + " | ".join(f"{title} | more" for title in SETS) + " |",
        "| --- |" + " --- |" * (2 * len(SETS)),
        *(f"| {title} | {' | '.join(cells)} |" for title, cells in rows.items()),
    ]
    report("teachers", command_line("teachers", options), lines, write=options.write)


def together(alone: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Each one's predictions, those of the teachers' mean, and of each and all with half as much of the default."""
    teachers = [title for title in alone if title != DEFAULT]
    found = dict(alone)
    if len(teachers) > 1:
        found["the mean of the teachers"] = mean(alone, teachers)
        found["two parts of each teacher, one of the default"] = mean(alone, [*teachers, *teachers, DEFAULT])
    for title in teachers:
        found[f"two parts of {title}, one of the default"] = mean(alone, [title, title, DEFAULT])
    return found


def mean(alone: Mapping[str, Predictions], parts: Sequence[str]) -> Predictions:
    """The mean of their probabilities; one that is named twice has two parts in it."""
    return replace(alone[parts[0]], scores=np.mean([alone[title].scores for title in parts], axis=0))


if __name__ == "__main__":
    main()
