"""Runs one peer in the environment it is installed in: fit, predict, time. Needs nothing but the standard library.

    python harness.py PEER fit TRAIN.jsonl FOLDER      trains on paragraphs and writes a model
    python harness.py PEER predict FOLDER HELD.jsonl   prints the labels, a list for each article
    python harness.py PEER time FOLDER HELD.jsonl      prints paragraphs a second, latencies, seconds to load, memory

A line of the files is an article: ``{"texts": [...], "labels": [...]}``. What the peers offer is a module with
``fit(texts, labels, folder)`` and ``load(folder)``, which gives a function from texts to labels; one that reads
paragraphs in their article has ``load_articles(folder)`` instead, for lists of texts and lists of labels.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

THREADS = "2"
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[_name] = THREADS
if hasattr(os, "sched_setaffinity"):  # for those that count the cores that they may use
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(THREADS)])
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "true"


def articles(file: str) -> list[dict[str, Any]]:
    """The lines of a file."""
    with Path(file).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def flat(predict: Callable[[list[str]], Any]) -> Callable[[list[list[str]]], list[list[str]]]:
    """For peers that see no articles."""

    def labels(held: list[list[str]]) -> list[list[str]]:
        found = iter(predict([text for article in held for text in article]))
        return [[str(next(found)) for _ in article] for article in held]

    return labels


def main(peer: str, mode: str, first: str, second: str) -> dict[str, Any]:
    """Does what the command line says."""
    sys.path.insert(0, str(Path(__file__).parent))
    module = importlib.import_module(peer)
    if mode == "fit":
        rows = articles(first)
        start = time.perf_counter()
        module.fit([t for r in rows for t in r["texts"]], [label for r in rows for label in r["labels"]], second)
        return {"seconds": time.perf_counter() - start}
    start = time.perf_counter()
    predict = module.load_articles(first) if hasattr(module, "load_articles") else flat(module.load(first))
    loading = time.perf_counter() - start
    held = [article["texts"] for article in articles(second)]
    if mode == "predict":
        return {"labels": predict(held)}
    predict(held[:3])
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        predict(held)
        rounds.append(sum(map(len, held)) / (time.perf_counter() - start))
    each = []
    for article in held:
        start = time.perf_counter()
        predict([article])
        each.append(time.perf_counter() - start)
    return {
        "paragraphs_per_second": statistics.median(rounds),
        "p50": statistics.median(each),
        "p99": statistics.quantiles(each, n=100)[98],
        "loading": loading,
        "peak_memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    _result = main(*sys.argv[1:5])
    print("\n" + json.dumps(_result))
