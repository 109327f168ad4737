"""Recipes: what is malformed is said plainly, and what is resolved comes back from TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from nutgraf_data.errors import DataError
from nutgraf_training.recipe import ChainSettings, FitSettings, LinearRecipe, Recipe, load_recipe, recipe_names

LINEAR = 'kind = "linear"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind = ", "Invalid value"),
        ("", "its kind is None, expected 'linear'"),
        ('kind = "tree"', "its kind is 'tree', expected 'linear'"),
        (LINEAR + "sede = 3", r"unknown keys \['sede'\], expected some of \['chain', 'features'"),
        (LINEAR + "seed = -1", "its seed is -1, expected a whole number from 0"),
        (LINEAR + "seed = 4294967296", "its seed is 4294967296"),
        (LINEAR + "seed = 1.5", r"its seed is 1\.5"),
        (LINEAR + "seed = true", "its seed is True"),
        (LINEAR + 'seed = "0"', "its seed is '0'"),
        (LINEAR + "features = 3", r"features is 3, expected a table \[features\]"),
        (LINEAR + "[features]\nbit = 20", r"\[features\] has unknown keys \['bit'\]"),
        (LINEAR + "[features]\nbits = 40", "features.bits is 40, expected 8 to 24"),
        (LINEAR + '[features]\nbits = "20"', "features.bits is '20', expected a whole number"),
        (LINEAR + "[features]\nmin_count = 0", "features.min_count and features.max_characters must be at least 1"),
        (LINEAR + "[features]\nweights = 1", "features.weights is 1, expected a table"),
        (LINEAR + "[features.weights]\nwords = 1.0", r"unknown blocks \['words'\], expected some of \['word'"),
        (LINEAR + '[features.weights]\nword = "1"', "features.weights.word is '1', expected a number from 0 up"),
        (LINEAR + "[features.weights]\nword = nan", "features.weights.word is nan"),
        (LINEAR + "[features.weights]\nword = 0", "no block above 0"),
        (LINEAR + "fit = []", r"fit is \[\], expected a table \[fit\]"),
        (LINEAR + "[fit]\nc = 1", r"\[fit\] has unknown keys \['c'\], expected some of \['C', 'alt_weight'"),
        (LINEAR + "[fit]\nC = 0", r"\[fit\] needs C > 0"),
        (LINEAR + '[fit]\nC = "1"', "fit.C is '1', expected a number"),
        (LINEAR + "[fit]\nC = nan", "fit.C is nan, expected a number"),
        (LINEAR + "[fit]\nfolds = 1", "folds >= 2"),
        (LINEAR + "[fit]\nfolds = 2.5", "fit.folds is 2.5, expected a whole number"),
        (LINEAR + "[fit]\nalt_weight = 1.0", "alt_weight < 1"),
        (LINEAR + "[fit]\nmax_iterations = true", "fit.max_iterations is True, expected a whole number"),
        (LINEAR + "[chain]\nl2 = 0", r"\[chain\] needs l2 > 0"),
        (LINEAR + "[chain]\nl2 = inf", "chain.l2 is inf, expected a number"),
        (LINEAR + "[chain]\nmax_iterations = 0", "max_iterations >= 1"),
        (LINEAR + "[chain]\nl1 = 1", r"\[chain\] has unknown keys \['l1'\], expected some of"),
    ],
)
def test_malformed_recipes(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        load_recipe(file)
    assert str(caught.value).startswith(f"{file}: the recipe is malformed: ")


def test_a_recipe_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="the recipe is malformed"):
        load_recipe(file)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read: .*; the recipes that ship with nutgraf are linear"):
        load_recipe("linaer")
    with pytest.raises(DataError, match="cannot be read"):
        load_recipe(tmp_path)


def test_shipped_recipes_load() -> None:
    assert "linear" in recipe_names()
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe == Recipe.from_dict(name, tomllib.loads(recipe.to_toml().decode()))


def test_what_is_not_given_has_a_default(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text(LINEAR + "[fit]\nC = 2\n", encoding="utf-8")
    recipe = load_recipe(file)
    assert isinstance(recipe, LinearRecipe)
    assert (recipe.name, recipe.kind, recipe.seed) == ("short", "linear", 0)
    assert recipe.fit == FitSettings(C=2)
    assert recipe.chain == ChainSettings()


def test_resolved_recipes_come_back(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        LINEAR + "seed = 9\n[features]\nbits = 12\n[features.weights]\nword = 0.1\nposition = 2\n"
        "[fit]\nC = 0.125\nfolds = 2\n[chain]\nl2 = 3\n",
        encoding="utf-8",
    )
    recipe = load_recipe(file)
    resolved = recipe.to_toml()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "mine.toml").write_bytes(resolved)
    again = load_recipe(tmp_path / "again" / "mine.toml")
    assert again == recipe
    assert again.to_toml() == resolved
    record = tomllib.loads(resolved.decode())
    assert set(record) == {"name", "kind", "seed", "features", "fit", "chain"}
    assert record["features"]["weights"] == {"word": 0.1, "position": 2}
    assert record["chain"]["max_iterations"] == ChainSettings().max_iterations  # a default, written out


def test_a_seed_overrides(tmp_path: Path) -> None:
    assert load_recipe("linear", seed=7).seed == 7
    with pytest.raises(DataError, match="its seed is -1"):
        load_recipe("linear", seed=-1)


def test_a_name_that_ships_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "linear").write_text(LINEAR + "seed = 99\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_recipe("linear").seed != 99
    assert load_recipe("./linear").seed == 99
