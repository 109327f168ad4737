"""model2vec's static embeddings, distilled from the same encoder, and logistic regression."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import joblib
from model2vec import StaticModel


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model."""
    from model2vec.distill import distill
    from sklearn.linear_model import LogisticRegression

    Path(folder).mkdir(parents=True, exist_ok=True)
    embedder = distill(model_name=os.environ["NUTGRAF_BENCH_ENCODER"], pca_dims=256)
    embedder.save_pretrained(f"{folder}/embedder")
    head = LogisticRegression(C=10, class_weight="balanced", max_iter=2000).fit(embedder.encode(list(texts)), labels)
    joblib.dump(head, f"{folder}/head.joblib")


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    embedder, head = StaticModel.from_pretrained(f"{folder}/embedder"), joblib.load(f"{folder}/head.joblib")
    return lambda texts: head.predict(embedder.encode(list(texts))).tolist()
