"""Which articles a model was trained on, so that nobody evaluates it on them by mistake."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Sequence

from nutgraf.artefact import ModelFolder
from nutgraf_data.article import Article
from nutgraf_data.standoff import normalise

__all__ = ["SEEN", "TRAINED_ON", "paragraph_digests", "seen_articles", "trained_on", "write_trained_on"]

TRAINED_ON = "trained_on.txt"

#: An article counts as seen when paragraphs that were trained on make up this share of its characters.
SEEN = 0.8


def paragraph_digests(article: Article) -> list[str]:
    """Ten hexadecimal digits of the SHA-256 of each normalised paragraph."""
    return [hashlib.sha256(normalise(p.text).encode()).hexdigest()[:10] for p in article.paragraphs]


def write_trained_on(articles: Iterable[Article], earlier: Iterable[ModelFolder] = ()) -> bytes:
    """The content of ``trained_on.txt``: one digest a line, sorted.

    Args:
        articles: that a model is trained on.
        earlier: models that it learns from, with what they were trained on.
    """
    found = {digest for article in articles for digest in paragraph_digests(article)}
    return "".join(f"{digest}\n" for digest in sorted(found.union(*map(trained_on, earlier)))).encode()


def trained_on(folder: ModelFolder) -> frozenset[str]:
    """The digests of the paragraphs that a model was trained on."""
    return frozenset(folder.files.get(TRAINED_ON, b"").decode("ascii", "replace").split())


def seen_articles(articles: Sequence[Article], digests: Collection[str]) -> list[Article]:
    """The articles of which paragraphs among the digests make up ``SEEN`` of the text."""

    def share(article: Article) -> float:
        sizes = [len(paragraph.text) for paragraph in article.paragraphs]
        known = (digest in digests for digest in paragraph_digests(article))
        return sum(size for size, seen in zip(sizes, known, strict=True) if seen) / sum(sizes)

    return [article for article in articles if share(article) >= SEEN]
