"""What each part of the linear tagger pays: all of it, and all of it but one part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from benchmarks.common import DEV, REAL, arguments, by_article, labels, load, report
from nutgraf.features import FeatureExtractor, FeatureTable
from nutgraf.linear import margins
from nutgraf.sequence import Chains, context, forward_backward
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.evaluation.metrics import confusion_tables, score_tables
from nutgraf_training.linear import fit_linear
from nutgraf_training.recipe import LinearRecipe, load_recipe


def variants(recipe: LinearRecipe) -> Iterator[tuple[str, LinearRecipe]]:
    """The recipe, and copies of it that each lack a part."""
    yield "all of it", recipe
    weights = recipe.features.weights
    for block in weights:
        yield f"without {block}", replace(recipe, features=replace(recipe.features, weights={**weights, block: 0.0}))
    words = {block: weight if block in {"word", "pair"} else 0.0 for block, weight in weights.items()}
    yield "words and pairs only", replace(recipe, features=replace(recipe.features, weights=words))
    yield "without alternative labels", replace(recipe, fit=replace(recipe.fit, alt_weight=0.0))


def main() -> None:
    """Fits every variant on all four training sets."""
    options = arguments(__doc__ or "")
    articles, held = load(options.corpora, "authored", *REAL), load(options.corpora, *DEV)
    lines = [
        "Trained on all four sets. `cross-fitted` scores the 19,593 training paragraphs, each with a model fitted "
        "without its article, and is what choices were made on; `dev` is both dev sets pooled. `margins` takes the "
        "largest margin and leaves the chain out.",
        "",
        "| variant | cross-fitted macro-F1 / accuracy | dev macro-F1 / accuracy | dev, margins only |",
        "| --- | --- | --- | --- |",
    ]
    linear = load_recipe("linear")
    assert isinstance(linear, LinearRecipe)
    for name, recipe in variants(linear):
        fit = fit_linear(articles, NEWS_ROLES, recipe)
        weights = fit.weights
        table = FeatureTable(recipe.features, weights.buckets, weights.idf)
        extractor = FeatureExtractor(recipe.features)
        own = np.concatenate(
            [margins(table, chunk, weights.coefficients) + weights.intercepts for chunk in extractor.extract(held)]
        )
        chains = Chains([len(article.paragraphs) for article in held])
        scores, _, _ = forward_backward(
            context(own, chains) @ weights.chain.emission, weights.chain.transitions, chains
        )
        cells = []
        for predicted, of in ((fit.cross_fitted, articles), (scores, held), (own, held)):
            chosen = by_article(predicted.argmax(axis=1).astype(np.int64), of)
            tables = confusion_tables(by_article(labels(of), of), chosen, len(NEWS_ROLES))
            found = score_tables(tables, NEWS_ROLES.labels, resamples=100)
            cells.append(f"{found.macro_f1.value:.3f} / {found.accuracy.value:.3f}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    report("ablation", "python -m benchmarks.ablation --write", lines, write=options.write)


if __name__ == "__main__":
    main()
