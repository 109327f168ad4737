"""Writes annotations as a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from nutgraf.annotation import Annotation
from nutgraf.html.page import article_html, close_page, legend, open_page, shown
from nutgraf.linear import LinearTagger
from nutgraf.tagger import Tagger
from nutgraf_data.files import replacing

__all__ = ["write_html"]

_WORDS = 12  # that are shown for and against a label


def write_html(annotations: Iterable[Annotation], path: str | Path, tagger: Tagger) -> int:
    """Writes one page with all articles, whole or not at all; returns how many they are.

    Of a linear tagger it has, on demand, the words that spoke for and against each label.

    Args:
        annotations: of the articles.
        path: the file to write.
        tagger: that made them.

    Raises:
        DataError: the file cannot be written.
    """
    labels = tagger.label_set.labels
    count = 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(open_page("What each paragraph does", labels))
        stream.write(legend(labels, tagger.label_set.descriptions))
        for annotation in annotations:
            count += 1
            words: Mapping[int, str] = {}
            if isinstance(tagger, LinearTagger):
                words = _words(annotation, tagger)
            stream.write(article_html(annotation, labels, words=words))
        stream.write(f'<p class="about">Model {shown(tagger.fingerprint)}. A label says what a paragraph does, not ')
        stream.write("whether it is true.</p>\n")
        stream.write(close_page())
    return count


def _words(annotation: Annotation, tagger: LinearTagger) -> dict[int, str]:
    """For each paragraph the words with the largest parts in its label's margin."""
    made = {}
    margins = tagger.margins([annotation.article])
    for segment, parts in zip(annotation, tagger.explain(annotation.article), strict=True):
        number = tagger.label_set.labels.index(segment.label)
        total = float(margins[segment.paragraph, number])
        ranked = sorted(((float(values[number]), name) for name, values in parts.items()), key=lambda item: item[0])
        sides = {
            "for": [e for e in ranked[::-1][:_WORDS] if e[0] > 0],
            "against": [e for e in ranked[:_WORDS] if e[0] < 0],
        }
        lists = "".join(
            f"<div><h3>{side} {shown(segment.label)}</h3><ul>"
            + "".join(f"<li>{value:+.3f} {shown(name)}</li>" for value, name in found)
            + "</ul></div>"
            for side, found in sides.items()
        )
        made[segment.paragraph] = (
            f'<details class="words"><summary>words for and against</summary><div class="sides">{lists}</div>'
            f"<p>Parts of this paragraph's own margin, {total:+.3f} with its intercept; the margins of its neighbours "
            "have a say in the score, too.</p></details>\n"
        )
    return made
