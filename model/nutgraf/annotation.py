"""What a tagger says of an article."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from nutgraf_data.article import Article

__all__ = ["Annotation", "Segment"]

#: Keys that ``Annotation.to_json`` writes itself, so that no field of the input may be called so.
_OWN = ("id", "headline", "published", "outlet", "model", "segments", "paragraph_fields")


@dataclass(frozen=True, slots=True)
class Segment:
    """One paragraph as the tagger sees it.

    Attributes:
        paragraph: its index in the article, from 0.
        start, end: character offsets into ``article.source``.
        text: the paragraph, exactly as it stands there.
        label: the label with the highest score.
        confidence: that score.
        scores: label → calibrated probability, summing to 1, in the model's order of labels.
        abstained: whether the confidence is below the ``min_confidence`` that was asked for.
        truncated: whether the model read only the beginning of the paragraph.
    """

    paragraph: int
    start: int
    end: int
    text: str
    label: str
    confidence: float
    scores: Mapping[str, float]
    abstained: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class Annotation:
    """The segments of an article; iterating over it gives them in order.

    Attributes:
        article: what was annotated.
        segments: one for each paragraph.
        model: the fingerprint of the model that made them.
    """

    article: Article
    segments: tuple[Segment, ...]
    model: str

    def __iter__(self) -> Iterator[Segment]:
        return iter(self.segments)

    def __len__(self) -> int:
        return len(self.segments)

    def __getitem__(self, index: int) -> Segment:
        return self.segments[index]

    def to_json(self) -> dict[str, Any]:
        """One record of JSON lines: the article's fields, the ones it came with included, and its segments.

        Labels and other fields that came with the paragraphs stand in ``paragraph_fields``, one object a segment.

        Raises:
            DataError: a field of the input has the name of one that is written here.
        """
        article = self.article
        if taken := [key for key in article.extra if key in _OWN]:
            raise article.error(
                f"has a field {taken[0]!r}, which the output writes itself", hint="rename it in the input"
            )
        record: dict[str, Any] = {
            "id": article.id,
            "headline": article.headline,
            "published": article.published,
            "outlet": article.outlet,
            **article.extra,
            "model": self.model,
            "segments": [_fields(segment) for segment in self.segments],
        }
        fields = [
            {key: value for key, value in (("label", p.label), ("alt", p.alt)) if value is not None} | dict(p.extra)
            for p in article.paragraphs
        ]
        if any(fields):
            record["paragraph_fields"] = fields
        return record

    def to_rows(self) -> list[dict[str, Any]]:
        """One flat row a segment, for tables: scores as ``score_LABEL``, given labels as ``gold_label``.

        Raises:
            DataError: a field of the input has the name of a column that is written here.
        """
        article, rows = self.article, []
        for segment, paragraph in zip(self.segments, article.paragraphs, strict=True):
            row: dict[str, Any] = {
                "article_id": article.id,
                "headline": article.headline,
                "published": article.published,
                "outlet": article.outlet,
                **{key: value for key, value in _fields(segment).items() if key != "scores"},
                **{f"score_{label}": score for label, score in segment.scores.items()},
                "model": self.model,
                "gold_label": paragraph.label,
                "gold_alt": paragraph.alt,
            }
            for fields in (article.extra, paragraph.extra):
                for key, value in fields.items():
                    if key in row:
                        raise article.error(
                            f"has a field {key!r}, which is a column of the output", hint="rename it in the input"
                        )
                    row[key] = value
            rows.append(row)
        return rows


def _fields(segment: Segment) -> dict[str, Any]:
    """As ``dataclasses.asdict``, without its deep copies."""
    fields = dict(zip(_NAMES, _VALUES(segment), strict=True))
    fields["scores"] = dict(segment.scores)
    return fields


_NAMES = tuple(Segment.__dataclass_fields__)
_VALUES = attrgetter(*_NAMES)
