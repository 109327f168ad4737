"""Evaluates a tagger on held-out articles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nutgraf.tagger import Tagger, batches
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.labels import LabelSet
from nutgraf_training.metrics import Scores, confusion_tables, score_tables
from nutgraf_training.provenance import seen_articles, trained_on

__all__ = ["Evaluation", "evaluate", "gold_numbers"]


@dataclass(frozen=True)
class Evaluation:
    """How a tagger did.

    Attributes:
        model: the fingerprint of the model.
        scores: the metrics.
        unlabelled: how many paragraphs had no label and were only read as context.
        seen: how many of the articles the model was trained on, whole or for the most part.
    """

    model: str
    scores: Scores
    unlabelled: int
    seen: int

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {"model": self.model, "unlabelled": self.unlabelled, "seen": self.seen, **self.scores.to_json()}


def evaluate(
    tagger: Tagger,
    articles: Iterable[Article],
    *,
    include_seen: bool = False,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Scores a tagger's labels against the given ones.

    Args:
        tagger: the model.
        articles: labelled and held out.
        include_seen: score articles that the model was trained on, too; the result then says how many.
        resamples, seed: of the bootstrap over articles.

    Raises:
        DataError: there is no labelled paragraph, a label is not the model's, or the model was trained on some of the
            articles.
    """
    articles = list(articles)
    seen = seen_articles(articles, trained_on(tagger.folder))
    if seen and not include_seen:
        raise DataError(
            f"the model was trained on {len(seen)} of these {len(articles)} articles (the first is {seen[0].id!r}), "
            "so its score on them says nothing",
            path=None if seen[0].origin is None else seen[0].origin.path,
            line=None if seen[0].origin is None else seen[0].origin.line,
            hint="evaluate on articles it never saw, or pass --include-seen to score them all the same",
        )
    gold = gold_numbers(articles, tagger.label_set)
    predicted = [
        scores.argmax(axis=1).astype(np.int64) for batch in batches(articles) for scores, _ in tagger.score_many(batch)
    ]
    unlabelled = sum(int((numbers < 0).sum()) for numbers in gold)
    if unlabelled == sum(map(len, gold)):
        raise DataError(
            "none of the paragraphs has a label to compare with", hint="--column label=NAME names the label column"
        )
    labels = tagger.label_set.labels
    tables = confusion_tables(gold, predicted, len(labels))
    return Evaluation(
        tagger.fingerprint, score_tables(tables, labels, resamples=resamples, seed=seed), unlabelled, len(seen)
    )


def gold_numbers(articles: Sequence[Article], label_set: LabelSet) -> list[NDArray[np.int64]]:
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
