"""Pages from hostile text: it appears as text, and nothing else is there."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from nutgraf.annotation import Annotation, Segment
from nutgraf.html import article_html, close_page, legend, open_page, shown
from nutgraf.linear import LinearTagger
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.labels import LabelSet
from nutgraf_training.evaluation.evaluate import Evaluation
from nutgraf_training.evaluation.metrics import score_tables
from nutgraf_training.evaluation.predictions import collect, gold_numbers
from nutgraf_training.report import write_report

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "\u202eevil\u2066 bidi",
    "</style><script>alert(2)</script>",
    "]]></svg><svg onload=alert(3)>",
    "$\\frac{1}{0}$ ${7*7} {{7*7}}",
    "' onmouseover='alert(4)",
)
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.text: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self.stack):
            self.text.append(data)


def check(content: str) -> str:
    """That only what the program writes is there; returns the text."""
    page = Page(content)
    assert page.stack == []
    tags = [tag for tag, _ in page.elements]
    assert tags.count("script") == tags.count("style") == tags.count("body") == 1
    assert not {"img", "iframe", "object", "link", "base", "form", "a", "foreignobject"} & set(tags)
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), name
            assert name not in {"src", "style", "action", "srcdoc"}, name
            assert name != "href" or (value or "").startswith("#"), value
    policy = next(a["content"] or "" for t, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", content)
    return "".join(page.text)


def article(label_set: LabelSet, number: int = 0) -> Article:
    """An article with hostile text in every field."""
    made = Article.from_paragraphs(
        [
            Paragraph(
                f"{text} {number} {i}", 0, 0, label_set.labels[i % len(label_set)], label_set.labels[0], {text: text}
            )
            for i, text in enumerate(HOSTILE * 2)
        ],
        id=f"{HOSTILE[number % len(HOSTILE)]}{number}",
        headline=HOSTILE[(number + 1) % len(HOSTILE)],
        outlet=HOSTILE[(number + 2) % len(HOSTILE)],
    )
    return replace(made, extra={HOSTILE[1]: HOSTILE[number % 3], "x": HOSTILE[0]})


LABELS = LabelSet(HOSTILE[0], dict.fromkeys(HOSTILE, HOSTILE[1]))


def test_predictions() -> None:
    labels = LABELS.labels
    one = article(LABELS)
    segments = tuple(
        Segment(i, p.start, p.end, p.text, labels[i % len(labels)], 0.5, dict.fromkeys(labels, 0.1), i % 2 > 0, True)
        for i, p in enumerate(one.paragraphs)
    )
    body = article_html(Annotation(one, segments, HOSTILE[0]), labels)
    text = check(open_page(HOSTILE[4], labels) + legend(labels, LABELS.descriptions) + body + close_page())
    for hostile in HOSTILE:
        assert re.sub("[\u202e\u2066]", lambda m: f"\\u{{{ord(m[0]):x}}}", hostile) in text


def test_the_report(tmp_path: Path) -> None:
    articles = [article(LABELS, number) for number in range(12)]
    gold = gold_numbers(articles, LABELS)
    draw = np.random.default_rng(0)
    scores = draw.dirichlet(np.ones(len(LABELS)), sum(map(len, gold)))
    p = collect(articles, LABELS, gold, scores)
    evaluation = Evaluation(HOSTILE[0], p, score_tables(p.tables(), LABELS.labels, resamples=100), 0, 0, 100)
    html, md, _ = write_report(evaluation, tmp_path / "report.html", model=HOSTILE[1], data=HOSTILE[4])
    text = check(html.read_text(encoding="utf-8"))
    for hostile in HOSTILE[:3]:
        assert hostile in text
    assert not re.search(r"(?<!\\)<", md.read_text(encoding="utf-8"))


def test_words_of_a_linear_tagger(tiny_tagger: LinearTagger, tmp_path: Path) -> None:
    from nutgraf.html import write_html

    texts = [f"{text} the mayor said & “quoted” it." for text in HOSTILE]
    one = Article.from_paragraphs(texts, id="x", headline=HOSTILE[0])
    write_html(tiny_tagger.predict_many([one]), tmp_path / "a.html", tiny_tagger)
    text = check((tmp_path / "a.html").read_text(encoding="utf-8"))
    assert "words for and against" in text
    assert HOSTILE[0] in text


@pytest.mark.parametrize("text", HOSTILE)
def test_shown(text: str) -> None:
    assert not re.search("[<>\"'\u202e\u2066]", shown(text))


def test_parts_sum_to_the_margins(tiny_tagger: LinearTagger, unseen: list[Article]) -> None:
    for one in unseen[:5]:
        parts = np.array([sum(words.values()) for words in tiny_tagger.explain(one)])
        margins = tiny_tagger.margins([one])
        intercepts = margins - parts
        np.testing.assert_allclose(intercepts, np.broadcast_to(intercepts[0], intercepts.shape), atol=1e-5)
