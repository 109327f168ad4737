"""The wheel: exactly these files, and it works where only it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from nutgraf import __version__
from nutgraf_data import corpora

SEED = "000_6814731f4ee210d7.txt"


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built offline."""
    folder = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which only the wheel is installed."""
    target = tmp_path_factory.mktemp("site-packages")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def python(installed: Path, folder: Path, code: str, *args: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, args)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_files_of_the_wheel(root: Path, wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert all(entry.file_size or entry.filename.endswith("py.typed") for entry in archive.infolist())
    found = sorted(name.replace(f"-{__version__}.dist-info", "-VERSION.dist-info") for name in names)
    expected = (root / "tests" / "golden" / "wheel_files.txt").read_text(encoding="utf-8").splitlines()
    assert expected == sorted(expected)
    assert sorted(set(expected) - set(found)) == [], "missing from the wheel"
    assert sorted(set(found) - set(expected)) == [], "in the wheel, and not in tests/golden/wheel_files.txt"
    assert len(found) == len(set(found))
    assert wheel.stat().st_size <= 30_000_000


def test_every_module_and_every_file_of_the_corpus_is_there(root: Path, wheel: Path) -> None:
    """The list is not the only witness: the sources are counted as well."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for source in ("model", "training", "data"):
        for package in (root / source).glob("nutgraf*"):
            for file in package.rglob("*.py"):
                assert file.relative_to(root / source).as_posix() in names
    shipped = root / "data" / "corpus"
    for path in shipped.rglob("*"):
        assert not path.is_file() or f"nutgraf_data/corpus/{path.relative_to(shipped).as_posix()}" in names
    assert {f"{package}/py.typed" for package in ("nutgraf", "nutgraf_training", "nutgraf_data")} <= names
    top = {name.split("/")[0] for name in names}
    assert top == {"nutgraf", "nutgraf_training", "nutgraf_data", f"nutgraf-{__version__}.dist-info"}
    assert not [name for name in names if "seed" in name or "test" in name or name.endswith((".pyc", ".pkl"))]


def test_the_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"nutgraf-{__version__}.dist-info/METADATA").decode()
        entry_points = archive.read(f"nutgraf-{__version__}.dist-info/entry_points.txt").decode()
    lines = metadata.splitlines()
    required = {line.split()[1].split(">")[0] for line in lines if line.startswith("Requires-Dist") and ";" not in line}
    assert required == {"numpy", "onnxruntime", "rich", "safetensors", "tokenizers", "typer"}
    assert "nutgraf = nutgraf.cli:main" in entry_points


def test_prediction_from_the_wheel(root: Path, installed: Path, tmp_path: Path) -> None:
    code = (
        "import nutgraf, nutgraf_data, sys\n"
        "print(nutgraf.__file__); print(nutgraf_data.__file__)\n"
        "print(len(nutgraf.predict(open(sys.argv[1], encoding='utf-8').read())))"
    )
    files = python(installed, tmp_path, code, root / "seeds" / SEED).split()
    assert files[:2] == [str(installed / package / "__init__.py") for package in ("nutgraf", "nutgraf_data")]
    assert files[2] == "10"


def test_the_command_of_the_wheel(root: Path, installed: Path, tmp_path: Path) -> None:
    code = "import sys; from nutgraf.cli import main; main()"
    out = python(installed, tmp_path, code, "predict", root / "seeds" / SEED)
    here = python(root / "model", tmp_path, code, "predict", root / "seeds" / SEED)
    assert out == here  # the bundled model is the same
    assert f"nutgraf {__version__}" in python(installed, tmp_path, code, "--version")


def test_corpora_and_recipes_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = (
        "from nutgraf_data import corpora\n"
        "from nutgraf_training import load_recipe\n"
        "print(len(corpora.load('authored')), load_recipe('linear').name)\n"
        "print(*(corpora.labels_path(name) for name in corpora.labels_names()), sep='\\n')"
    )
    first, *paths = python(installed, tmp_path, code).splitlines()
    assert first == "120 linear"
    assert len(paths) == len(corpora.labels_names())
    assert all(path.startswith(str(installed)) and Path(path).is_file() for path in paths)
