"""Everything that is wrong with a corpus, at once."""

from __future__ import annotations

import random
import sys

import pytest

from nutgraf_data.article import Article, Origin, Paragraph
from nutgraf_data.checks import LISTED, Problem, check_corpus
from nutgraf_data.errors import DataError
from nutgraf_data.labels import NEWS_ROLES

ROLES = NEWS_ROLES.labels[:2]


def article(
    id: str,
    labels: list[str | None] | None = None,
    *,
    seed: str = "",
    line: int = 1,
    published: str | None = "2020-01-01",
) -> Article:
    draw = random.Random(seed or id)
    paragraphs = [
        Paragraph(" ".join(str(draw.random()) for _ in range(20)), 0, 0, label)
        for label in (labels if labels is not None else [*ROLES] * 5)
    ]
    return Article.from_paragraphs(paragraphs, id=id, published=published, origin=Origin("c.jsonl", line))


def sound(count: int = 6) -> list[Article]:
    return [article(f"sound{n}") for n in range(count)]


def codes(problems: list[Problem]) -> list[tuple[str, str]]:
    return [(p.level, p.code) for p in problems]


def test_a_sound_corpus_has_no_problem() -> None:
    assert check_corpus(sound(), label_set=NEWS_ROLES, held_out=[article("other")]) == []


def test_all_problems_come_at_once_with_their_places() -> None:
    corpus = [
        *sound(),
        article("typo", ["Incident Report", "background", None], line=7),
        article("sound0", seed="new", line=8),
        article("copy", seed="sound1", line=9, published=None),
    ]
    unreadable = DataError("is not valid JSON", path="c.jsonl", line=3, hint="mend it")
    found = check_corpus(corpus, label_set=NEWS_ROLES, problems=[unreadable])
    assert codes(found) == [
        ("error", "unreadable"),
        ("error", "duplicate-id"),
        ("error", "unknown-label"),
        ("warning", "unlabelled"),
        ("warning", "missing-date"),
        ("warning", "rare-label"),
        ("warning", "rare-label"),
        ("warning", "near-duplicate"),
    ]
    assert [(p.path, p.line) for p in found[:4]] == [("c.jsonl", 3), ("c.jsonl", 8), ("c.jsonl", 7), ("c.jsonl", 7)]
    assert str(found[0]) == "c.jsonl:3: error: is not valid JSON; mend it [unreadable]"
    assert "did you mean 'incident_report'?" in found[2].message
    assert "shares 100% of its words in their order with 'sound1' (c.jsonl:1)" in found[-1].message


def test_a_paragraph_knows_its_own_line() -> None:
    paragraph = Paragraph("Odd.", 0, 0, "odd", line=12)
    row = Article.from_paragraphs([paragraph], id="row", published="2020-01-01", origin=Origin("c.csv", 10))
    found = check_corpus([*sound(), row], label_set=NEWS_ROLES)
    assert [(p.path, p.line) for p in found if p.code == "unknown-label"] == [("c.csv", 12)]


def test_an_unknown_alt_is_an_error_and_an_equal_one_a_warning() -> None:
    odd = Article.from_paragraphs(
        [Paragraph("One.", 0, 0, ROLES[0], "nonsense"), Paragraph("Two.", 0, 0, ROLES[0], ROLES[0])],
        id="odd",
        published="2020-01-01",
    )
    found = check_corpus([*sound(), odd], label_set=NEWS_ROLES)
    assert codes(found) == [("error", "unknown-label"), ("warning", "alt-equals-label")]
    assert "unknown alt 'nonsense'; the labels of 'news-roles' are:" in found[0].message
    assert codes(check_corpus([*sound(), odd])) == [("warning", "alt-equals-label")]


def test_the_same_text_with_two_labels() -> None:
    def short(id: str, text: str, label: str) -> Article:
        return Article.from_paragraphs([Paragraph(text, 0, 0, label)], id=id, published="2020-01-01")

    corpus = [*sound(), short("x", "Read “more” here", ROLES[0]), short("y", 'read "more" here.', ROLES[1])]
    (found,) = [p for p in check_corpus(corpus) if p.code == "conflicting-labels"]
    assert "is 'official_statement' in article 'y' and 'incident_report' in 'x'" in found.message


def test_leaks() -> None:
    mostly = article("mostly", [*ROLES] * 5, seed="sound1")
    half = [*sound()[2].paragraphs[:6], *article("half").paragraphs[:4]]
    held_out = [
        article("sound0", seed="other text"),
        mostly,
        Article.from_paragraphs(half, id="half", published="2020-01-01"),
        article("free"),
    ]
    found = check_corpus(sound(), held_out=held_out)
    assert codes(found) == [("error", "leak"), ("error", "leak"), ("warning", "near-leak")]
    assert "'sound0' is in the training corpus too" in found[0].message
    assert "'mostly' shares 100%" in found[1].message
    assert "'half' shares 60%" in found[2].message or "'half' shares 59%" in found[2].message


def test_the_same_article_on_both_sides_is_reported_once() -> None:
    assert codes(check_corpus(sound(), held_out=[sound()[0]])) == [("error", "leak")]


def test_no_label_and_no_article() -> None:
    unlabelled = check_corpus([article("a", [None, None])])
    assert codes(unlabelled) == [("error", "no-labels")]
    assert codes(check_corpus([])) == [("error", "no-articles")]
    assert codes(check_corpus(sound(), held_out=[])) == [("error", "no-articles")]


def test_a_rare_label_that_looks_like_a_typing_error() -> None:
    found = check_corpus([*sound(), article("typo", ["incident_reprot"])])
    assert codes(found) == [("warning", "rare-label")]
    assert "has 1 of 61 paragraphs" in found[0].message
    assert "did you mean 'incident_report'?" in found[0].message


def test_a_flood_is_counted() -> None:
    corpus = [article(f"a{n}", ["wrong", "wrong"]) for n in range(30)]
    found = [p for p in check_corpus(corpus, label_set=NEWS_ROLES) if p.code == "unknown-label"]
    assert len(found) == LISTED + 1
    assert found[-1].message == "40 more paragraphs with the label 'wrong'"


def test_without_datasketch_the_rest_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasketch", None)
    found = check_corpus(sound(), held_out=[sound()[0]])
    assert codes(found) == [("error", "leak"), ("warning", "not-checked")]
    assert "nutgraf[train]" in found[1].message


def test_labels_with_spaces_around_them_are_errors() -> None:
    found = check_corpus([article("a1", ["background", " background", "analysis "])])
    assert [problem.message for problem in found if problem.code == "padded-label"] == [
        "paragraph 1 of article 'a1' has spaces around its label ' background'",
        "paragraph 2 of article 'a1' has spaces around its label 'analysis '",
    ]


def test_held_out_labels_must_be_those_of_the_corpus() -> None:
    corpus = [article(f"a{n}", ["decision", "history"]) for n in range(3)]
    found = check_corpus(corpus, held_out=[article("b", ["decision", "histroy"])])
    assert [p.message for p in found if p.code == "unknown-label"] == [
        "paragraph 1 of article 'b' has the unknown label 'histroy'; did you mean 'history'?"
    ]


def test_from_four_fifths_of_common_text_on_it_is_a_leak() -> None:
    words = [f"word{number}" for number in range(60)]
    one = Article.from_paragraphs([Paragraph(" ".join(words), 0, 0, "a"), Paragraph("The end.", 0, 0, "b")], id="one")
    mostly = Article.from_paragraphs([Paragraph(" ".join([*words[:54], "other", "words", "now"]), 0, 0, "a")], id="two")
    partly = Article.from_paragraphs(
        [Paragraph(" ".join([*words[:40], *(f"other{n}" for n in range(20))]), 0, 0, "a")], id="three"
    )
    found = check_corpus([one], held_out=[mostly, partly])
    assert [(p.level, p.code) for p in found if "leak" in p.code] == [("error", "leak"), ("warning", "near-leak")]
