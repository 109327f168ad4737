"""The parts of a page: its head with a content-security policy, the legend that filters, and an article.

Whatever comes from outside, texts, labels, ids, goes through ``shown``, and stands between tags or in quoted
attributes only. Colours and opacities are classes, so that the policy can forbid inline styles.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from nutgraf.annotation import Annotation, Segment

__all__ = ["article_html", "close_page", "legend", "open_page", "shown"]

_HERE = Path(__file__).parent

# Okabe and Ito's colours, which colour-blind readers tell apart, some of them darker or lighter to stand out on both
# white and near-black.
_COLOURS = ("#d55e00", "#0072b2", "#cc79a7", "#009e73", "#b8860b", "#56a0d3", "#7f7f7f", "#8b5cf6")
_STEPS = 20  # of opacity

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufff9-\ufffb]")


def shown(text: object) -> str:
    """Text for HTML, between tags or in a quoted attribute; characters that turn or hide text become escapes."""
    return escape(_UNSAFE.sub(lambda found: f"\\u{{{ord(found[0]):x}}}", str(text)), quote=True)


def open_page(title: str, labels: Sequence[str], *, style: str = "") -> str:
    """Everything up to and with the opening ``<main>``.

    Args:
        title: of the page.
        labels: for their colours, in order.
        style: more CSS, which must not hold anything from outside.
    """
    css = (_HERE / "page.css").read_text(encoding="utf-8") + _classes(len(labels)) + style
    policy = (
        f"default-src 'none'; style-src '{_digest(css)}'; script-src '{_digest(_script())}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{shown(title)}</title>\n<style>{css}</style>\n</head>\n<body>\n<main>\n<h1>{shown(title)}</h1>\n"
    )


def close_page() -> str:
    """The end of the page, with the script that filters and moves."""
    return f"</main>\n<script>{_script()}</script>\n</body>\n</html>\n"


def legend(labels: Sequence[str], descriptions: Mapping[str, str] | None = None) -> str:
    """One button a label, which shows and hides its paragraphs."""
    buttons = []
    for number, label in enumerate(labels):
        about = (descriptions or {}).get(label, "")
        buttons.append(
            f'<button type="button" class="key r{number}" data-filter="{number}" aria-pressed="true" '
            f'title="{shown(about)}"><span class="swatch" aria-hidden="true"></span>{shown(label)} '
            f'<span class="count" data-count="{number}"></span></button>'
        )
    return (
        '<nav class="legend" aria-label="Roles">\n' + "\n".join(buttons) + "\n"
        '<button type="button" class="key all" data-all>show all</button>\n'
        "<p>Press a role to hide or show its paragraphs, shift for it alone; <kbd>j</kbd> and <kbd>k</kbd> go from "
        "paragraph to paragraph, <kbd>1</kbd> to <kbd>9</kbd> press a role. The strip is as strong as the tagger is "
        "sure.</p>\n</nav>\n"
    )


def article_html(
    annotation: Annotation,
    labels: Sequence[str],
    *,
    notes: Mapping[int, str] | None = None,
    words: Mapping[int, str] | None = None,
    level: int = 2,
) -> str:
    """An article with a coloured strip beside each paragraph.

    Args:
        annotation: of the article.
        labels: of the model, in order.
        notes: paragraph → HTML to stand above it.
        words: paragraph → HTML of what spoke for its label, shown on demand.
        level: of the heading.
    """
    article = annotation.article
    about = " · ".join(shown(part) for part in (article.outlet, article.published, article.id) if part)
    title = shown(article.headline or article.id)
    parts = [f'<article>\n<h{level} dir="auto">{title}</h{level}>\n<p class="about">{about}</p>\n']
    parts += [
        _segment(segment, labels, (notes or {}).get(segment.paragraph, ""), (words or {}).get(segment.paragraph, ""))
        for segment in annotation
    ]
    return "".join(parts) + "</article>\n"


def _segment(segment: Segment, labels: Sequence[str], note: str, words: str) -> str:
    number = labels.index(segment.label)
    ranked = sorted(segment.scores.items(), key=lambda item: -item[1])
    rows = "".join(f"<tr><th scope=row>{shown(label)}</th><td>{score:.3f}</td></tr>" for label, score in ranked)
    marks = " abstained" if segment.abstained else ""
    cut = " · cut, too long to read whole" if segment.truncated else ""
    doubt = "?" if segment.abstained else ""
    return (
        f'<section class="segment r{number} o{round(segment.confidence * _STEPS)}{marks}" data-role="{number}" '
        'tabindex="0" '
        f'aria-label="paragraph {segment.paragraph + 1}">\n{note}'
        '<div class="head"><span class="strip" aria-hidden="true"></span>'
        f'<b class="role">{shown(segment.label)}{doubt}</b> '
        f'<span class="confidence">{segment.confidence:.2f}{cut}</span>'
        f'<table class="scores"><caption>scores</caption>{rows}</table></div>\n'
        f'<p dir="auto">{shown(segment.text)}</p>\n{words}</section>\n'
    )


def _classes(labels: int) -> str:
    """The colour of every label, and the opacity of every confidence; labels that share a colour differ in pattern."""
    rules = []
    for number in range(labels):
        rules.append(f".r{number}{{--role:{_COLOURS[number % len(_COLOURS)]}}}")
        if number >= len(_COLOURS):
            line = ("dashed", "dotted", "double")[number // len(_COLOURS) % 3]
            rules.append(
                f".r{number} .strip,.r{number} .swatch{{border-style:{line};border-width:2px;background:none}}"
            )
    rules += [f".o{step} .strip{{opacity:{0.15 + 0.85 * step / _STEPS:.2f}}}" for step in range(_STEPS + 1)]
    return "\n".join(rules)


def _script() -> str:
    return (_HERE / "page.js").read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
