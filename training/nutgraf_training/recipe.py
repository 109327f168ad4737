"""Recipes: one TOML file says everything about a way of training, and its resolved copy travels in the model."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from nutgraf.features import FeatureSettings
from nutgraf_data.errors import DataError, MissingExtraError

__all__ = ["ChainSettings", "FitSettings", "Recipe", "load_recipe", "recipe_names"]

_HERE = Path(__file__).parent / "recipes"
_FOLDER = _HERE if _HERE.is_dir() else Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class FitSettings:
    """The ``[fit]`` table: see training/recipes/linear.toml."""

    C: float = 0.3
    max_iterations: int = 1000
    alt_weight: float = 0.25
    folds: int = 5

    def __post_init__(self) -> None:
        if self.C <= 0 or self.max_iterations < 1 or self.folds < 2 or not 0 <= self.alt_weight < 1:
            raise ValueError("[fit] needs C > 0, max_iterations >= 1, folds >= 2 and 0 <= alt_weight < 1")


@dataclass(frozen=True)
class ChainSettings:
    """The ``[chain]`` table: see training/recipes/linear.toml."""

    l2: float = 5.0
    max_iterations: int = 1000

    def __post_init__(self) -> None:
        if self.l2 <= 0 or self.max_iterations < 1:
            raise ValueError("[chain] needs l2 > 0 and max_iterations >= 1")


_Settings = TypeVar("_Settings", FitSettings, ChainSettings)


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe.

    Attributes:
        name: of the file it was read from, without its suffix.
        kind: ``linear``.
        seed: of everything random.
        features, fit, chain: its tables.
    """

    name: str
    kind: str
    seed: int
    features: FeatureSettings
    fit: FitSettings
    chain: ChainSettings

    @classmethod
    def from_dict(cls, name: str, record: Mapping[str, Any]) -> Recipe:
        """From parsed TOML; what is not given keeps its default.

        Raises:
            ValueError: a key is unknown or a value is not what it has to be.
        """
        known = {"kind", "seed", "features", "fit", "chain", "name"}
        if unknown := set(record) - known:
            raise ValueError(f"it has unknown keys {sorted(unknown)}, expected some of {sorted(known)}")
        if record.get("kind") != "linear":
            raise ValueError(f"its kind is {record.get('kind')!r}, expected 'linear'")
        seed = record.get("seed", 0)
        if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**32:
            raise ValueError(f"its seed is {seed!r}, expected a whole number from 0 to 2^32 - 1")
        return cls(
            name,
            "linear",
            seed,
            FeatureSettings.from_dict(record.get("features", {})),
            _table(FitSettings, "fit", record.get("fit", {})),
            _table(ChainSettings, "chain", record.get("chain", {})),
        )

    def to_toml(self) -> bytes:
        """Every setting, defaults included.

        Raises:
            MissingExtraError: ``tomli-w`` is not installed.
        """
        try:
            import tomli_w
        except ImportError:
            raise MissingExtraError("Training", "train") from None
        record = {
            "name": self.name,
            "kind": self.kind,
            "seed": self.seed,
            "features": {f.name: getattr(self.features, f.name) for f in fields(self.features)},
            "fit": vars(self.fit),
            "chain": vars(self.chain),
        }
        return tomli_w.dumps(record).encode()


def _table(kind: type[_Settings], name: str, record: Mapping[str, Any]) -> _Settings:
    if not isinstance(record, Mapping):
        raise ValueError(f"{name} is {record!r}, expected a table [{name}]")
    known = {f.name: f.type for f in fields(kind)}
    if unknown := set(record) - set(known):
        raise ValueError(f"[{name}] has unknown keys {sorted(unknown)}, expected some of {sorted(known)}")
    for key, value in record.items():
        whole = known[key] in {"int", int}
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not math.isfinite(value):
            raise ValueError(f"{name}.{key} is {value!r}, expected a {'whole ' if whole else ''}number")
    return kind(**record)


def recipe_names() -> tuple[str, ...]:
    """The recipes that ship with nutgraf."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_recipe(recipe: str | Path, *, seed: int | None = None) -> Recipe:
    """Reads a recipe.

    Args:
        recipe: the name of one that ships with nutgraf, or the path of a TOML file.
        seed: overrides the file's.

    Raises:
        DataError: there is no such recipe, or it is malformed.
    """
    path = _FOLDER / f"{recipe}.toml" if str(recipe) in recipe_names() else Path(recipe)
    try:
        record = tomllib.loads(path.read_text(encoding="utf-8"))
        if seed is not None:
            record["seed"] = seed
        return Recipe.from_dict(path.stem, record)
    except OSError as error:
        raise DataError(
            f"the recipe cannot be read: {error.strerror}",
            path=path,
            hint=f"the recipes that ship with nutgraf are {', '.join(recipe_names())}",
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"the recipe is malformed: {error}", path=path) from None
