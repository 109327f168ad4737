"""Speed as ratios, measured side by side in one run on two threads: our models and their peers."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import DEV, arguments, command_line, load, report
from benchmarks.environments import BATCH, HARNESS, PEERS, Bench
from nutgraf.registry import model_path

SEED = Path(__file__).parents[1] / "seeds" / "000_6814731f4ee210d7.txt"
ROUNDS = 3
#: What the peers are trained on here: what they have learned changes how large they are, and hardly how fast.
LEARNED = "newswire-train"
#: What Linux calls instructions that add up products of eight-bit integers in one step; eight bits are slower without.
DOT_PRODUCTS = {"avx512_vnni", "avx_vnni", "asimddp"}


def main() -> None:
    """Times every model in turn, several rounds, and prints medians."""
    options = arguments(__doc__ or "", bench=True, models=True)
    bench = Bench(options.bench, options.encoder)
    articles, held = load(options.corpora, LEARNED), load(options.corpora, *DEV)
    file, one = bench.write("held", held), bench.write("one", held[:1])
    models: dict[str, tuple[str, Path]] = {"nutgraf, the default": ("ours", model_path("default"))}
    models["nutgraf, `--model linear`"] = ("ours", model_path("linear"))
    for title, folder in options.models:
        models[f"nutgraf, {title}"] = ("ours", Path(folder))
    batches = {}
    for name in options.peers or PEERS:
        title, folder = PEERS[name].title, bench.model(name, articles)
        if name == "transformers":  # whose pipeline takes one at a time unless it is told otherwise
            models[f"{title}: its pipeline"] = (name, folder)
            batches[f"{title}: its pipeline"] = 1
            title = f"{title}: its pipeline, told to take {BATCH} texts at a time"
        models[title] = (name, folder)
    rounds: dict[str, list[dict[str, Any]]] = {title: [] for title in models}
    for _ in range(ROUNDS):
        for title, (name, folder) in models.items():
            batch = batches.get(title, BATCH)
            command = [str(bench.python(name)), str(HARNESS), module(name), "predict", str(folder), str(one)]
            cold = process(command, bench.variables(batch=batch))
            rounds[title].append({**bench.run(name, "time", folder, file, batch=batch), "cold": seconds(cold)})
    middle = {
        title: {key: statistics.median(each[key] for each in found) for key in found[0]}
        for title, found in rounds.items()
    }
    ours, fast = middle["nutgraf, the default"], has_dot_products()
    lines = [
        f"A processor {'with' if fast else 'without'} dot products of eight-bit integers; two threads; "
        f"medians of {ROUNDS} rounds in which all took turns; the 96 dev articles (1,375 paragraphs). The peers "
        f"learned {LEARNED} ({len(articles)} articles), which changes how large they are, and hardly how fast. "
        "`default is` is how many times as many paragraphs a second the default model gets through. Cold start is a "
        "new process that loads the model and annotates one article.",
        "",
        "| model | paragraphs a second | default is | one article: p50 | p99 | cold start | peak memory | on disk |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for title, (_, folder) in models.items():
        each = middle[title]
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        lines.append(
            f"| {title} | {each['paragraphs_per_second']:,.0f} | "
            f"{ours['paragraphs_per_second'] / each['paragraphs_per_second']:.2f} × | {1000 * each['p50']:.1f} ms | "
            f"{1000 * each['p99']:.1f} ms | {each['cold']:.2f} s | {each['peak_memory'] / 1e6:,.0f} MB | "
            f"{size / 1e6:,.1f} MB |"
        )
    lines += [
        "",
        "| command | seconds | `python -c 'import sklearn.linear_model'` | ratio |",
        "| --- | --- | --- | --- |",
    ]
    command = [str(Path(sys.executable).with_name("nutgraf"))]
    for name, argument in (
        ("`nutgraf predict` of one article", ["predict", str(SEED)]),
        ("the same with `--model linear`", ["predict", "--model", "linear", str(SEED)]),
        ("`nutgraf --help`", ["--help"]),
    ):
        a, b = in_turn(
            process([*command, *argument], bench.variables()),
            process([sys.executable, "-c", "import sklearn.linear_model"], bench.variables()),
            runs=9,
        )
        lines.append(f"| {name} | {a:.2f} | {b:.2f} | {a / b:.2f} |")
    section = "speed" if fast else "speed-without-dot-products"
    report(section, command_line("speed", options), lines, write=options.write)


def has_dot_products() -> bool:
    """Whether the processor has them; where no file of the system says, that is taken for granted."""
    file = Path("/proc/cpuinfo")
    return not file.is_file() or bool(DOT_PRODUCTS & set(file.read_text(encoding="utf-8").split()))


def module(name: str) -> str:
    """What the harness calls it."""
    return PEERS[name].module if name in PEERS else "nutgraf_tagger"


def seconds(do: Callable[[], object]) -> float:
    """Wall-clock seconds."""
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def in_turn(first: Callable[[], object], second: Callable[[], object], *, runs: int) -> tuple[float, float]:
    """Medians of runs that alternate, after one of each that is not counted."""
    pairs = [(seconds(first), seconds(second)) for _ in range(runs + 1)][1:]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def process(command: list[str], variables: dict[str, str]) -> Callable[[], object]:
    """Runs a command as a process of its own."""
    return lambda: subprocess.run(command, check=True, capture_output=True, env=variables)


if __name__ == "__main__":
    main()
