"""Plots by matplotlib as SVG that stands in a page: in the page's colours, without styles, scripts or links."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any
from xml.etree import ElementTree

from nutgraf.html import shown
from nutgraf_data.errors import MissingExtraError

__all__ = ["confusion_plot", "group_plot", "reliability_plot", "risk_plot"]

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_INK, _BLUE, _ORANGE, _GREY = "#000000", "#3b82c4", "#d55e00", "#808080"


def confusion_plot(labels: Sequence[str], table: Sequence[Sequence[int]]) -> str:
    """A heat map with counts; shades are shares of each given label."""

    def draw(axes: Any) -> None:
        size = len(labels)
        for row, counts in enumerate(table):
            total = max(sum(counts), 1)
            for column, count in enumerate(counts):
                axes.fill(
                    [column, column + 1, column + 1, column],
                    [row, row, row + 1, row + 1],
                    color=_BLUE if row == column else _ORANGE,
                    alpha=0.75 * count / total,
                    linewidth=0,
                )
                axes.text(column + 0.5, row + 0.5, f"{count:,}", ha="center", va="center", color=_INK, fontsize=9)
        axes.set(xlim=(0, size), ylim=(size, 0), xlabel="predicted", ylabel="given")
        places = [number + 0.5 for number in range(size)]
        axes.set_xticks(places, [_text(label) for label in labels], rotation=35, ha="right", parse_math=False)
        axes.set_yticks(places, [_text(label) for label in labels], parse_math=False)

    side = min(3.2 + 0.55 * len(labels), 14)
    return _svg("confusion", "Confusion table: given labels in rows, predicted ones in columns", draw, (side + 1, side))


def reliability_plot(bins: Sequence[dict[str, Any]]) -> str:
    """How often paragraphs of a confidence are right, with intervals; on the diagonal it is as sure as it is right."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=_GREY, linestyle="--", linewidth=1)
        for each in bins:
            if each["paragraphs"] and each["accuracy"]["value"] is not None:
                accuracy = each["accuracy"]
                if accuracy["low"] is not None:
                    axes.plot([each["confidence"]] * 2, [accuracy["low"], accuracy["high"]], color=_BLUE, linewidth=1.5)
                axes.plot([each["confidence"]], [accuracy["value"]], "o", color=_BLUE, markersize=5)
                where = (each["confidence"], accuracy["value"])
                axes.annotate(f"{each['paragraphs']:,}", where, (5, -10), textcoords="offset points", fontsize=8)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="share that is right")

    return _svg("reliability", "Reliability diagram: confidence against the share that is right", draw, (5, 4.2))


def risk_plot(curve: dict[str, Any]) -> str:
    """The risk–coverage curve."""

    def draw(axes: Any) -> None:
        axes.step(curve["coverage"], curve["risk"], where="post", color=_BLUE, linewidth=1.5)
        axes.set(xlim=(0, 1), ylim=(0, None), xlabel="share of paragraphs kept", ylabel="share of those that is wrong")

    return _svg(
        "risk", "Risk–coverage curve: how much is wrong when the most confident paragraphs are kept", draw, (5, 3.6)
    )


def group_plot(field: str, groups: Sequence[dict[str, Any]]) -> str:
    """Accuracy with intervals, a bar for each group that is large enough."""

    def draw(axes: Any) -> None:
        for row, group in enumerate(groups):
            accuracy = group["figures"]["accuracy"]
            axes.barh(row, accuracy["value"], color=_BLUE, alpha=0.6, height=0.65)
            if accuracy["low"] is not None:
                axes.plot([accuracy["low"], accuracy["high"]], [row, row], color=_INK, linewidth=1.2)
        axes.set(xlim=(0, 1), ylim=(len(groups) - 0.5, -0.5), xlabel="accuracy")
        axes.set_yticks(range(len(groups)), [_text(group["value"]) for group in groups], parse_math=False)

    return _svg(f"by-{field}", f"Accuracy by {_text(field)}", draw, (6, 0.9 + 0.34 * len(groups)))


def _text(value: str) -> str:
    short = value if len(value) <= 40 else value[:39] + "…"
    return "".join(char if char.isprintable() else f"\\u{{{ord(char):x}}}" for char in short)


def _svg(name: str, about: str, draw: Callable[[Any], None], size: tuple[float, float]) -> str:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("Drawing the plots of a report", "train") from None
    settings: dict[Any, Any] = {
        **matplotlib.rcParamsDefault,
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(stream.getvalue(), re.sub(r"\W", "-", name), about)


def _for_page(content: str, name: str, about: str) -> str:
    """The drawing with styles as attributes, in the page's own ink, its ids apart from those of other drawings."""
    ElementTree.register_namespace("", _SVG[1:-1])
    root = ElementTree.fromstring(content)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in {f"{_SVG}metadata", f"{_SVG}style"}:
                parent.remove(child)
    for element in root.iter():
        _style_as_attributes(element)
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.attrib['id']}")
        if _LINK in element.attrib:
            element.set("href", f"#{name}-{element.attrib.pop(_LINK)[1:]}")
        if "clip-path" in element.attrib:
            element.set("clip-path", element.attrib["clip-path"].replace("url(#", f"url(#{name}-"))
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", about)
    root.set("class", f"plot {name}")
    return f"<figure>{ElementTree.tostring(root, encoding='unicode')}<figcaption>{shown(about)}</figcaption></figure>\n"


def _style_as_attributes(element: ElementTree.Element) -> None:
    for rule in element.attrib.pop("style", "").split(";"):
        key, colon, value = (part.strip() for part in rule.partition(":"))
        if colon and key != "font":
            element.set(key, value)
        elif found := re.search(r"([\d.]+)px", value):
            element.set("font-size", found[1])
    for key in ("fill", "stroke"):
        if element.get(key) == _INK or (key == "fill" and element.tag == f"{_SVG}text" and key not in element.attrib):
            element.set(key, "currentColor")
