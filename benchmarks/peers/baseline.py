"""The plain baseline: TF-IDF of words and characters, and logistic regression (scikit-learn)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline, make_union


def pipeline() -> Pipeline:
    """Not fitted."""
    return make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=3, sublinear_tf=True),
        ),
        LogisticRegression(C=3, class_weight="balanced", max_iter=1000),
    )


def fit(texts: Sequence[str], labels: Sequence[str], folder: str) -> None:
    """Fits and writes a model."""
    import joblib

    Path(folder).mkdir(parents=True, exist_ok=True)
    joblib.dump(pipeline().fit(texts, labels), Path(folder) / "model.joblib")  # its own, read back by itself alone


def load(folder: str) -> Callable[[Sequence[str]], Sequence[str]]:
    """Reads a model."""
    import joblib

    model = joblib.load(Path(folder) / "model.joblib")
    return lambda texts: model.predict(texts).tolist()
