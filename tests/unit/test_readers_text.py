"""Plain text: paragraphs, offsets, the seed's format, encodings."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nutgraf_data.article import Article, Origin
from nutgraf_data.errors import DataError
from nutgraf_data.readers import read_articles, read_text

SEEDS = Path(__file__).parents[2] / "seeds"
SEED = SEEDS / "000_6814731f4ee210d7.txt"

pieces = st.one_of(
    st.sampled_from(
        ["\n", "\r", "\r\n", "\n\n", " ", "\t", "\ufeff", "\u2028", "\x85", "\x1c", "\xa0", "\x00", "é", "😀"]
    ),
    st.characters(exclude_categories=["Cs"]),
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8),
)
texts = st.lists(pieces, max_size=25).map("".join)


def lines_of(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def assert_nothing_lost(article: Article) -> None:
    end, outside = 0, []
    for paragraph in article.paragraphs:
        assert article.source[paragraph.start : paragraph.end] == paragraph.text
        assert paragraph.text.strip() == paragraph.text != ""
        assert all(line.strip() for line in lines_of(paragraph.text)), "a blank line stands inside of a paragraph"
        outside.append(article.source[end : paragraph.start])
        end = paragraph.end
    outside.append(article.source[end:])
    assert outside[0].removeprefix("\ufeff").strip() == ""
    assert "".join(outside[1:]).strip() == ""
    for gap in outside[1:-1]:
        assert len(lines_of(gap)) > 2, "no blank line stands between two paragraphs"


@settings(max_examples=300, deadline=None)
@given(texts)
def test_paragraphs_cover_all_text_at_exact_offsets(text: str) -> None:
    if not text.removeprefix("\ufeff").strip():
        with pytest.raises(DataError, match="no paragraph was found"):
            read_text(text)
        return
    article = read_text(text)
    assert article.source == text
    assert_nothing_lost(article)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=texts, encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-be"]), named=st.booleans()
)
@example(text="\x00\ufeffa", encoding="utf-16-be", named=True)  # 00 00 FE FF is the mark of UTF-32
def test_files_of_any_unicode_encoding_give_the_same_paragraphs(
    tmp_path: Path, text: str, encoding: str, named: bool
) -> None:
    named = named or encoding == "utf-16-be"
    if encoding in ("utf-8", "utf-16-be"):
        text = text.lstrip("\ufeff")  # it would be the byte order mark
    if encoding == "utf-16" and not named:
        text = text.lstrip("\x00")  # FF FE 00 00 is the mark of UTF-32
    if not text.removeprefix("\ufeff").strip():
        return
    file = tmp_path / "a.txt"
    file.write_bytes(text.encode(encoding))
    (article,) = read_articles(file, encoding=encoding if named else None)
    assert article.source == text
    assert_nothing_lost(article)
    assert article.paragraphs == read_text(text).paragraphs


def test_line_ends_and_blank_lines() -> None:
    article = read_text("  One\r\nstill one\r\n \t\r\nTwo\rstill two\r\rThree\u2028still three\n\x0b\nFour ")
    assert [p.text for p in article.paragraphs] == [
        "One\r\nstill one",
        "Two\rstill two",
        "Three\u2028still three",
        "Four",
    ]


def test_a_byte_order_mark_in_a_string_stands_outside_of_the_first_paragraph() -> None:
    (paragraph,) = read_text("\ufeff One").paragraphs
    assert (paragraph.text, paragraph.start) == ("One", 2)
    assert read_text("One\n\n\ufeffTwo").paragraphs[1].text == "\ufeffTwo"


def test_seed() -> None:
    (article,) = read_articles(SEED)
    gold = json.loads((SEEDS / "gold.json").read_text(encoding="utf-8"))
    assert (article.id, article.published) == (gold["id"], gold["published"])
    assert article.origin == Origin(str(SEED))
    assert len(article.paragraphs) == len(gold["paragraphs"])
    for paragraph, expected in zip(article.paragraphs, gold["paragraphs"], strict=True):
        assert paragraph.text.startswith(expected["starts_with"])
        assert article.source[paragraph.start : paragraph.end] == paragraph.text
    assert article.source == SEED.read_bytes().decode()


@pytest.mark.parametrize(
    ("text", "published", "first"),
    [
        (" date 2024-04-24 The mayor", "2024-04-24", "The mayor"),
        ("\ufeffdate 2024-04-24\r\n\r\nThe mayor", "2024-04-24", "The mayor"),
        ("date 2024-02-30 The mayor", None, "date 2024-02-30 The mayor"),
        ("date 2024-04-24The mayor", None, "date 2024-04-24The mayor"),
        ("update 2024-04-24 The mayor", None, "update 2024-04-24 The mayor"),
        ("date ٢٠٢٤-04-24 The mayor", None, "date ٢٠٢٤-04-24 The mayor"),
    ],
)
def test_leading_date(text: str, published: str | None, first: str) -> None:
    article = read_text(text)
    assert article.published == published
    assert article.paragraphs[0].text == first
    assert article.source == text


def test_a_given_date_outweighs_the_leading_one_and_drops_nothing() -> None:
    article = read_text("date 2024-04-24 The mayor", published="2024-05-01")
    assert article.published == "2024-05-01"
    assert article.paragraphs[0].text == "date 2024-04-24 The mayor"
    assert read_text("date 2024-04-24 The mayor", published="2024-04-24").paragraphs[0].text == "The mayor"


def test_fields_of_a_string() -> None:
    article = read_text("One", id="x", headline="H", outlet="O", extra={"k": 1}, origin=Origin("here", 3))
    assert (article.id, article.headline, article.outlet, article.extra) == ("x", "H", "O", {"k": 1})
    assert article.origin == Origin("here", 3)


def test_bytes_are_no_text() -> None:
    with pytest.raises(DataError, match="is a bytes, expected a str"):
        read_text(b"One")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("\n" * 100_000 + "x", 1),
        ("\r\n \r" * 100_000 + "x", 1),
        (" " * 10_000_000 + "x", 1),
        ("x" * 10_000_000, 1),
        ("x " * 5_000_000, 1),
        (" \n" * 100_000 + "date", 1),
        ("x\n\n" * 100_000, 100_000),
    ],
    ids=["empty lines", "mixed line ends", "spaces", "one line", "words", "blank head", "many paragraphs"],
)
def test_time_is_linear(text: str, count: int) -> None:
    begin = time.process_time()
    assert len(read_text(text).paragraphs) == count
    assert time.process_time() - begin < 5


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        file = tmp_path / "a.txt"
        file.write_bytes(data)
        return file

    return write


def failure(file: Path, encoding: str | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_articles(file, encoding=encoding))
    return caught.value


def test_undecodable_byte(write: Callable[[bytes], Path]) -> None:
    file = write(b"One\r\ntwo\rthree\ncaf\xe9 on fire\n")
    error = failure(file)
    assert (error.path, error.line) == (str(file), 4)
    assert "byte 0xE9 at offset 18 is not valid UTF-8" in str(error)
    assert "--encoding cp1252" in str(error)
    (article,) = read_articles(file, encoding="cp1252")
    assert article.paragraphs[0].text.endswith("café on fire")


def test_undecodable_byte_after_a_mark_counts_the_mark(write: Callable[[bytes], Path]) -> None:
    assert "byte 0xE9 at offset 6 " in str(failure(write(b"\xef\xbb\xbfcaf\xe9 ")))


def test_truncated_utf_16(write: Callable[[bytes], Path]) -> None:
    error = failure(write("One\ntwo".encode("utf-16") + b"x"))
    assert "byte 0x78 at offset 16 is not valid UTF-16-LE" in str(error)
    assert error.line == 2


def test_byte_order_mark_outweighs_a_named_unicode_encoding(write: Callable[[bytes], Path]) -> None:
    file = write("Füße".encode("utf-16"))
    for encoding in ("utf-8", "utf-16", "UTF_8", None):
        assert next(read_articles(file, encoding=encoding)).source == "Füße"
    assert next(read_articles(file, encoding="latin-1")).source.startswith("ÿþF")


@pytest.mark.parametrize("encoding", ["utf-16-le", "UTF-16BE", "utf-32-le", "utf_32_be"])
def test_a_named_endianness_knows_its_own_mark_only(write: Callable[[bytes], Path], encoding: str) -> None:
    assert next(read_articles(write("\ufeffab".encode(encoding)), encoding=encoding)).source == "ab"
    assert next(read_articles(write("\x00\ufeffab".encode(encoding)), encoding=encoding)).source == "\x00\ufeffab"


def test_utf_16_text_that_begins_with_nul_needs_its_name(write: Callable[[bytes], Path]) -> None:
    assert next(read_articles(write("\x00ab".encode("utf-16")), encoding="utf-16")).source == "\x00ab"


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "", "a\0b", "idna", "undefined"])
def test_unknown_encoding_is_refused_at_once(encoding: str) -> None:
    with pytest.raises(DataError, match=r"is not the name of a text encoding; use a name .* cp1252"):
        read_articles(SEED, encoding=encoding)


def test_blank_file(write: Callable[[bytes], Path]) -> None:
    error = failure(write(b" \r\n\t\n"))
    assert "no paragraph was found" in str(error)
    assert error.path is not None
    assert error.path.endswith("a.txt")


def test_lone_surrogate() -> None:
    with pytest.raises(DataError, match=r"lone surrogate U\+D800"):
        read_text("a \ud800")


def test_an_article_of_millions_of_paragraphs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("article", "readers.text", "readers.rows"):
        monkeypatch.setattr(f"nutgraf_data.{module}.MAX_PARAGRAPHS", 3)
    assert len(read_text("a\n\nb\n\nc").paragraphs) == 3
    with pytest.raises(DataError, match="more than 3 paragraphs"):
        read_text("a\n\n" * 100)


def test_a_paragraph_a_line(tmp_path: Path) -> None:
    text = " One\r\nTwo \n\n\nThree\rFour"
    article = read_text(text, lines=True)
    assert [p.text for p in article.paragraphs] == ["One", "Two", "Three", "Four"]
    assert all(text[p.start : p.end] == p.text for p in article.paragraphs)
    for path in (tmp_path / "a.txt", tmp_path):
        (tmp_path / "a.txt").write_bytes(text.encode())
        (read,) = read_articles(path, format="lines")
        assert read.paragraphs == article.paragraphs
