"""What the benchmarks share: the corpora, the plain baseline, and the results file."""

from __future__ import annotations

import argparse
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.environments import PEERS
from nutgraf_data import corpora
from nutgraf_data.article import Article
from nutgraf_data.labels import NEWS_ROLES
from nutgraf_data.readers import read_articles
from nutgraf_training.evaluation.predictions import Predictions, gold_numbers

RESULTS = Path(__file__).with_name("RESULTS.md")
REAL = ("newswire-train", "world-train", "general-train")
#: All that the default model learned from.
LABELLED = ("authored", *REAL, "further-train", "later-train", "nearest-train")
DEV = ("newswire-dev", "world-dev")
BESIDE = ("general-dev", "nearest-dev")  # not pooled with those


def arguments(about: str, *, bench: bool = False, models: bool = False) -> argparse.Namespace:
    """Parses ``--corpora DIR`` and ``--write``.

    Args:
        about: what the benchmark does.
        bench: it runs peers, or trains encoders: also ``--bench DIR``, ``--encoder DIR`` and ``--peers NAME …``.
        models: it also scores models that do not ship: ``--model TITLE=FOLDER``.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.set_defaults(peers=None)
    parser.add_argument(
        "--corpora",
        type=Path,
        default=Path(os.environ.get("NUTGRAF_CORPORA", "corpora")),
        help="folder of the joined corpora, newswire-train.jsonl and so on (see data/corpus/DATASHEET.md)",
    )
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md instead of printing it")
    if bench:
        parser.add_argument(
            "--bench", type=Path, default=Path("bench"), help="folder for environments, models and interim results"
        )
        parser.add_argument(
            "--encoder",
            type=Path,
            default=Path(".encoders/all-MiniLM-L6-v2"),
            help="folder of the pretrained encoder all-MiniLM-L6-v2",
        )
        parser.add_argument("--peers", nargs="+", default=None, choices=PEERS, metavar="NAME", help="only these")
    if models:
        parser.add_argument(
            "--model",
            dest="models",
            action="append",
            type=_titled,
            default=[],
            metavar="TITLE=FOLDER",
            help="a model that does not ship, such as the teacher",
        )
    found = parser.parse_args()
    if not (found.corpora / "newswire-dev.jsonl").is_file():
        parser.error(f"{found.corpora} has no newswire-dev.jsonl; make it with: nutgraf data join newswire-dev TEXTS")
    return found


def _titled(text: str) -> tuple[str, str]:
    title, sign, folder = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text!r} is no TITLE=FOLDER")
    return title, folder


def load(folder: Path, *names: str) -> list[Article]:
    """The articles of the named corpora; ``authored`` is the one that ships."""
    paths = [corpora.path(name) if name == "authored" else folder / f"{name}.jsonl" for name in names]
    return [article for path in paths for article in read_articles(path)]


def labels(articles: Sequence[Article]) -> NDArray[np.int64]:
    """Their labels as numbers of ``NEWS_ROLES``."""
    return np.concatenate(gold_numbers(articles, NEWS_ROLES))


def by_article(predicted: NDArray[np.int64], articles: Sequence[Article]) -> list[NDArray[np.int64]]:
    """Cuts one array for all paragraphs into one an article."""
    return np.split(predicted, np.cumsum([len(article.paragraphs) for article in articles])[:-1])


def mean(parts: Sequence[Predictions]) -> Predictions:
    """The mean of the probabilities ``(paragraphs, labels)`` that taggers give to the same articles.

    Args:
        parts: of the same articles and labels in the same order; one that is there twice weighs twice as much.
    """
    return replace(parts[0], scores=np.mean([part.scores for part in parts], axis=0))


def command_line(name: str, options: argparse.Namespace) -> str:
    """The command that prints a table with these rows; where its folders are is each machine's own matter."""
    words = ["python", "-m", f"benchmarks.{name}", *(["--peers", *options.peers] if options.peers else [])]
    for title, _ in options.models:
        words += ["--model", f"'{title}=FOLDER'"]
    return " ".join([*words, "--write"])


def report(name: str, command: str, lines: Sequence[str], *, write: bool) -> None:
    """Prints a section of RESULTS.md, or puts it there in place of the one of the same name."""
    cores = os.cpu_count()
    head = f"{date.today().isoformat()}, `{command}`, Python {platform.python_version()}, {cores} cores."
    section = "\n".join([f"<!-- {name} -->", head, "", *lines, f"<!-- end of {name} -->"])
    if not write:
        print(section)
        return
    text = RESULTS.read_text(encoding="utf-8")
    pattern = re.compile(rf"^<!-- {name} -->$.*?^<!-- end of {name} -->$", re.DOTALL | re.MULTILINE)
    if not pattern.search(text):
        raise SystemExit(f"{RESULTS.name} has no place for {name}")
    RESULTS.write_text(pattern.sub(lambda _: section, text), encoding="utf-8")
