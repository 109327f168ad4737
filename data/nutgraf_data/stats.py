"""A corpus in numbers."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

from nutgraf_data.article import Article

__all__ = ["corpus_stats"]


def corpus_stats(articles: Iterable[Article]) -> dict[str, Any]:
    """Counts of a corpus, fit for JSON.

    Returns:
        ``articles``, ``paragraphs``, ``labelled`` (paragraphs with a label), ``labels`` (label → count,
        most frequent first), ``alt_share`` (of the labelled paragraphs, 0 to 1, None where there are
        none), ``words_per_paragraph`` (``median`` and ``p95``, words parted by spaces; None for an empty
        corpus), ``paragraphs_per_article`` (``median``), ``dates`` (``first`` and ``last`` as YYYY-MM-DD, or
        None), ``missing_dates``, ``outlets`` (different ones) and ``missing_outlets``.
    """
    articles = list(articles)
    paragraphs = [p for article in articles for p in article.paragraphs]
    labels = Counter(p.label for p in paragraphs if p.label is not None)
    labelled = labels.total()
    alts = sum(p.label is not None and p.alt is not None for p in paragraphs)
    words = [len(p.text.split()) for p in paragraphs]
    dates = sorted(article.published[:10] for article in articles if article.published is not None)
    outlets = Counter(article.outlet for article in articles if article.outlet is not None)
    made: dict[str, Any] = {
        "articles": len(articles),
        "paragraphs": len(paragraphs),
        "labelled": labelled,
        "labels": dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
        "alt_share": alts / labelled if labelled else None,
        "words_per_paragraph": {"median": statistics.median(words), "p95": _quantile(words, 0.95)} if words else None,
        "paragraphs_per_article": {"median": statistics.median(len(a.paragraphs) for a in articles)} if words else None,
        "dates": {"first": dates[0], "last": dates[-1]} if dates else None,
        "missing_dates": len(articles) - len(dates),
        "outlets": len(outlets),
        "missing_outlets": len(articles) - outlets.total(),
    }
    return made


def _quantile(values: list[int], share: float) -> float:
    """The value that at least the share of values does not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -int(-share * len(ranked) // 1) - 1)]
