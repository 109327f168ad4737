"""Writers: whole files or none, the same from Parquet as from JSON lines, and nothing that moves a terminal."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nutgraf.annotation import Annotation
from nutgraf.linear import LinearTagger
from nutgraf.writers import check_target, write_file, write_jsonl, write_parquet, write_table
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.labels import NEWS_ROLES

NASTY = "Fire\x1b[31m red \x07bell \u202eback \u200bzero \x9b2J \x00nul\ttab\r\nline\u2028sep end"


@pytest.fixture(scope="session")
def annotations(tiny_tagger: LinearTagger, unseen: list[Article]) -> list[Annotation]:
    return list(tiny_tagger.predict_many(unseen[:4]))


def breaking(annotations: list[Annotation], error: BaseException) -> Iterator[Annotation]:
    yield from annotations
    raise error


def test_json_lines(annotations: list[Annotation], tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    assert write_file(iter(annotations), target) == 4
    lines = target.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert [json.loads(line) for line in lines] == [json.loads(json.dumps(a.to_json())) for a in annotations]
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_json_lines_are_ascii_and_one_line_each(tiny_tagger: LinearTagger) -> None:
    article = Article.from_paragraphs([NASTY, "Über 🔥"], headline="a\u2028b\x85c")
    stream = io.StringIO()
    write_jsonl([tiny_tagger.predict(article)], stream)
    text = stream.getvalue()
    assert text.isascii()
    assert text.splitlines() == [text[:-1]]
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert [s["text"] for s in json.loads(text)["segments"]] == [NASTY, "Über 🔥"]


def test_parquet_comes_back(annotations: list[Annotation], tmp_path: Path) -> None:
    target = tmp_path / "out.parquet"
    assert write_file(iter(annotations), target) == 4
    rows = pq.read_table(target).to_pylist()
    expected = [row for annotation in annotations for row in annotation.to_rows()]
    assert rows == expected
    assert list(rows[0]) == list(expected[0])


def test_parquet_with_other_fields_in_each_article(tiny_tagger: LinearTagger, tmp_path: Path) -> None:
    one = Article.from_paragraphs(["A fire."], id="1", extra={"page": 3})
    other = Article.from_paragraphs([Paragraph("A flood.", 0, 0, "analysis", extra={"by": "Kim"})], id="2")
    assert write_parquet(tiny_tagger.predict_many([one, other]), tmp_path / "out.parquet") == 2
    first, second = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert (first["page"], first["by"], first["gold_label"]) == (3, None, None)
    assert (second["page"], second["by"], second["gold_label"]) == (None, "Kim", "analysis")


def test_parquet_in_several_row_groups(
    tiny_tagger: LinearTagger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nutgraf.writers._ROWS", 3)
    articles = [Article.from_paragraphs(["A fire.", "A flood."], id=str(n)) for n in range(5)]
    late = Article.from_paragraphs(["A storm."], id="late", headline="Storm", published="2024-04-24")
    assert write_parquet(tiny_tagger.predict_many([*articles, late]), tmp_path / "out.parquet") == 6
    table = pq.read_table(tmp_path / "out.parquet")
    assert (table.num_rows, pq.ParquetFile(tmp_path / "out.parquet").num_row_groups) == (11, 4)
    assert table["headline"].to_pylist() == [None] * 10 + ["Storm"]
    # A column that appears too late is refused rather than dropped.
    extra = Article.from_paragraphs(["Snow."], id="extra", extra={"page": 1})
    with pytest.raises(DataError, match=r"columns \['page'\] appear only after .*; write \.jsonl"):
        write_parquet(tiny_tagger.predict_many([*articles, extra]), tmp_path / "other.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_parquet_of_fields_that_do_not_fit(tiny_tagger: LinearTagger, tmp_path: Path) -> None:
    mixed = [Article.from_paragraphs(["A fire."], id=str(value), extra={"page": value}) for value in (3, "three")]
    with pytest.raises(DataError, match=r"do not fit into one table: .*write \.jsonl, which takes any fields"):
        write_parquet(tiny_tagger.predict_many(mixed), tmp_path / "out.parquet")
    huge = Article.from_paragraphs(["A fire."], extra={"views": 2**70})
    with pytest.raises(DataError, match="do not fit into one table"):
        write_parquet(tiny_tagger.predict_many([huge]), tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())


def test_no_article_at_all(tmp_path: Path) -> None:
    assert write_file([], tmp_path / "out.jsonl") == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""
    assert write_file([], tmp_path / "out.parquet") == 0
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt(), DataError("bad article")])
@pytest.mark.parametrize("there", [False, True])
def test_an_exception_leaves_no_file_or_the_old_one(
    annotations: list[Annotation], tmp_path: Path, name: str, error: BaseException, there: bool
) -> None:
    target = tmp_path / name
    if there:
        target.write_text("the old one")
    with pytest.raises(type(error)):
        write_file(breaking(annotations, error), target)
    assert [path.name for path in tmp_path.iterdir()] == ([name] if there else [])
    assert not there or target.read_text() == "the old one"


def test_a_folder_that_is_missing(annotations: list[Annotation], tmp_path: Path) -> None:
    for name in ("out.jsonl", "out.parquet"):
        with pytest.raises(DataError, match="cannot be written: No such file or directory"):
            write_file(annotations, tmp_path / "nowhere" / name)


def test_parquet_without_pyarrow(
    annotations: list[Annotation], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'Writing Parquet .* pip install "nutgraf\[parquet\]"'):
        write_file(annotations, tmp_path / "out.parquet")
    assert not list(tmp_path.iterdir())


def test_targets(tmp_path: Path) -> None:
    old, source = tmp_path / "old.jsonl", tmp_path / "in.jsonl"
    old.touch()
    source.touch()
    link = tmp_path / "link.jsonl"
    link.symlink_to(source)
    (tmp_path / "folder.jsonl").mkdir()
    check_target(tmp_path / "new.jsonl", [source], force=False)
    check_target(tmp_path / "new.parquet", [Path("-"), Path("nowhere")], force=False)
    check_target(old, [source], force=True)
    refused: list[tuple[str, Any, str]] = [
        ("old.jsonl", False, "exists already; use --force"),
        ("folder.jsonl", True, "exists already"),
        ("in.jsonl", True, "the output file is one of the inputs"),
        ("link.jsonl", True, "the output file is one of the inputs"),
        ("new.csv", True, "neither .jsonl nor .parquet"),
        ("new", True, "neither .jsonl nor .parquet"),
    ]
    for name, force, message in refused:
        with pytest.raises(DataError, match=message):
            check_target(tmp_path / name, [source], force=force)


def test_the_table_moves_no_terminal(tiny_tagger: LinearTagger, capsys: pytest.CaptureFixture[str]) -> None:
    article = Article.from_paragraphs(
        [NASTY, "[red]not markup[/red]", "x" * 5000], headline=NASTY, outlet="[bold]", id="\x1b]0;title\x07"
    )
    write_table([tiny_tagger.predict(article, min_confidence=1.0)], NEWS_ROLES)
    out = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u2028\u202e]", out)
    assert "\\u{1b}[31m red \\u{7}bell \\u{202e}back" in " ".join(out.split())
    assert "[red]not markup[/red]" in out
    assert "[bold]" in out
    assert out.count("?  ") == 3
    assert " …" in out


def test_the_table_has_every_paragraph(annotations: list[Annotation], capsys: pytest.CaptureFixture[str]) -> None:
    write_table(annotations[:1], NEWS_ROLES)
    out = capsys.readouterr().out
    first = annotations[0]
    assert str(first.article.headline) in out.splitlines()[0]
    for segment in first:
        assert re.search(rf"^{segment.label} +{segment.confidence:.2f}  {re.escape(segment.text[:20])}", out, re.M)


def test_a_table_needs_nothing_of_the_command_line() -> None:
    code = (
        "import sys, nutgraf.writers; from nutgraf_data.labels import NEWS_ROLES; "
        "nutgraf.writers.write_table([], NEWS_ROLES); "
        "sys.exit(any(name == 'typer' or name.startswith('nutgraf.cli') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
