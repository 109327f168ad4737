"""Models by name and by path."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import nutgraf
from nutgraf import registry
from nutgraf.artefact import write_model
from nutgraf.encoder import EncoderTagger
from nutgraf.linear import LinearTagger
from nutgraf.registry import bundled_models, load, make_tagger, model_path
from nutgraf.tagger import Tagger
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, ModelError
from nutgraf_data.labels import NEWS_ROLES


def test_bundled_names() -> None:
    names = bundled_models()
    assert names[0] == "default"
    assert {"encoder", "linear"} <= set(names)
    assert len(set(names)) == len(names)
    assert model_path("default") == model_path("encoder")
    assert load("default").fingerprint == load("encoder").fingerprint == load().fingerprint
    assert load("linear").fingerprint != load().fingerprint


@pytest.mark.parametrize("name", ["default", "linear"])
def test_a_bundled_name_beats_a_folder(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bundled = load(name).fingerprint
    shutil.copytree(tiny_model, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    own = load(f"./{name}").fingerprint
    assert own == load(tiny_model).fingerprint != bundled
    assert load(name).fingerprint == bundled
    assert load(Path(name)).fingerprint == own  # a Path is always a path
    assert load(tmp_path / name).fingerprint == own


def test_unknown_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ModelError, match=r"'lniear' is no folder and no bundled model; .*\['default', 'encoder', 'linear'"
    ):
        load("lniear")
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="it is a file, expected a folder"):
        load("file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match=r"it has no manifest\.json, so it is no model folder"):
        load("folder")


def test_an_installation_without_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_MODELS", tmp_path / "models")
    assert bundled_models() == ("default",)
    for name in ("default", "linear"):
        with pytest.raises(ModelError):
            load(name)


def test_another_kind_of_model(tmp_path: Path) -> None:
    folder = write_model(
        tmp_path / "m", kind="quantum", label_set=NEWS_ROLES, files={"settings.toml": b""}, manifest={}
    )
    found = "its kind is 'quantum', expected 'linear' or 'encoder'; install a newer nutgraf"
    with pytest.raises(ModelError, match=found):
        load(tmp_path / "m")
    with pytest.raises(ModelError, match=found):
        make_tagger(folder)


def test_the_kind_decides_which_tagger_it_is(tiny_model: Path, tiny_encoder: Path) -> None:
    for path, kind in ((tiny_model, LinearTagger), (tiny_encoder, EncoderTagger)):
        tagger = load(path)
        assert type(tagger) is type(make_tagger(tagger.folder)) is kind
        assert tagger.fingerprint == tagger.folder.fingerprint


def test_predict_loads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry._default.cache_clear()
    loaded: list[str] = []
    original = registry.load

    def spy(*names: str) -> Tagger:
        loaded.append("once")
        return original(*names)

    monkeypatch.setattr(registry, "load", spy)
    first = nutgraf.predict("Fire broke out at the port on Monday.\n\nThe mayor said nobody was hurt.")
    second = nutgraf.predict(Article.from_paragraphs([s.text for s in first]), min_confidence=1.0)
    assert loaded == ["once"]
    assert [s.scores for s in first] == [s.scores for s in second]
    assert all(s.abstained for s in second)
    registry._default.cache_clear()


@pytest.mark.parametrize("text", ["", " \n\n\t "])
def test_no_text(text: str) -> None:
    with pytest.raises(DataError):
        nutgraf.predict(text)
