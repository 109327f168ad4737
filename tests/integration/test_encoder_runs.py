"""Training an encoder in processes of its own: killed, interrupted and gone on with, and two of them together."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import nutgraf
from nutgraf.artefact import read_model
from nutgraf.cli import app
from nutgraf.encoder import EncoderTagger
from nutgraf_data.article import Article
from nutgraf_training.recipe import EncoderRecipe
from nutgraf_training.train import train

MakeRecipe = Callable[..., EncoderRecipe]
PATIENCE = 120  # seconds


def jsonl(path: Path, articles: Sequence[Article]) -> Path:
    path.write_text("".join(json.dumps(a.to_json()) + "\n" for a in articles), encoding="utf-8")
    return path


def toml(path: Path, recipe: EncoderRecipe) -> Path:
    path.write_bytes(recipe.to_toml())
    return path


def checkpoints(out: Path) -> list[Path]:
    """Those of the last stage that are whole, the oldest first."""
    found = Path(f"{out}.run").glob("final/checkpoint-*/trainer_state.json")
    return sorted((file.parent for file in found), key=step)


def step(checkpoint: Path) -> int:
    return int(checkpoint.name.split("-")[1])


def wait_until(done: Callable[[], Any], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.005)


@contextmanager
def started(command: list[str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that is gone at the end, whatever happens."""
    settings = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, cwd=cwd, env=settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def restoring(nutgraf_command: list[str]) -> list[str]:
    """The command line, with Ctrl-C as a terminal has it: what runs in the background ignores it."""
    restore = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    return [*nutgraf_command[:2], restore + nutgraf_command[2]]


@pytest.mark.slow
def test_killed_interrupted_and_gone_on_with(
    authored: list[Article],
    unseen: list[Article],
    encoder_recipe: MakeRecipe,
    restoring: list[str],
    tmp_path: Path,
) -> None:
    recipe = encoder_recipe(fit={"epochs": 6.0, "hide_tokens": 0.0}, export={"precision": "fp32"})
    out = tmp_path / "m"
    command = [
        *(*restoring, "train", str(jsonl(tmp_path / "corpus.jsonl", authored[:12])), "--held-out", "0"),
        *("--recipe", str(toml(tmp_path / "tiny.toml", recipe)), "--out", "m"),
    ]
    with started(command, tmp_path) as process:
        wait_until(lambda: len(checkpoints(out)) >= 2, process)
        process.kill()
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert "Traceback" not in errors
    assert not out.exists()

    # What a failing disk or a loss of power may leave of the newest one.
    *_, older, newest = checkpoints(out)
    damaged = newest / "optimizer.pt"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    with started(command, tmp_path) as process:
        wait_until(lambda: max(map(step, checkpoints(out))) > step(newest), process)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, output) == (130, "")
    assert errors.splitlines()[-1] == "interrupted"
    assert f"training: going on from {older.name}\n" in errors
    assert "Traceback" not in errors
    assert not out.exists()

    last = checkpoints(out)[-1].name
    with started(command, tmp_path) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert f"training: going on from {last}\n" in errors
    assert not Path(f"{out}.run").exists()

    whole = train(authored[:12], tmp_path / "whole", recipe=recipe, held_out=0).folder
    found = read_model(out)
    assert found.manifest["metrics"] == whole.manifest["metrics"]
    for article in unseen:
        np.testing.assert_array_equal(nutgraf.load(out).score(article)[0], nutgraf.load(whole.path).score(article)[0])


@pytest.mark.slow
def test_two_processes_train_what_one_trains(
    authored: list[Article],
    unseen: list[Article],
    encoder_recipe: MakeRecipe,
    nutgraf_command: list[str],
    tmp_path: Path,
) -> None:
    """With half the windows each at a time; where nothing is left to chance."""
    short = [replace(article, paragraphs=article.paragraphs[:3], origin=None) for article in authored[:40]]
    fit = {"epochs": 3.0, "dropout": 0.0, "hide_tokens": 0.0, "validation": 0.2, "batch_windows": 8}
    recipe = encoder_recipe(fit=fit, window={"paragraph": 30}, export={"precision": "fp32"})
    half = encoder_recipe(fit={**fit, "batch_windows": 4}, window={"paragraph": 30}, export={"precision": "fp32"})
    lines: list[str] = []
    alone = train(short, tmp_path / "alone", recipe=recipe, held_out=0, say=lines.append).folder

    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"),
        *(*nutgraf_command, "train", str(jsonl(tmp_path / "corpus.jsonl", short)), "--held-out", "0"),
        *("--recipe", str(toml(tmp_path / "tiny.toml", half)), "--out", "m", "--json"),
    ]
    with started(command, tmp_path) as process:
        output, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, errors
    assert json.loads(output)["model"] == read_model(tmp_path / "m").fingerprint  # one of them speaks
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "corpus.jsonl", "m", "tiny.toml"]
    assert errors.count("writing the model\n") == 1

    told = re.compile(r"training: epoch ([\d.]+): loss ([\d.]+), .* macro-F1 ([\d.]+), accuracy ([\d.]+)")
    ours, theirs = (np.array(told.findall(text), dtype=float) for text in ("\n".join(lines), errors))
    assert len(ours) >= 6
    np.testing.assert_allclose(theirs, ours, atol=0.002)
    together = nutgraf.load(tmp_path / "m")
    assert isinstance(together, EncoderTagger)
    one = nutgraf.load(alone.path)
    assert isinstance(one, EncoderTagger)
    for mine, other in zip(together.margins(unseen), one.margins(unseen), strict=True):
        np.testing.assert_allclose(mine, other, atol=0.02)


def test_the_options_of_an_encoder(
    authored: list[Article], unseen: list[Article], encoder_recipe: MakeRecipe, tiny_model: Path, tmp_path: Path
) -> None:
    recipe = encoder_recipe("roberta", fit={"epochs": 1.0}, export={"precision": "fp32"})
    elsewhere = replace(recipe, encoder=replace(recipe.encoder, name="nobody/no-such-encoder"))
    blank = [
        replace(a, paragraphs=tuple(replace(p, label=None, alt=None) for p in a.paragraphs), origin=None)
        for a in unseen
    ]
    args: list[str | Path] = [
        *("train", jsonl(tmp_path / "corpus.jsonl", authored[20:36]), "--recipe", toml(tmp_path / "t.toml", elsewhere)),
        *("--dev", jsonl(tmp_path / "dev.jsonl", authored[40:44]), "--out", tmp_path / "m"),
    ]
    taught: list[str | Path] = ["--teacher", tiny_model, "--unlabelled", jsonl(tmp_path / "blank.jsonl", blank)]
    for wrong, message in (
        ([], "the encoder 'nobody/no-such-encoder' cannot be read"),
        (["--encoder", recipe.encoder.name, *taught[:2]], "a teacher needs articles without labels"),
        (["--encoder", recipe.encoder.name, *taught[2:]], "a teacher needs articles without labels"),
        (["--recipe", "linear", "--encoder", recipe.encoder.name], "the recipe 'linear' trains no encoder"),
        (["--recipe", "linear", *taught], "the recipe 'linear' trains no encoder"),
    ):
        result = CliRunner().invoke(app, [*map(str, args), *map(str, wrong)])
        assert result.exit_code == 1
        assert re.search(rf"^error: {message}.*\n\Z", result.stderr, re.M), result.stderr
        assert not (tmp_path / "m").exists()
    result = CliRunner().invoke(app, [*map(str, args), "--encoder", recipe.encoder.name, *map(str, taught), "--json"])
    assert result.exit_code == 0, result.stderr
    assert "read 20 articles for the teacher, from " in result.stderr
    assert "distilling: epoch" in result.stderr
    assert set(json.loads(result.stdout)["metrics"]) == {"chosen_on", "held_out"}
    assert read_model(tmp_path / "m").manifest["distilled"]["articles"] == 20
