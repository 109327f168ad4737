"""Hugging Face data sets: saved folders, splits, class labels, and a hub that does not answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from nutgraf_data.article import Article, Origin
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.readers import read_articles

datasets = pytest.importorskip("datasets")

ROLES = ["background", "analysis"]


@pytest.fixture(autouse=True)
def quiet() -> Any:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def flat() -> Any:
    features = datasets.Features(
        {
            "article_id": datasets.Value("int32"),
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=ROLES),
            "scores": datasets.List(datasets.Value("float64")),
        }
    )
    rows = [(1, "A", 1, [0.5]), (1, "B", 0, []), (2, "C", None, None), (2, "D", -1, [1.0])]
    return datasets.Dataset.from_list([dict(zip(features, row, strict=True)) for row in rows], features=features)


def collect(path: str | Path, **options: Any) -> tuple[list[Article], list[DataError]]:
    errors: list[DataError] = []
    return list(read_articles(path, on_error=errors.append, **options)), errors


def failure(path: str | Path, **options: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        list(read_articles(path, **options))
    return caught.value


def test_saved_folder(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    flat().with_format("numpy").save_to_disk(folder)
    articles = list(read_articles(folder))
    assert list(read_articles(f"hf:{folder}")) == articles
    assert list(read_articles(folder, format="hf")) == articles
    one, two = articles
    assert (one.id, two.id, two.origin) == ("1", "2", Origin(str(folder), 3))
    assert [(p.text, p.label, p.line) for p in one.paragraphs] == [("A", "analysis", 1), ("B", "background", 2)]
    assert [p.label for p in two.paragraphs] == [None, None]
    assert [p.extra for p in one.paragraphs] == [{"scores": [0.5]}, {"scores": []}]


@pytest.mark.parametrize("as_sequence", [False, True])
def test_class_labels_inside_of_paragraphs(tmp_path: Path, as_sequence: bool) -> None:
    inner = {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=ROLES)}
    features = datasets.Features({"paragraphs": datasets.Sequence(inner) if as_sequence else [inner]})
    paragraphs: Any = [{"text": "A", "label": 1}, {"text": "B", "label": None}]
    if as_sequence:
        paragraphs = {key: [p[key] for p in paragraphs] for key in inner}
    datasets.Dataset.from_list([{"paragraphs": paragraphs}], features=features).save_to_disk(tmp_path / "c")
    (article,) = read_articles(tmp_path / "c")
    assert [(p.text, p.label) for p in article.paragraphs] == [("A", "analysis"), ("B", None)]
    assert article.id == "c:1"


def test_splits(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    datasets.DatasetDict({"train": flat(), "test": flat().select([0])}).save_to_disk(folder)
    assert len(list(read_articles(f"hf:{folder}@train"))) == 2
    assert len(list(read_articles(f"hf:{folder}@test"))) == 1
    assert str(failure(folder)) == (
        f"{folder}: has more than one split; found train, test; choose one with hf:{folder}@train"
    )
    assert "has no split 'dev'; found train, test" in str(failure(f"hf:{folder}@dev"))
    articles, errors = collect(folder)
    assert (articles, len(errors)) == ([], 1)


def test_single_split_needs_no_name(tmp_path: Path) -> None:
    datasets.DatasetDict({"dev": flat()}).save_to_disk(tmp_path / "c")
    assert len(list(read_articles(tmp_path / "c"))) == 2


def test_saved_data_set_has_one_split(tmp_path: Path) -> None:
    flat().save_to_disk(tmp_path / "c")
    assert "leave @ out" in str(failure(f"hf:{tmp_path / 'c'}@train"))


def test_folder_whose_name_has_an_at_sign(tmp_path: Path) -> None:
    flat().save_to_disk(tmp_path / "c@home")
    assert len(list(read_articles(f"hf:{tmp_path / 'c@home'}"))) == 2


def test_columns(tmp_path: Path) -> None:
    flat().rename_column("text", "body").save_to_disk(tmp_path / "c")
    assert "found 'article_id', 'body', 'label', 'scores'; name the column with --column text=NAME" in str(
        failure(tmp_path / "c")
    )
    assert len(list(read_articles(tmp_path / "c", columns={"text": "body"}))) == 2


def test_damaged_folder(tmp_path: Path) -> None:
    flat().save_to_disk(tmp_path / "c")
    for file in (tmp_path / "c").glob("*.arrow"):
        file.write_bytes(b"damaged")
    error = failure(tmp_path / "c")
    assert error.path == str(tmp_path / "c")
    assert "the data set cannot be loaded" in str(error)


def test_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(name: str, split: str | None = None) -> Any:
        asked.append((name, split))
        return flat() if split else datasets.DatasetDict({"train": flat()})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    for path in ("hf:someone/news", "hf:someone/news@train[:10%]"):
        assert [a.id for a in read_articles(path)] == ["1", "2"]
    assert asked == [("someone/news", None), ("someone/news", "train[:10%]")]


@pytest.mark.parametrize("error", [ConnectionError("no network\nmore"), FileNotFoundError("not there"), RuntimeError()])
def test_hub_that_fails_is_one_error(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def load_dataset(name: str, split: str | None = None) -> Any:
        raise error

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    articles, errors = collect("hf:someone/news")
    message = str(error).split("\n")[0] or "RuntimeError"
    assert articles == []
    assert [str(e) for e in errors] == [
        f"someone/news: the data set cannot be loaded: {message}; "
        "check its name and the network, or load it elsewhere and save it with save_to_disk"
    ]


def test_no_name() -> None:
    for path in ("hf:", "hf:@train"):
        assert "names no data set; write hf:NAME_OR_FOLDER" in str(failure(path))


def test_without_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtraError, match=r'Reading Hugging Face data sets needs .*"nutgraf\[train\]"'):
        list(read_articles("hf:someone/news", on_error=lambda _: None))
