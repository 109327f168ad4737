"""Label sets: order, descriptions, files, and what an unknown label might have been."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError
from nutgraf_data.labels import NEWS_ROLES, LabelSet


def corpus(*labels: str | None) -> list[Article]:
    return [Article.from_paragraphs([Paragraph(f"Text {n}.", 0, 0, label) for n, label in enumerate(labels)])]


def test_the_default_roles() -> None:
    assert NEWS_ROLES.labels == (
        "incident_report",
        "official_statement",
        "diplomatic_reporting",
        "background",
        "analysis",
        "witness_account",
        "boilerplate",
    )
    assert all(NEWS_ROLES.descriptions.values())
    assert len(NEWS_ROLES) == 7
    assert "analysis" in NEWS_ROLES
    assert "Analysis" not in NEWS_ROLES


@pytest.mark.parametrize("labels", [{}, {"one": ""}])
def test_too_few_labels(labels: dict[str, str]) -> None:
    with pytest.raises(DataError, match="expected at least two"):
        LabelSet("few", labels)


@pytest.mark.parametrize("label", ["", " ", " a", "a\n"])
def test_blank_labels(label: str) -> None:
    with pytest.raises(DataError, match="is blank or has spaces at its ends"):
        LabelSet("blank", {label: "", "other": ""})


def test_labels_of_a_corpus() -> None:
    own = LabelSet.from_articles(corpus("zutat", None, "Anfang", "background", "zutat"))
    assert own.labels == ("Anfang", "background", "zutat")
    assert own.descriptions["background"] == NEWS_ROLES.descriptions["background"]
    assert LabelSet.from_articles(corpus("analysis", "background")) is NEWS_ROLES
    for few in (corpus("one", "one"), corpus(None), []):
        with pytest.raises(DataError, match=r"at least two different ones; --column label=NAME"):
            LabelSet.from_articles(few)


@pytest.mark.parametrize(
    ("label", "hint"),
    [
        ("Official-Statement", "did you mean 'official_statement'?"),
        ("WITNESS", "did you mean 'witness_account'?"),
        ("qqq", "the labels of 'news-roles' are: incident_report, official_statement"),
    ],
)
def test_suggestions(label: str, hint: str) -> None:
    assert hint in NEWS_ROLES.suggest(label)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("set.toml", 'name = "mine"\n[labels]\n"zwei Wörter" = "das erste"\nübrig = ""\n'),
        ("set.json", '{"name": "mine", "labels": {"zwei Wörter": "das erste", "übrig": ""}}'),
    ],
)
def test_files(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8-sig")
    if name.endswith("toml"):
        content = content.replace("übrig =", '"übrig" =')  # a bare key is ASCII
        (tmp_path / name).write_text(content, encoding="utf-8-sig")
    found = LabelSet.from_file(tmp_path / name)
    assert found == LabelSet("mine", {"zwei Wörter": "das erste", "übrig": ""})


def test_a_list_of_labels_without_a_name(tmp_path: Path) -> None:
    (tmp_path / "weather.json").write_text('{"labels": ["rain", "sun"]}')
    assert LabelSet.from_file(tmp_path / "weather.json") == LabelSet("weather", {"rain": "", "sun": ""})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.toml", "labels = ", "is not valid TOML"),
        ("a.json", "{", "is not valid JSON"),
        ("a.json", "[" * 100_000, "is not valid JSON"),
        ("a.json", "[1]", "has no table 'labels'"),
        ("a.toml", 'name = "x"', "has no table 'labels'"),
        ("a.toml", "[labels]\na = 1\nb = 2", "has no table 'labels' of label = \"description\""),
        ("a.toml", '[labels]\na = "x"', "expected at least two"),
        ("a.json", '{"labels": ["a", " b"]}', "has spaces at its ends"),
    ],
)
def test_malformed_files(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        LabelSet.from_file(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read: No such file"):
        LabelSet.from_file(tmp_path / "none.toml")
