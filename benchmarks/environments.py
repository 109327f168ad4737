"""The peers, and the environments that they are installed in, apart from ours: they need other versions."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutgraf_data.article import Article
from nutgraf_data.labels import LabelSet
from nutgraf_training.recipe import EncoderRecipe, Recipe
from nutgraf_training.train import train

#: Texts that peers take at a time where they have the choice.
BATCH = 8
HARNESS = Path(__file__).parent / "peers" / "harness.py"


@dataclass(frozen=True)
class Peer:
    """Another way to label paragraphs.

    Attributes:
        title: for tables.
        module: in ``benchmarks/peers``.
        requirements: what pip installs for it; none where our own environment has it.
    """

    title: str
    module: str
    requirements: tuple[str, ...] = ()


TORCH = "torch==2.13.0"

PEERS = {
    "baseline": Peer("TF-IDF + logistic regression (scikit-learn)", "baseline"),
    "fasttext": Peer("fastText", "fasttext_supervised", ("fasttext", "numpy<2")),
    "model2vec": Peer(
        "model2vec, from MiniLM + logistic regression",
        "model2vec_logistic",
        (TORCH, "model2vec[distill]", "scikit-learn"),
    ),
    "sentence-transformers": Peer(
        "sentence-transformers, MiniLM + logistic regression",
        "sentence_transformers_logistic",
        (TORCH, "sentence-transformers", "scikit-learn"),
    ),
    "setfit": Peer("SetFit, MiniLM", "setfit_trainer", (TORCH, "setfit")),
    "spacy": Peer("spaCy textcat", "spacy_textcat", ("spacy",)),
    "transformers": Peer("Hugging Face sequence classification, MiniLM", "transformers_classifier"),
}
OURS = Peer("nutgraf", "nutgraf_tagger")


class Bench:
    """A folder for environments, models and labels, so that a run goes on where it was interrupted.

    Args:
        folder: where.
        encoder: the folder of the encoder that peers with one begin with.
    """

    def __init__(self, folder: Path, encoder: Path) -> None:
        self.folder, self.encoder = folder.resolve(), encoder.resolve()

    def python(self, name: str) -> Path:
        """The interpreter that a peer runs in; makes its environment the first time."""
        peer = PEERS.get(name, OURS)
        if not peer.requirements:
            return Path(sys.executable)
        home = self.folder / "environments" / name
        if not (home / "ready").is_file():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *peer.requirements], check=True)
            (home / "ready").touch()
        return home / "bin" / "python"

    def variables(self, batch: int = BATCH) -> dict[str, str]:
        """The environment variables of a peer's process."""
        return {
            **os.environ,
            "NUTGRAF_BENCH_ENCODER": str(self.encoder),
            "NUTGRAF_BENCH_BATCH": str(batch),
        }

    def run(self, name: str, mode: str, first: Path, second: Path, *, batch: int = BATCH) -> dict[str, Any]:
        """What the harness prints."""
        command = [str(self.python(name)), str(HARNESS), PEERS.get(name, OURS).module, mode, str(first), str(second)]
        done = subprocess.run(command, env=self.variables(batch), capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name} {mode} failed:\n{done.stderr[-2000:]}")
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    def model(self, name: str, articles: Sequence[Article]) -> Path:
        """A peer trained on articles."""
        recipe = HARNESS.with_name(f"{PEERS[name].module}.py").read_text(encoding="utf-8")
        model = self.place(name, articles, recipe)
        timed = model.with_name(f"{model.name}.json")
        if not timed.is_file():
            found = self.run(name, "fit", self.write("train", articles), model)
            timed.write_text(json.dumps(found), encoding="utf-8")
        return model

    def ours(self, articles: Sequence[Article], recipe: Recipe, label_set: LabelSet) -> Path:
        """A tagger of ours trained on all of some articles."""
        model = self.place(recipe.name, articles, recipe.to_toml().decode())
        if not (model / "manifest.json").is_file():
            encoder = str(self.encoder) if isinstance(recipe, EncoderRecipe) else None
            train(articles, model, recipe=recipe, label_set=label_set, held_out=0.0, encoder=encoder, say=print)
        return model

    def place(self, name: str, articles: Sequence[Article], settings: str = "") -> Path:
        """Where a model that learned articles lies: elsewhere for other articles, labels, encoders or settings."""
        rows = [[[p.text, p.label, p.alt] for p in article.paragraphs] for article in articles]
        digest = hashlib.sha256(json.dumps([self.encoder.name, settings, rows]).encode()).hexdigest()
        return self.folder / "models" / f"{name}-{digest[:12]}"

    def write(self, name: str, articles: Sequence[Article]) -> Path:
        """Articles as the harness reads them."""
        file = self.folder / f"{name}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", encoding="utf-8") as stream:
            for article in articles:
                row = {"texts": [p.text for p in article.paragraphs], "labels": [p.label for p in article.paragraphs]}
                stream.write(json.dumps(row) + "\n")
        return file
