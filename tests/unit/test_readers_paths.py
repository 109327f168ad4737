"""Where articles come from: suffixes, folders, gzip, standard input, and what cannot be opened."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nutgraf_data import readers
from nutgraf_data.article import Origin
from nutgraf_data.errors import DataError
from nutgraf_data.readers import read_articles

RECORD = b'{"text": "One."}\n'


def failure(path: str | Path, format: str | None = None) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_articles(path, format=format))
    return caught.value


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], io.BytesIO]:
    def give(data: bytes) -> io.BytesIO:
        stream = io.BytesIO(data)
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": stream}))
        return stream

    return give


def test_public_names() -> None:
    assert readers.__all__ == ["read_articles", "read_text"]


def test_light_imports() -> None:
    code = (
        "import sys, nutgraf_data.readers as r; list(r.read_articles(sys.argv[1])); "
        "print([m for m in ('numpy', 'pyarrow', 'datasets', 'sklearn') if m in sys.modules])"
    )
    seed = Path(__file__).parents[2] / "seeds" / "000_6814731f4ee210d7.txt"
    ran = subprocess.run([sys.executable, "-c", code, str(seed)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["a.txt", "a.TEXT", "a.md", "a.jsonl", "a.ndjson", "a.json", "a.b.txt"])
@pytest.mark.parametrize("zipped", [False, True])
def test_suffixes(tmp_path: Path, name: str, zipped: bool) -> None:
    file = tmp_path / (name + ".gz" * zipped)
    file.write_bytes(gzip.compress(RECORD) if zipped else RECORD)
    (article,) = read_articles(str(file))
    is_text = name.lower().rpartition(".")[2] in ("txt", "text", "md")
    stem = name.rpartition(".")[0]
    assert article.id == (stem if is_text else f"{stem}:1")
    assert article.source == (RECORD.decode() if is_text else "One.")
    assert article.origin == Origin(str(file), None if is_text else 1)


@pytest.mark.parametrize("name", ["a", "a.docx", "a.parquet.gz", "a.docx.gz", ".gz", "..gz", "a."])
def test_unknown_suffix(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"One.")
    error = failure(file)
    assert error.path == str(file)
    assert "expected one of .txt, .text, .md, .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .pq" in str(error)
    assert "name the format with --format (text, jsonl, json, csv, tsv, parquet, lines)" in str(error)
    if not name.endswith("gz"):
        assert [a.source for a in read_articles(file, format="text")] == ["One."]


@pytest.mark.parametrize("name", ["a.html", "a.HTM", "a.html.gz"])
def test_html(tmp_path: Path, name: str) -> None:
    assert str(failure(tmp_path / name)) == (
        f"{tmp_path / name}: HTML is not read yet; extract the article's text first, and save it as .txt"
    )


def test_unknown_format_is_refused_at_once() -> None:
    with pytest.raises(
        DataError, match="'xml' is not a format that can be read; the formats are text, jsonl, json, csv"
    ):
        read_articles("a.txt", format="xml", on_error=lambda _: None)


def test_folder(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/b.jsonl", "a.md.gz", ".hidden.txt", ".git/c.txt", "notes.docx", "page.html"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(gzip.compress(b"One.") if name.endswith("gz") else RECORD)
    assert [a.id for a in read_articles(tmp_path)] == ["a", "a/b:1", "a/z", "b"]
    assert [a.id for a in read_articles(tmp_path, format="jsonl")] == ["a/b:1", "notes:1", "page:1"]


def test_folder_goes_on_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff")
    (tmp_path / "b.txt").write_bytes(b"One.")
    (tmp_path / "c.txt").write_bytes(b" ")
    (tmp_path / "d.txt.gz").write_bytes(b"One.")
    errors: list[DataError] = []
    assert [a.id for a in read_articles(tmp_path, on_error=errors.append)] == ["b"]
    assert [e.path for e in errors] == [str(tmp_path / name) for name in ("a.txt", "c.txt", "d.txt.gz")]


def test_folder_without_files(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"One.")
    error = failure(tmp_path)
    assert error.path == str(tmp_path)
    assert "no file that can be read is in the folder; expected files that end in .txt, .text" in str(error)


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    file = os.fsencode(tmp_path) + b"/caf\xe9.txt"
    try:
        with open(file, "wb") as stream:
            stream.write(b"One.")
    except OSError:
        pytest.skip("the file system takes Unicode names only")
    assert [a.id for a in read_articles(tmp_path)] == ["caf\ufffd"]


@pytest.mark.parametrize("name", ["none.txt", "none.jsonl", "none.json", "none.csv", "none.txt.gz"])
def test_missing_file(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    assert str(failure(file)) == f"{file}: cannot be read: No such file or directory"
    errors: list[DataError] = []
    assert list(read_articles(file, on_error=errors.append)) == []
    assert len(errors) == 1


@pytest.mark.parametrize("path", ["a\0b.txt", "x" * 5000 + ".txt"])
def test_impossible_paths(path: str) -> None:
    assert "cannot be read" in str(failure(path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    assert str(failure(folder)) == f"{folder}: cannot be read: Permission denied"


def test_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def scandir(path: str) -> Iterator[object]:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert str(failure(tmp_path)) == f"{tmp_path}: cannot be read: Permission denied"


@pytest.mark.parametrize("damage", ["not gzip", "cut", "checksum", "block"])
@pytest.mark.parametrize("name", ["a.txt.gz", "a.jsonl.gz", "a.csv.gz"])
def test_damaged_gzip(tmp_path: Path, name: str, damage: str) -> None:
    data = gzip.compress(b'article_id,text\na,"One."\n' if "csv" in name else RECORD)
    broken = {
        "not gzip": b"One.",
        "cut": data[:-9],
        "checksum": data[:-6] + bytes([data[-6] ^ 1]) + data[-5:],
        "block": data[:10] + b"\x07" + data[11:],  # a block of a type that does not exist
    }[damage]
    file = tmp_path / name
    file.write_bytes(broken)
    error = failure(file)
    assert error.path == str(file)
    assert "is not a valid gzip file" in str(error)
    assert "compress it again" in str(error)


def test_an_error_of_the_caller_is_raised_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"\xff")
    calls = []

    def stop(error: DataError) -> None:
        calls.append(error)
        raise error

    with pytest.raises(DataError):
        list(read_articles(tmp_path, on_error=stop))
    assert len(calls) == 1


def test_standard_input_of_text(stdin: Callable[[bytes], io.BytesIO]) -> None:
    stream = stdin(b"\n One.\n\nTwo.\n")
    (article,) = read_articles("-")
    assert [p.text for p in article.paragraphs] == ["One.", "Two."]
    assert article.source == "\n One.\n\nTwo.\n"
    assert (article.id, article.origin) == ("stdin", Origin("<stdin>"))
    assert not stream.closed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_standard_input_of_json_lines(stdin: Callable[[bytes], io.BytesIO], encoding: str) -> None:
    stdin('\r\n \n{"text": "Öne."}\n{"text": "Two."}\n'.encode(encoding))
    assert [(a.id, a.source) for a in read_articles("-")] == [("stdin:3", "Öne."), ("stdin:4", "Two.")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("start", ["[", " \n[ ", "[\n", "\n[\r\n\n  "])
def test_standard_input_of_a_json_list(stdin: Callable[[bytes], io.BytesIO], start: str, encoding: str) -> None:
    stdin((start + '{"text": "Öne."}, {"text": "Two."}]\n').encode(encoding))
    assert [a.source for a in read_articles("-")] == ["Öne.", "Two."]


@pytest.mark.parametrize("text", ["[Photo]", "[\n\nOne {1}", "[", "[\n", "[1] {", "[[{"])
def test_standard_input_of_text_in_brackets(stdin: Callable[[bytes], io.BytesIO], text: str) -> None:
    stdin(text.encode())
    assert [a.source for a in read_articles("-")] == [text]


def test_articles_on_one_line_of_a_json_list(stdin: Callable[[bytes], io.BytesIO]) -> None:
    stdin(b'[{"text": "One."}, {"text": "Two."}]')
    assert [a.source for a in read_articles("-", columns={"article": ""})] == ["One.", "Two."]


def test_standard_input_is_read_as_lines_come(stdin: Callable[[bytes], io.BytesIO]) -> None:
    stream = stdin(RECORD * 3)
    articles = read_articles("-")
    next(articles)
    assert stream.tell() == len(RECORD)
    assert len(list(articles)) == 2


def test_standard_input_with_a_format(stdin: Callable[[bytes], io.BytesIO]) -> None:
    stdin(RECORD)
    assert [a.source for a in read_articles("-", format="text")] == [RECORD.decode()]
    stdin(b"article_id,text\na,One.\n")
    assert [a.source for a in read_articles("-", format="csv")] == ["One."]


def test_errors_of_standard_input(stdin: Callable[[bytes], io.BytesIO], monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(b"\n{broken\n")
    assert str(failure("-")).startswith("<stdin>:2: is not valid JSON")
    stdin(b"")
    assert str(failure("-")).startswith("<stdin>: article 'stdin': no paragraph was found")
    monkeypatch.setattr(sys, "stdin", None)
    assert str(failure("-")) == "<stdin>: standard input is closed; give a file instead of '-'"
