"""Annotations: a segment always has the same shape, and what came with an article stays with it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutgraf.annotation import Annotation, Segment
from nutgraf.linear import LinearTagger
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.labels import NEWS_ROLES

SHAPE: dict[str, type] = {
    "paragraph": int,
    "start": int,
    "end": int,
    "text": str,
    "label": str,
    "confidence": float,
    "scores": dict,
    "abstained": bool,
    "truncated": bool,
}
ROW = ["article_id", "headline", "published", "outlet", *(key for key in SHAPE if key != "scores")]
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"])).filter(str.strip), min_size=1, max_size=4)


def dressed(**fields: Any) -> Article:
    rows = [
        Paragraph("A fire broke out.", 0, 0, "incident_report", "analysis", {"page": 3}),
        Paragraph("The mayor said nobody was hurt.", 0, 0),
    ]
    return Article.from_paragraphs(rows, id="7", headline="Fire", published="2024-04-24", outlet="Almo Post", **fields)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(paragraphs=texts, threshold=st.sampled_from([0.0, 0.5, 1.0]))
def test_segments_always_have_the_same_shape(
    tiny_tagger: LinearTagger, paragraphs: list[str], threshold: float
) -> None:
    article = Article.from_paragraphs(paragraphs)
    annotation = tiny_tagger.predict(article, min_confidence=threshold)
    record = json.loads(json.dumps(annotation.to_json(), allow_nan=False))
    assert list(record) == ["id", "headline", "published", "outlet", "model", "segments"]
    assert [segment["text"] for segment in record["segments"]] == paragraphs
    for number, segment in enumerate(record["segments"]):
        assert {key: type(value) for key, value in segment.items()} == SHAPE
        assert list(segment) == list(SHAPE)
        assert segment["paragraph"] == number
        assert article.source[segment["start"] : segment["end"]] == segment["text"]
        assert list(segment["scores"]) == list(NEWS_ROLES.labels)
        assert segment["abstained"] == (segment["confidence"] < threshold)


def test_the_declared_shape() -> None:
    assert [field.name for field in fields(Segment)] == list(SHAPE)


def test_an_annotation_is_a_sequence(tiny_tagger: LinearTagger) -> None:
    annotation = tiny_tagger.predict("One fire.\n\nTwo fires.")
    assert len(annotation) == 2
    assert list(annotation) == [annotation[0], annotation[1]] == list(annotation.segments)
    assert annotation[-1].text == "Two fires."
    assert annotation.model == tiny_tagger.fingerprint
    with pytest.raises(AttributeError):
        annotation[0].label = "other"  # type: ignore[misc]


def test_extras_ride_along_in_json(tiny_tagger: LinearTagger) -> None:
    extra = {"url": "https://example.org", "tags": ["fire", {"deep": None}]}
    record = json.loads(json.dumps(tiny_tagger.predict(dressed(extra=extra)).to_json()))
    assert {key: record[key] for key in ("id", "headline", "published", "outlet", "url", "tags")} == {
        "id": "7",
        "headline": "Fire",
        "published": "2024-04-24",
        "outlet": "Almo Post",
        **extra,
    }
    assert record["paragraph_fields"] == [{"label": "incident_report", "alt": "analysis", "page": 3}, {}]
    assert [list(segment) for segment in record["segments"]] == [list(SHAPE)] * 2


def test_extras_ride_along_in_rows(tiny_tagger: LinearTagger) -> None:
    annotation = tiny_tagger.predict(dressed(extra={"url": "https://example.org"}))
    first, second = annotation.to_rows()
    scores = [f"score_{label}" for label in NEWS_ROLES.labels]
    assert list(second) == [*ROW, *scores, "model", "gold_label", "gold_alt", "url"]
    assert list(first) == [*second, "page"]
    assert (first["gold_label"], first["gold_alt"], first["page"]) == ("incident_report", "analysis", 3)
    assert (second["gold_label"], second["gold_alt"], second["url"]) == (None, None, "https://example.org")
    assert sum(first[name] for name in scores) == pytest.approx(1.0)
    assert first["article_id"] == second["article_id"] == "7"
    assert [row["paragraph"] for row in (first, second)] == [0, 1]


@pytest.mark.parametrize("name", ["id", "headline", "model", "segments", "paragraph_fields"])
def test_collisions_in_json_are_refused(tiny_tagger: LinearTagger, name: str) -> None:
    annotation = tiny_tagger.predict(dressed(extra={name: "x"}))
    with pytest.raises(DataError, match=rf"article '7': has a field '{name}', which the output writes itself; rename"):
        annotation.to_json()


@pytest.mark.parametrize(
    "name", ["article_id", "text", "label", "start", "score_analysis", "model", "gold_label", "confidence"]
)
def test_collisions_in_rows_are_refused(tiny_tagger: LinearTagger, name: str) -> None:
    of_article = dressed(extra={name: "x"})
    of_paragraph = Article.from_paragraphs([Paragraph("A fire.", 0, 0, extra={name: "x"})])
    for article in (of_article, of_paragraph):
        with pytest.raises(DataError, match=f"has a field '{name}', which is a column of the output"):
            tiny_tagger.predict(article).to_rows()


def test_a_field_of_the_article_and_of_its_paragraphs(tiny_tagger: LinearTagger) -> None:
    annotation = tiny_tagger.predict(dressed(extra={"page": 1}))
    assert annotation.to_json()["page"] == 1
    with pytest.raises(DataError, match="has a field 'page'"):
        annotation.to_rows()


def test_offsets_are_those_of_the_text(tiny_tagger: LinearTagger) -> None:
    text = "\ufeff  Fire at the port.\r\n\r\n\r\n\tThe mayor\r\nspoke. \n\nÜber 🔥 said.\n"
    annotation = tiny_tagger.predict(text)
    assert isinstance(annotation, Annotation)
    assert len(annotation) == 3
    for segment in annotation:
        assert annotation.article.source[segment.start : segment.end] == segment.text
        assert segment.text.strip()
