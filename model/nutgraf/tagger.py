"""The tagger: a model, loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nutgraf.annotation import Annotation, Segment
from nutgraf.artefact import ModelFolder
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.labels import LabelSet
from nutgraf_data.readers import read_text

__all__ = ["Tagger", "batches"]


class Tagger(ABC):
    """Says what each paragraph of an article does; made by ``nutgraf.load``.

    Attributes:
        folder: the model folder it was made from.
        label_set: the labels in the order of ``Segment.scores``.
        fingerprint: names exactly this model.
    """

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self.label_set: LabelSet = folder.label_set
        self.fingerprint: str = folder.fingerprint

    def __reduce__(self) -> tuple[type[Tagger], tuple[ModelFolder]]:
        return type(self), (self.folder,)  # locks and sessions cannot be pickled

    @abstractmethod
    def score_many(self, articles: Sequence[Article]) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """For each article, probabilities ``(paragraphs, labels)`` and which paragraphs were cut ``(paragraphs,)``.

        Which articles are scored together makes no difference to the result of any of them.
        """

    def score(self, article: Article) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """``score_many`` of one article."""
        return self.score_many([article])[0]

    def predict(self, article: Article | str, *, min_confidence: float | Mapping[str, float] = 0.0) -> Annotation:
        """Annotates one article; the result depends on nothing but the article and the model.

        Args:
            article: an Article, or the text of one with blank lines between its paragraphs.
            min_confidence: segments below it have ``abstained`` set; they keep their label. Or one for each label of
                some, as ``nutgraf evaluate --target`` suggests them; 0 for the others.

        Raises:
            DataError: the text has no paragraph, or is not a text; ``min_confidence`` is not between 0 and 1, or names
                a label that the model does not have.
        """
        return next(self.predict_many([article], min_confidence=min_confidence))

    def predict_many(
        self, articles: Iterable[Article | str], *, min_confidence: float | Mapping[str, float] = 0.0
    ) -> Iterator[Annotation]:
        """Annotates articles in order, reading ahead a few of them at a time.

        An error while articles are read is raised after the annotations of those that came before it.

        Raises:
            DataError: as ``predict``.
        """
        if isinstance(articles, str):
            raise DataError("predict_many takes an iterable of articles, found one string", hint="use predict")
        limits = self._limits(min_confidence)
        return (
            self._annotation(article, *scored, limits)
            for batch in batches(_as_article(article) for article in articles)
            for article, scored in zip(batch, self.score_many(batch), strict=True)
        )

    def _limits(self, min_confidence: float | Mapping[str, float]) -> dict[str, float]:
        """The least confidence of every label."""
        labels = self.label_set.labels
        given = min_confidence if isinstance(min_confidence, Mapping) else dict.fromkeys(labels, min_confidence)
        for label, limit in given.items():
            if label not in self.label_set:
                raise DataError(
                    f"min_confidence has the label {label!r}, which is not one of the model's",
                    hint=self.label_set.suggest(label),
                )
            if not 0.0 <= limit <= 1.0:
                raise DataError(f"min_confidence is {limit}, expected a number from 0 to 1")
        return {label: given.get(label, 0.0) for label in labels}

    def _annotation(
        self,
        article: Article,
        scores: NDArray[np.float64],
        truncated: NDArray[np.bool_],
        limits: Mapping[str, float],
    ) -> Annotation:
        labels = self.label_set.labels
        segments = []
        for index, (paragraph, row, best, cut) in enumerate(
            zip(article.paragraphs, scores.tolist(), scores.argmax(axis=1).tolist(), truncated.tolist(), strict=True)
        ):
            segments.append(
                Segment(
                    paragraph=index,
                    start=paragraph.start,
                    end=paragraph.end,
                    text=paragraph.text,
                    label=labels[best],
                    confidence=row[best],
                    scores=dict(zip(labels, row, strict=True)),
                    abstained=row[best] < limits[labels[best]],
                    truncated=cut,
                )
            )
        return Annotation(article, tuple(segments), self.fingerprint)


def batches(articles: Iterable[Article], paragraphs: int = 256) -> Iterator[list[Article]]:
    """Groups of consecutive articles with at least ``paragraphs`` paragraphs, the last one apart.

    When reading fails, what was read before is given first, then the error raised.
    """
    batch: list[Article] = []
    size = 0
    try:
        for article in articles:
            batch.append(article)
            size += len(article.paragraphs)
            if size >= paragraphs:
                yield batch
                batch, size = [], 0
    except Exception:
        if batch:
            yield batch
        raise
    if batch:
        yield batch


def _as_article(article: Article | str) -> Article:
    if isinstance(article, str):
        return read_text(article)
    if not isinstance(article, Article):
        raise DataError(
            f"an Article or a string was expected, found {type(article).__name__}",
            hint="Article.from_paragraphs takes a list of strings",
        )
    return article
