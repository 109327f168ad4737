"""JSON lines and .json documents: the three kinds of records and every refusal."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutgraf_data.article import Article, Origin
from nutgraf_data.errors import DataError
from nutgraf_data.readers import read_articles

valid = st.characters(exclude_categories=["Cs"])
paragraph_texts = st.text(alphabet=st.one_of(valid, st.sampled_from("\r\n\ufeff\u2028\x85\x00 "))).filter(str.strip)


def write(folder: Path, *lines: object, name: str = "a.jsonl") -> Path:
    file = folder / name
    file.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    return file


def collect(file: Path, **options: Any) -> tuple[list[Article], list[DataError]]:
    errors: list[DataError] = []
    return list(read_articles(file, on_error=errors.append, **options)), errors


def refusal(folder: Path, record: object, **options: Any) -> DataError:
    """The error about a record on line 2, after a good one."""
    file = write(folder, {"id": "good", "paragraphs": ["Fine."]}, record)
    articles, errors = collect(file, **options)
    assert [article.id for article in articles] == ["good"]
    assert len(errors) == 1
    assert (errors[0].path, errors[0].line) == (str(file), 2)
    with pytest.raises(DataError) as caught:
        list(read_articles(file, **options))
    assert str(caught.value) == str(errors[0])
    return errors[0]


def test_whole_article(tmp_path: Path) -> None:
    record = {
        "id": 7,
        "headline": "Mayor resigns",
        "published": "2024-04-24",
        "outlet": None,
        "tags": ["a"],
        "text": "kept",
        "paragraphs": [
            "She resigned.",
            {"text": " Why?\r\n", "label": "analysis", "alt": "background", "weight": 0.5},
            {"text": "End.", "label": None},
        ],
    }
    file = write(tmp_path, "", record)
    (article,) = read_articles(file)
    assert article.id == "7"
    assert (article.headline, article.published, article.outlet) == ("Mayor resigns", "2024-04-24", None)
    assert article.extra == {"tags": ["a"], "text": "kept"}
    assert [p.text for p in article.paragraphs] == ["She resigned.", " Why?\r\n", "End."]
    assert (article.paragraphs[1].label, article.paragraphs[1].alt) == ("analysis", "background")
    assert article.paragraphs[1].extra == {"weight": 0.5}
    assert article.paragraphs[2].label is None
    assert article.origin == Origin(str(file), 2)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    given_texts=st.lists(paragraph_texts, min_size=1, max_size=4),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    escaped=st.booleans(),
)
def test_texts_come_back_to_the_character(tmp_path: Path, given_texts: list[str], encoding: str, escaped: bool) -> None:
    records = [
        {"id": "whole", "paragraphs": given_texts},
        *({"article_id": "flat", "text": text} for text in given_texts),
    ]
    file = tmp_path / "a.jsonl"
    lines = "\r\n".join(json.dumps(record, ensure_ascii=escaped) for record in records)
    file.write_bytes(lines.encode(encoding))
    whole, flat = read_articles(file)
    for article in (whole, flat):
        assert [p.text for p in article.paragraphs] == given_texts
        assert all(article.source[p.start : p.end] == p.text for p in article.paragraphs)


def test_to_json_is_read_back(tmp_path: Path) -> None:
    record = {"id": "a", "published": None, "outlet": "Daily", "headline": "H", "k": {"n": 1}, "paragraphs": ["One"]}
    (article,) = read_articles(write(tmp_path, record))
    (again,) = read_articles(write(tmp_path, article.to_json(), name="b.jsonl"))
    assert again == article


def test_rows_that_stand_together_are_one_article(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {"article_id": 1, "text": "A", "label": "analysis", "headline": "First", "page": 3},
        {"article_id": 1, "text": "B", "headline": "Second"},
        {"article_id": "2", "text": "C", "published": "2024-04-24"},
        {"id": "w", "paragraphs": ["D"]},
        {"article_id": "3", "text": "E"},
    )
    one, two, whole, three = read_articles(file)
    assert [a.id for a in (one, two, whole, three)] == ["1", "2", "w", "3"]
    assert (one.headline, two.published) == ("First", "2024-04-24")
    assert [(p.text, p.line, p.label) for p in one.paragraphs] == [("A", 1, "analysis"), ("B", 2, None)]
    assert one.paragraphs[0].extra == {"page": 3}
    assert one.paragraphs[1].extra == {"headline": "Second"}, "a differing value is kept, not dropped"
    assert two.origin == Origin(str(file), 3)


def test_plain_record(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {"text": "One\n\nTwo", "label": 3, "id": "x"},
        {"text": " date 2024-04-24 One", "headline": None},
        {"text": "One", "id": None},
    )
    first, second, third = read_articles(file)
    assert ([p.text for p in first.paragraphs], first.id, first.extra) == (["One", "Two"], "x", {"label": 3})
    assert (second.id, second.published) == ("a:2", "2024-04-24")
    assert third.id == "a:3"


def test_columns(tmp_path: Path) -> None:
    columns = {"article": "doc", "text": "body", "label": "role", "published": "day"}
    file = write(
        tmp_path,
        {"doc": 1, "body": "A", "role": "analysis", "label": "kept", "day": "2024-04-24"},
        {"doc": "w", "paragraphs": [{"body": "B", "role": "background"}], "id": "kept"},
    )
    row, whole = read_articles(file, columns=columns)
    assert (row.id, row.published, row.paragraphs[0].label) == ("1", "2024-04-24", "analysis")
    assert row.paragraphs[0].extra == {"label": "kept"}
    assert (whole.id, whole.paragraphs[0].label, whole.extra) == ("w", "background", {"id": "kept"})
    single = read_articles(write(tmp_path, {"text": "A\n\nB"}, {"text": "C"}), columns={"article": ""})
    assert [(a.id, [p.text for p in a.paragraphs]) for a in single] == [("a:1", ["A", "B"]), ("a:2", ["C"])]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"paragraphs": ["A", {"text": 3.5}]}, "paragraphs[1].text is a number (3.5), expected a string"),
        ({"paragraphs": ["A", 4]}, "paragraphs[1] is a number (4), expected a string or an object with 'text'"),
        (
            {"paragraphs": [{"body": "A"}]},
            "paragraphs[0] has no 'text', found 'body'; name the key with --column text=NAME",
        ),
        (
            {"paragraphs": [{"text": "A", "label": 2}]},
            "paragraphs[0].label is a number (2), expected the name of a label",
        ),
        ({"paragraphs": [{"text": "A", "label": ""}]}, "paragraphs[0].label is an empty string"),
        ({"paragraphs": [{"text": "A", "alt": " "}]}, "paragraphs[0].alt is blank"),
        ({"paragraphs": [{"text": "A", "label": "\ud800"}]}, "paragraphs[0].label holds a lone surrogate U+D800"),
        ({"paragraphs": "A"}, "paragraphs is a string ('A'), expected a list"),
        ({"paragraphs": None}, "paragraphs is null, expected a list"),
        ({"paragraphs": []}, "no paragraph was found"),
        ({"paragraphs": ["A", " \n"]}, "paragraph 1 is blank"),
        ({"paragraphs": ["A", "\udc00"]}, "lone surrogate U+DC00"),
        ({"id": True, "paragraphs": ["A"]}, "id is a boolean (true), expected a string or an integer"),
        ({"id": 1.5, "paragraphs": ["A"]}, "id is a number (1.5), expected a string or an integer"),
        ({"id": " ", "paragraphs": ["A"]}, "id is blank"),
        ({"headline": ["H"], "paragraphs": ["A"]}, "headline is a list, expected a string or null"),
        ({"outlet": {}, "paragraphs": ["A"]}, "outlet is an object, expected a string or null"),
        ({"published": 2024, "text": "A"}, "published is a number (2024), expected a string or null"),
        ({"published": "24 April", "text": "A"}, "published is '24 April', expected an ISO 8601 date"),
        ({"text": None}, "text is null, expected a string"),
        ({"text": 10**30}, "text is a number (of more than 20 digits), expected a string"),
        ({"body": "A"}, "has neither 'paragraphs' nor 'text', found 'body'; name the column of the text with --column"),
        ({}, "has neither 'paragraphs' nor 'text', found no keys"),
        (["A"], "a record is a list, expected an object"),
        ("null", "a record is null, expected an object"),
        ({"article_id": None, "text": "A"}, "article_id is null, expected a string or an integer"),
        (
            {"article_id": "r"},
            "has no column 'text' for text; found 'article_id'; name the column with --column text=NAME",
        ),
        ({"article_id": "r", "text": 1}, "text is a number (1), expected a string"),
        (
            {"article_id": "r", "text": "A", "label": ""},
            "label is an empty string, expected the name of a label or null",
        ),
        ({"article_id": "r", "text": " "}, "paragraph 0 is blank"),
        ({"article_id": "r", "text": "A", "headline": 1}, "headline is a number (1), expected a string or null"),
        ('{"text": "A"', "is not valid JSON: Expecting ',' delimiter (column 13)"),
        ('{"text": "A"} {}', "is not valid JSON: Extra data (column 15)"),
        ('{"text": "A\tB"}', r"write line breaks inside of strings as \n"),
        ("[" * 100_000, "JSON is nested too deep"),
        ('{"id": ' + "1" * 5000 + ', "text": "A"}', "is not valid JSON: Exceeds the limit"),
    ],
)
def test_refused_records(tmp_path: Path, record: object, message: str) -> None:
    assert message in str(refusal(tmp_path, record))


def test_a_named_article_column_must_be_there(tmp_path: Path) -> None:
    file = write(tmp_path, {"text": "A", "id": "x"})
    with pytest.raises(DataError, match=r"no column 'doc' for article; found 'text', 'id'; .*--column article=NAME.*"):
        list(read_articles(file, columns={"article": "doc"}))


def test_long_lists_of_keys_are_cut_short(tmp_path: Path) -> None:
    error = refusal(tmp_path, {"article_id": "r", **{f"key{n}": 1 for n in range(50)}})
    assert "and 31 more" in str(error)


def test_undecodable_line_and_then_on(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"text": "A"}\n{"text": "caf\xe9"}\r\n\n{"text": "B"}')
    articles, errors = collect(file)
    assert [a.id for a in articles] == ["a:1", "a:4"]
    assert [str(e) for e in errors] == [
        f"{file}:2: byte 0xE9 at offset 30 is not valid UTF-8; name the encoding of the file, such as --encoding cp1252"
    ]
    assert [a.source for a in read_articles(file, encoding="latin-1", on_error=lambda _: None)] == ["café", "B"]


def test_a_line_that_is_lost_leaves_no_article_in_part(tmp_path: Path) -> None:
    rows = [{"article_id": n // 3, "text": f"Row {n}."} for n in range(12)]
    lines: list[object] = [*rows[:6], "{broken", *rows[6:]]
    articles, errors = collect(write(tmp_path, *lines))
    assert [a.id for a in articles] == ["0", "3"]
    assert [e.line for e in errors] == [7, 4, 8]
    assert "is not valid JSON" in str(errors[0])
    assert "article '1' is left out: the unreadable row on line 7 may belong to it" in str(errors[1])
    assert "article '2' is left out" in str(errors[2])


def test_all_errors_of_an_article_are_reported_and_it_is_left_out(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {"article_id": "a", "text": "A", "label": 1},
        {"article_id": "a", "text": 2},
        {"article_id": "b", "text": "B"},
        {"article_id": "a", "text": "C"},
        {"article_id": "c", "text": "D"},
    )
    articles, errors = collect(file)
    assert [a.id for a in articles] == ["b", "c"]
    assert [e.line for e in errors] == [1, 2, 4]
    assert "article 'a' begins again after another; rows of one article must stand together" in str(errors[2])
    assert "sort the file by 'article_id'" in str(errors[2])


def test_lines_are_read_as_they_are_needed(tmp_path: Path) -> None:
    articles = read_articles(write(tmp_path, {"text": "A"}, "{broken"))
    assert next(articles).source == "A"
    with pytest.raises(DataError):
        next(articles)


@pytest.mark.parametrize(
    ("content", "ids"),
    [
        ('[{"text": "A"},\n {"id": "x", "text": "B"}]\n', ["a:1", "x"]),
        (' \n{\n "text": "A"\n}\n', ["a:2"]),
        ('{"text": "A"}\n\n{"text": "B"}\n', ["a:1", "a:3"]),
        ("[]", []),
        ("[ ]", []),
        ("", []),
    ],
)
def test_json_documents(tmp_path: Path, content: str, ids: list[str]) -> None:
    file = tmp_path / "a.json"
    file.write_text(content, "utf-8")
    assert [a.id for a in read_articles(file)] == ids
    zipped = tmp_path / "a.json.gz"
    zipped.write_bytes(gzip.compress(content.encode("utf-16")))
    assert [a.id for a in read_articles(zipped)] == ids


@pytest.mark.parametrize(
    ("content", "line", "message", "ids"),
    [
        ('[{"text": "A"},\n{"text": B"}]', 2, "is not valid JSON: Expecting value (column 10)", ["a:1"]),
        ('[{"text": "A"},\n{"text": 3},\n{"text": "C"}]', 2, "text is a number (3)", ["a:1", "a:3"]),
        ('[{"text": "A"}\n{"text": "B"}]', 2, "is not valid JSON: Expecting ',' delimiter (column 1)", ["a:1"]),
        ('[{"text": "A"}]\nmore', 2, "is not valid JSON: Extra data (column 1)", ["a:1"]),
        ('[{"text": "A"},]', 1, "is not valid JSON: Expecting value (column 16)", ["a:1"]),
        ("[", 1, "is not valid JSON: Expecting value", []),
        ('{\n "text" "A"\n}', 2, "is not valid JSON: Expecting ':' delimiter (column 9)", []),
        ('{"text": A"}\n{"text": "B"}', 1, "is not valid JSON: Expecting value (column 10)", ["a:2"]),
        ('"A"', 1, "a record is a string ('A'), expected an object", []),
        ("[" * 100_000, 1, "JSON is nested too deep", []),
    ],
)
def test_malformed_documents(tmp_path: Path, content: str, line: int, message: str, ids: list[str]) -> None:
    file = tmp_path / "a.json"
    file.write_text(content, "utf-8")
    articles, errors = collect(file)
    assert [a.id for a in articles] == ids
    assert [(e.path, e.line) for e in errors] == [(str(file), line)]
    assert message in str(errors[0])


def test_undecodable_document(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b'[{"text":\n"caf\xe9"}]')
    articles, errors = collect(file)
    assert articles == []
    assert [(e.line, "byte 0xE9 at offset 14" in str(e)) for e in errors] == [(2, True)]
