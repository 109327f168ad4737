"""Teachers together: what their means are made of, and the table."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.common import BESIDE, DEV
from benchmarks.teachers import DEFAULT, SECOND, agreed, main, together

from nutgraf.registry import load
from nutgraf_data import corpora
from nutgraf_data.article import Article
from nutgraf_training.evaluation.predictions import predictions_of


def test_means_are_of_probabilities(unseen: list[Article]) -> None:
    one, default = predictions_of(load("linear"), unseen[:4]), predictions_of(load("default"), unseen[:4])
    less = replace(one, scores=one.scores[:, ::-1])
    found = together({"one": one, "less": less, DEFAULT: default})
    sums = {
        "one": one.scores,
        "less": less.scores,
        DEFAULT: default.scores,
        "the mean of the teachers": (one.scores + less.scores) / 2,
        "two parts of each teacher, one of the default": (2 * one.scores + 2 * less.scores + default.scores) / 5,
        "two parts of one, one of the default": (2 * one.scores + default.scores) / 3,
        "two parts of less, one of the default": (2 * less.scores + default.scores) / 3,
    }
    assert list(found) == list(sums)
    for title, scores in sums.items():
        np.testing.assert_allclose(found[title].scores, scores)
        np.testing.assert_array_equal(found[title].gold, one.gold)


def test_only_labels_that_both_passes_gave_count(unseen: list[Article]) -> None:
    first = unseen[:3]
    start, *rest = first[0].paragraphs
    other = "boilerplate" if start.label != "boilerplate" else "analysis"
    second = [first[1], replace(first[0], paragraphs=(replace(start, label=other), *rest))]
    found = agreed(first, second)
    assert [article.id for article in found] == [first[0].id, first[1].id]
    assert [p.label for p in found[0].paragraphs] == [None, *(p.label for p in rest)]
    assert found[1] == first[1]
    counted = predictions_of(load("linear"), found).tables().sum()
    assert counted == sum(len(article.paragraphs) for article in found) - 1
    with pytest.raises(ValueError, match="shorter"):
        agreed(first, [replace(first[0], paragraphs=tuple(rest))])


def test_table_has_every_teacher_and_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = corpora.path("authored").read_text(encoding="utf-8").splitlines(keepends=True)
    for index, name in enumerate((*DEV, *BESIDE)):
        (tmp_path / f"{name}.jsonl").write_text("".join(lines[3 * index : 3 * index + 3]), encoding="utf-8")
    again = [json.loads(line) for line in lines[3:6]]
    for paragraph in again[0]["paragraphs"]:
        paragraph["label"] = "boilerplate"
    text = "".join(f"{json.dumps(article)}\n" for article in again)
    (tmp_path / f"{SECOND}.jsonl").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["teachers", "--corpora", str(tmp_path)])
    with pytest.raises(SystemExit, match="name each with --model TITLE=FOLDER"):
        main()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--model", "the small one=linear"])
    main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row[0] for row in rows[2:]] == [
        "| the small one",
        "| the default",
        "| two parts of the small one, one of the default",
    ]
    assert {len(row) for row in rows} == {9}
