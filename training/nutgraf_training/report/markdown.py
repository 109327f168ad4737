"""A report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nutgraf_training.evaluation.quality import METRICS
from nutgraf_training.report.findings import Findings, headline, span

__all__ = ["cell", "group_rows", "markdown", "sets", "small", "thresholds"]


def markdown(found: Findings) -> str:
    """All of the report but its plots."""
    labels = list(found["labels"])
    lines = [f"# {cell(found['name'])} on {cell(found['data'])}", "", cell(headline(found)), ""]
    lines += ["Intervals hold 95 % of resamples of whole articles (bias-corrected and accelerated bootstrap).", ""]
    lines += _table(["", "value"], [[title, span(found[name])] for name, title in METRICS.items()])
    lines += ["## By label", ""]
    lines += _table(
        ["label", "precision", "recall", "F1", "paragraphs"],
        [
            [label, *(span(row[key]) for key in ("precision", "recall", "f1")), f"{row['support']:,}"]
            for label, row in found["labels"].items()
        ],
    )
    lines += ["## Confusion: given in rows, predicted in columns", ""]
    lines += _table(["", *labels], [[label, *row.values()] for label, row in found["confusion"].items()])
    lines += ["## Reliability", ""]
    lines += _table(
        ["confidence", "paragraphs", "mean confidence", "right"],
        [
            [f"{b['low']:.1f} to {b['high']:.1f}", b["paragraphs"], f"{b['confidence']:.3f}", span(b["accuracy"])]
            for b in found["reliability"]
            if b["paragraphs"]
        ],
    )
    lines += [f"Area under the risk–coverage curve: {span(found['risk_coverage']['area'])}, less is better.", ""]
    lines += ["## Thresholds", "", "What they give on articles that did not choose them (five-fold cross-fitting).", ""]
    lines += _table(*thresholds(found))
    lines += ["## Conformal sets", ""]
    lines += _table(*sets(found))
    for field, groups in found.get("groups", {}).items():
        lines += [f"## By {cell(field)}", "", *_table(*group_rows(groups))]
        if note := small(found, groups):
            lines += [cell(note), ""]
    lines += ["## The most confident mistakes", ""]
    lines += _table(
        ["article", "paragraph", "given", "second", "predicted", "confidence"],
        [
            [m["article"], m["paragraph"], m["label"], m["alt"] or "", m["predicted"], f"{m['confidence']:.3f}"]
            for m in found["mistakes"]
        ],
    )
    return "\n".join(lines)


def thresholds(found: Findings) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of thresholds."""
    rows = []
    for each in found.get("thresholds", ()):
        least = "none reaches it, or too few" if each["min_confidence"] is None else f"{each['min_confidence']:.3f}"
        label = each["label"] or "all"
        rows.append([f"{each['target']:.0%}", label, least, span(each["accuracy"]), span(each["coverage"])])
    return ["target", "label", "min_confidence", "right", "left"], rows


def sets(found: Findings) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of conformal sets."""
    rows = [
        [f"{each['level']:.0%}", f"{1 - each['quantile']:.3f}", span(each["coverage"]), span(each["size"])]
        for each in found.get("conformal", ())
    ]
    return ["stated level", "labels with a score of at least", "held the given label", "labels in a set"], rows


def group_rows(groups: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of a table of groups, without those that are too small."""
    names = ("accuracy", "macro_f1", "kappa", "lenient_accuracy", "log_loss", "ece")
    rows = [
        [g["value"], f"{g['articles']:,}", f"{g['paragraphs']:,}", *(span(g["figures"][name]) for name in names)]
        for g in groups
        if g["figures"] is not None
    ]
    return ["", "articles", "paragraphs", *(METRICS[name] for name in names)], rows


def small(found: Findings, groups: Sequence[Mapping[str, Any]]) -> str:
    """What is said of groups that are too small."""
    names = [str(g["value"]) for g in groups if g["figures"] is None]
    if not names:
        return ""
    few = found["few"]
    listed = ", ".join(names[:12]) + (f" and {len(names) - 12:,} more" if len(names) > 12 else "")
    limits = f"fewer than {few['articles']} articles or {few['paragraphs']} paragraphs"
    return f"Too small to say anything ({limits}): {listed}."


def cell(text: object) -> str:
    """Text that Markdown shows as it is, on one line."""
    line = " ".join("".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in str(text)).split())
    return re.sub(r"([\\`*_{}\[\]<>|#~$&])", r"\\\1", line)


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(c) if _figures(str(c)) else cell(c) for c in cells) + " |"

    return [line(head), "| " + " | ".join("---" for _ in head) + " |", *map(line, rows), ""]


def _figures(text: str) -> bool:
    return re.fullmatch(r"[\d.,\-–% \[\]]*", text) is not None
