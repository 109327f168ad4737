"""What the comparison says of models that differ by the seed alone, and of the plain baseline and the default."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.accuracy import span
from benchmarks.common import DEV, REAL, arguments, labels, load, report
from benchmarks.peers.baseline import pipeline
from benchmarks.training_sets import texts
from nutgraf.registry import load as load_model
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.compare import compare
from nutgraf_training.evaluation.predictions import Predictions, predictions_of
from nutgraf_training.train import train

PAIRS, ARTICLES = 20, 400


def main() -> None:
    """Trains twenty pairs of linear taggers, and the plain baseline."""
    options = arguments(__doc__ or "")
    held = load(options.corpora, *DEV)
    articles = load(options.corpora, "authored", *REAL)
    random.Random(0).shuffle(articles)
    called = {"accuracy": 0, "McNemar": 0}
    apart, agreement = [], []
    for number in range(PAIRS):
        said = {}
        for seed in (2 * number, 2 * number + 1):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "model")
                train(articles[:ARTICLES], path, recipe="linear", held_out=0.0, label_set=NEWS_ROLES, seed=seed)
                said[f"seed {seed}"] = predictions_of(load_model(path), held)
        (pair,) = compare(said, seed=number).pairs
        called["accuracy"] += pair.different
        called["McNemar"] += pair.mcnemar < 0.05
        apart.append(abs(pair.accuracy.value))
        agreement.append(pair.agreement)
    default = predictions_of(load_model("default"), held)
    baseline = pipeline().fit(texts(articles), labels(articles))
    order = [list(baseline.classes_).index(number) for number in range(len(NEWS_ROLES))]
    scores = np.asarray(baseline.predict_proba(texts(held)))[:, order]
    plain = Predictions(default.articles, NEWS_ROLES, default.gold, default.alt, scores, default.article)
    (pair,) = compare({"default": default, "baseline": plain}).pairs
    lines = [
        f"{PAIRS} pairs of linear taggers, each trained on the same {ARTICLES} articles and scored on both dev sets "
        "pooled; the two of a pair differ by nothing but the seed. A difference is called significant where the "
        "paired 95 % interval of the accuracies' difference leaves 0 out.",
        "",
        "| | |",
        "| --- | --- |",
        f"| pairs called different, by the interval | {called['accuracy']} of {PAIRS} |",
        f"| by McNemar's test at 0.05 | {called['McNemar']} of {PAIRS} |",
        f"| mean, largest difference of accuracy in a pair | {np.mean(apart):.4f}, {max(apart):.4f} |",
        f"| mean share of paragraphs with the same label | {np.mean(agreement):.3f} |",
        f"| the default less the plain baseline, accuracy | {span(pair.accuracy)}: "
        f"{'called different' if pair.different else 'not called different'}, McNemar p = {pair.mcnemar:.1g} |",
    ]
    report("seeds", "python -m benchmarks.seeds --write", lines, write=options.write)


if __name__ == "__main__":
    main()
