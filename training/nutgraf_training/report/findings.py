"""What a report says: one record of plain values, which all its forms are written from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nutgraf_training.evaluation.evaluate import Evaluation
from nutgraf_training.evaluation.groups import LEAST_ARTICLES, LEAST_PARAGRAPHS

__all__ = ["MISTAKES", "Findings", "findings", "headline", "percent", "span"]

Findings = dict[str, Any]

#: How many of the most confident mistakes are shown.
MISTAKES = 20


def findings(
    evaluation: Evaluation,
    *,
    model: str,
    data: str,
    by: Sequence[str] = (),
    targets: Sequence[float] = (0.95,),
    coverage: Sequence[float] = (0.9,),
) -> Findings:
    """The figures of an evaluation, what was evaluated on what, and the most confident mistakes.

    Args:
        evaluation: of the model.
        model, data: what to call them.
        by: fields to group by; those that the articles have by default.
        targets: accuracies to choose ``min_confidence`` for.
        coverage: levels of conformal sets.
    """
    record = evaluation.to_json(by=by or evaluation.fields, targets=targets, coverage=coverage)
    p = evaluation.predictions
    wrong = np.flatnonzero(p.known & ~p.right)
    worst = wrong[np.argsort(-p.confidence[wrong], kind="stable")][:MISTAKES]
    starts = np.searchsorted(p.article, np.arange(len(p.articles)))
    labels = p.label_set.labels
    return {
        "name": model,
        "data": data,
        "few": {"articles": LEAST_ARTICLES, "paragraphs": LEAST_PARAGRAPHS},
        **record,
        "mistakes": [
            {
                "article": p.articles[p.article[row]].id,
                "number": int(p.article[row]),
                "paragraph": int(row - starts[p.article[row]]),
                "label": labels[p.gold[row]],
                "alt": labels[p.alt[row]] if p.alt[row] >= 0 else None,
                "predicted": labels[p.predicted[row]],
                "confidence": float(p.confidence[row]),
            }
            for row in worst
        ],
    }


def headline(found: Findings) -> str:
    """The result in a sentence."""
    few = " So few articles say little, whatever the intervals." if found["articles"] < 20 else ""
    seen = (
        f" The model was trained on {found['seen']:,} of these articles: do not quote these figures."
        if found["seen"]
        else ""
    )
    return (
        f"{found['name']} gives the right label to {percent(found['accuracy'])} of {found['paragraphs']:,} paragraphs "
        f"in {found['articles']:,} articles, with a macro-F1 of {span(found['macro_f1'])}.{seen}{few}"
    )


def span(interval: dict[str, float | None]) -> str:
    """``0.798 [0.767, 0.828]``."""
    if interval["value"] is None:
        return "–"
    if interval["low"] is None or interval["high"] is None:
        return f"{interval['value']:.3f}"
    return f"{interval['value']:.3f} [{interval['low']:.3f}, {interval['high']:.3f}]"


def percent(interval: dict[str, float | None]) -> str:
    """``79.8 % [76.7, 82.8]``."""
    if interval["value"] is None:
        return "–"
    if interval["low"] is None or interval["high"] is None:
        return f"{100 * interval['value']:.1f} %"
    return f"{100 * interval['value']:.1f} % [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"
