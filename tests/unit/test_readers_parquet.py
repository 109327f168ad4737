"""Parquet: the three kinds of rows, dates, batches and damaged files."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutgraf_data.article import Article, Origin
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.readers import read_articles

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

valid = st.characters(exclude_categories=["Cs"])
paragraph_texts = st.text(alphabet=st.one_of(valid, st.sampled_from("\r\n\ufeff\u2028\x00 "))).filter(str.strip)


def write(folder: Path, columns: dict[str, Any], name: str = "a.parquet") -> Path:
    file = folder / name
    pq.write_table(pa.table(columns), file)
    return file


def collect(file: Path, **options: Any) -> tuple[list[Article], list[DataError]]:
    errors: list[DataError] = []
    return list(read_articles(file, on_error=errors.append, **options)), errors


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(paragraph_texts, min_size=1, max_size=5))
def test_texts_come_back_to_the_character(tmp_path: Path, texts: list[str]) -> None:
    flat = write(tmp_path, {"article_id": ["x"] * len(texts), "text": texts})
    whole = write(tmp_path, {"id": ["x"], "paragraphs": [texts]}, "b.pq")
    for (article,) in (read_articles(flat), read_articles(whole)):
        assert [p.text for p in article.paragraphs] == texts
        assert all(article.source[p.start : p.end] == p.text for p in article.paragraphs)


def test_flat_rows(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {
            "article_id": pa.array([1, 1, 2]),
            "text": pa.array(["A", "B", "C"]).dictionary_encode(),
            "label": ["analysis", None, None],
            "published": pa.array([date(2024, 4, 24), date(2024, 4, 24), None], pa.date32()),
            "page": [3, 4, None],
        },
    )
    one, two = read_articles(file)
    assert (one.id, one.published, two.published) == ("1", "2024-04-24", None)
    assert [(p.text, p.label, p.line, p.extra) for p in one.paragraphs] == [
        ("A", "analysis", 1, {"page": 3}),
        ("B", None, 2, {"page": 4}),
    ]
    assert two.origin == Origin(str(file), 3)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps(tmp_path: Path, unit: str) -> None:
    times = pa.array([datetime(2024, 4, 24, 5, 30)], pa.timestamp(unit))
    (article,) = read_articles(write(tmp_path, {"text": ["A"], "published": times}))
    assert article.published == "2024-04-24T05:30:00"


def test_whole_articles_and_plain_texts(tmp_path: Path) -> None:
    kind = pa.list_(pa.struct([("text", pa.string()), ("label", pa.string()), ("weight", pa.float64())]))
    paragraphs = pa.array([[{"text": "A", "label": "analysis", "weight": 0.5}, {"text": "B"}], None], kind)
    file = write(tmp_path, {"id": [7, 8], "paragraphs": paragraphs, "text": [None, "C\n\nD"], "desk": ["x", "y"]})
    whole, plain = read_articles(file)
    assert (whole.id, whole.paragraphs[0].label, whole.paragraphs[0].extra) == ("7", "analysis", {"weight": 0.5})
    assert whole.extra == {"text": None, "desk": "x"}
    assert (plain.id, [p.text for p in plain.paragraphs]) == ("8", ["C", "D"])


def test_named_keys_of_paragraphs(tmp_path: Path) -> None:
    file = write(tmp_path, {"doc": ["x"], "paragraphs": [[{"body": "A", "role": "analysis"}]]})
    (article,) = read_articles(file, columns={"article": "doc", "text": "body", "label": "role"})
    assert (article.id, article.paragraphs[0].label) == ("x", "analysis")


def test_more_rows_than_a_batch(tmp_path: Path) -> None:
    file = write(tmp_path, {"article_id": [n // 7 for n in range(5000)], "text": [f"Row {n}." for n in range(5000)]})
    texts = [p.text for article in read_articles(file) for p in article.paragraphs]
    assert texts == [f"Row {n}." for n in range(5000)]


def test_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, {"text": ["A"]})
    with file.open("rb") as stream:
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream}))
        assert [a.id for a in read_articles("-", format="parquet")] == ["stdin:1"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"body": ["A"]}, "has no column 'text' for text; found 'body'; name the column with --column text=NAME"),
        ({"article_id": [None], "text": ["A"]}, "article_id is null, expected a string or an integer"),
        ({"id": [1.5], "text": ["A"]}, "id is a number (1.5), expected a string or an integer"),
        ({"text": [b"A"]}, "text is a value of type bytes, expected a string"),
        ({"text": ["A"], "article_id": ["x"], "label": [""]}, "label is an empty string"),
        ({"text": [" "]}, "no paragraph was found"),
    ],
)
def test_refused_rows(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    file = write(tmp_path, columns)
    articles, errors = collect(file)
    assert articles == []
    assert [e.path for e in errors] == [str(file)]
    assert message in str(errors[0])


def test_a_missing_column_is_one_error(tmp_path: Path) -> None:
    _, errors = collect(write(tmp_path, {"text": ["A"] * 9}), columns={"label": "role"})
    assert ["--column label=NAME" in str(e) for e in errors] == [True]


def test_the_row_is_named(tmp_path: Path) -> None:
    _, errors = collect(write(tmp_path, {"article_id": ["a", "a", "b"], "text": ["A", None, "B"]}))
    assert [(e.line, e.message) for e in errors] == [(2, "text is null, expected a string")]


def test_damaged_files(tmp_path: Path) -> None:
    file = write(tmp_path, {"text": [f"Some text {n}" for n in range(9)]})
    data = file.read_bytes()
    for damaged in (b"", b"PAR1", b"not Parquet at all", data[:-20], data[len(data) // 2 :]):
        file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"is not a valid Parquet file: .*; write or download it again") as caught:
            list(read_articles(file))
        assert caught.value.path == str(file)


def test_damaged_pages(tmp_path: Path) -> None:
    rows = 4000
    file = tmp_path / "a.parquet"
    table = pa.table({"article_id": [f"a{n // 4}" for n in range(rows)], "text": [f"Text {n}" for n in range(rows)]})
    pq.write_table(table, file, row_group_size=1000, compression="gzip")
    data = bytearray(file.read_bytes())
    middle = pq.ParquetFile(file).metadata.row_group(2).column(1).data_page_offset
    data[middle : middle + 400] = bytes(400)
    file.write_bytes(data)
    articles, errors = collect(file)
    assert 0 < len(articles) <= 500
    assert all(len(article.paragraphs) == 4 for article in articles), "no article is read in part"
    assert any("cannot be read after row" in str(error) for error in errors)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.parquet: cannot be read: No such file or directory"):
        list(read_articles(tmp_path / "none.parquet"))


def test_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path, {"text": ["A"]})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingExtraError, match=r'Reading Parquet needs .*pip install "nutgraf\[parquet\]"'):
        list(read_articles(file, on_error=lambda _: None))
