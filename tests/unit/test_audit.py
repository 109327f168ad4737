"""The audit: planted errors are found, and annotators compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, f1_score

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_training.audit import agreement, clashes, suspects


def planted(articles: list[Article], share: float, seed: int = 0) -> tuple[list[Article], set[tuple[str, int]]]:
    """The articles with a share of their labels replaced by others, and where."""
    draw = np.random.default_rng(seed)
    places = [(a, i) for a in range(len(articles)) for i in range(len(articles[a].paragraphs))]
    wrong = {places[i] for i in draw.choice(len(places), round(share * len(places)), replace=False)}
    made = []
    for a, article in enumerate(articles):
        paragraphs = [
            replace(p, label=str(draw.choice([x for x in NEWS_ROLES.labels if x not in {p.label, p.alt}])))
            if (a, i) in wrong
            else p
            for i, p in enumerate(article.paragraphs)
        ]
        made.append(replace(article, paragraphs=tuple(paragraphs)))
    return made, {(articles[a].id, i) for a, i in wrong}


@pytest.mark.slow
def test_half_of_the_first_hundred_suspects_are_planted(authored: list[Article]) -> None:
    articles, wrong = planted(authored, 0.05)
    found = suspects(articles, limit=100)
    assert len(found) == 100
    hits = [(each.article, each.paragraph) in wrong for each in found]
    assert sum(hits) >= 50
    truth = {(a.id, i): p.label for a in authored for i, p in enumerate(a.paragraphs)}
    caught = [each for each in found if (each.article, each.paragraph) in wrong]
    assert np.mean([each.suggested == truth[each.article, each.paragraph] for each in caught]) > 0.5
    assert all(each.line is not None and each.path for each in found)
    assert [each.quality for each in found] == sorted(each.quality for each in found)


def test_the_same_paragraph_with_two_labels() -> None:
    one, two, three = (
        Article.from_paragraphs(["Subscribe to our newsletter today.", f"Story {n}."], id=n) for n in ("x", "y", "z")
    )
    labelled = [
        replace(a, paragraphs=(replace(a.paragraphs[0], label=label), replace(a.paragraphs[1], label="background")))
        for a, label in ((one, "boilerplate"), (two, "analysis"), (three, "boilerplate"))
    ]
    (clash,) = clashes(labelled)
    assert [place[2] for place in clash.places] == ["boilerplate", "analysis", "boilerplate"]
    assert clashes([labelled[0], labelled[2]]) == []


def test_agreement_of_two_annotators(authored: list[Article]) -> None:
    first = authored[:30]
    second, wrong = planted(first, 0.1)
    found = agreement(first, second)
    a, b = ([p.label for article in side for p in article.paragraphs] for side in (first, second))
    assert found.paragraphs == len(a)
    assert found.same == pytest.approx(1 - len(wrong) / len(a))
    assert found.kappa == pytest.approx(cohen_kappa_score(a, b))
    assert found.macro_f1 == pytest.approx(f1_score(a, b, average="macro"))
    assert found.to_json()["macro_f1"] == found.macro_f1
    assert sum(count for _, _, count in found.confusions) == len(wrong)
    assert set(found.labels) <= set(NEWS_ROLES.labels)


def test_annotators_of_other_articles(authored: list[Article]) -> None:
    with pytest.raises(DataError, match="no labelled paragraph in common"):
        agreement(authored[:2], authored[2:4])
    other = Article.from_paragraphs(["Another text."], id=authored[0].id)
    with pytest.raises(DataError, match="other paragraphs"):
        agreement(authored[:1], [other])
