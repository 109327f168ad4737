"""The tagger: a model, loaded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from nutgraf.annotation import Annotation, Segment
from nutgraf.artefact import ModelFolder
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.labels import LabelSet
from nutgraf_data.readers import read_text

__all__ = ["Tagger"]


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

    @abstractmethod
    def score(self, article: Article) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Probabilities ``(paragraphs, labels)``, and which paragraphs were cut ``(paragraphs,)``."""

    def predict(self, article: Article | str, *, min_confidence: float = 0.0) -> Annotation:
        """Annotates one article; the result depends on nothing but the article and the model.

        Args:
            article: an Article, or the text of one with blank lines between its paragraphs.
            min_confidence: segments below it have ``abstained`` set; they keep their label.

        Raises:
            DataError: the text has no paragraph, or is not a text.
            ValueError: ``min_confidence`` is not between 0 and 1.
        """
        if not 0.0 <= min_confidence <= 1.0:
            raise ValueError(f"min_confidence is {min_confidence}, expected a number from 0 to 1")
        if isinstance(article, str):
            article = read_text(article)
        elif not isinstance(article, Article):
            raise DataError(
                f"an Article or a string was expected, found {type(article).__name__}",
                hint="Article.from_paragraphs takes a list of strings",
            )
        scores, truncated = self.score(article)
        labels = self.label_set.labels
        segments = []
        for index, (paragraph, row, best) in enumerate(
            zip(article.paragraphs, scores.tolist(), scores.argmax(axis=1).tolist(), strict=True)
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
                    abstained=row[best] < min_confidence,
                    truncated=bool(truncated[index]),
                )
            )
        return Annotation(article, tuple(segments), self.fingerprint)

    def predict_many(self, articles: Iterable[Article | str], *, min_confidence: float = 0.0) -> Iterator[Annotation]:
        """Annotates articles one after the other, as they are asked for.

        Raises:
            DataError: as ``predict``.
        """
        if isinstance(articles, str):
            raise DataError("predict_many takes an iterable of articles, found one string", hint="use predict")
        for article in articles:
            yield self.predict(article, min_confidence=min_confidence)
