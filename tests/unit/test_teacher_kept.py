"""A teacher kept as what it learned beside its encoder, and made whole again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.teacher import ADAPTER, ENCODER, keep, restore
from safetensors import safe_open

from nutgraf.artefact import MANIFEST, ModelFolder
from nutgraf.encoder import GRAPH
from nutgraf.registry import load
from nutgraf_data.article import Article
from nutgraf_data.errors import ModelError
from nutgraf_training.encoder.teacher import KEPT
from nutgraf_training.recipe import EncoderRecipe
from nutgraf_training.train import train

MakeRecipe = Callable[..., EncoderRecipe]
Pretrained = Callable[[str], Path]


def trained(authored: list[Article], path: Path, recipe: EncoderRecipe) -> ModelFolder:
    return train(authored[:12], path, recipe=recipe, held_out=0).folder


def test_what_is_kept_makes_the_teacher_again(
    authored: list[Article], pretrained: Pretrained, encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    export = {"precision": "fp32", "keep_weights": True}
    model = trained(authored, tmp_path / "m", encoder_recipe("mpnet", fit={"lora_rank": 4}, export=export))
    assert keep(model, pretrained("mpnet"), tmp_path / "kept", 4) == pytest.approx(1.0, abs=1e-6)
    small = {name for name in model.files if name not in {GRAPH, KEPT[1]}}
    assert {file.name for file in (tmp_path / "kept").iterdir()} == {*small, MANIFEST, ADAPTER}
    again = restore(tmp_path / "kept", pretrained("mpnet"), tmp_path / "again")
    assert {name: again.files[name] for name in small} == {name: model.files[name] for name in small}
    assert again.manifest["training_data"] == model.manifest["training_data"]
    for one, other in zip(
        load(tmp_path / "m").score_many(authored), load(tmp_path / "again").score_many(authored), strict=True
    ):
        np.testing.assert_allclose(one[0], other[0], atol=5e-3)
    assert keep(model, pretrained("mpnet"), tmp_path / "less", 1) < 0.999


def test_what_cannot_be_kept_or_restored(
    authored: list[Article], pretrained: Pretrained, encoder_recipe: MakeRecipe, tmp_path: Path
) -> None:
    export = {"precision": "fp32", "keep_weights": True}
    whole = trained(authored, tmp_path / "whole", encoder_recipe(fit={"epochs": 0.5}, export=export))
    with pytest.raises(ModelError, match=r"is not the encoder's; train it with fit.lora_rank"):
        keep(whole, pretrained("bert"), tmp_path / "kept", 4)
    fit = {"epochs": 0.5, "lora_rank": 4}
    without = trained(authored, tmp_path / "without", encoder_recipe(fit=fit, export={"precision": "fp32"}))
    with pytest.raises(ModelError, match=r"has no model.safetensors; train it with export.keep_weights = true"):
        keep(without, pretrained("bert"), tmp_path / "kept", 4)
    assert not (tmp_path / "kept").exists()
    model = trained(authored, tmp_path / "m", encoder_recipe(fit=fit, export=export))
    keep(model, pretrained("bert"), tmp_path / "kept", 4)
    with pytest.raises(ModelError, match=r"is not the encoder that .*kept was taken beside"):
        restore(tmp_path / "kept", tmp_path / "m", tmp_path / "again")
    with pytest.raises(ModelError, match="already holds a model"):
        restore(tmp_path / "kept", pretrained("bert"), tmp_path / "m")


def test_the_teacher_of_the_repository_is_whole() -> None:
    kept = Path(__file__).parents[2] / "training" / "teacher"
    manifest = json.loads((kept / MANIFEST).read_text(encoding="utf-8"))
    small = set(manifest["files"]) - {GRAPH, KEPT[1]}
    assert {file.name for file in kept.iterdir()} == {*small, MANIFEST, ADAPTER}
    for name in small:
        assert hashlib.sha256((kept / name).read_bytes()).hexdigest() == manifest["files"][name]["sha256"]
    with safe_open(kept / ADAPTER, "np") as opened:
        names = set(opened.keys())
        assert ENCODER in opened.metadata()
    encoder = {name for name in names if name.startswith("encoder.")}
    assert encoder == {f"{name.rsplit('.', 1)[0]}.{side}" for name in encoder for side in ("left", "right")}
    assert {name.split(".")[0] for name in names - encoder} == {"positions", "dense", "classifier"}
