"""nutgraf itself, so that it is timed in a process of its own as its peers are."""

from __future__ import annotations

from collections.abc import Callable

import nutgraf


def load_articles(folder: str) -> Callable[[list[list[str]]], list[list[str]]]:
    """Reads a model."""
    tagger = nutgraf.load(folder)

    def labels(held: list[list[str]]) -> list[list[str]]:
        articles = [nutgraf.Article.from_paragraphs(texts) for texts in held]
        return [[segment.label for segment in found] for found in tagger.predict_many(articles)]

    return labels
