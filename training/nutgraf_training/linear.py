"""Fits the linear tagger with scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from nutgraf.features import FeatureExtractor, Features, FeatureTable
from nutgraf.linear import LinearWeights
from nutgraf.tagger import batches
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.labels import LabelSet
from nutgraf_data.splits import folds as make_folds
from nutgraf_training.chain import calibrate
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.recipe import FitSettings, LinearRecipe

__all__ = ["LinearFit", "extract", "fit_linear", "fit_margins"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LinearFit:
    """What fitting gives.

    Attributes:
        weights: the arrays to save.
        cross_fitted: ``(paragraphs, labels)`` probabilities for the training articles, each from margins and a chain
            that were fitted without it; only which buckets are kept, and how rare they are, was told from all articles.
    """

    weights: LinearWeights
    cross_fitted: Floats


def fit_linear(
    articles: Sequence[Article],
    label_set: LabelSet,
    recipe: LinearRecipe,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> LinearFit:
    """Fits on labelled articles; paragraphs without a label serve as context.

    Args:
        articles: at least two, so that calibration can be cross-fitted.
        label_set: the labels and their order.
        recipe: of kind ``linear``.
        say: called with a line of progress.

    Raises:
        DataError: there are too few articles, or fewer than two labels occur.
    """
    number = {label: index for index, label in enumerate(label_set.labels)}
    given = np.concatenate(gold_numbers(articles, label_set))
    alternative = np.array([number.get(p.alt or "", -1) for a in articles for p in a.paragraphs], dtype=np.int64)
    if len(np.unique(given[given >= 0])) < 2:
        raise DataError("fewer than two labels occur in the training articles", hint="train on more of the corpus")
    if len(articles) < 2:
        raise DataError("one training article was found, expected at least two", hint="name the article-id column")

    say("reading features")
    features = extract(articles, recipe)
    table = FeatureTable.fit(recipe.features, features)
    rows = _sparse(table, features)
    lengths = [len(a.paragraphs) for a in articles]
    part = np.zeros(len(articles), dtype=np.int64)
    parts = make_folds(articles, recipe.fit.folds, recipe.seed)
    for index, members in enumerate(parts):
        part[members] = index
    fold = np.repeat(part, lengths)

    out_of_fold = np.zeros((len(given), len(label_set)))
    for index in range(len(parts)):
        say(f"cross-fitting {index + 1} of {len(parts)}")
        rest = fold != index
        coefficients, intercepts = fit_margins(
            rows[rest], given[rest], alternative[rest], len(label_set), recipe.fit, recipe.seed
        )
        out_of_fold[~rest] = rows[~rest] @ coefficients + intercepts
    say("fitting on all of it")
    coefficients, intercepts = fit_margins(rows, given, alternative, len(label_set), recipe.fit, recipe.seed)

    say("fitting the chain")
    chain, cross_fitted = calibrate(out_of_fold, given, lengths, part, recipe.chain)
    weights = LinearWeights(
        table.buckets,
        table.idf.astype(np.float16),
        coefficients.astype(np.float16),
        intercepts,
        chain,
    )
    return LinearFit(weights, cross_fitted)


def extract(articles: Sequence[Article], recipe: LinearRecipe) -> Features:
    """The features of all paragraphs of all articles, in order."""
    extractor = FeatureExtractor(recipe.features)
    chunks, rows, before = [], [], 0
    for batch in batches(articles):
        for chunk in extractor.extract(batch):
            chunks.append(chunk)
            rows.append(chunk.row + before)
            before += chunk.paragraphs
    return Features(
        before,
        np.concatenate(rows),
        *(np.concatenate([getattr(c, name) for c in chunks]) for name in ("block", "bucket", "count")),
    )


def fit_margins(
    rows: sparse.csr_array, given: Ints, alternative: Ints, labels: int, settings: FitSettings, seed: int
) -> tuple[Floats, Floats]:
    """One linear support-vector machine a label (scikit-learn's LinearSVC, one against the rest).

    Args:
        rows: ``(paragraphs, features)``.
        given: ``(paragraphs,)`` labels, -1 for none.
        alternative: ``(paragraphs,)`` second labels, -1 for none; they get ``settings.alt_weight`` of the weight.
        labels: how many there are. One that never occurs gets a margin of -1 everywhere.

    Returns:
        coefficients ``(features, labels)`` and intercepts ``(labels,)``.
    """
    known = np.flatnonzero(given >= 0)
    soft = (
        np.flatnonzero((alternative >= 0) & (given >= 0) & (alternative != given)) if settings.alt_weight else known[:0]
    )
    weight = np.ones(len(given))
    weight[soft] -= settings.alt_weight
    taken = np.concatenate([known, soft])
    target = np.concatenate([given[known], alternative[soft]])
    share = np.concatenate([weight[known], np.full(len(soft), settings.alt_weight)])
    coefficients, intercepts = np.zeros((rows.shape[1], labels)), np.full(labels, -1.0)
    if len(present := np.unique(target)) < 2:
        intercepts[present] = 1.0
        return coefficients, intercepts
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = LinearSVC(C=settings.C, dual=True, max_iter=settings.max_iterations, random_state=seed).fit(
            rows[taken], target, sample_weight=share
        )
    if len(fitted.classes_) == 2:  # scikit-learn keeps one row for two classes
        coefficients[:, fitted.classes_] = np.stack([-fitted.coef_[0], fitted.coef_[0]], axis=1)
        intercepts[fitted.classes_] = [-fitted.intercept_[0], fitted.intercept_[0]]
    else:
        coefficients[:, fitted.classes_] = fitted.coef_.T
        intercepts[fitted.classes_] = fitted.intercept_
    return coefficients, intercepts


def _sparse(table: FeatureTable, features: Features) -> sparse.csr_array:
    row, column, value = table.weigh(features)
    # liblinear takes 32-bit indices only
    starts = np.searchsorted(row, np.arange(features.paragraphs + 1)).astype(np.int32)
    return sparse.csr_array((value, column, starts), shape=(features.paragraphs, len(table.buckets)))
