"""The labelled data that ships with nutgraf.

``authored`` is whole: articles written for this project, free to use; so is ``authored-held-out``, which no model is
trained on. The other corpora are labels
without texts (see ``nutgraf_data.standoff``), because the texts belong to their outlets.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.standoff import write_standoff

__all__ = ["labels_names", "labels_path", "load", "names", "path", "write_labels"]

_AUTHORED = "authored"
_WHOLE = (_AUTHORED, "authored-held-out")
_LABELS = (
    "newswire-train",
    "newswire-dev",
    "world-train",
    "world-dev",
    "general-train",
    "general-dev",
    "further-train",
    "further-validation",
    "later-train",
    "nearest-train",
    "nearest-dev",
    "second-pass",
    "world-dev-second",
)


def _root() -> Path:
    here = Path(__file__).parent
    # A wheel has the corpus inside the package; a checkout has it beside.
    for folder in (here / "corpus", here.parent / "corpus"):
        if (folder / _AUTHORED).is_dir():
            return folder
    raise DataError(
        "the corpora that ship with nutgraf are missing", path=here / "corpus", hint="install nutgraf again"
    )


def names() -> tuple[str, ...]:
    """The corpora that ship with their texts."""
    return _WHOLE


def labels_names() -> tuple[str, ...]:
    """The corpora of which the labels ship, to be joined to texts that you have."""
    return _LABELS


def path(name: str) -> Path:
    """The file of a corpus with texts, JSON lines.

    Raises:
        DataError: there is none of that name; the error says which there are.
    """
    if name in _LABELS:
        raise DataError(
            f"the corpus {name!r} ships without its texts",
            hint=f"join {labels_path(name)} to your copy of them: nutgraf data join LABELS TEXTS… --out CORPUS.jsonl",
        )
    if name not in names():
        raise DataError(f"no corpus is called {name!r}", hint=f"there are: {', '.join((*names(), *_LABELS))}")
    return _file(_root() / name / "articles.jsonl")


def load(name: str) -> list[Article]:
    """The articles of a corpus with texts.

    Raises:
        DataError: as ``path``.
    """
    from nutgraf_data.readers import read_articles

    return list(read_articles(path(name), format="jsonl"))


def labels_path(name: str) -> Path:
    """The file of stand-off labels of a corpus.

    Raises:
        DataError: there is none of that name; the error says which there are.
    """
    if name not in _LABELS:
        raise DataError(f"no stand-off labels are called {name!r}", hint=f"there are: {', '.join(_LABELS)}")
    return _file(_root() / "labels" / f"{name}.jsonl")


def _file(path: Path) -> Path:
    if not path.is_file():
        raise DataError("is missing", path=path, hint="install nutgraf again")
    return path


def write_labels(corpora: Iterable[str | Path], folder: str | Path) -> list[Path]:
    """Writes the stand-off labels of labelled corpora, one file each under its name: how ``labels/`` was made.

    Raises:
        DataError: a corpus cannot be read, or the folder not be written.
    """
    from nutgraf_data.readers import read_articles

    made = []
    for corpus in corpora:
        target = Path(folder) / f"{Path(corpus).stem}.jsonl"
        write_standoff(read_articles(corpus, format="jsonl"), target)
        made.append(target)
    return made
