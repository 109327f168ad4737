"""Which articles a model was trained on, so that nobody evaluates it on them by mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from nutgraf.artefact import ModelFolder
from nutgraf_data.article import Article
from nutgraf_data.standoff import normalise

__all__ = ["TRAINED_ON", "article_digest", "trained_on", "write_trained_on"]

TRAINED_ON = "trained_on.txt"


def article_digest(article: Article) -> str:
    """16 hexadecimal digits of the SHA-256 of its normalised paragraphs."""
    text = "\n".join(normalise(paragraph.text) for paragraph in article.paragraphs)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_trained_on(articles: Iterable[Article]) -> bytes:
    """The content of ``trained_on.txt``: one digest a line, sorted."""
    return "".join(f"{digest}\n" for digest in sorted({article_digest(article) for article in articles})).encode()


def trained_on(folder: ModelFolder) -> frozenset[str]:
    """The digests of the articles that a model was trained on."""
    return frozenset(folder.files.get(TRAINED_ON, b"").decode("ascii", "replace").split())
