"""The same figures by outlet, year, place in the article, length, and any field that came with the corpus."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from nutgraf_data.errors import DataError
from nutgraf_training.evaluation.intervals import Interval, plain
from nutgraf_training.evaluation.predictions import Predictions
from nutgraf_training.evaluation.quality import quality

__all__ = ["FIELDS", "LEAST_ARTICLES", "LEAST_PARAGRAPHS", "Group", "group_fields", "groups"]

#: Fewer articles or paragraphs than these say nothing of a group.
LEAST_ARTICLES, LEAST_PARAGRAPHS = 8, 30

#: What every corpus can be grouped by.
FIELDS = ("outlet", "year", "position", "length")

_WORDS = (15, 30, 60)


@dataclass(frozen=True)
class Group:
    """Some of the paragraphs.

    Attributes:
        field, value: what they have in common.
        articles, paragraphs: how many there are, with a label.
        figures: as ``quality`` gives them, or None where there are too few to say anything.
    """

    field: str
    value: str
    articles: int
    paragraphs: int
    figures: dict[str, Interval] | None

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "value": self.value,
            "articles": self.articles,
            "paragraphs": self.paragraphs,
            "figures": None if self.figures is None else {k: plain(v) for k, v in self.figures.items()},
        }


def group_fields(predictions: Predictions) -> tuple[str, ...]:
    """What these articles can be grouped by: ``FIELDS``, and their own fields that hold short values."""
    own = {
        key
        for article in predictions.articles
        for extra in (article.extra, *(p.extra for p in article.paragraphs))
        for key, value in extra.items()
        if isinstance(value, str | int | bool) and len(str(value)) <= 80
    }
    return (*FIELDS, *sorted(own - set(FIELDS)))


def groups(predictions: Predictions, field: str, *, resamples: int = 1000, seed: int = 0) -> tuple[Group, ...]:
    """The groups of one field, the least accurate first, those that are too small last.

    Args:
        field: ``outlet``, ``year`` (of publication), ``position`` (in the article), ``length`` (in words), or the name
            of a field that came with the articles or their paragraphs.

    Raises:
        DataError: no article has it.
    """
    values = _values(predictions, field)
    if all(value is None for value in values):
        raise DataError(
            f"no article has the field {field!r} to group by",
            hint=f"these articles have {', '.join(group_fields(predictions))}",
        )
    names = np.array(["(none)" if value is None else value for value in values])
    found = []
    for name in dict.fromkeys(names[predictions.known].tolist()):
        where = predictions.known & (names == name)
        articles, paragraphs = len(np.unique(predictions.article[where])), int(where.sum())
        figures = None
        if articles >= LEAST_ARTICLES and paragraphs >= LEAST_PARAGRAPHS:
            figures = quality(predictions, where, resamples=resamples, seed=seed)
        found.append(Group(field, name, articles, paragraphs, figures))
    return tuple(
        sorted(
            found,
            key=lambda g: (
                g.figures is None,
                -g.paragraphs if g.figures is None else g.figures["accuracy"].value,
                g.value,
            ),
        )
    )


def _values(predictions: Predictions, field: str) -> list[str | None]:
    made: Callable[[Any, Any, int], Any] = _OWN.get(field, lambda a, p, _: p.extra.get(field, a.extra.get(field)))
    found: list[str | None] = []
    for article in predictions.articles:
        for number, paragraph in enumerate(article.paragraphs):
            value = made(article, paragraph, number)
            found.append(None if value is None else str(value))
    return found


def _position(article: Any, _: Any, number: int) -> str:
    if number == 0:
        return "the first paragraph"
    return ("first third, but the first", "middle third", "last third")[3 * number // len(article.paragraphs)]


def _length(_: Any, paragraph: Any, __: int) -> str:
    words = len(paragraph.text.split())
    if words >= _WORDS[-1]:
        return f"{_WORDS[-1]} words or more"
    low, high = next((low, high) for low, high in itertools.pairwise((0, *_WORDS)) if words < high)
    return f"{low} to {high - 1} words"


_OWN: dict[str, Callable[[Any, Any, int], Any]] = {
    "outlet": lambda article, _, __: article.outlet,
    "year": lambda article, _, __: None if article.published is None else article.published[:4],
    "position": _position,
    "length": _length,
}
