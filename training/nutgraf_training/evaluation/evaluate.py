"""Evaluates a tagger on held-out articles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nutgraf.tagger import Tagger
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_training.evaluation.groups import Group, group_fields, groups
from nutgraf_training.evaluation.intervals import Interval, plain
from nutgraf_training.evaluation.metrics import Scores, score_tables
from nutgraf_training.evaluation.predictions import Predictions, gold_numbers, predictions_of
from nutgraf_training.evaluation.quality import Bin, quality, reliability
from nutgraf_training.evaluation.selective import (
    Conformal,
    Curve,
    Threshold,
    conformal,
    label_thresholds,
    risk_coverage,
    threshold,
)
from nutgraf_training.provenance import seen_articles, trained_on

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """How a tagger did. What is beyond ``scores`` is computed when it is asked for.

    Attributes:
        model: the fingerprint of the model.
        predictions: what it said.
        scores: the metrics of the labels.
        unlabelled: how many paragraphs had no label and were only read as context.
        seen: how many of the articles the model was trained on, whole or for the most part.
        resamples, seed: of the bootstrap over articles.
    """

    model: str
    predictions: Predictions
    scores: Scores
    unlabelled: int
    seen: int
    resamples: int = 2000
    seed: int = 0

    @cached_property
    def quality(self) -> dict[str, Interval]:
        """Every headline figure: see ``nutgraf_training.evaluation.quality``."""
        return quality(self.predictions, resamples=self.resamples, seed=self.seed)

    @cached_property
    def reliability(self) -> tuple[Bin, ...]:
        """How often paragraphs of a confidence are right."""
        return reliability(self.predictions, resamples=self.resamples, seed=self.seed)

    @cached_property
    def curve(self) -> Curve:
        """Risk and coverage."""
        return risk_coverage(self.predictions, resamples=min(self.resamples, 500), seed=self.seed)

    def threshold(self, target: float) -> Threshold:
        """The ``min_confidence`` for an accuracy."""
        return threshold(self.predictions, target, resamples=self.resamples, seed=self.seed)

    def label_thresholds(self, target: float) -> tuple[Threshold, ...]:
        """The same for each label."""
        return label_thresholds(self.predictions, target, resamples=self.resamples, seed=self.seed)

    def conformal(self, level: float = 0.9) -> Conformal:
        """Prediction sets that hold the given label of a share of ``level`` of the paragraphs."""
        return conformal(self.predictions, level, resamples=self.resamples, seed=self.seed)

    def groups(self, field: str) -> tuple[Group, ...]:
        """The figures by a field, weakest first."""
        return groups(self.predictions, field, resamples=min(self.resamples, 1000), seed=self.seed)

    @property
    def fields(self) -> tuple[str, ...]:
        """What the articles can be grouped by."""
        here = group_fields(self.predictions)
        articles = self.predictions.articles
        missing = {"outlet"} if all(a.outlet is None for a in articles) else set()
        missing |= {"year"} if all(a.published is None for a in articles) else set()
        return tuple(field for field in here if field not in missing)

    def to_json(
        self,
        *,
        by: Sequence[str] = (),
        targets: Sequence[float] = (),
        coverage: Sequence[float] = (),
        curves: bool = True,
    ) -> dict[str, Any]:
        """As an object of JSON.

        Args:
            by: fields to group by.
            targets: accuracies to choose thresholds for.
            coverage: levels of conformal sets.
            curves: with the reliability diagram and the risk–coverage curve.
        """
        record: dict[str, Any] = {"model": self.model, "unlabelled": self.unlabelled, "seen": self.seen}
        record |= {**self.scores.to_json(), **{name: plain(value) for name, value in self.quality.items()}}
        if curves:
            record["reliability"] = [each.to_json() for each in self.reliability]
            record["risk_coverage"] = self.curve.to_json()
        if targets:
            record["thresholds"] = [
                each.to_json()
                for target in targets
                for each in (self.threshold(target), *self.label_thresholds(target))
            ]
        if coverage:
            record["conformal"] = [self.conformal(level).to_json() for level in coverage]
        if by:
            record["groups"] = {field: [group.to_json() for group in self.groups(field)] for field in by}
        return record


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
    if all((numbers < 0).all() for numbers in gold):
        raise DataError(
            "none of the paragraphs has a label to compare with", hint="--column label=NAME names the label column"
        )
    predictions = predictions_of(tagger, articles)
    scores = score_tables(predictions.tables(), tagger.label_set.labels, resamples=resamples, seed=seed)
    unlabelled = int((~predictions.known).sum())
    return Evaluation(tagger.fingerprint, predictions, scores, unlabelled, len(seen), resamples, seed)
