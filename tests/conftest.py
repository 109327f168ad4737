"""What several tests share: a small corpus, and a small model that is trained once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

from nutgraf.linear import LinearTagger
from nutgraf_data import corpora
from nutgraf_data.article import Article
from nutgraf_training.recipe import Recipe
from nutgraf_training.train import TrainResult, train

ROOT = Path(__file__).parents[1]
# Chance finds new cases on a developer's machine; where a change is judged, the same cases run every time.
hypothesis.settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the corpora that do not ship; NUTGRAF_SHARED names another."""
    return Path(os.environ.get("NUTGRAF_SHARED", ROOT.parent / "shared"))


@pytest.fixture(scope="session")
def authored() -> list[Article]:
    """The corpus that ships."""
    return corpora.load("authored")


@pytest.fixture(scope="session")
def tiny_corpus(authored: list[Article]) -> list[Article]:
    """Twenty labelled articles."""
    return authored[:20]


@pytest.fixture(scope="session")
def unseen(authored: list[Article]) -> list[Article]:
    """Twenty more, which the tiny model never saw."""
    return authored[60:80]


@pytest.fixture(scope="session")
def tiny_recipe() -> Recipe:
    """A recipe whose fit takes a moment."""
    return Recipe.from_dict("tiny", {"kind": "linear", "features": {"bits": 16}, "fit": {"folds": 3}})


@pytest.fixture(scope="session")
def tiny_result(
    tiny_corpus: list[Article], tiny_recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> TrainResult:
    """What training on the tiny corpus gave; some of its articles are held out."""
    return train(tiny_corpus, tmp_path_factory.mktemp("models") / "tiny", recipe=tiny_recipe, held_out=0.2)


@pytest.fixture(scope="session")
def tiny_model(tiny_result: TrainResult) -> Path:
    """The folder of the tiny model; never change it."""
    return tiny_result.folder.path


@pytest.fixture(scope="session")
def tiny_tagger(tiny_result: TrainResult) -> LinearTagger:
    """The tiny model, loaded."""
    return LinearTagger(tiny_result.folder)


@pytest.fixture(scope="session")
def nutgraf_command() -> list[str]:
    """The command line in a process of its own; coverage of the entry point included."""
    return [sys.executable, "-c", "import sys; from nutgraf.cli import main; sys.argv[0] = 'nutgraf'; main()"]


@pytest.fixture(scope="session")
def run(nutgraf_command: list[str]) -> Run:
    """Runs ``nutgraf ARGS…`` in a process of its own: ``run("predict", "a.txt", input="", cwd=…, env={…})``."""

    def call(
        *args: str | Path, input: str | None = None, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        plain = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [*nutgraf_command, *map(str, args)],
            input=input or "",
            cwd=cwd,
            env={**plain, **(env or {})},
            capture_output=True,
            text=True,
            encoding=(env or {}).get("PYTHONIOENCODING", "utf-8"),
            timeout=120,
            check=False,
        )
        return done

    return call
