"""Looks for wrong labels: by what a model thinks of them, among near-duplicates, and in a second annotator's file."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.labels import LabelSet
from nutgraf_data.standoff import normalise
from nutgraf_training.evaluation.predictions import gold_numbers
from nutgraf_training.recipe import LinearRecipe, load_recipe

__all__ = ["Agreement", "Clash", "Suspect", "agreement", "clashes", "suspects"]

_SHORT = 12  # letters and digits below which two paragraphs are alike by chance ("Advertisement" has 13)


@dataclass(frozen=True)
class Suspect:
    """A label that may be wrong.

    Attributes:
        article, paragraph: where.
        path, line: of the file that it was read from, where known.
        label: the given label.
        suggested: the likeliest other one.
        quality: cleanlab's score of the given label, 0 to 1; the least is the most suspect.
        issue: whether cleanlab counts it among the errors that it estimates there are.
        text: the paragraph.
    """

    article: str
    paragraph: int
    path: str | None
    line: int | None
    label: str
    suggested: str
    quality: float
    issue: bool
    text: str

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Clash:
    """The same paragraph with different labels in several places.

    Attributes:
        text: of the first of them.
        places: (article, paragraph, label) of each.
    """

    text: str
    places: tuple[tuple[str, int, str], ...]

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "text": self.text,
            "places": [dict(zip(("article", "paragraph", "label"), p, strict=True)) for p in self.places],
        }


@dataclass(frozen=True)
class Agreement:
    """How two annotators agree.

    Attributes:
        paragraphs: that both labelled.
        same: the share that has one label.
        kappa: Cohen's, or NaN where chance alone explains everything.
        labels: label → how often the first, the second and both gave it, and the F1 of one against the other.
        confusions: (first's, second's, how often), commonest first.
    """

    paragraphs: int
    same: float
    kappa: float
    labels: dict[str, dict[str, float]]
    confusions: tuple[tuple[str, str, int], ...]

    @property
    def macro_f1(self) -> float:
        """The mean of the labels' F1, of one annotator against the other; labels that neither gave do not count."""
        return float(np.mean([row["f1"] for row in self.labels.values()]))

    def to_json(self) -> dict[str, Any]:
        """As an object of JSON."""
        return {
            "paragraphs": self.paragraphs,
            "same": self.same,
            "kappa": None if np.isnan(self.kappa) else self.kappa,
            "macro_f1": self.macro_f1,
            "labels": self.labels,
            "confusions": [dict(zip(("first", "second", "paragraphs"), c, strict=True)) for c in self.confusions],
        }


def suspects(
    articles: Sequence[Article], *, limit: int | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Suspect]:
    """Paragraphs in order of how little a linear tagger that never saw their article believes their labels.

    Confident learning (Northcutt, Jiang and Chuang, 2021), as cleanlab has it, over cross-fitted probabilities.

    Args:
        articles: labelled, at least two.
        limit: how many to return; all by default.
        say: called with a line of progress.

    Raises:
        DataError: there are too few articles or labels.
        MissingExtraError: the extra ``train`` is not installed.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        raise MissingExtraError("Looking for wrong labels", "train") from None
    from threadpoolctl import threadpool_limits

    from nutgraf_training.linear import fit_linear

    label_set = LabelSet.from_articles(articles)
    recipe = load_recipe("linear")
    assert isinstance(recipe, LinearRecipe)
    with threadpool_limits(1):
        scores = fit_linear(articles, label_set, recipe, say=say).cross_fitted
    gold = np.concatenate(gold_numbers(articles, label_set))
    known = np.flatnonzero(gold >= 0)
    # cleanlab wants every label to occur, counted from 0
    present, given = np.unique(gold[known], return_inverse=True)
    believed = scores[known][:, present]
    believed = believed / believed.sum(axis=1, keepdims=True)
    quality = get_label_quality_scores(given, believed, method="normalized_margin")
    issue = find_label_issues(given, believed, n_jobs=1)
    others = believed.copy()
    others[np.arange(len(given)), given] = -1
    where = [(article, number) for article in articles for number in range(len(article.paragraphs))]
    found = []
    for row in np.argsort(quality, kind="stable")[:limit]:
        article, number = where[known[row]]
        paragraph, origin = article.paragraphs[number], article.origin
        found.append(
            Suspect(
                article=article.id,
                paragraph=number,
                path=None if origin is None else origin.path,
                line=paragraph.line or (None if origin is None else origin.line),
                label=label_set.labels[gold[known[row]]],
                suggested=label_set.labels[present[others[row].argmax()]],
                quality=float(quality[row]),
                issue=bool(issue[row]),
                text=paragraph.text,
            )
        )
    return found


def clashes(articles: Sequence[Article]) -> list[Clash]:
    """Paragraphs that stand in several places with different labels; case, punctuation and spaces do not count."""
    places: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
    texts: dict[str, str] = {}
    for article in articles:
        for number, paragraph in enumerate(article.paragraphs):
            key = normalise(paragraph.text)
            if paragraph.label is not None and len(key) >= _SHORT:
                texts.setdefault(key, paragraph.text)
                places[key].append((article.id, number, paragraph.label))
    return [Clash(texts[key], tuple(found)) for key, found in places.items() if len({p[2] for p in found}) > 1]


def agreement(first: Sequence[Article], second: Sequence[Article]) -> Agreement:
    """How the labels of two annotators of the same articles agree, matched by the articles' ids.

    Raises:
        DataError: they share no labelled paragraph, or an article of one id has other paragraphs.
    """
    from sklearn.metrics import cohen_kappa_score

    others = {article.id: article for article in second}
    pairs: list[tuple[str, str]] = []
    for article in first:
        if (other := others.get(article.id)) is None:
            continue
        if [normalise(p.text) for p in article.paragraphs] != [normalise(p.text) for p in other.paragraphs]:
            raise other.error("has other paragraphs than the article of the same id", hint="give both the same texts")
        pairs += [
            (p.label, q.label)
            for p, q in zip(article.paragraphs, other.paragraphs, strict=True)
            if p.label is not None and q.label is not None
        ]
    if not pairs:
        raise DataError(
            "the two annotators have no labelled paragraph in common", hint="articles are matched by their ids"
        )
    ours, theirs = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    both = Counter(a for a, b in pairs if a == b)
    names = sorted(ours.keys() | theirs.keys())
    kappa = float("nan") if len(names) < 2 else float(cohen_kappa_score(*zip(*pairs, strict=True)))
    confused = Counter((a, b) for a, b in pairs if a != b)
    return Agreement(
        paragraphs=len(pairs),
        same=both.total() / len(pairs),
        kappa=kappa,
        labels={
            name: {
                "first": ours[name],
                "second": theirs[name],
                "both": both[name],
                "f1": 2 * both[name] / (ours[name] + theirs[name]),
            }
            for name in names
        },
        confusions=tuple((a, b, count) for (a, b), count in confused.most_common()),
    )
