"""fastText, supervised (Joulin et al., 2017), with the settings of its tutorial."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import fasttext

MARK = "__label__"


def _line(text: str) -> str:
    return re.sub(r"([.!?,'\"“”‘’/()])", r" \1 ", text.lower()).replace("\n", " ")


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    train = Path(folder) / "train.txt"
    lines = (f"{MARK}{label} {_line(text)}\n" for text, label in zip(texts, labels, strict=True))
    train.write_text("".join(lines), encoding="utf-8")
    fasttext.train_supervised(str(train), lr=0.5, epoch=25, wordNgrams=2, thread=2).save_model(f"{folder}/model.bin")
    train.unlink()


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    model = fasttext.load_model(f"{folder}/model.bin")
    return lambda texts: [found[0].removeprefix(MARK) for found in model.predict([_line(t) for t in texts])[0]]
