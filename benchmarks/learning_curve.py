"""How accuracy grows with the number of training articles: the plain baseline, the linear and the encoder tagger."""

from __future__ import annotations

import random

import numpy as np

from benchmarks.accuracy import predicted, span
from benchmarks.common import DEV, REAL, arguments, load, report
from benchmarks.environments import PEERS, Bench
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.metrics import confusion_tables, score_tables
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.recipe import load_recipe

SIZES = (50, 100, 200, 400, 800)


def main() -> None:
    """Trains each on more and more articles; a smaller set is part of every larger one."""
    options = arguments(__doc__ or "", bench=True)
    bench = Bench(options.bench, options.encoder)
    articles, held = load(options.corpora, "authored", *REAL), load(options.corpora, *DEV)
    random.Random(0).shuffle(articles)
    gold = gold_numbers(held, NEWS_ROLES)
    lines = [
        "Macro-F1 and accuracy on both dev sets pooled, with 95 % intervals from resampling articles. The encoder is "
        "`--recipe encoder-small`, fine-tuned on these articles alone, without a teacher.",
        "",
        "| articles | model | macro-F1 | accuracy |",
        "| --- | --- | --- | --- |",
    ]
    for size in (*SIZES, len(articles)):
        part = articles[:size]
        labels = {}
        model = bench.model("baseline", part)
        found = bench.run("baseline", "predict", model, bench.write("held", held))["labels"]
        labels[PEERS["baseline"].title] = [np.array([NEWS_ROLES.labels.index(each) for each in row]) for row in found]
        for recipe in ("linear", "encoder-small"):
            labels[f"`--recipe {recipe}`"] = predicted(bench.ours(part, load_recipe(recipe), NEWS_ROLES), held)
        for title, each in labels.items():
            scores = score_tables(confusion_tables(gold, each, len(NEWS_ROLES)), NEWS_ROLES.labels)
            lines.append(f"| {size:,} | {title} | {span(scores.macro_f1)} | {span(scores.accuracy)} |")
    report("learning-curve", "python -m benchmarks.learning_curve --write", lines, write=options.write)


if __name__ == "__main__":
    main()
