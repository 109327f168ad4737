"""Windows as rows of a data set: what is learned from them, how they are padded, and how results come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tokenizers import Tokenizer

from nutgraf.windows import Encoded, WindowSettings, encode, position, windows
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.labels import NEWS_ROLES, LabelSet
from nutgraf_training.encoder.dataset import MULTIPLE, Collator, hard_targets, make_dataset, read_back

THREE = LabelSet("three", {"a": "", "b": "", "c": ""})
SETTINGS = WindowSettings(tokens=128, headline=6, lead=8, context=48, paragraph=48)
FIRST, LAST = 2, 3


def article(*labels: str | None, alts: Sequence[str | None] = ()) -> Article:
    alts = [*alts, *[None] * len(labels)]
    return Article.from_paragraphs(
        [Paragraph(f"Paragraph {n}.", 0, 0, label, alts[n]) for n, label in enumerate(labels)], id="made"
    )


@pytest.fixture(scope="module")
def tokenizer(pretrained: Callable[[str], Path]) -> Tokenizer:
    return Tokenizer.from_file(str(pretrained("bert") / "tokenizer.json"))


@pytest.fixture(scope="module")
def encoded(authored: list[Article], tokenizer: Tokenizer) -> list[Encoded]:
    return encode(authored[:12], tokenizer, SETTINGS)


@pytest.fixture(scope="module")
def rows(authored: list[Article], encoded: list[Encoded]) -> Dataset:
    return make_dataset(encoded, hard_targets(authored[:12], NEWS_ROLES), SETTINGS, FIRST, LAST)


def test_hard_targets() -> None:
    (found,) = hard_targets([article("b", None, "a", "c")], THREE)
    assert found.dtype == np.float32
    assert found.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_an_alternative_label_gets_its_share() -> None:
    (found,) = hard_targets([article("b", "a", "c", "a", alts=["c", "a", "unknown"])], THREE, alt_weight=0.25)
    assert found.tolist() == [[0, 0.75, 0.25], [1, 0, 0], [0, 0, 1], [1, 0, 0]]


def test_smoothing() -> None:
    made = [article("b", None, alts=["c"]), article("a")]
    found = hard_targets(made, THREE, alt_weight=0.2, smoothing=0.3)
    np.testing.assert_allclose(found[0], np.array([[0.1, 0.1 + 0.7 * 0.8, 0.1 + 0.7 * 0.2], [0, 0, 0]]), rtol=1e-6)
    np.testing.assert_allclose(found[1], np.array([[0.8, 0.1, 0.1]]), rtol=1e-6)


def test_an_alternative_without_a_label_says_nothing() -> None:
    (found,) = hard_targets([article(None, "a", alts=["b"])], THREE, alt_weight=0.2, smoothing=0.1)
    assert found[0].tolist() == [0, 0, 0]


def test_targets_are_probabilities(authored: list[Article]) -> None:
    for found, given in zip(hard_targets(authored, NEWS_ROLES, alt_weight=0.2, smoothing=0.02), authored, strict=True):
        assert found.shape == (len(given.paragraphs), 7)
        np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
        assert [NEWS_ROLES.labels[row.argmax()] for row in found] == [p.label for p in given.paragraphs]


def test_a_row_is_a_window(authored: list[Article], encoded: list[Encoded], rows: Dataset) -> None:
    targets = hard_targets(authored[:12], NEWS_ROLES)
    expected = [(n, window) for n, given in enumerate(encoded) for window in windows(given, SETTINGS, FIRST, LAST)]
    assert len(rows) == len(expected) > len(encoded)  # some articles have several
    for row, (number, window) in zip(rows, expected, strict=True):
        assert row["article"] == number
        assert row["input_ids"] == window.ids
        assert row["length"] == len(window.ids)
        assert row["paragraphs"] == window.paragraphs
        assert [*zip(row["starts"], row["ends"], strict=True)] == window.spans
        assert [p for p, taken in zip(row["paragraphs"], row["taken"], strict=True) if taken] == [*window.taken]
        np.testing.assert_array_equal(row["targets"], targets[number][window.paragraphs])


def test_rows_survive_the_disk(rows: Dataset, tmp_path: Path) -> None:
    rows.save_to_disk(tmp_path / "rows")
    again = Dataset.load_from_disk(tmp_path / "rows")
    assert again.features == rows.features
    assert again.to_list() == rows.to_list()


def test_results_come_back_to_their_paragraphs(encoded: list[Encoded], rows: Dataset) -> None:
    """Each paragraph's from the window that it is taken from, however wide the padding."""
    widest = max(map(len, rows["paragraphs"])) + 3
    logits = np.full((len(rows), widest, 2), -100.0)
    for index, row in enumerate(rows):
        for place, (paragraph, taken) in enumerate(zip(row["paragraphs"], row["taken"], strict=True)):
            logits[index, place] = [row["article"], paragraph] if taken else [-1, -1]
    lengths = [len(given.paragraphs) for given in encoded]
    for number, (found, length) in enumerate(zip(read_back(rows, logits, lengths), lengths, strict=True)):
        assert found.tolist() == [[number, paragraph] for paragraph in range(length)]


def some(rows: Dataset) -> list[dict[str, Any]]:
    """Four windows of different lengths, one that begins in the middle of an article among them."""
    chosen = [0, next(n for n, row in enumerate(rows) if row["paragraphs"][0] > 0), 5, len(rows) - 1]
    found = [rows[n] for n in chosen]
    assert len({row["length"] for row in found}) > 1
    assert any(not all(row["taken"]) for row in found)
    return found


@pytest.mark.parametrize("training", [True, False])
def test_padding(rows: Dataset, training: bool) -> None:
    chosen = some(rows)
    batch = Collator(pad=9, training=training)(chosen)
    tokens, paragraphs = batch["input_ids"].shape[1], batch["positions"].shape[1]
    longest = max(row["length"] for row in chosen)
    assert tokens % MULTIPLE == 0
    assert longest <= tokens < longest + MULTIPLE
    assert paragraphs == max(len(row["paragraphs"]) for row in chosen)
    assert {name: tuple(value.shape) for name, value in batch.items()} == {
        **dict.fromkeys(("input_ids", "attention_mask", "segments"), (4, tokens)),
        **dict.fromkeys(("positions", "labels"), (4, paragraphs)),
        "targets": (4, paragraphs, 7),
    }
    assert {value.dtype for name, value in batch.items() if name != "targets"} == {torch.int64}
    for index, row in enumerate(chosen):
        length, count = row["length"], len(row["paragraphs"])
        assert batch["input_ids"][index].tolist() == row["input_ids"] + [9] * (tokens - length)
        assert batch["attention_mask"][index].tolist() == [1] * length + [0] * (tokens - length)
        segments = [-1] * tokens
        for place, (start, end) in enumerate(zip(row["starts"], row["ends"], strict=True)):
            segments[start:end] = [place] * (end - start)
        assert batch["segments"][index].tolist() == segments
        assert batch["positions"][index, :count].tolist() == [position(paragraph) for paragraph in row["paragraphs"]]
        assert batch["targets"][index, :count].tolist() == row["targets"]
        assert not batch["targets"][index, count:].any()
        assert (batch["labels"][index, count:] == -100).all()


def test_context_is_learned_from_and_not_evaluated(rows: Dataset) -> None:
    chosen = some(rows)
    learned, evaluated = Collator(0)(chosen)["labels"], Collator(0, training=False)(chosen)["labels"]
    for index, row in enumerate(chosen):
        given = [int(np.argmax(target)) for target in row["targets"]]
        assert learned[index, : len(given)].tolist() == given
        expected = [label if taken else -100 for label, taken in zip(given, row["taken"], strict=True)]
        assert evaluated[index, : len(given)].tolist() == expected


def test_paragraphs_without_a_label_are_ignored(encoded: list[Encoded], authored: list[Article]) -> None:
    blank = replace(
        authored[0],
        paragraphs=tuple(replace(p, label=None if n % 2 else p.label) for n, p in enumerate(authored[0].paragraphs)),
    )
    found = make_dataset(encoded[:1], hard_targets([blank], NEWS_ROLES, smoothing=0.1), SETTINGS, FIRST, LAST)
    for training in (True, False):
        for row in found:
            labels = Collator(0, training=training)([row])["labels"][0].tolist()
            for paragraph, taken, label in zip(row["paragraphs"], row["taken"], labels, strict=False):
                assert (label == -100) == (paragraph % 2 == 1 or not (taken or training))


def test_only_tokens_of_paragraphs_are_hidden(rows: Dataset) -> None:
    chosen = some(rows)
    plain, batch = Collator(0)(chosen), Collator(0, mask=4, hide=1.0)(chosen)
    inside = batch["segments"] >= 0
    assert (batch["input_ids"][inside] == 4).all()
    assert torch.equal(batch["input_ids"][~inside], plain["input_ids"][~inside])
    assert all(torch.equal(batch[name], plain[name]) for name in plain if name != "input_ids")


def test_the_share_that_is_hidden(rows: Dataset) -> None:
    torch.manual_seed(0)
    chosen = [rows[n] for n in range(len(rows))]
    collator = Collator(0, mask=1999, hide=0.2)
    first, second = collator(chosen)["input_ids"], collator(chosen)["input_ids"]
    inside = Collator(0)(chosen)["segments"] >= 0
    assert (first[inside] == 1999).float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert not torch.equal(first, second)  # others in every epoch


@pytest.mark.parametrize("options", [{"training": False}, {"mask": None}, {"hide": 0.0}], ids=str)
def test_nothing_is_hidden(rows: Dataset, options: dict[str, Any]) -> None:
    chosen = some(rows)
    batch = Collator(**{"pad": 0, "mask": 4, "hide": 1.0, **options})(chosen)
    assert torch.equal(batch["input_ids"], Collator(0)(chosen)["input_ids"])
