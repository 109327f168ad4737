"""Runs hostile commands, each in a forked child of a process that has imported everything; one job a line of JSON.

``python worker.py [training]`` reads jobs from standard input and answers each on standard output. Forking gives every
command a process of its own, whose time and memory the system counts, for a tenth of the cost of starting Python.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import math
import os
import resource
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

ADDRESS_SPACE = 6 << 30  # so that what is meant to eat all memory hurts nobody else
PATIENCE = 60  # seconds by the clock after which a command is killed, on a machine that others use, too
Problems = Iterator[str]
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def serve() -> None:
    """Answers jobs until standard input ends."""
    import onnxruntime  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import rich.table  # noqa: F401
    import tokenizers  # noqa: F401

    import nutgraf.cli
    import nutgraf.encoder

    if "training" in sys.argv[1:]:
        import datasketch  # noqa: F401

        import nutgraf_training.linear
        import nutgraf_training.train  # noqa: F401
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        # Imports the rest. The encoder is not run: the threads of its tokenizer would be missing in the children.
        nutgraf.cli.app(["predict", __file__, "--format", "text", "--json", "--model", "linear"])
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(perform(job)), flush=True)


def perform(job: dict[str, Any]) -> dict[str, Any]:
    """Runs a job's command; says how it ended, what it took, and what is wrong with its output."""
    folder = Path(job["folder"])
    status, usage = in_child(lambda: command(job, folder))
    answer: dict[str, Any] = {
        "code": -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status),
        "seconds": usage.ru_utime + usage.ru_stime,
        "megabytes": usage.ru_maxrss / 1024,
        "stderr": (folder / "stderr").read_text("utf-8", "replace")[-4000:],
    }
    in_child(lambda: verdict(job, folder, answer))
    answer["problems"] = json.loads((folder / "verdict").read_text())
    for name in ("stdout", "stderr", "verdict"):
        (folder / name).unlink()
    return answer


def in_child(act: Callable[[], None]) -> tuple[int, resource.struct_rusage]:
    """Status and resources of a forked process that does one thing."""
    child = os.fork()
    if not child:
        code = 70
        try:
            act()
            code = 0
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
    _, status, usage = os.wait4(child, 0)
    return status, usage


def command(job: dict[str, Any], folder: Path) -> NoReturn:
    """Becomes ``nutgraf …``."""
    import nutgraf.cli

    given = os.open(job["stdin"] or os.devnull, os.O_RDONLY)
    for number, target in enumerate((given, made(folder / "stdout"), made(folder / "stderr"))):
        os.dup2(target, number)
    # The streams that the parent had go on with these descriptors.
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), "utf-8")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    signal.alarm(PATIENCE)
    nutgraf.cli.app(job["args"], prog_name="nutgraf")
    raise SystemExit(0)


def made(path: Path) -> int:
    """A descriptor of a new file."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)


def verdict(job: dict[str, Any], folder: Path, answer: dict[str, Any]) -> None:
    """Writes the list of what is wrong."""
    try:
        problems = list(itertools.islice(judge(job, folder, answer), 5))
    except Exception as error:
        problems = [f"the output cannot be judged: {error!r}"]
    (folder / "verdict").write_text(json.dumps(problems))


def judge(job: dict[str, Any], folder: Path, answer: dict[str, Any]) -> Problems:
    """Yields what is wrong with an answer."""
    errors = (folder / "stderr").read_text("utf-8")
    with (folder / "stdout").open(encoding="utf-8", newline="\n") as stream:
        head = stream.read(10_000)
    if "Traceback" in errors or "Traceback" in head:
        yield "a traceback"
    if answer["code"] not in job["codes"]:
        yield f"exit code {answer['code']}, expected one of {job['codes']}"
    if any(unicodedata.category(char) in HIDDEN for char in errors.replace("\n", "")):
        yield "a raw control character on standard error"
    if answer["code"] == 1 and job["kind"] != "other":
        said = errors.splitlines()
        if len(said) != 1 or not said[0].startswith("error: "):
            yield f"{len(said)} lines on standard error, expected one that begins with 'error: '"
        elif len(said[0]) > 10_000:
            yield f"an error of {len(said[0]):,} characters"
    if job["kind"] == "table":
        with (folder / "stdout").open(encoding="utf-8", newline="\n") as stream:
            for line in stream:
                if bad := {char for char in line[:-1] if unicodedata.category(char) in HIDDEN}:
                    yield f"raw {sorted(map(ascii, bad))} in a table"
    if job["kind"] == "jsonl":
        with (folder / "stdout").open(encoding="ascii", newline="\n") as stream:
            yield from lines(stream, job, complete=not answer["code"])
    if job["kind"] == "out":
        yield from written(Path(job["out"]), job, answer)


def written(path: Path, job: dict[str, Any], answer: dict[str, Any]) -> Problems:
    """Yields what is wrong with an output file."""
    if left := [found.name for found in path.parent.iterdir() if found.name.startswith(".")]:
        yield f"left behind: {left}"
    if answer["code"]:
        if path.exists():
            yield "an output file in spite of an error"
    elif path.suffix == ".parquet":
        yield from table(path)
    else:
        with path.open(encoding="ascii", newline="\n") as stream:
            yield from lines(stream, job, complete=True)


def lines(stream: IO[str], job: dict[str, Any], *, complete: bool) -> Problems:
    """Yields what is wrong with JSON lines of annotations."""
    from nutgraf_data.errors import DataError
    from nutgraf_data.readers import read_articles

    source = read_articles("-" if job["stdin"] else job["input"])
    if job["stdin"]:
        sys.stdin = io.TextIOWrapper(open(job["stdin"], "rb"), "utf-8")  # noqa: SIM115

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    for number, line in enumerate(stream, 1):
        record = json.loads(line, parse_constant=refuse)
        article = next(source)
        if record["id"] != article.id or len(record["segments"]) != len(article.paragraphs):
            yield f"record {number} is not article {number}"
        end = 0
        for index, segment in enumerate(record["segments"]):
            scores, text = segment["scores"], segment["text"]
            where = f"record {number}, segment {index}"
            if segment["paragraph"] != index:
                yield f"{where}: its paragraph is {segment['paragraph']}"
            if not end <= segment["start"] < segment["end"] or not text.strip():
                yield f"{where}: offsets {segment['start']} to {segment['end']}"
            end = segment["end"]
            if article.source[segment["start"] : end] != text:
                yield f"{where}: its text does not stand at its offsets"
            if segment["label"] != max(scores, key=scores.__getitem__) or segment["confidence"] != max(scores.values()):
                yield f"{where}: its label has not the highest score"
            if not math.isclose(sum(scores.values()), 1.0, abs_tol=1e-9) or min(scores.values()) < 0:
                yield f"{where}: its scores sum to {sum(scores.values())}"
    if complete:
        with contextlib.suppress(DataError, StopIteration):
            yield f"article {next(source).id!r} is missing"


def table(path: Path) -> Problems:
    """Yields what is wrong with a table of segments."""
    import pyarrow.parquet

    found = pyarrow.parquet.read_table(path)
    if not found.num_rows:
        return
    scores = [name for name in found.column_names if name.startswith("score_")]
    for row in found.select([*scores, "start", "end", "text", "label", "confidence"]).to_pylist():
        if row[f"score_{row['label']}"] != row["confidence"] or len(row["text"]) != row["end"] - row["start"]:
            yield f"a row that contradicts itself: {str(row)[:200]}"


if __name__ == "__main__":
    serve()
