"""The default model on each dev set with every figure, and its weakest groups.

``general-dev`` and ``nearest-dev`` are beside the two that other tables pool: later, and other news.
"""

from __future__ import annotations

from benchmarks.accuracy import span
from benchmarks.common import BESIDE, DEV, arguments, load, report
from nutgraf.registry import load as load_model
from nutgraf_training.evaluation.evaluate import Evaluation, evaluate
from nutgraf_training.evaluation.quality import METRICS

GROUPED = ("outlet", "year", "position", "length", "topic")


def main() -> None:
    """Evaluates it."""
    options = arguments(__doc__ or "")
    sets = {name: load(options.corpora, name) for name in DEV}
    tagger = load_model("default")
    found = {name: evaluate(tagger, articles) for name, articles in sets.items()}
    found["both pooled"] = pooled = evaluate(tagger, [a for articles in sets.values() for a in articles])
    found |= {name: evaluate(tagger, load(options.corpora, name)) for name in BESIDE}
    names = list(found)

    def row(title: str, cells: list[str]) -> str:
        return f"| {title} | " + " | ".join(cells) + " |"

    lines = [row("", names), row("---", ["---"] * len(names))]
    lines.append(row("articles, paragraphs", [f"{e.scores.articles}, {e.scores.paragraphs:,}" for e in found.values()]))
    for key, title in METRICS.items():
        lines.append(row(title, [span(e.quality[key]) for e in found.values()]))
    lines.append(row("area under risk and coverage", [span(e.curve.area) for e in found.values()]))
    for target in (0.9, 0.95):
        cells = [_threshold(e, target) for e in found.values()]
        lines.append(row(f"threshold for {target:.0%} right: gives, and leaves", cells))
    for level in (0.8, 0.9, 0.95):
        sets_ = [e.conformal(level) for e in found.values()]
        lines.append(row(f"conformal sets at {level:.0%}: hold the label", [span(s.coverage) for s in sets_]))
        lines.append(row(f"conformal sets at {level:.0%}: labels in a set", [span(s.size) for s in sets_]))
    for label, *values in zip(pooled.scores.labels, *(e.scores.f1 for e in found.values()), strict=True):
        lines.append(row(f"F1 of `{label}`", [span(value) for value in values]))
    lines += [
        "",
        "Reliability, both pooled:",
        "",
        "| confidence | paragraphs | mean | right |",
        "| --- | --- | --- | --- |",
    ]
    for each in pooled.reliability:
        if each.paragraphs:
            cells = [f"{each.paragraphs:,}", f"{each.confidence:.3f}", span(each.accuracy)]
            lines.append(row(f"{each.low:.1f} to {each.high:.1f}", cells))
    groups = [g for field in GROUPED for g in pooled.groups(field) if g.figures is not None]
    groups.sort(key=lambda g: g.figures["accuracy"].value if g.figures else 1.0)
    lines += ["", "The weakest groups of both pooled, of those with at least 8 articles and 30 paragraphs:", ""]
    lines += ["| group | articles, paragraphs | accuracy | macro-F1 |", "| --- | --- | --- | --- |"]
    for group in groups[:10]:
        assert group.figures is not None
        cells = [f"{group.articles}, {group.paragraphs:,}", *(span(group.figures[k]) for k in ("accuracy", "macro_f1"))]
        lines.append(row(f"{group.field}: {group.value}", cells))
    report("full-results", "python -m benchmarks.full_results --write", lines, write=options.write)


def _threshold(evaluation: Evaluation, target: float) -> str:
    found = evaluation.threshold(target)
    least = "none" if found.min_confidence is None else f"{found.min_confidence:.2f}"
    return f"{least}: {span(found.accuracy)}, {span(found.coverage)}"


if __name__ == "__main__":
    main()
