"""Prediction is light: what it loads, and what works where the heavy packages are not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nutgraf_data.article import Article

HEAVY = ("torch", "transformers", "datasets", "sklearn", "scipy", "pyarrow", "datasketch", "pandas", "tomli_w", "onnx")
# What comes with every installation, but only some commands need; in the order in which it is said.
LIGHT = ("numpy", "safetensors", "onnxruntime", "tokenizers")

# Replaces what finds installed packages by one that does not find some: they can be neither imported nor looked for.
BLOCK = f"""
import sys
from importlib.machinery import PathFinder
class Blocker(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {HEAVY!r} else super().find_spec(name, path, target)
sys.meta_path = [Blocker if finder is PathFinder else finder for finder in sys.meta_path]
"""
CLI = "import sys; sys.argv = ['nutgraf', *sys.argv[1:]]; from nutgraf.cli import main; main()"
TEXT = "Fire broke out at the port on Monday.\n\nThe mayor said nobody was hurt.\n"

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Runs code in a process of its own, in an empty folder."""

    def call(code: str, *args: str, input: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code, *args],
            input=input,
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=tmp_path,
            env={**os.environ, "COLUMNS": "200"},
            check=False,
        )

    return call


def loaded(code: str) -> str:
    """Code that runs code and prints which heavy packages that loaded, last, on standard error."""
    return f"""
import atexit, sys
atexit.register(lambda: print("loaded:", *[m for m in {(*HEAVY, *LIGHT)!r} if m in sys.modules], file=sys.stderr))
{code}
"""


@pytest.mark.parametrize(
    ("code", "args", "light"),
    [
        ("import nutgraf", (), ()),
        (f"import nutgraf; assert len(nutgraf.predict({TEXT!r})) == 2", (), LIGHT),
        (CLI, ("predict", "-"), LIGHT),
        (CLI, ("predict", "-", "--table"), LIGHT),
        (CLI, ("predict", "-", "--out", "out.jsonl"), LIGHT),
        (CLI, ("predict", "-", "--model", "linear"), LIGHT[:2]),
        (CLI, ("--help",), ()),
        (CLI, ("--version",), ()),
        (CLI, ("predict", "--help"), ()),
        (CLI, ("train", "--help"), ()),
        (CLI, ("labels",), ()),
        (CLI, ("data", "stats", "-"), ()),
    ],
)
def test_what_is_loaded(python: Python, code: str, args: tuple[str, ...], light: tuple[str, ...]) -> None:
    done = python(loaded(code), *args, input=TEXT)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].split() == ["loaded:", *light]


def test_what_an_encoder_loads(python: Python, tiny_encoder: Path) -> None:
    for code, args in (
        (f"import sys, nutgraf; assert len(nutgraf.load(sys.argv[1]).predict({TEXT!r})) == 2", ()),
        (CLI, ("predict", "-", "--model")),
    ):
        done = python(loaded(code), *args, str(tiny_encoder), input=TEXT)
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines()[-1].split() == ["loaded:", *LIGHT]


def test_the_blocker_blocks(python: Python) -> None:
    for name in HEAVY:
        done = python(BLOCK + f"import importlib.util; print(importlib.util.find_spec({name!r})); import {name}")
        assert (done.stdout, done.returncode) == ("None\n", 1)
        assert f"No module named '{name}'" in done.stderr


def test_prediction_works_without_the_extras(python: Python) -> None:
    plain = python(CLI, "predict", "-", input=TEXT)
    done = python(BLOCK + CLI, "predict", "-", input=TEXT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == plain.stdout
    assert len(json.loads(done.stdout)["segments"]) == 2
    done = python(BLOCK + f"import nutgraf; print(*(s.label for s in nutgraf.predict({TEXT!r})))")
    assert done.stdout.split() == [segment["label"] for segment in json.loads(plain.stdout)["segments"]]


def test_an_encoder_predicts_without_the_extras(python: Python, tiny_encoder: Path) -> None:
    plain = python(CLI, "predict", "-", "--model", str(tiny_encoder), input=TEXT)
    done = python(BLOCK + CLI, "predict", "-", "--model", str(tiny_encoder), input=TEXT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == plain.stdout
    assert len(json.loads(done.stdout)["segments"]) == 2


def test_evaluation_works_without_the_extras(python: Python, tiny_model: Path, unseen: list[Article]) -> None:
    corpus = "".join(json.dumps(article.to_json()) + "\n" for article in unseen)
    done = python(BLOCK + CLI, "evaluate", str(tiny_model), "-", "--json", "--resamples", "100", input=corpus)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["articles"] == len(unseen)


@pytest.mark.parametrize(
    ("args", "extra"),
    [
        (("train", "authored", "--out", "m"), "train"),
        (("train", "authored", "--recipe", "encoder-small", "--out", "m"), "encoder"),
        (("data", "split", "authored"), "train"),
        (("predict", "-", "--out", "out.parquet"), "parquet"),
        (("predict", "in.parquet"), "parquet"),
        (("predict", "hf:folder"), "train"),
    ],
)
def test_a_missing_extra_is_named(python: Python, tmp_path: Path, args: tuple[str, ...], extra: str) -> None:
    (tmp_path / "in.parquet").write_bytes(b"PAR1")
    done = python(BLOCK + CLI, *args, input=TEXT)
    assert done.returncode == 1
    assert done.stdout == ""
    assert f'pip install "nutgraf[{extra}]"' in done.stderr
    assert done.stderr.startswith("error: ") or args[0] in {"train", "data"}
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.parquet"]


def test_training_as_a_library_names_the_extra(python: Python) -> None:
    done = python(
        BLOCK
        + "import nutgraf; from nutgraf_training import train\n"
        + "try: train(nutgraf.corpora.load('authored'), 'm')\n"
        + "except nutgraf.MissingExtraError as error: print(error.extra)"
    )
    assert (done.stdout, done.returncode) == ("train\n", 0), done.stderr
