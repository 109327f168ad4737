"""CSV and TSV: cells to the character, headers, delimiters and every refusal."""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutgraf_data.article import Article, Origin
from nutgraf_data.errors import DataError
from nutgraf_data.readers import read_articles, read_text

valid = st.characters(exclude_categories=["Cs"])
cells = st.text(alphabet=st.one_of(st.sampled_from('\r\n",;\t \x00\u2028\ufeffé'), valid))


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def collect(file: Path, **options: Any) -> tuple[list[Article], list[DataError]]:
    errors: list[DataError] = []
    return list(read_articles(file, on_error=errors.append, **options)), errors


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(cells.filter(str.strip), cells), min_size=1, max_size=5),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    terminator=st.sampled_from(["\r\n", "\n", "\r"]),
    suffix=st.sampled_from([".csv", ".tsv"]),
)
def test_cells_come_back_to_the_character(
    tmp_path: Path, *, rows: list[tuple[str, str]], encoding: str, terminator: str, suffix: str
) -> None:
    buffer = io.StringIO()
    delimiter = "\t" if suffix == ".tsv" else ","
    # The writer's minimal quoting knows only the line ends that it writes itself.
    options: Any = {"quoting": csv.QUOTE_MINIMAL if terminator == "\r\n" else csv.QUOTE_ALL}
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=terminator, **options)
    writer.writerow(["article_id", "text", "note"])
    writer.writerows(["x", *row] for row in rows)
    file = write(tmp_path, buffer.getvalue().encode(encoding), "a" + suffix)
    (article,) = read_articles(file)
    assert [(p.text, p.extra["note"]) for p in article.paragraphs] == rows
    assert all(article.source[p.start : p.end] == p.text for p in article.paragraphs)


def test_fields_and_lines(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "article_id,text,label,alt,headline,published,outlet,page\r\n"
        'a,"One,\r\n""two""",analysis, ,H,2024-04-24,,7\r\n'
        "\r\n"
        "a,Three,,background,,,,\r\n"
        "b,Four,,,,,,\r\n",
    )
    a, b = read_articles(file)
    assert [(p.text, p.label, p.alt, p.line) for p in a.paragraphs] == [
        ('One,\r\n"two"', "analysis", None, 2),
        ("Three", None, "background", 5),
    ]
    assert (a.headline, a.published, a.outlet, a.origin) == ("H", "2024-04-24", None, Origin(str(file), 2))
    assert [dict(p.extra) for p in a.paragraphs] == [{"page": "7"}, {"page": ""}]
    assert (b.id, b.origin) == ("b", Origin(str(file), 6))


def test_a_column_called_paragraphs_is_just_a_column(tmp_path: Path) -> None:
    (article,) = read_articles(write(tmp_path, "article_id,text,paragraphs\na,One,1\n"))
    assert article.paragraphs[0].extra == {"paragraphs": "1"}


def test_semicolons(tmp_path: Path) -> None:
    (article,) = read_articles(write(tmp_path, "\narticle_id;text\na;One, two\n"))
    assert article.paragraphs[0].text == "One, two"


def test_columns(tmp_path: Path) -> None:
    file = write(tmp_path, "doc,body,role,label\n1,One,analysis,kept\n")
    (article,) = read_articles(file, columns={"article": "doc", "text": "body", "label": "role"})
    assert (article.id, article.paragraphs[0].label) == ("1", "analysis")
    assert article.paragraphs[0].extra == {"label": "kept"}


def test_every_row_an_article(tmp_path: Path) -> None:
    file = write(tmp_path, "text\nOne\nTwo\n", "notes.csv")
    assert [(a.id, a.source) for a in read_articles(file, columns={"article": ""})] == [
        ("notes:2", "One"),
        ("notes:3", "Two"),
    ]


def test_a_row_that_is_an_article_is_split_as_text_is(tmp_path: Path) -> None:
    text = " A\r\n\r\nB\nstill B\n \nC\n"
    file = write(tmp_path, f'text,label,alt,id\n"{text}",,,7\n"{text}",analysis,,8\n"{text}",,analysis,9\n')
    plain, *labelled = read_articles(file, columns={"article": ""})
    assert plain.source == text
    assert [(p.text, p.label, p.line, p.extra) for p in plain.paragraphs] == [
        ("A", None, 2, {"id": "7"}),
        ("B\nstill B", None, 2, {"id": "7"}),
        ("C", None, 2, {"id": "7"}),
    ]
    assert [(p.start, p.end) for p in plain.paragraphs] == [(p.start, p.end) for p in read_text(text).paragraphs]
    assert [[p.text for p in a.paragraphs] for a in labelled] == [[text], [text]]
    with_id = write(tmp_path, 'article_id,text\na,"A\n\nB"\n')
    assert [p.text for p in next(read_articles(with_id)).paragraphs] == ["A\n\nB"]


def test_gzipped_and_named_encoding(tmp_path: Path) -> None:
    file = write(tmp_path, gzip.compress("article_id\ttext\na\tcafé\n".encode("cp1252")), "a.tsv.gz")
    (article,) = read_articles(file, encoding="cp1252")
    assert article.source == "café"


def test_long_cells(tmp_path: Path) -> None:
    text = "word " * 100_000 + "end"
    (article,) = read_articles(write(tmp_path, f"article_id,text\na,{text}\n"))
    assert article.source == text


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("", None, "is empty, expected a header"),
        ("\n\n", None, "is empty, expected a header"),
        ("article_id,body\na,One\n", 1, "found 'article_id', 'body'; name the column with --column text=NAME"),
        ("doc,text\n", 1, "no column 'article_id' for article; found 'doc', 'text'; name the column with --column art"),
        ("article_id,text,text\na,One,Two\n", 1, "has 2 columns 'text'; give each its own name"),
        ('article_id,text\na,One\nb,"Two\nb,Three\n', 3, "begins here is not valid CSV: unexpected end of data"),
        ('article_id,text\na,"One" two\n', 2, "the row that begins here is not valid CSV: ',' expected after '\"'"),
    ],
)
def test_refused_files(tmp_path: Path, content: str, line: int | None, message: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(DataError) as caught:
        list(read_articles(file))
    assert (caught.value.path, caught.value.line) == (str(file), line)
    assert message in str(caught.value)


def test_open_quotes_leave_out_the_article_before_them(tmp_path: Path) -> None:
    articles, errors = collect(write(tmp_path, 'article_id,text\na,One\nb,Two\nb,"Three\nc,Four\n'))
    assert [a.id for a in articles] == ["a"]
    assert [e.line for e in errors] == [4, 3]
    assert "the rows after it were not read" in str(errors[0])
    assert "article 'b' is left out" in str(errors[1])


@pytest.mark.parametrize(
    ("row", "line", "message"),
    [
        ("b,Two,analysis,more", 4, "the row has 4 cells, expected 3 as in the header; quote cells that hold ','"),
        ("b,Two", 4, "the row has 2 cells, expected 3 as in the header"),
        (",Two,", 4, "article_id is blank"),
        ('b," \n",', 4, "paragraph 0 is blank"),
        ("b,,analysis", 4, "paragraph 0 is blank"),
    ],
)
def test_refused_rows(tmp_path: Path, row: str, line: int, message: str) -> None:
    file = write(tmp_path, f'article_id,text,label\na,"One\n",\n{row}\nc,Three,\nd,Four,\n')
    articles, errors = collect(file)
    assert (errors[0].path, errors[0].line) == (str(file), line)
    assert message in str(errors[0])
    assert articles[-1].id == "d"
    assert "b" not in [a.id for a in articles]


def test_a_named_column_must_be_there_even_if_optional(tmp_path: Path) -> None:
    file = write(tmp_path, "article_id,text\na,One\n")
    with pytest.raises(
        DataError, match=r"no column 'role' for label; found 'article_id', 'text'; .*--column label=NAME"
    ):
        list(read_articles(file, columns={"label": "role"}))


def test_articles_must_not_begin_again(tmp_path: Path) -> None:
    articles, errors = collect(write(tmp_path, "article_id,text\na,One\nb,Two\na,Three\na,Four\nc,Five\n"))
    assert [a.id for a in articles] == ["a", "b", "c"]
    assert [e.line for e in errors] == [4]
    assert "sort the file by 'article_id'" in str(errors[0])


def test_undecodable_rows_and_then_on(tmp_path: Path) -> None:
    content = 'article_id,text\na,One\nb,"Two\ncaf\xe9"\nc,Three\nd,Four\n'.encode("latin-1")
    articles, errors = collect(write(tmp_path, content))
    assert [a.id for a in articles] == ["d"], "the unreadable row may belong to the articles beside it"
    assert [e.line for e in errors] == [4, 2, 5]
    assert "byte 0xE9 at offset 32 is not valid UTF-8" in str(errors[0])


def test_undecodable_header(tmp_path: Path) -> None:
    articles, errors = collect(write(tmp_path, b"article_id,text,caf\xe9\na,One,\n"))
    assert articles == []
    assert [e.line for e in errors] == [1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"body": "text"}, r"the field 'body'.*the fields are article, text, label, alt, headline, published, outlet"),
        ({"text": ""}, r"gives '' as the column of 'text', expected a name; only 'article' may be empty"),
        ({"text": 3}, "gives 3 as the column of 'text', expected a name"),
    ],
)
def test_senseless_columns_are_refused_at_once(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_articles(tmp_path / "a.csv", columns=columns, on_error=lambda _: None)


def test_rows_of_an_endless_article_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("article", "readers.rows"):
        monkeypatch.setattr(f"nutgraf_data.{module}.MAX_PARAGRAPHS", 3)
    path = tmp_path / "rows.csv"
    path.write_text("article_id,text\n" + "a,one\n" * 50 + "b,two\n", encoding="utf-8")
    errors: list[DataError] = []
    assert [article.id for article in read_articles(path, on_error=errors.append)] == ["b"]
    assert [str(error) for error in errors] == [
        f"{path}:2: article 'a': it has more than 3 paragraphs; check that it is one article, and split it"
    ]
