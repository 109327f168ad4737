"""Tables of metrics for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nutgraf.cli.console import say
from nutgraf.terminal import stdout_console, visible

if TYPE_CHECKING:
    from rich.text import Text

    from nutgraf_training.evaluation.compare import Comparison
    from nutgraf_training.evaluation.evaluate import Evaluation
    from nutgraf_training.evaluation.metrics import Scores
    from nutgraf_training.evaluation.repeat import Spread
    from nutgraf_training.train import TrainResult

__all__ = ["print_comparison", "print_more", "print_scores", "print_share", "print_spread"]

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


def print_more(
    evaluation: Evaluation, *, by: Sequence[str], targets: Sequence[float], coverage: Sequence[float]
) -> None:
    """Prints the figures beyond the labels: lenient, of probabilities, thresholds, conformal sets, groups.

    Args:
        evaluation: of a model.
        by: fields to group by.
        targets: accuracies to choose thresholds for.
        coverage: levels of conformal sets.
    """
    from nutgraf_training.evaluation.quality import METRICS

    console = stdout_console()
    record = evaluation.to_json(by=by, targets=targets, coverage=coverage)
    console.print()
    for name, title in METRICS.items():
        if name not in {"macro_f1", "accuracy"}:
            console.print(f"{title:32}{_with_interval(record[name])}", markup=False)
    console.print(f"{'area under risk and coverage':32}{_with_interval(record['risk_coverage']['area'])}", markup=False)
    rows = [
        [
            each["label"] or "all labels",
            "–" if each["min_confidence"] is None else f"{each['min_confidence']:.3f}",
            _with_interval(each["accuracy"]),
            _with_interval(each["coverage"]),
            f"{each['target']:.0%}",
        ]
        for each in record.get("thresholds", ())
    ]
    if rows:
        console.print("\nThresholds, and what they give on articles that did not choose them:")
        _print_rows(["for", "min_confidence", "right", "left", "target"], rows)
    for each in record.get("conformal", ()):
        least, held, size = 1 - each["quantile"], _with_interval(each["coverage"]), _with_interval(each["size"])
        console.print(
            f"\nConformal sets at {each['level']:.1%}: all labels with a score of {least:.3f} or more; they hold the "
            f"given label for {held}, and have {size} labels (cross-fitted)",
            markup=False,
        )
    names = ("accuracy", "macro_f1", "log_loss", "ece")
    for field, groups in record.get("groups", {}).items():
        console.print(f"\nBy {visible(field)}, weakest first", markup=False)
        large = [group for group in groups if group["figures"] is not None]
        rows = [
            [g["value"], f"{g['articles']:,}", f"{g['paragraphs']:,}", *(_span(g["figures"][name]) for name in names)]
            for g in large
        ]
        if rows:
            _print_rows(["", "articles", "paragraphs", "accuracy", "macro-F1", "log-loss", "calib. error"], rows)
        if small := len(groups) - len(large):
            console.print(f"{small:,} groups are too small to say anything")


def print_spread(spread: Spread) -> None:
    """Prints what several seeds gave."""
    console = stdout_console()
    record = spread.to_json()
    console.print(f"{len(spread.seeds)} seeds on the same held-out articles")
    rows = []
    for name in ("macro_f1", "accuracy", "kappa", "mcc"):
        each = record[name]
        sd = "–" if each["sd"] is None else f"{each['sd']:.4f}"
        rows.append([name, f"{each['mean']:.3f}", sd, f"{each['low']:.3f}", f"{each['high']:.3f}"])
    _print_rows(["", "mean", "sd", "lowest", "highest"], rows)


def print_comparison(found: Comparison, title: str, *, show: int) -> None:
    """Prints models side by side, the differences of pairs, and some paragraphs that only one gets right.

    Args:
        found: the comparison.
        title: what was scored.
        show: how many such paragraphs of each kind.
    """
    from rich.text import Text

    console = stdout_console()
    one = next(iter(found.predictions.values()))
    scores = next(iter(found.scores.values()))
    console.print(Text(visible(title), style="bold"))
    console.print(f"{scores.articles:,} articles, {scores.paragraphs:,} paragraphs; 95 % intervals over articles\n")
    records = {name: each.to_json() for name, each in found.scores.items()}
    _print_rows(
        ["model", "macro-F1", "accuracy"],
        [[name, _with_interval(r["macro_f1"]), _with_interval(r["accuracy"])] for name, r in records.items()],
    )
    for pair in found.pairs:
        record = pair.to_json()
        console.print(f"\n{visible(pair.first)} less {visible(pair.second)}", style="bold", markup=False)
        for name, key in (("macro-F1", "macro_f1"), ("accuracy", "accuracy")):
            console.print(f"{name:10}{_with_interval(record[key])}", markup=False)
        verdict = "differs by more than chance" if pair.different else "may be chance"
        console.print(
            f"accuracy {verdict}; same label for {pair.agreement:.1%}; only the first right {len(pair.only_first):,}, "
            f"only the second {len(pair.only_second):,} (McNemar p = {pair.mcnemar:.2g}, which takes paragraphs for "
            "independent)",
            markup=False,
        )
        for name, rows in ((pair.first, pair.only_first), (pair.second, pair.only_second)):
            for row in rows[:show]:
                article = one.articles[one.article[row]]
                number = int(row - one.article.searchsorted(one.article[row]))
                label = one.label_set.labels[one.gold[row]]
                text = " ".join(article.paragraphs[number].text.split())[:100]
                where = f"{visible(article.id)} {number} {visible(label)}"
                console.print(f"  only {visible(name)}: {where}: {visible(text)}", markup=False)


def _print_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for number, name in enumerate(head):
        table.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    stdout_console().print(table)


def _span(interval: Mapping[str, float | None]) -> str:
    return _short(interval).plain
