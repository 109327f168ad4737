"""The NewsDiscourse reader, on invented archives and, where it is at hand, on the real one."""

from __future__ import annotations

import contextlib
import json
import os
import time
import zipfile
from pathlib import Path

import pytest
from benchmarks.newsdiscourse import BALANCE, EPOCHS, adapted, learned
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.readers.newsdiscourse import CLASSES, is_newsdiscourse, read_newsdiscourse
from nutgraf_training.recipe import EncoderRecipe, load_recipe
from nutgraf_training.train import train

SHARED = Path(os.environ.get("NUTGRAF_SHARED", Path(__file__).parents[2] / ".." / "shared"))

TEXT = """URL http://example.org/1

DATE/ AUTHOR 2018-06-07 00:00:00\tAUTHORS: A. Writer

H  Ferry  sinks off Port Almo\x20

S1  A ferry sank on Thursday.

S2 Nine people were saved.
S3 “We were lucky,” said one.

S4 The ferry was built in 1970.
"""


def mark(label: str, marker: str, number: int = 1, text: str = TEXT) -> str:
    start = text.index(f"\n{marker} ") + 1
    return f"T{number}\t{label} {start} {start + len(marker)}\t{marker}\nE{number}\t{label}:T{number} \n"


ANN = mark("Main", "S1") + mark("Main_Consequence", "S2") + mark("Speech", "S3") + mark("Distant_Anecdotal", "S3")
ANN += mark("Distant_Historical", "S4")


def archive(folder: Path, files: dict[str, str | bytes], name: str = "train.zip") -> Path:
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as made:
        for file, content in files.items():
            made.writestr(file, content)
    return folder / name


def pair(text: str | bytes = TEXT, ann: str = ANN, stem: str = "train 2/Crime/Xinhua_1") -> dict[str, str | bytes]:
    return {f"{stem}.txt": text, f"{stem}.ann": ann}


def test_paragraphs_of_an_article(tmp_path: Path) -> None:
    (article,) = read_newsdiscourse(archive(tmp_path, pair()))
    assert article.id == "nd-train-Crime-Xinhua_1"
    assert (article.headline, article.published, article.outlet) == (
        "Ferry  sinks off Port Almo",
        "2018-06-07",
        "Xinhua",
    )
    assert article.extra == {
        "topic": "crime",
        "source": {
            "repository": "prafulla77/Discourse_Profiling",
            "path": "data/train.zip:train 2/Crime/Xinhua_1.txt",
        },
    }
    assert [p.text for p in article.paragraphs] == [
        "A ferry sank on Thursday.",
        "Nine people were saved. “We were lucky,” said one.",
        "The ferry was built in 1970.",
    ]
    assert [p.extra["sentences"] for p in article.paragraphs] == [["S1"], ["S2", "S3"], ["S4"]]
    assert {p.label for p in article.paragraphs} == {None}
    start, end = article.paragraphs[1].extra["span"]
    assert TEXT[start:end] == "Nine people were saved.\nS3 “We were lucky,” said one."


def test_long_blanks_take_linear_time(tmp_path: Path) -> None:
    blanks = " " * 200_000
    text = f"H A{blanks}B{blanks}\n\nS1 One{blanks}two{blanks}\nS2{blanks}three{blanks}four \t\n"
    path = archive(tmp_path, pair(text, mark("Main", "S1", text=text)))
    begin = time.process_time()
    (article,) = read_newsdiscourse(path)
    (first, _) = next(read_newsdiscourse(path, unit="sentence")).paragraphs
    assert time.process_time() - begin < 5
    assert article.headline == f"A{blanks}B"
    assert [p.text for p in article.paragraphs] == [f"One{blanks}two three{blanks}four"]
    assert first.text == f"One{blanks}two"


def test_many_sentences_take_linear_time(tmp_path: Path) -> None:
    text = "".join(f"S{n} a\n" for n in range(100_000))
    places = [n for n, char in enumerate(text) if char == "S"]
    ann = "".join(f"T{n}\tMain {place} {place + 2}\tS{n}\n" for n, place in enumerate(places))
    path = archive(tmp_path, pair(text, ann))
    begin = time.process_time()
    (article,) = read_newsdiscourse(path, unit="sentence")
    assert time.process_time() - begin < 10
    assert [(p.label, p.line) for p in article.paragraphs] == [("Main", n) for n in range(1, 100_001)]


def test_sentences_carry_their_class_and_stand_in_the_file(tmp_path: Path) -> None:
    (article,) = read_newsdiscourse(archive(tmp_path, pair()), unit="sentence")
    assert article.source == TEXT
    assert [(p.label, p.extra["speech"], p.line) for p in article.paragraphs] == [
        ("Main", False, 7),
        ("Main_Consequence", False, 9),
        ("Distant_Anecdotal", True, 10),
        ("Distant_Historical", False, 12),
    ]
    assert all(TEXT[p.start : p.end] == p.text for p in article.paragraphs)


def test_names_may_repeat_between_folders_and_macos_leavings_are_passed_over(tmp_path: Path) -> None:
    files = pair() | pair(stem="train 2/Business/Xinhua_1")
    files |= {"__MACOSX/train 2/Crime/._Xinhua_1.txt": b"\x00\xff", "train 2/.DS_Store": b"\xff"}
    path = archive(tmp_path, files)
    assert is_newsdiscourse(path)
    assert [a.id for a in read_newsdiscourse(path)] == ["nd-train-Crime-Xinhua_1", "nd-train-Business-Xinhua_1"]


def test_date_comes_from_the_name_where_the_text_has_none(tmp_path: Path) -> None:
    text = "H Old news\n\nS1 It rained.\n"
    ann = mark("Main", "S1", text=text)
    files = pair(text, ann, "train 2/kbp/NYT_ENG_20131011.0173") | pair(text, ann, "x/nyt_corpus_data_2007_01_09_18")
    assert [(a.published, a.outlet) for a in read_newsdiscourse(archive(tmp_path, files))] == [
        ("2013-10-11", "New York Times"),
        ("2007-01-09", "New York Times"),
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"readme.md": "no corpus"}, r"no \.txt"),
        ({"a/b.txt": TEXT}, r"b\.ann: is missing"),
        (pair(b"S1 caf\xe9\n"), r"not UTF-8: byte 6 is 0xE9"),
        (pair("no markers"), r"marker such as 'S1 '|in no sentence"),
        (pair(ann="T1\tMain 0 2\tS1\n"), r"Xinhua_1\.ann:1: offset 0 of Main is in no sentence"),
        (pair(ann=ANN + mark("Mian", "S1")), r"unknown class 'Mian'"),
        (pair(ann=ANN + mark("NA", "S1")), r"sentence S1 has two classes, Main and NA"),
        (pair(ann="T1 Main\n"), r"expected 'T1<TAB>"),
        (pair("S1 x\n" + "x" * 5_000_000), r"larger than 4,000,000 bytes"),
    ],
)
def test_what_is_malformed_is_named(tmp_path: Path, files: dict[str, str | bytes], expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        list(read_newsdiscourse(archive(tmp_path, files)))


def test_no_zip(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("not a zip")
    assert not is_newsdiscourse(tmp_path / "a.zip")
    assert not is_newsdiscourse(tmp_path / "none.zip")
    with pytest.raises(DataError, match="not a readable zip"):
        list(read_newsdiscourse(tmp_path / "a.zip"))
    with pytest.raises(DataError, match="No such file"):
        list(read_newsdiscourse(tmp_path / "none.zip"))
    with pytest.raises(DataError, match="unit is 'word'"):
        list(read_newsdiscourse(tmp_path / "a.zip", unit="word"))  # type: ignore[arg-type]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_zip_is_a_data_error(tmp_path: Path, data: st.DataObject) -> None:
    path = archive(tmp_path, pair())
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    is_newsdiscourse(path)
    with contextlib.suppress(DataError):
        list(read_newsdiscourse(path))


@pytest.mark.parametrize(
    ("part", "articles", "sentences", "roles"),
    [("train", 502, 10_621, "newswire-train"), ("validation", 100, 2_820, "newswire-dev")],
)
def test_the_real_release(part: str, articles: int, sentences: int, roles: str) -> None:
    path = SHARED / "corpora" / "newsdiscourse" / f"{part}.zip"
    if not path.exists():
        pytest.skip(f"the NewsDiscourse release is not at {path}")
    found = {a.id: a for a in read_newsdiscourse(path)}
    by_sentence = list(read_newsdiscourse(path, unit="sentence"))
    labels = [p.label for a in by_sentence for p in a.paragraphs]
    assert (len(found), len(by_sentence), len(labels)) == (articles, articles, sentences)
    assert set(labels) == set(CLASSES)
    for line in (SHARED / "corpora" / "roles" / f"{roles}.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        article = found[record["id"]]
        assert (article.published, article.outlet, article.headline) == (
            record["published"],
            record["outlet"],
            record["headline"],
        )
        assert article.extra == {"topic": record["topic"], "source": record["source"]}


def test_articles_that_a_teacher_was_trained_on_are_told_apart(tiny_corpus: list[Article], tmp_path: Path) -> None:
    train(tiny_corpus, tmp_path / "teacher", held_out=0)
    body = "\n\n".join(f"S{n} {p.text}" for n, p in enumerate(tiny_corpus[0].paragraphs, 1))
    read_before = pair(f"{TEXT[: TEXT.index('S1 ')]}{body}\n", "", stem="train 2/Crime/Xinhua_2")
    file = archive(tmp_path, pair() | read_before)
    assert learned(tmp_path / "teacher", file) == {"nd-train-Crime-Xinhua_2"}
    assert learned(tmp_path, file) == set()  # an encoder as it comes


def test_the_benchmark_changes_recipes_that_ship_but_no_copy(tmp_path: Path) -> None:
    for name in ("lora", "encoder-base"):
        recipe = adapted(name)
        assert isinstance(recipe, EncoderRecipe)
        assert (recipe.fit.epochs, recipe.chain.balance) == (EPOCHS, BALANCE)
    assert adapted("linear") == load_recipe("linear")
    copy = tmp_path / "copy.toml"
    copy.write_bytes(load_recipe("lora").to_toml())
    assert adapted(str(copy)) == load_recipe(copy)
