"""What a tagger said of labelled articles, paragraph by paragraph: what every figure is computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nutgraf.tagger import Tagger, batches
from nutgraf_data.article import Article
from nutgraf_data.labels import LabelSet
from nutgraf_training.evaluation.metrics import confusion_tables

__all__ = ["Predictions", "collect", "gold_numbers", "predictions_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Predictions:
    """Scores beside given labels.

    Attributes:
        articles: in their order.
        label_set: whose numbers are used below.
        gold: ``(paragraphs,)`` numbers of the given labels, -1 for none.
        alt: ``(paragraphs,)`` numbers of second labels, -1 for none.
        scores: ``(paragraphs, labels)`` probabilities.
        article: ``(paragraphs,)`` the number of each one's article.
    """

    articles: tuple[Article, ...]
    label_set: LabelSet
    gold: Ints
    alt: Ints
    scores: Floats
    article: Ints

    @property
    def known(self) -> Bools:
        """``(paragraphs,)`` which have a given label."""
        return np.asarray(self.gold >= 0)

    @property
    def predicted(self) -> Ints:
        """``(paragraphs,)`` numbers of the labels with the highest score."""
        return np.asarray(self.scores.argmax(axis=1), dtype=np.int64)

    @property
    def confidence(self) -> Floats:
        """``(paragraphs,)`` that score."""
        return np.asarray(self.scores.max(axis=1))

    @property
    def right(self) -> Bools:
        """``(paragraphs,)`` whether the predicted label is the given one."""
        return np.asarray(self.predicted == self.gold)

    def per_article(self, columns: Floats, where: Bools | None = None) -> Floats:
        """Sums over the labelled paragraphs of each article: ``(paragraphs, n)`` to ``(articles, n)``."""
        chosen = self.known if where is None else self.known & where
        sums = np.zeros((len(self.articles), columns.shape[1]))
        np.add.at(sums, self.article[chosen], columns[chosen])
        return sums

    def tables(self, where: Bools | None = None, *, lenient: bool = False) -> Ints:
        """``(articles, labels, labels)`` confusion counts, gold in rows.

        Args:
            where: ``(paragraphs,)`` which to count; all by default.
            lenient: take the second label for the given one where it was predicted.
        """
        predicted = self.predicted
        gold = np.where(predicted == self.alt, predicted, self.gold) if lenient else self.gold
        gold = np.where(self.known if where is None else self.known & where, gold, -1)
        bounds = np.flatnonzero(np.diff(self.article)) + 1
        return confusion_tables(np.split(gold, bounds), np.split(predicted, bounds), len(self.label_set))


def predictions_of(tagger: Tagger, articles: Sequence[Article]) -> Predictions:
    """Runs a tagger over articles.

    Raises:
        DataError: a label is not the model's.
    """
    gold = gold_numbers(articles, tagger.label_set)
    scores = [scores for batch in batches(articles) for scores, _ in tagger.score_many(batch)]
    return collect(articles, tagger.label_set, gold, np.concatenate(scores))


def collect(articles: Sequence[Article], label_set: LabelSet, gold: Sequence[Ints], scores: Floats) -> Predictions:
    """Predictions from scores ``(paragraphs, labels)`` that are there already."""
    number = {label: index for index, label in enumerate(label_set.labels)}
    alt = np.array([number.get(p.alt or "", -1) for a in articles for p in a.paragraphs], dtype=np.int64)
    article = np.repeat(np.arange(len(articles)), [len(a.paragraphs) for a in articles])
    return Predictions(tuple(articles), label_set, np.concatenate(gold), alt, scores, article)


def gold_numbers(articles: Sequence[Article], label_set: LabelSet) -> list[Ints]:
    """``(articles)(paragraphs,)`` numbers of the given labels, -1 where there is none.

    Raises:
        DataError: a label is not in the set.
    """
    number = {label: index for index, label in enumerate(label_set.labels)}
    rows = []
    for article in articles:
        for paragraph in article.paragraphs:
            if paragraph.label is not None and paragraph.label not in number:
                raise article.error(
                    f"the label {paragraph.label!r} is not one of the model's",
                    line=paragraph.line,
                    hint=label_set.suggest(paragraph.label),
                )
        rows.append(np.array([-1 if p.label is None else number[p.label] for p in article.paragraphs], dtype=np.int64))
    return rows
