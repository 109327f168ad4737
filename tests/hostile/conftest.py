"""Runs many commands in forked processes, two at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

WORKER = Path(__file__).with_name("worker.py")


@dataclass(frozen=True)
class Job:
    """One command.

    Attributes:
        name: of the job.
        args: of ``nutgraf``.
        folder: its own, for what it writes.
        input: the file that it reads.
        kind: what its output has to be: ``jsonl`` or ``table`` on standard output, ``out`` a file, or ``other``.
        out: the file that it writes.
        stdin: the file that it gets as standard input.
        codes: the exit codes that are right.
    """

    name: str
    args: list[str]
    folder: str
    input: str
    kind: str
    out: str | None = None
    stdin: str | None = None
    codes: tuple[int, ...] = (0, 1)


@dataclass(frozen=True)
class Outcome:
    """How a command ended.

    Attributes:
        code: its exit code, or the signal that killed it as a negative number.
        seconds, megabytes: what it took: processor time, of user and system, and peak memory.
        stderr: the end of its standard error.
        problems: what is wrong with what it wrote.
    """

    code: int
    seconds: float
    megabytes: float
    stderr: str
    problems: list[str]


Runner = Callable[..., dict[str, Outcome]]  # of jobs as mappings, whose folder is by default that of their input


@pytest.fixture(scope="session")
def run_jobs() -> Runner:
    """Performs jobs; gives their outcomes by name."""

    def run(jobs: Iterable[dict[str, Any]], *, training: bool = False) -> dict[str, Outcome]:
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        arguments = [sys.executable, str(WORKER), *(["training"] if training else [])]
        queue: SimpleQueue[Job] = SimpleQueue()
        for job in jobs:
            queue.put(Job(**{"folder": str(Path(job["input"]).parent), **job}))

        def work() -> dict[str, Outcome]:
            done = {}
            with subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            ) as worker:
                assert worker.stdin is not None
                assert worker.stdout is not None
                while True:
                    try:
                        job = queue.get_nowait()
                    except Empty:
                        break
                    Path(job.folder).mkdir(parents=True, exist_ok=True)
                    worker.stdin.write(json.dumps(vars(job)) + "\n")
                    worker.stdin.flush()
                    done[job.name] = Outcome(**json.loads(worker.stdout.readline()))
                worker.stdin.close()
            return done

        with ThreadPoolExecutor(2) as pool:
            first, second = pool.submit(work), pool.submit(work)
            return first.result() | second.result()

    return run
