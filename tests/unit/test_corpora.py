"""The corpora that ship."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nutgraf_data import corpora
from nutgraf_data.checks import check_corpus
from nutgraf_data.errors import DataError
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_data.standoff import read_standoff

COUNTS = {
    "newswire-train": (416, 6170),
    "newswire-dev": (36, 533),
    "world-train": (602, 8393),
    "world-dev": (60, 842),
    "general-train": (236, 3559),
    "general-dev": (84, 1335),
    "further-train": (1399, 25593),
    "further-validation": (127, 2533),
    "later-train": (247, 5267),
    "nearest-train": (3800, 57875),
    "nearest-dev": (200, 2810),
    "second-pass": (150, 2138),
    "world-dev-second": (60, 842),
}


def test_authored_is_sound() -> None:
    articles = corpora.load("authored")
    assert (len(articles), sum(len(a.paragraphs) for a in articles)) == (120, 1471)
    assert [p for p in check_corpus(articles, label_set=NEWS_ROLES) if p.level == "error"] == []


def test_every_set_of_labels_is_whole() -> None:
    assert set(corpora.labels_names()) == set(COUNTS)
    for name, (articles, paragraphs) in COUNTS.items():
        records = read_standoff(corpora.labels_path(name))
        assert (len(records), sum(len(r.paragraphs) for r in records)) == (articles, paragraphs)
        assert {p.label for r in records for p in r.paragraphs} == set(NEWS_ROLES.labels)
        assert {p.alt for r in records for p in r.paragraphs} <= {None, *NEWS_ROLES.labels}


def test_shipped_labels_hold_no_text_and_are_small() -> None:
    files = [corpora.labels_path(name) for name in COUNTS]
    assert sum(file.stat().st_size for file in files) < 150 * sum(paragraphs for _, paragraphs in COUNTS.values())
    for file in files:
        assert '"text"' not in file.read_text(encoding="utf-8")
        assert '"headline"' not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("call", "name", "expected"),
    [
        (
            corpora.path,
            "nonsense",
            r"no corpus is called 'nonsense'; there are: authored, authored-held-out, newswire-train",
        ),
        (corpora.load, "world-dev", r"ships without its texts; join .*world-dev\.jsonl"),
        (corpora.labels_path, "authored", r"no stand-off labels are called 'authored'"),
    ],
)
def test_unknown_names(call: object, name: str, expected: str) -> None:
    assert callable(call)
    with pytest.raises(DataError, match=expected):
        call(name)


def test_an_installed_wheel_has_the_corpus_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site-packages" / "nutgraf_data"
    monkeypatch.setattr(corpora, "__file__", str(installed / "corpora.py"))
    with pytest.raises(DataError, match="install nutgraf again"):
        corpora.path("authored")
    (installed / "corpus" / "authored").mkdir(parents=True)
    with pytest.raises(DataError, match=r"articles\.jsonl: is missing"):
        corpora.path("authored")
    (installed / "corpus" / "authored" / "articles.jsonl").touch()
    assert corpora.path("authored") == installed / "corpus" / "authored" / "articles.jsonl"


def test_write_labels(tmp_path: Path) -> None:
    (written,) = corpora.write_labels([corpora.path("authored")], tmp_path)
    assert written == tmp_path / "articles.jsonl"
    assert len(read_standoff(written)) == 120


def test_imports_are_light() -> None:
    code = (
        "import sys; from nutgraf_data import checks, corpora, duplicates, splits, standoff, stats; "
        "from nutgraf_data.readers import newsdiscourse; "
        "print([m for m in ('sklearn', 'torch', 'datasets', 'datasketch', 'scipy', 'numpy') if m in sys.modules])"
    )
    path = str(Path(corpora.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == "[]"
