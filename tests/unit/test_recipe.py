"""Recipes: what is malformed is said plainly, and what is resolved comes back from TOML."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from nutgraf.artefact import read_model
from nutgraf.registry import model_path
from nutgraf.windows import WindowSettings
from nutgraf_data.errors import DataError
from nutgraf_training.recipe import (
    ChainSettings,
    EncoderFitSettings,
    EncoderRecipe,
    FitSettings,
    LinearRecipe,
    Recipe,
    load_recipe,
    recipe_names,
)

LINEAR = 'kind = "linear"\n'
ENCODER = 'kind = "encoder"\n'


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
        (LINEAR + "[chain]\nbalance = 1.5", "balance from 0 to 1"),
        (LINEAR + "[chain]\nl1 = 1", r"\[chain\] has unknown keys \['l1'\], expected some of"),
        (
            ENCODER + "sede = 3",
            r"unknown keys \['sede'\], expected some of \['chain', 'distil', 'encoder', 'export', 'fit'",
        ),
        (ENCODER + "[features]\nbits = 16", r"unknown keys \['features'\]"),
        (ENCODER + "seed = -1", "its seed is -1"),
        (ENCODER + "encoder = 3", r"encoder is 3, expected a table \[encoder\]"),
        (ENCODER + '[encoder]\nname = " "', "encoder.name is empty, expected the name of an encoder on the hub"),
        (ENCODER + "[encoder]\nname = 7", "encoder.name is 7, expected a text"),
        (ENCODER + '[encoder]\nfolder = "x"', r"\[encoder\] has unknown keys \['folder'\]"),
        (ENCODER + "window = 3", r"window is 3, expected a table \[window\]"),
        (ENCODER + "[window]\ntoken = 3", r"\[window\] has unknown keys \['token'\], expected some of \['tokens'"),
        (ENCODER + "[window]\ntokens = 512.0", "window.tokens is 512.0, expected a whole number"),
        (ENCODER + "[window]\nlead = true", "window.lead is True, expected a whole number"),
        (ENCODER + "[window]\ncontext = -1", "window.context is -1, expected a whole number of at least 0"),
        (ENCODER + "[window]\nparagraph = 0", "window.paragraph and window.characters have to be at least 1"),
        (ENCODER + "[window]\ntokens = 128", "window.tokens is 128, and headline, lead, context, paragraph and sep"),
        (ENCODER + "[fit]\nC = 1", r"\[fit\] has unknown keys \['C'\]"),
        (ENCODER + "[fit]\nepochs = 0", "fit.epochs is 0, expected more than 0"),
        (ENCODER + '[fit]\nepochs = "4"', "fit.epochs is '4', expected a number"),
        (ENCODER + "[fit]\nlearning_rate = nan", "fit.learning_rate is nan, expected a number"),
        (ENCODER + "[fit]\nlearning_rate = -1e-4", r"fit.learning_rate is -0\.0001, expected more than 0"),
        (ENCODER + "[fit]\nhead_learning_rate = 0", "fit.head_learning_rate is 0, expected more than 0"),
        (ENCODER + "[fit]\nbatch_windows = 0", "fit.batch_windows is 0, expected more than 0"),
        (ENCODER + "[fit]\nbatch_windows = 8.0", r"fit.batch_windows is 8\.0, expected a whole number"),
        (ENCODER + "[fit]\naccumulate = 0", "fit.accumulate is 0, expected more than 0"),
        (ENCODER + "[fit]\nlayer_decay = 0", "fit.layer_decay is 0, expected more than 0 and at most 1"),
        (ENCODER + "[fit]\nlayer_decay = 1.1", r"fit.layer_decay is 1\.1, expected more than 0 and at most 1"),
        (ENCODER + "[fit]\nweight_decay = -0.1", r"fit.weight_decay is -0\.1, expected from 0 to below 1"),
        (ENCODER + "[fit]\nmin_steps = -1", "fit.min_steps is -1, expected 0 or more"),
        (ENCODER + "[fit]\nmost = -1", "fit.most is -1, expected 0 or more"),
        (ENCODER + "[fit]\nfrozen_layers = -1", "fit.frozen_layers is -1, expected 0 or more"),
        (ENCODER + "[fit]\nlora_rank = -1", "fit.lora_rank is -1, expected 0 or more"),
        (
            ENCODER + "[fit]\nlora_rank = 8\nsimulate_int8 = true",
            "fit.lora_rank and fit.simulate_int8 exclude each other",
        ),
        (ENCODER + "[fit]\nwarmup = 1", "fit.warmup is 1, expected from 0 to below 1"),
        (ENCODER + "[fit]\ndropout = 1.0", r"fit.dropout is 1\.0, expected from 0 to below 1"),
        (ENCODER + "[fit]\nhide_tokens = true", "fit.hide_tokens is True, expected a number"),
        (ENCODER + "[fit]\nalt_weight = 1", "fit.alt_weight is 1, expected from 0 to below 1"),
        (ENCODER + "[fit]\nsmoothing = -1", "fit.smoothing is -1, expected from 0 to below 1"),
        (ENCODER + "[fit]\nvalidation = 1", "fit.validation is 1, expected from 0 to below 1"),
        (ENCODER + "[fit]\nfolds = 1", "fit.folds is 1, expected 0 or at least 2"),
        (ENCODER + "[fit]\nfolds = -2", "fit.folds is -2, expected 0 or at least 2"),
        (ENCODER + "[fit]\nvalidation = 0", "fit.validation and fit.folds are both 0: calibration needs articles"),
        (ENCODER + '[fit]\nprecision = "fp16"', "fit.precision is 'fp16', expected 'auto', 'bf16' or 'fp32'"),
        (ENCODER + "[distil]\nepochs = 0", r"\[distil\] needs epochs, learning_rate and temperature above 0"),
        (ENCODER + "[distil]\ntemperature = -1", r"\[distil\] needs epochs, learning_rate and temperature above 0"),
        (ENCODER + "[distil]\ntemperature = inf", "distil.temperature is inf, expected a number"),
        (ENCODER + '[distil]\nteacher = "m"', r"\[distil\] has unknown keys \['teacher'\]"),
        (ENCODER + '[export]\nprecision = "int4"', "export.precision is 'int4', expected 'int8' or 'fp32'"),
        (ENCODER + "[export]\nagreement = 1.5", r"export.agreement is 1\.5, expected a share from 0 to 1"),
        (ENCODER + "[export]\nkeep_weights = 1", "export.keep_weights is 1, expected true or false"),
        (ENCODER + "[chain]\nl2 = 0", r"\[chain\] needs l2 > 0"),
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
    with pytest.raises(DataError, match=r"cannot be read: .*; the recipes that ship with nutgraf are .*linear"):
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


def test_a_name_that_ships_wins_over_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "linear").write_text(LINEAR + "seed = 99\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_recipe("linear").seed != 99
    assert load_recipe("./linear").seed == 99


def test_resolved_encoder_recipes_come_back(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        ENCODER + 'seed = 9\n[encoder]\nname = "x/ü"\n[window]\ntokens = 440\nheadline = 0\n'
        '[fit]\nepochs = 1\nfolds = 3\nvalidation = 0\nprecision = "bf16"\n[export]\nkeep_weights = true\n',
        encoding="utf-8",
    )
    recipe = load_recipe(file)
    assert isinstance(recipe, EncoderRecipe)
    assert (recipe.kind, recipe.seed, recipe.encoder.name, recipe.encoder.revision) == ("encoder", 9, "x/ü", "main")
    assert (recipe.window.tokens, recipe.window.headline, recipe.window.lead) == (440, 0, WindowSettings().lead)
    assert (recipe.fit.folds, recipe.fit.dropout) == (3, EncoderFitSettings().dropout)
    resolved = recipe.to_toml()
    record = tomllib.loads(resolved.decode())
    tables = {"encoder", "window", "fit", "distil", "export", "chain"}
    assert set(record) == {"name", "kind", "seed", *tables}
    assert Recipe.from_dict("mine", record) == recipe
    assert Recipe.from_dict("mine", record).to_toml() == resolved


def test_a_kind_is_what_was_asked_for() -> None:
    assert EncoderRecipe.from_dict("x", {"kind": "encoder"}).fit == EncoderFitSettings()
    with pytest.raises(ValueError, match="its kind is 'linear', expected 'encoder'"):
        EncoderRecipe.from_dict("x", {"kind": "linear"})
    with pytest.raises(ValueError, match="its kind is 'encoder', expected 'linear'"):
        LinearRecipe.from_dict("x", {"kind": "encoder"})


@pytest.mark.parametrize("name", ["linear", "encoder-small"])
def test_the_recipe_of_each_kind_says_every_setting(name: str) -> None:
    """They are the manual."""
    file = Path(__file__).parents[2] / "training" / "recipes" / f"{name}.toml"
    given = tomllib.loads(file.read_text(encoding="utf-8"))
    assert {**given, "name": name} == tomllib.loads(load_recipe(name).to_toml().decode())


def test_fine_tuning_reads_windows_as_the_default_does() -> None:
    recipe = load_recipe("fine-tune")
    assert isinstance(recipe, EncoderRecipe)
    assert recipe.encoder.name == "default"
    settings = read_model(model_path("default")).settings
    assert recipe.window == WindowSettings.from_dict(settings["window"])


def test_encoder_recipes_that_say_less_mean_what_encoder_small_says() -> None:
    assert load_recipe("encoder-small") == EncoderRecipe.from_dict("encoder-small", {"kind": "encoder"})
