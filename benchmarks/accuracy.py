"""The linear tagger against the plain baseline: same training articles, same held-out articles, one run."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import DEV, REAL, arguments, by_article, labels, load, plain_baseline, report, texts
from nutgraf.registry import load as load_model
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluate import gold_numbers
from nutgraf_training.metrics import Interval, confusion_tables, difference, score_tables
from nutgraf_training.train import train

TRAINED_ON = {"authored": ("authored",), "the three real sets": REAL, "all four": ("authored", *REAL)}


def main() -> None:
    """Trains both on each training set and scores them on both dev sets, pooled and each."""
    options = arguments(__doc__ or "")
    held = {name: load(options.corpora, name) for name in DEV}
    pooled = [article for name in DEV for article in held[name]]
    gold = gold_numbers(pooled, NEWS_ROLES)
    lines = [
        "Macro-F1 and accuracy with 95 % intervals from resampling articles; both dev sets pooled are 96 articles and "
        "1,375 paragraphs. `gain` is ours less the baseline's on the same resamples.",
        "",
        "| trained on | model | macro-F1, pooled | accuracy, pooled | newswire-dev | world-dev |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, sets in TRAINED_ON.items():
        articles = load(options.corpora, *sets)
        baseline = plain_baseline().fit(texts(articles), labels(articles))
        theirs = by_article(baseline.predict(texts(pooled)).astype(np.int64), pooled)
        with tempfile.TemporaryDirectory() as folder:
            train(articles, Path(folder) / "model", held_out=0.0)
            tagger = load_model(Path(folder) / "model")
        ours = [tagger.score(article)[0].argmax(axis=1).astype(np.int64) for article in pooled]
        tables = {
            model: confusion_tables(gold, predicted, len(NEWS_ROLES))
            for model, predicted in (("plain baseline", theirs), ("linear tagger", ours))
        }
        first = len(held[DEV[0]])
        for model, table in tables.items():
            scores = score_tables(table, NEWS_ROLES.labels)
            each = [score_tables(part, NEWS_ROLES.labels) for part in (table[:first], table[first:])]
            lines.append(
                f"| {name} | {model} | {span(scores.macro_f1)} | {span(scores.accuracy)} | "
                + " | ".join(f"{part.macro_f1.value:.3f} / {part.accuracy.value:.3f}" for part in each)
                + " |"
            )
        gain = difference(tables["linear tagger"], tables["plain baseline"])
        lines.append(f"| {name} | gain | {span(gain['macro_f1'])} | {span(gain['accuracy'])} | | |")
    report("accuracy", "python -m benchmarks.accuracy --write", lines, write=options.write)


def span(interval: Interval) -> str:
    """``0.709 [0.662, 0.744]``."""
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


if __name__ == "__main__":
    main()
