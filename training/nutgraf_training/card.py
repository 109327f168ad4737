"""The model card: ``README.md`` of a model folder, with the ``model-index`` that hubs read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nutgraf_data.labels import LabelSet
from nutgraf_training.evaluation.quality import METRICS

__all__ = ["model_card"]


def model_card(*, name: str, label_set: LabelSet, manifest: Mapping[str, Any], about: str, settings: str) -> bytes:
    """Writes a model card from the figures in the manifest.

    Args:
        name: what the model is called.
        label_set: its labels.
        manifest: ``recipe``, ``training_data``, ``metrics``, ``versions`` and maybe ``began_with``, as ``train`` puts
            them there.
        about: Markdown by whoever trained it: what it is for, what the labels are, what it should not be used for.
        settings: the resolved recipe, TOML.
    """
    metrics: Mapping[str, Any] = manifest["metrics"]
    shown = next((metrics[part] for part in _PARTS if part in metrics), None)
    lines = ["---", "library_name: nutgraf", "pipeline_tag: text-classification", "tags:", "- nutgraf", "- news"]
    if shown is not None:
        lines += [
            "model-index:",
            f"- name: {_quote(name)}",
            "  results:",
            "  - task:",
            "      type: text-classification",
            "      name: roles of news paragraphs",
            "    dataset:",
            f"      name: {_quote(shown['of'])}",
            f"      type: {_quote(label_set.name)}",
            "    metrics:",
            "    - type: f1",
            "      name: macro-F1",
            f"      value: {shown['macro_f1']['value']:.4f}",
            "    - type: accuracy",
            f"      value: {shown['accuracy']['value']:.4f}",
        ]
    data = manifest["training_data"]
    lines += [
        "---",
        "",
        f"# {name}",
        "",
        f"A nutgraf tagger of kind `{manifest['recipe']['kind']}`, trained with the recipe "
        f"`{manifest['recipe']['name']}` on {data['articles']:,} articles ({data['paragraphs']:,} paragraphs).",
        "",
    ]
    if "validation" in manifest:
        given = manifest["validation"]
        lines += [
            f"{given['articles']:,} other articles ({given['paragraphs']:,} paragraphs) chose its best state and "
            "calibrated it.",
            "",
        ]
    if "began_with" in manifest:
        lines += [f"Training began with the weights of the model `{manifest['began_with']['model']}`.", ""]
    if about.strip():
        lines += [about.strip(), ""]
    lines += ["## Labels", "", "| label | meaning |", "| --- | --- |"]
    lines += [f"| `{_cell(label)}` | {_cell(text)} |" for label, text in label_set.descriptions.items()]
    lines += ["", "## How well it does", ""]
    for part in _PARTS:
        if part in metrics:
            lines += _table(part, metrics[part])
    lines += [
        "Intervals are of 95 %, from 2,000 resamples of whole articles (bias-corrected and accelerated).",
        "",
        "## How it was made",
        "",
        "Versions: " + ", ".join(f"{package} {version}" for package, version in manifest["versions"].items()) + ".",
        "The recipe in full:",
        "",
        "```toml",
        settings.strip(),
        "```",
    ]
    return ("\n".join(lines) + "\n").encode()


def _table(part: str, scores: Mapping[str, Any]) -> list[str]:
    how = _PARTS[part]
    lines = [
        f"{how}: {scores['of']}, {scores['articles']:,} articles, {scores['paragraphs']:,} paragraphs.",
        "",
        "| | value | 95 % interval |",
        "| --- | --- | --- |",
    ]
    for key, name in METRICS.items():
        if key in scores:
            lines.append(f"| {name} | {_number(scores[key]['value'])} | {_span(scores[key])} |")
    lines += ["", "| label | precision | recall | F1 | paragraphs |", "| --- | --- | --- | --- | --- |"]
    for label, row in scores["labels"].items():
        values = " | ".join(
            f"{_number(row[key]['value'])} ({_span(row[key])})" for key in ("precision", "recall", "f1")
        )
        lines.append(f"| `{_cell(label)}` | {values} | {row['support']:,} |")
    return [*lines, ""]


_PARTS = {
    "held_out": "Articles that it was not trained on",
    "cross_fitted": "Cross-fitting: each training article scored by a model fitted without it",
    "chosen_on": "Not trained on, but looked at in training, so a little kind",
}


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _span(interval: Mapping[str, float | None]) -> str:
    return f"{_number(interval['low'])} to {_number(interval['high'])}"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
