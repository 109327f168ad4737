"""A corpus in numbers."""

from __future__ import annotations

import json

from nutgraf_data.article import Article, Paragraph
from nutgraf_data.stats import corpus_stats


def test_counts() -> None:
    rows = [("a b c", "x", "y"), ("a", "x", None), ("a b", "y", None), ("a b c d", None, None)]
    paragraphs = [Paragraph(text, 0, 0, label, alt) for text, label, alt in rows]
    corpus = [
        Article.from_paragraphs(paragraphs, id="1", published="2020-03-01T10:00:00", outlet="Almo Post"),
        Article.from_paragraphs(["a b c d e"], id="2", published="2019-12-31"),
        Article.from_paragraphs(["a b c d e"], id="3", outlet="Almo Post"),
    ]
    assert json.loads(json.dumps(corpus_stats(corpus))) == {
        "articles": 3,
        "paragraphs": 6,
        "labelled": 3,
        "labels": {"x": 2, "y": 1},
        "alt_share": 1 / 3,
        "words_per_paragraph": {"median": 3.5, "p95": 5},
        "paragraphs_per_article": {"median": 1},
        "dates": {"first": "2019-12-31", "last": "2020-03-01"},
        "missing_dates": 1,
        "outlets": 1,
        "missing_outlets": 1,
    }


def test_p95_is_the_nearest_rank() -> None:
    def p95(count: int) -> int:
        texts = ["w " * n for n in range(1, count + 1)]
        found: int = corpus_stats([Article.from_paragraphs(texts)])["words_per_paragraph"]["p95"]
        return found

    assert [p95(n) for n in (1, 19, 20, 21, 100)] == [1, 19, 19, 20, 95]


def test_an_empty_corpus() -> None:
    assert corpus_stats([])["words_per_paragraph"] is None
    assert corpus_stats([])["dates"] is None
