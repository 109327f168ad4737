"""The linear tagger and the plain baseline by what they learn from: the shipped corpus, the real articles, or all."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.accuracy import predicted, span
from benchmarks.common import DEV, REAL, arguments, by_article, labels, load, report
from benchmarks.peers.baseline import pipeline
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.metrics import confusion_tables, difference, score_tables
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.train import train

TRAINED_ON = {"authored": ("authored",), "the three real sets": REAL, "all four": ("authored", *REAL)}


def main() -> None:
    """Trains both on each training set and scores them on both dev sets, pooled and each."""
    options = arguments(__doc__ or "")
    held = load(options.corpora, *DEV)
    gold, first = gold_numbers(held, NEWS_ROLES), len(load(options.corpora, DEV[0]))
    lines = [
        "Macro-F1 and accuracy with 95 % intervals from resampling articles; both dev sets pooled are 96 articles and "
        "1,375 paragraphs. `gain` is ours less the baseline's on the same resamples.",
        "",
        "| trained on | model | macro-F1, pooled | accuracy, pooled | newswire-dev | world-dev |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, sets in TRAINED_ON.items():
        articles = load(options.corpora, *sets)
        baseline = pipeline().fit(texts(articles), labels(articles))
        theirs = by_article(baseline.predict(texts(held)).astype(np.int64), held)
        with tempfile.TemporaryDirectory() as folder:
            train(articles, Path(folder) / "model", recipe="linear", held_out=0.0)
            ours = predicted(Path(folder) / "model", held)
        tables = {
            model: confusion_tables(gold, found, len(NEWS_ROLES))
            for model, found in (("plain baseline", theirs), ("linear tagger", ours))
        }
        for model, table in tables.items():
            scores = score_tables(table, NEWS_ROLES.labels)
            parts = [score_tables(part, NEWS_ROLES.labels, resamples=1) for part in (table[:first], table[first:])]
            each = " | ".join(f"{part.macro_f1.value:.3f} / {part.accuracy.value:.3f}" for part in parts)
            lines.append(f"| {name} | {model} | {span(scores.macro_f1)} | {span(scores.accuracy)} | {each} |")
        gain = difference(tables["linear tagger"], tables["plain baseline"])
        lines.append(f"| {name} | gain | {span(gain['macro_f1'])} | {span(gain['accuracy'])} | | |")
    report("training-sets", "python -m benchmarks.training_sets --write", lines, write=options.write)


def texts(articles: list[Article]) -> list[str]:
    """Every paragraph of every article."""
    return [paragraph.text for article in articles for paragraph in article.paragraphs]


if __name__ == "__main__":
    main()
