"""The tree of errors, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nutgraf_data import errors
from nutgraf_data.article import Article, Origin
from nutgraf_data.errors import DataError, MissingExtraError, ModelError, NutgrafError


def test_the_tree() -> None:
    made = {value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__}
    assert made == {NutgrafError, DataError, ModelError, MissingExtraError}
    assert all(issubclass(kind, NutgrafError) for kind in made)
    assert NutgrafError.__bases__ == (Exception,)
    assert issubclass(DataError, ValueError)
    assert issubclass(MissingExtraError, ImportError)
    assert errors.__doc__ is not None
    drawn = [line.split()[1] for line in errors.__doc__.splitlines() if line.strip()[:1] in {"├", "└"}]
    assert set(drawn) == {kind.__name__ for kind in made} - {"NutgrafError"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "is wrong"),
        ({"path": "a.csv"}, "a.csv: is wrong"),
        ({"path": Path("a.csv"), "line": 3}, "a.csv:3: is wrong"),
        ({"line": 3}, "line 3: is wrong"),
        ({"hint": "mend it"}, "is wrong; mend it"),
        ({"path": "<stdin>", "line": 1, "hint": "mend it"}, "<stdin>:1: is wrong; mend it"),
    ],
)
def test_messages(options: dict[str, Any], expected: str) -> None:
    error = DataError("is wrong", **options)
    assert str(error) == expected
    assert error.message == "is wrong"
    assert error.line == options.get("line")


def test_an_article_names_itself_and_its_place() -> None:
    article = Article.from_paragraphs(["A fire."], id="7", origin=Origin("a.jsonl", 12))
    assert str(article.error("is odd", hint="look")) == "a.jsonl:12: article '7': is odd; look"
    assert str(article.error("is odd", line=14)) == "a.jsonl:14: article '7': is odd"
    assert str(Article.from_paragraphs(["A fire."]).error("is odd")) == "article 'article': is odd"


def test_missing_extras_say_what_to_install() -> None:
    error = MissingExtraError("Reading Parquet", "parquet")
    assert str(error) == 'Reading Parquet needs packages that are not installed: pip install "nutgraf[parquet]"'
    assert error.extra == "parquet"
