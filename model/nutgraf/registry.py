"""Models by name: the ones that ship inside the package, and folders on disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nutgraf_data.article import Article
from nutgraf_data.errors import ModelError

if TYPE_CHECKING:
    from nutgraf.annotation import Annotation
    from nutgraf.artefact import ModelFolder
    from nutgraf.tagger import Tagger

__all__ = ["bundled_models", "load", "make_tagger", "model_path", "predict"]

_MODELS = Path(__file__).parent / "models"
_DEFAULT = "encoder"


def bundled_models() -> tuple[str, ...]:
    """The names of the models that ship inside the package, ``default`` first."""
    return ("default", *sorted(manifest.parent.name for manifest in _MODELS.glob("*/manifest.json")))


def model_path(model: str | os.PathLike[str]) -> Path:
    """The folder of a bundled model, or of one given as a path.

    A bundled name wins over a folder of the same name in the working directory; ``./default`` names that folder.

    Raises:
        ModelError: it is neither.
    """
    if isinstance(model, str) and model in bundled_models():
        return _MODELS / (_DEFAULT if model == "default" else model)
    path = Path(model)
    if not os.path.exists(path):  # unlike Path.exists, it never raises
        raise ModelError(
            f"{str(model)!r} is no folder and no bundled model; the bundled ones are {list(bundled_models())}"
        )
    return path


def load(model: str | os.PathLike[str] = "default") -> Tagger:
    """Loads a model.

    Args:
        model: the name of a bundled model (``default``, ``encoder``, ``linear``), or the path of a model folder.

    Raises:
        ModelError: there is no such model, or the folder fails its checks.
    """
    from nutgraf.artefact import read_model

    return make_tagger(read_model(model_path(model)))


def make_tagger(folder: ModelFolder) -> Tagger:
    """The tagger of the kind that a model folder is of.

    Raises:
        ModelError: its kind is unknown, or its files do not fit each other.
    """
    if folder.kind == "linear":
        from nutgraf.linear import LinearTagger

        return LinearTagger(folder)
    if folder.kind == "encoder":
        from nutgraf.encoder import EncoderTagger

        return EncoderTagger(folder)
    raise folder.refuse(f"its kind is {folder.kind!r}, expected 'linear' or 'encoder'", "install a newer nutgraf")


@lru_cache(maxsize=1)
def _default() -> Tagger:
    return load()


def predict(article: Article | str, *, min_confidence: float | Mapping[str, float] = 0.0) -> Annotation:
    """Annotates one article with the default model, which is loaded once.

    Args:
        article: an Article, or the text of one with blank lines between its paragraphs.
        min_confidence: segments below it have ``abstained`` set; or one for each label of some.

    Raises:
        DataError: as ``Tagger.predict``.
    """
    return _default().predict(article, min_confidence=min_confidence)
