"""A report as one page for a browser."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nutgraf.annotation import Annotation, Segment
from nutgraf.html import article_html, close_page, legend, open_page, shown
from nutgraf_training.evaluation.evaluate import Evaluation
from nutgraf_training.evaluation.quality import METRICS
from nutgraf_training.report.findings import Findings, headline, span
from nutgraf_training.report.markdown import group_rows, sets, small, thresholds
from nutgraf_training.report.plots import confusion_plot, group_plot, reliability_plot, risk_plot

__all__ = ["page"]

_CSS = Path(__file__).with_name("report.css")
_AROUND = 1  # paragraphs that are shown on either side of a mistake
_BARS = 20  # of one plot


def page(found: Findings, evaluation: Evaluation) -> str:
    """The page.

    Args:
        found: what it says.
        evaluation: for the texts of the mistakes.
    """
    labels = evaluation.predictions.label_set.labels
    parts = [
        open_page(f"{found['name']} on {found['data']}", labels, style=_CSS.read_text(encoding="utf-8")),
        f'<p class="result">{shown(headline(found))}</p>\n',
        '<p class="about">Given labels are taken to be right. Intervals hold 95 % of resamples of whole articles '
        f"(bias-corrected and accelerated bootstrap). Model {shown(found['model'])}; "
        f"{found['unlabelled']:,} paragraphs without a label were read as context only.</p>\n",
        _table(["", "value"], [[title, span(found[name])] for name, title in METRICS.items()]),
        "<h2>By label</h2>\n",
        _table(
            ["label", "precision", "recall", "F1", "paragraphs"],
            [
                [label, *(span(row[key]) for key in ("precision", "recall", "f1")), f"{row['support']:,}"]
                for label, row in found["labels"].items()
            ],
        ),
        "<h2>What is taken for what</h2>\n",
        confusion_plot(labels, [list(row.values()) for row in found["confusion"].values()]),
        _numbers(found["confusion"]),
        "<h2>Is it as sure as it is right?</h2>\n",
        reliability_plot(found["reliability"]),
        _numbers(found["reliability"]),
        "<h2>What is left without the doubtful ones</h2>\n",
        risk_plot(found["risk_coverage"]),
        _numbers(found["risk_coverage"]),
        f"<p>Area under the curve: {span(found['risk_coverage']['area'])}; less is better.</p>\n",
        "<p>Thresholds for <code>--min-confidence</code>, and what they give on articles that did not choose them "
        "(five-fold cross-fitting):</p>\n",
        _table(*thresholds(found)),
        "<p>Conformal sets, cross-fitted in the same way; the level is for articles like these:</p>\n",
        _table(*sets(found)),
    ]
    for field, groups in found.get("groups", {}).items():
        large = [group for group in groups if group["figures"] is not None]
        parts.append(f"<h2>By {shown(field)}</h2>\n")
        if large:
            parts += [group_plot(field, large[:_BARS]), _table(*group_rows(large)), _numbers(large)]
        if note := small(found, groups):
            parts.append(f'<p class="about">{shown(note)}</p>\n')
    parts += ["<h2>The most confident mistakes</h2>\n", legend(labels, evaluation.predictions.label_set.descriptions)]
    parts += [*_mistakes(found, evaluation), close_page()]
    return "".join(parts)


def _mistakes(found: Findings, evaluation: Evaluation) -> list[str]:
    """Each article that has some, cut down to them and their neighbours."""
    predictions = evaluation.predictions
    labels = predictions.label_set.labels
    starts = np.searchsorted(predictions.article, np.arange(len(predictions.articles)))
    by_article: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for mistake in found["mistakes"]:
        by_article[mistake["number"]].append(mistake)
    parts = []
    for number, mistakes in by_article.items():
        article = predictions.articles[number]
        around = {
            place
            for m in mistakes
            for place in range(m["paragraph"] - _AROUND, m["paragraph"] + _AROUND + 1)
            if 0 <= place < len(article.paragraphs)
        }
        segments = []
        for place in sorted(around):
            row, paragraph = predictions.scores[starts[number] + place], article.paragraphs[place]
            best = int(row.argmax())
            segments.append(
                Segment(
                    place,
                    paragraph.start,
                    paragraph.end,
                    paragraph.text,
                    labels[best],
                    float(row[best]),
                    dict(zip(labels, row.tolist(), strict=True)),
                    abstained=False,
                    truncated=False,
                )
            )
        notes = {
            m["paragraph"]: f'<p class="note">mistake: given <b>{shown(m["label"])}</b>'
            + (f", second {shown(m['alt'])}" if m["alt"] else "")
            + f", predicted <b>{shown(m['predicted'])}</b></p>\n"
            for m in mistakes
        }
        annotation = Annotation(article, tuple(segments), found["model"])
        parts.append(article_html(annotation, labels, notes=notes, level=3))
    return parts or ["<p>None.</p>\n"]


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    top = "".join(f'<th scope="col">{shown(cell)}</th>' if cell else "<td></td>" for cell in head)
    body = "".join(
        f'<tr><th scope="row">{shown(row[0])}</th>' + "".join(f"<td>{shown(cell)}</td>" for cell in row[1:]) + "</tr>\n"
        for row in rows
    )
    return (
        '<div class="wide" tabindex="0" role="region" aria-label="table">'
        f"<table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
    )


def _numbers(values: object) -> str:
    """The numbers of a plot, as JSON, on demand."""
    text = json.dumps(values, ensure_ascii=False, indent=1)
    return f"<details><summary>the numbers, as JSON</summary><pre>{shown(text)}</pre></details>\n"
