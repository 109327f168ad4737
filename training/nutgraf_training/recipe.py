"""Recipes: one TOML file says everything about a way of training, and its resolved copy travels in the model."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from nutgraf.features import FeatureSettings
from nutgraf.registry import bundled_models, model_path
from nutgraf.windows import WindowSettings
from nutgraf_data.errors import DataError, MissingExtraError

__all__ = [
    "ChainSettings",
    "DistilSettings",
    "EncoderChainSettings",
    "EncoderFitSettings",
    "EncoderRecipe",
    "EncoderSettings",
    "ExportSettings",
    "FitSettings",
    "LinearRecipe",
    "Recipe",
    "load_recipe",
    "recipe_names",
]

_HERE = Path(__file__).parent / "recipes"
_FOLDER = _HERE if _HERE.is_dir() else Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class FitSettings:
    """The ``[fit]`` table of a linear recipe: see training/recipes/linear.toml."""

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
    balance: float = 0.0

    def __post_init__(self) -> None:
        if self.l2 <= 0 or self.max_iterations < 1 or not 0 <= self.balance <= 1:
            raise ValueError("[chain] needs l2 > 0, max_iterations >= 1 and balance from 0 to 1")


@dataclass(frozen=True)
class EncoderChainSettings(ChainSettings):
    """The ``[chain]`` table of an encoder, which has read the neighbours and is calibrated on few articles."""

    l2: float = 300.0


@dataclass(frozen=True)
class EncoderSettings:
    """The ``[encoder]`` table: see training/recipes/encoder-small.toml."""

    name: str = "sentence-transformers/all-MiniLM-L6-v2"
    revision: str = "main"

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ValueError("encoder.name is empty, expected the name of an encoder on the hub, or a folder")

    @property
    def place(self) -> str:
        """Where it is read from: the folder of a model that ships, or the name as it is."""
        return str(model_path(self.name)) if self.name in bundled_models() else self.name


@dataclass(frozen=True)
class EncoderFitSettings:
    """The ``[fit]`` table of an encoder recipe: see training/recipes/encoder-small.toml."""

    epochs: float = 4.0
    min_steps: int = 600
    learning_rate: float = 1e-4
    head_learning_rate: float = 3e-4
    layer_decay: float = 0.9
    weight_decay: float = 0.01
    warmup: float = 0.08
    most: int = 0
    batch_windows: int = 8
    accumulate: int = 1
    dropout: float = 0.1
    hide_tokens: float = 0.1
    alt_weight: float = 0.2
    smoothing: float = 0.02
    frozen_layers: int = 0
    lora_rank: int = 0
    validation: float = 0.1
    folds: int = 0
    runs: int = 1
    simulate_int8: bool = False
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "learning_rate", "head_learning_rate", "batch_windows", "accumulate", "runs"):
            if getattr(self, name) <= 0:
                raise ValueError(f"fit.{name} is {getattr(self, name)}, expected more than 0")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"fit.layer_decay is {self.layer_decay}, expected more than 0 and at most 1")
        for name in ("weight_decay", "warmup", "dropout", "hide_tokens", "alt_weight", "smoothing", "validation"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"fit.{name} is {getattr(self, name)}, expected from 0 to below 1")
        for name in ("min_steps", "most", "frozen_layers", "lora_rank"):
            if getattr(self, name) < 0:
                raise ValueError(f"fit.{name} is {getattr(self, name)}, expected 0 or more")
        if self.folds < 0 or self.folds == 1:
            raise ValueError(f"fit.folds is {self.folds}, expected 0 or at least 2")
        if not self.validation and not self.folds:
            raise ValueError("fit.validation and fit.folds are both 0: calibration needs articles that were not fitted")
        if self.lora_rank and self.simulate_int8:
            raise ValueError("fit.lora_rank and fit.simulate_int8 exclude each other: one of them has to be off")
        if self.precision not in {"auto", "bf16", "fp32"}:
            raise ValueError(f"fit.precision is {self.precision!r}, expected 'auto', 'bf16' or 'fp32'")


@dataclass(frozen=True)
class DistilSettings:
    """The ``[distil]`` table: see training/recipes/distil.toml. Used where there is a teacher."""

    epochs: float = 2.0
    learning_rate: float = 2e-4
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if self.epochs <= 0 or self.learning_rate <= 0 or self.temperature <= 0:
            raise ValueError("[distil] needs epochs, learning_rate and temperature above 0")


@dataclass(frozen=True)
class ExportSettings:
    """The ``[export]`` table: see training/recipes/encoder-small.toml."""

    precision: str = "int8"
    agreement: float = 0.99
    keep_weights: bool = False

    def __post_init__(self) -> None:
        if self.precision not in {"int8", "fp32"}:
            raise ValueError(f"export.precision is {self.precision!r}, expected 'int8' or 'fp32'")
        if not 0 <= self.agreement <= 1:
            raise ValueError(f"export.agreement is {self.agreement}, expected a share from 0 to 1")


@dataclass(frozen=True)
class Recipe(ABC):
    """A resolved recipe.

    Attributes:
        name: of the file it was read from, without its suffix.
        seed: of everything random.
        chain: how the chain over the labels is fitted.
    """

    kind: ClassVar[str] = ""
    chain_settings: ClassVar[type[ChainSettings]] = ChainSettings

    name: str
    seed: int
    chain: ChainSettings

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool) or not 0 <= self.seed < 2**32:
            raise ValueError(f"its seed is {self.seed!r}, expected a whole number from 0 to 2^32 - 1")

    @classmethod
    def from_dict(cls, name: str, record: Mapping[str, Any]) -> Self:
        """From parsed TOML; what is not given keeps its default.

        Raises:
            ValueError: a key is unknown or a value is not what it has to be.
        """
        kinds = {each.kind: each for each in _KINDS if issubclass(each, cls)}
        kind = record.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            raise ValueError(f"its kind is {kind!r}, expected {' or '.join(map(repr, kinds))}")
        recipe = kinds[kind]
        known = {"kind", "name", *(field.name for field in dataclasses.fields(recipe))}
        if unknown := set(record) - known:
            raise ValueError(f"it has unknown keys {sorted(unknown)}, expected some of {sorted(known)}")
        chain = _table(recipe.chain_settings, "chain", record.get("chain", {}))
        found = recipe(name=name, seed=record.get("seed", 0), chain=chain, **recipe._tables(record))
        assert isinstance(found, cls)
        return found

    @classmethod
    @abstractmethod
    def _tables(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        """The tables that only this kind of recipe has."""

    def to_toml(self) -> bytes:
        """Every setting, defaults included.

        Raises:
            MissingExtraError: ``tomli-w`` is not installed.
        """
        try:
            import tomli_w
        except ImportError:
            raise MissingExtraError("Training", "train") from None
        record = {"name": self.name, "kind": self.kind, "seed": self.seed}
        for field in dataclasses.fields(self):
            if dataclasses.is_dataclass(table := getattr(self, field.name)):
                record[field.name] = {each.name: getattr(table, each.name) for each in dataclasses.fields(table)}
        return tomli_w.dumps(record).encode()


@dataclass(frozen=True)
class LinearRecipe(Recipe):
    """How to train a linear tagger."""

    kind: ClassVar[str] = "linear"

    features: FeatureSettings
    fit: FitSettings

    @classmethod
    def _tables(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "features": FeatureSettings.from_dict(record.get("features", {})),
            "fit": _table(FitSettings, "fit", record.get("fit", {})),
        }


@dataclass(frozen=True)
class EncoderRecipe(Recipe):
    """How to train an encoder tagger."""

    kind: ClassVar[str] = "encoder"
    chain_settings: ClassVar[type[ChainSettings]] = EncoderChainSettings

    encoder: EncoderSettings
    window: WindowSettings
    fit: EncoderFitSettings
    distil: DistilSettings
    export: ExportSettings

    @classmethod
    def _tables(cls, record: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "encoder": _table(EncoderSettings, "encoder", record.get("encoder", {})),
            "window": WindowSettings.from_dict(record.get("window", {})),
            "fit": _table(EncoderFitSettings, "fit", record.get("fit", {})),
            "distil": _table(DistilSettings, "distil", record.get("distil", {})),
            "export": _table(ExportSettings, "export", record.get("export", {})),
        }


_KINDS: tuple[type[Recipe], ...] = (LinearRecipe, EncoderRecipe)

_Settings = TypeVar("_Settings")


def _table(kind: type[_Settings], name: str, record: Mapping[str, Any]) -> _Settings:
    if not isinstance(record, Mapping):
        raise ValueError(f"{name} is {record!r}, expected a table [{name}]")
    known = {f.name: str(f.type) for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := set(record) - set(known):
        raise ValueError(f"[{name}] has unknown keys {sorted(unknown)}, expected some of {sorted(known)}")
    for key, value in record.items():
        expected, article = {
            "int": (int, "a whole number"),
            "float": (int | float, "a number"),
            "str": (str, "a text"),
            "bool": (bool, "true or false"),
        }[known[key]]
        if (
            not isinstance(value, expected)
            or isinstance(value, bool) != (expected is bool)
            or (isinstance(value, float) and not math.isfinite(value))
        ):
            raise ValueError(f"{name}.{key} is {value!r}, expected {article}")
    return kind(**record)


def recipe_names() -> tuple[str, ...]:
    """The recipes that ship with nutgraf."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_recipe(recipe: str | Path) -> Recipe:
    """Reads a recipe.

    Args:
        recipe: the name of one that ships with nutgraf, or the path of a TOML file.

    Raises:
        DataError: there is no such recipe, or it is malformed.
    """
    path = _FOLDER / f"{recipe}.toml" if str(recipe) in recipe_names() else Path(recipe)
    try:
        return Recipe.from_dict(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise DataError(
            f"the recipe cannot be read: {error.strerror}",
            path=path,
            hint=f"the recipes that ship with nutgraf are {', '.join(recipe_names())}",
        ) from None
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"the recipe is malformed: {error}", path=path) from None
