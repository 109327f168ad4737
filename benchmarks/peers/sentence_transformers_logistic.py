"""sentence-transformers' embeddings by the same encoder, and logistic regression."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
import torch
from sentence_transformers import SentenceTransformer

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def _embedder() -> SentenceTransformer:
    return SentenceTransformer(os.environ["NUTGRAF_BENCH_ENCODER"], device="cpu")


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model."""
    from sklearn.linear_model import LogisticRegression

    Path(folder).mkdir(parents=True, exist_ok=True)
    embedder = _embedder()
    vectors = embedder.encode(list(texts), batch_size=32)
    embedder.save(f"{folder}/embedder")
    joblib.dump(
        LogisticRegression(C=10, class_weight="balanced", max_iter=2000).fit(vectors, labels), f"{folder}/head.joblib"
    )


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    embedder, head = SentenceTransformer(f"{folder}/embedder", device="cpu"), joblib.load(f"{folder}/head.joblib")
    return lambda texts: head.predict(embedder.encode(list(texts), batch_size=32)).tolist()
