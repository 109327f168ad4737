"""Near-duplicate articles."""

from __future__ import annotations

import random
import sys
import time

import pytest

from nutgraf_data.article import Article
from nutgraf_data.duplicates import merge_groups, near_duplicates
from nutgraf_data.errors import DataError, MissingExtraError

WORDS = [f"word{n}" for n in range(3000)]


def words(seed: int, count: int) -> list[str]:
    return random.Random(seed).choices(WORDS, k=count)


def article(tokens: list[str], id: str = "a") -> Article:
    return Article.from_paragraphs([" ".join(tokens[i : i + 40]) for i in range(0, len(tokens), 40)], id=id)


def test_containment_is_exact() -> None:
    a = words(1, 300)
    half = a[:152] + words(2, 148)  # 148 of its 296 shingles
    pairs = near_duplicates([article(words(3, 300)), article(a), article(half)])
    assert pairs == [(1, 2, 0.5)]
    assert near_duplicates([article(a), article(half)], threshold=0.51) == []


def test_case_punctuation_and_paragraphs_do_not_matter() -> None:
    a = Article.from_paragraphs(["The ferry sank off Port Almo", "on Thursday, police said."])
    b = Article.from_paragraphs(["THE FERRY “sank” off Port Almo on Thursday; police said"])
    assert near_duplicates([a, b]) == [(0, 1, 1.0)]


def test_a_short_version_is_found() -> None:
    whole = words(4, 600)
    assert near_duplicates([article(whole[:60]), article(whole)]) == [(0, 1, 1.0)]


def test_a_shared_footer_is_no_duplicate_and_takes_no_quadratic_time() -> None:
    footer = words(8, 24)
    corpus = [article(words(1000 + n, 16) + footer) for n in range(1500)]
    corpus[700] = article([*words(1003, 16), *footer])  # the story of number 3
    corpus[900] = article([*words(1005, 14), "so", "on", *footer])  # nearly that of number 5
    corpus[1100] = corpus[1200] = article(footer)
    begin = time.process_time()
    pairs = near_duplicates(corpus)
    assert time.process_time() - begin < 5
    assert [(i, j) for i, j, _ in pairs] == [(3, 700), (5, 900), (1100, 1200)]
    assert [share for _, _, share in pairs] == [1.0, 0.625, 1.0]


def test_fewer_words_than_a_shingle() -> None:
    tiny = [Article.from_paragraphs([text]) for text in ("More soon.", "more soon", "Less soon.", "…", "…")]
    assert near_duplicates(tiny) == [(0, 1, 1.0)]


def test_order_of_the_corpus_does_not_matter() -> None:
    corpus = [article(words(n, 200) + words(n // 3, 250), str(n)) for n in range(60)]
    expected = {frozenset((corpus[i].id, corpus[j].id)) for i, j, _ in near_duplicates(corpus)}
    assert len(expected) > 40
    random.Random(0).shuffle(corpus)
    assert {frozenset((corpus[i].id, corpus[j].id)) for i, j, _ in near_duplicates(corpus)} == expected


def test_groups_are_transitive() -> None:
    a, b = words(5, 200), words(6, 200)
    corpus = [article(a), article(words(7, 200)), article(a + b), article(b)]
    assert merge_groups(4, [(i, j) for i, j, _ in near_duplicates(corpus)]) == [0, 1, 0, 0]


def test_merge_groups() -> None:
    assert merge_groups(6, [(4, 5), (0, 4), (2, 3)]) == [0, 1, 2, 2, 0, 0]


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1])
def test_threshold(threshold: float) -> None:
    with pytest.raises(DataError, match="threshold"):
        near_duplicates([], threshold=threshold)


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(MissingExtraError, match=r"nutgraf\[train\]"):
        near_duplicates([])


def test_a_story_in_many_outlets_is_no_footer() -> None:
    """More copies than a footer may have, each with a byline of its own."""
    story = " ".join(f"story{number}" for number in range(120))
    copies = [
        Article.from_paragraphs([" ".join(f"byline{n}word{k}" for k in range(12)), story], id=f"copy{n}")
        for n in range(25)
    ]
    others = [
        Article.from_paragraphs([" ".join(f"other{n}word{k}" for k in range(100))], id=f"other{n}") for n in range(100)
    ]
    assert len(near_duplicates([*copies, *others])) == 25 * 24 // 2
