"""What is public: ``__all__`` says exactly what a module offers, and all of it is documented."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nutgraf

ROOT = Path(__file__).parents[2]
SOURCES = ("model", "training", "data")
MODULES = sorted(
    str(file.relative_to(ROOT / source).with_suffix("")).replace("/", ".").removesuffix(".__init__")
    for source in SOURCES
    for package in (ROOT / source).glob("nutgraf*")
    for file in package.rglob("*.py")
)


def tree_of(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))


def defined(tree: ast.Module) -> Iterator[str]:
    """Functions, classes and constants of a module; aliases of types and type variables are for its own use."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        for target in (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        ):
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            for name in names:
                if isinstance(name, ast.Name) and ((name.id.isupper() and len(name.id) > 1) or name.id == "app"):
                    yield name.id


def imported(tree: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nutgraf")
        for alias in node.names
    }


def test_modules_are_found() -> None:
    assert {"nutgraf", "nutgraf.cli.predict", "nutgraf_training.train", "nutgraf_data.readers"} <= set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_exactly_what_is_public(name: str) -> None:
    module = importlib.import_module(name)
    tree = tree_of(module)
    own = {public for public in defined(tree) if not public.startswith("_")}
    listed = getattr(module, "__all__", None)
    assert listed is not None or not own, f"{name} has no __all__"
    listed = list(listed or ())
    assert len(set(listed)) == len(listed)
    aliases = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    offered = imported(tree) if Path(str(module.__file__)).name == "__init__.py" else set()
    assert own - set(listed) == set(), "public, and not in __all__"
    assert set(listed) - own - offered - aliases == set(), "in __all__, and not defined here"
    for public in listed:
        assert getattr(module, public) is not None


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted(name: str) -> None:
    """Constants, then classes, then functions, each sorted (as ruff's RUF022 has it)."""
    listed = list(getattr(importlib.import_module(name), "__all__", []))
    assert listed == sorted(listed, key=lambda n: (0 if n.isupper() else 1 if n[0].isupper() else 2, n))


@pytest.mark.parametrize("name", MODULES)
def test_everything_public_is_documented(name: str) -> None:
    module = importlib.import_module(name)
    tree = tree_of(module)
    if tree.body:
        assert ast.get_docstring(tree), f"{name} has no docstring"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        assert ast.get_docstring(node), f"{name}.{node.name} has no docstring"
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    assert ast.get_docstring(method), f"{name}.{node.name}.{method.name} has no docstring"


def test_the_front_door() -> None:
    for name in nutgraf.__all__:
        assert getattr(nutgraf, name) is not None
    space: dict[str, object] = {}
    exec("from nutgraf import *", space)
    assert set(nutgraf.__all__) <= set(space)
    assert {"predict", "load", "Tagger", "Article", "Annotation", "Segment", "LabelSet"} <= set(nutgraf.__all__)
    assert inspect.isabstract(nutgraf.Tagger)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = nutgraf.nonsense
    front = {key for key, value in vars(nutgraf).items() if not key.startswith("_") and not inspect.ismodule(value)}
    assert front - {"TYPE_CHECKING", "Any"} <= set(nutgraf.__all__)


def test_the_version_is_one() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == nutgraf.__version__
