"""How often the 95 % intervals hold the truth, and conformal sets the label, where the truth is known: a simulation.

Articles are drawn from a model of them whose figures are computed from very many: an article has its own mix of labels
and its own difficulty, so that its paragraphs are not independent. Label shares and confusions are made like those of
the default model on the dev sets.
"""

from __future__ import annotations

import argparse

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import report
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.intervals import bootstrap
from nutgraf_training.evaluation.metrics import metrics_of
from nutgraf_training.evaluation.predictions import Predictions
from nutgraf_training.evaluation.selective import conformal

SHARES = np.array([0.24, 0.24, 0.13, 0.2, 0.11, 0.03, 0.05])
SIZES = (36, 96, 300)
METRICS = {"accuracy": "accuracy", "macro_f1": "macro-F1", "kappa": "Cohen's kappa", "mcc": "Matthews correlation"}
LEVEL = 0.9
MANY = 40_000  # articles that stand for all

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def main() -> None:
    """Draws articles again and again, and counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md instead of printing it")
    parser.add_argument("--times", type=int, default=1000, help="how often each number of articles is drawn")
    options = parser.parse_args()
    draw = np.random.default_rng(0)
    labels = len(SHARES)
    truth = {name: values[0] for name, values in figures(tables(draw, MANY).sum(axis=0)[None]).items()}
    lines = [
        f"Of {options.times:,} simulated test sets, how often the 95 % interval (1,000 resamples) holds the "
        "true value; `percentiles` is the plain percentile bootstrap. Conformal sets at 90 %: the mean share of "
        "paragraphs of new articles whose set holds the label.",
        "",
        "| articles | " + " | ".join(f"{title} | percentiles" for title in METRICS.values()) + " | conformal, 90 % |",
        "| --- |" + " --- |" * (2 * len(METRICS) + 1),
    ]
    for size in SIZES:
        held = {name: np.zeros(2) for name in METRICS}
        covered = []
        for number in range(options.times):
            flat = tables(draw, size).reshape(size, -1).astype(np.float64)
            found = bootstrap(flat, lambda sums: figures(sums.reshape(-1, labels, labels)), resamples=1000, seed=number)
            counts = np.random.default_rng(number).multinomial(size, np.full(size, 1 / size), size=1000)
            plain = figures((counts @ flat).reshape(-1, labels, labels))
            for name in METRICS:
                low, high = np.nanpercentile(plain[name], [2.5, 97.5])
                held[name] += (
                    found[name][1] <= truth[name] <= found[name][2],
                    low <= truth[name] <= high,
                )
            if number < options.times // 5:
                limit = conformal(predictions(draw, size), LEVEL, resamples=1).quantile
                fresh = predictions(draw, 300)
                own = np.take_along_axis(fresh.scores, fresh.gold[:, None], axis=1)[:, 0]
                covered.append(float((1 - own <= limit).mean()))
        shares = (100 * count / options.times for count in np.concatenate(list(held.values())))
        cells = " | ".join(f"{share:.1f} %" for share in shares)
        lines.append(f"| {size} | {cells} | {100 * np.mean(covered):.1f} % |")
    report("coverage", "python -m benchmarks.coverage --write", lines, write=options.write)


def figures(sums: NDArray[np.number]) -> dict[str, Floats]:
    """The metrics that are counted, of ``(samples, labels, labels)``."""
    found = metrics_of(sums)
    return {name: found[name] for name in METRICS}


def tables(draw: np.random.Generator, articles: int) -> Ints:
    """``(articles, labels, labels)`` confusion tables."""
    p = predictions(draw, articles)
    found = np.zeros((articles, len(SHARES), len(SHARES)), dtype=np.int64)
    np.add.at(found, (p.article, p.gold, p.predicted), 1)
    return found


def predictions(draw: np.random.Generator, articles: int) -> Predictions:
    """Articles and what a tagger says of them."""
    labels = len(SHARES)
    article = np.repeat(np.arange(articles), draw.integers(6, 25, articles))
    mixes = draw.dirichlet(4 * SHARES, articles)
    gold = (draw.random(len(article))[:, None] > np.cumsum(mixes[article], axis=1)).sum(axis=1).clip(0, labels - 1)
    ease = draw.normal(2.0, 0.8, articles)[article]
    noise = draw.gumbel(size=(len(article), labels)) + np.log(SHARES)
    potentials = 1.3 * noise
    potentials[np.arange(len(article)), gold] += 1.6 * ease
    scores = np.exp(potentials - potentials.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    nothing = Article.from_paragraphs(["text"])
    return Predictions((nothing,) * articles, NEWS_ROLES, gold, np.full(len(gold), -1), scores, article)


if __name__ == "__main__":
    main()
