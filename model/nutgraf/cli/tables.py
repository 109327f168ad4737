"""Tables of metrics for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nutgraf.cli.console import say
from nutgraf.terminal import stdout_console, visible

if TYPE_CHECKING:
    from rich.text import Text

    from nutgraf_training.evaluation.metrics import Scores
    from nutgraf_training.train import TrainResult

__all__ = ["print_scores", "print_share"]

_FEW = 20  # articles below which an interval from resampling them means little


def print_share(result: TrainResult, *, from_corpus: bool) -> None:
    """Says what was trained on and what was split off."""
    trained = result.folder.manifest["training_data"]
    line = f"trained on {trained['articles']:,} articles, {trained['paragraphs']:,} paragraphs"
    if result.evaluation is not None:
        scores = result.evaluation.scores
        where = "split off" if from_corpus else "held out"
        line += f"; {where} {scores.articles:,} articles, {scores.paragraphs:,} labelled paragraphs"
    say(line)


def print_scores(scores: Scores | Mapping[str, Any], title: str) -> None:
    """Prints the per-label table, the totals with their intervals, and the confusion table."""
    from rich.table import Table
    from rich.text import Text

    record: Mapping[str, Any] = scores if isinstance(scores, Mapping) else scores.to_json()
    console = stdout_console()
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("label", overflow="fold")
    for name in ("precision", "recall", "F1"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("support", justify="right", no_wrap=True)
    for label, row in record["labels"].items():
        cells = [_short(row[key]) for key in ("precision", "recall", "f1")]
        table.add_row(Text(visible(label)), *cells, f"{int(row['support']):,}")
    console.print(Text(visible(title), style="bold"))
    articles, paragraphs = int(record["articles"]), int(record["paragraphs"])
    console.print(f"{articles:,} articles, {paragraphs:,} paragraphs; 95 % intervals over articles")
    console.print()
    console.print(table)
    console.print()
    for name, key in (("macro-F1", "macro_f1"), ("accuracy", "accuracy")):
        console.print(Text.assemble(f"{name:10}", (_with_interval(record[key]), "bold")))
    judged = sum(row["f1"]["value"] is not None for row in record["labels"].values())
    if judged < len(record["labels"]):
        console.print(f"macro-F1 is over {judged} of {len(record['labels'])} labels; the others do not occur here")
    if articles < _FEW:
        console.print(f"so few articles ({articles}) say little, whatever their intervals")
    console.print()
    confusion = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    confusion.add_column("given ↓  predicted →", no_wrap=True)
    for number in range(1, len(record["labels"]) + 1):
        confusion.add_column(str(number), justify="right")
    for number, (label, counts) in enumerate(record["confusion"].items(), 1):
        row_cells = [
            Text(str(count), style="bold" if other == label else "" if count else "dim")
            for other, count in ((other, int(figure)) for other, figure in counts.items())
        ]
        confusion.add_row(Text(f"{number} {visible(label)}"), *row_cells)
    console.print(confusion)


def _short(interval: Mapping[str, float | None]) -> Text:
    """``0.70 0.64–0.76``, narrow enough for three of them on a terminal of 80 columns."""
    from rich.text import Text

    if interval["value"] is None:
        return Text("–")
    if interval["low"] is None or interval["high"] is None:
        return Text(f"{float(interval['value']):.2f}")
    low, high = float(interval["low"]), float(interval["high"])
    return Text.assemble(f"{float(interval['value']):.2f} ", (f"{low:.2f}–{high:.2f}", "dim"))


def _with_interval(interval: Mapping[str, float | None]) -> str:
    if interval["value"] is None:
        return "–"
    if interval["low"] is None or interval["high"] is None:
        return f"{float(interval['value']):.3f}"
    return f"{float(interval['value']):.3f} [{float(interval['low']):.3f}, {float(interval['high']):.3f}]"
