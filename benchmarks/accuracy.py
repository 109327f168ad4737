"""Our tiers against their peers: the same training articles, the same held-out articles, a paired test for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import DEV, LABELLED, arguments, command_line, load, report
from benchmarks.environments import PEERS, Bench
from nutgraf.registry import load as load_model
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.intervals import Interval
from nutgraf_training.evaluation.metrics import confusion_tables, difference, score_tables
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.recipe import load_recipe

Labels = list[NDArray[np.int64]]


def main() -> None:
    """Trains the peers that are not trained yet, and scores all on both dev sets."""
    options = arguments(__doc__ or "", bench=True, models=True)
    bench = Bench(options.bench, options.encoder)
    articles, held = load(options.corpora, *LABELLED), load(options.corpora, *DEV)
    gold, first = gold_numbers(held, NEWS_ROLES), len(load(options.corpora, DEV[0]))
    found: dict[str, Labels] = {}
    for name in options.peers or PEERS:
        model = bench.model(name, articles)
        labels = bench.run(name, "predict", model, bench.write("held", held))["labels"]
        found[PEERS[name].title] = [np.array([NEWS_ROLES.labels.index(each) for each in row]) for row in labels]
    found["nutgraf, `--recipe linear`"] = predicted(bench.ours(articles, load_recipe("linear"), NEWS_ROLES), held)
    found["nutgraf, `--model linear`"] = predicted("linear", held)
    for title, folder in options.models:
        found[f"nutgraf, {title}"] = predicted(folder, held)
    ours = "nutgraf, the default"
    found[ours] = predicted("default", held)
    tables = {title: confusion_tables(gold, labels, len(NEWS_ROLES)) for title, labels in found.items()}
    lines = [
        f"The peers, `--recipe linear` and the default learned the same {len(articles):,} labelled articles, the "
        "default a larger tagger's answers to 8,000 articles without labels besides; `--model linear`, which ships, "
        "learned 1,374 of them. All are scored on both dev sets pooled (96 articles, 1,375 paragraphs), with 95 % "
        "intervals from resampling articles. The last two columns are the default model less the row's on the same "
        "resamples: where the interval does not hold 0 the difference is not chance.",
        "",
        "| model | macro-F1 | accuracy | newswire-dev | world-dev | default less this: macro-F1 | accuracy |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for title, table in tables.items():
        scores = score_tables(table, NEWS_ROLES.labels)
        parts = [score_tables(part, NEWS_ROLES.labels, resamples=1) for part in (table[:first], table[first:])]
        each = " | ".join(f"{part.macro_f1.value:.3f} / {part.accuracy.value:.3f}" for part in parts)
        gain = difference(tables[ours], table)
        against = " | " if title == ours else f"{span(gain['macro_f1'])} | {span(gain['accuracy'])}"
        lines.append(f"| {title} | {span(scores.macro_f1)} | {span(scores.accuracy)} | {each} | {against} |")
    report("accuracy", command_line("accuracy", options), lines, write=options.write)


def predicted(model: str | Path, held: list[Article]) -> Labels:
    """Numbers of the labels that one of our models gives."""
    tagger = load_model(model)
    return [scores.argmax(axis=1).astype(np.int64) for scores, _ in tagger.score_many(held)]


def span(interval: Interval) -> str:
    """``0.709 [0.662, 0.744]``."""
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
