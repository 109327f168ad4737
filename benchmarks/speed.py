"""Speed as ratios, measured side by side in one run on one core: our prediction, fit and start against peers."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_threads] = "1"

from benchmarks.common import DEV, REAL, arguments, labels, load, plain_baseline, report, texts  # noqa: E402
from nutgraf.registry import load as load_model  # noqa: E402
from nutgraf_training.train import train  # noqa: E402

SEED = Path(__file__).parents[1] / "seeds" / "000_6814731f4ee210d7.txt"


def main() -> None:
    """Times fit, prediction and cold start; each pair in turn, medians and ratios of medians."""
    options = arguments(__doc__ or "")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    articles, held = load(options.corpora, "authored", *REAL), load(options.corpora, *DEV)
    baseline = plain_baseline()
    words, numbers, held_words = texts(articles), labels(articles), texts(held)
    theirs = seconds(lambda: baseline.fit(words, numbers))
    with tempfile.TemporaryDirectory() as folder:
        ours = seconds(lambda: train(articles, Path(folder) / "model", held_out=0.0))
        tagger = load_model(Path(folder) / "model")
    lines = [
        "| what | ours | the other | ours / the other |",
        "| --- | --- | --- | --- |",
        f"| training on all four sets, cross-fitting and calibration included | {ours:.1f} s | "
        f"fit of the plain baseline: {theirs:.1f} s | {ours / theirs:.2f} |",
    ]
    a, b = in_turn(lambda: list(tagger.predict_many(held)), lambda: baseline.predict(held_words), runs=9)
    lines.append(
        f"| prediction, {len(held_words):,} paragraphs | {len(held_words) / a:,.0f} a second | plain baseline: "
        f"{len(held_words) / b:,.0f} a second | {b / a:.1f} times as fast |"
    )
    command = [str(Path(sys.executable).with_name("nutgraf"))]
    imports = [sys.executable, "-c", "import sklearn.linear_model"]
    for name, ours_is in (
        ("`nutgraf predict` of one article from a cold shell", [*command, "predict", str(SEED)]),
        ("`nutgraf --help`", [*command, "--help"]),
    ):
        a, b = in_turn(process(ours_is), process(imports), runs=9)
        lines.append(f"| {name} | {a:.2f} s | `python -c 'import sklearn.linear_model'`: {b:.2f} s | {a / b:.2f} |")
    report("speed", "python -m benchmarks.speed --write", lines, write=options.write)


def seconds(do: Callable[[], object]) -> float:
    """Wall-clock seconds."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def in_turn(first: Callable[[], object], second: Callable[[], object], *, runs: int) -> tuple[float, float]:
    """Medians of runs that alternate, after one of each that is not counted."""
    pairs = [(seconds(first), seconds(second)) for _ in range(runs + 1)][1:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def process(command: list[str]) -> Callable[[], object]:
    """Runs a command as a process of its own."""
    return lambda: subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    main()
