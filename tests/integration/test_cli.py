"""The command line: what it prints where, what it writes, and how it ends."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from nutgraf import __version__
from nutgraf.artefact import write_model
from nutgraf.cli import app
from nutgraf_data.article import Article, Paragraph
from nutgraf_data.labels import NEWS_ROLES, LabelSet
from nutgraf_data.readers import read_articles

TEXT = "Fire broke out at the port on Monday.\n\nThe mayor said nobody was hurt.\n"
COMMANDS = ["predict", "train", "evaluate", "compare", "data", "labels", "model"]
SUBCOMMANDS = ["data audit", "data check", "data join", "data split", "data stats", "model show"]
COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-7]|9[0-7]|38;[\d;]+)m")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and a plain terminal."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def article(here: Path) -> Path:
    (here / "article.txt").write_text(TEXT, encoding="utf-8")
    return here / "article.txt"


def nutgraf(*args: str | Path, input: str | None = None) -> Result:
    """A command in this process."""
    result = CliRunner().invoke(app, [*map(str, args)], input=input, prog_name="nutgraf")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def jsonl(path: Path, articles: Sequence[Article]) -> Path:
    path.write_text("".join(json.dumps(a.to_json()) + "\n" for a in articles), encoding="utf-8")
    return path


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


# --- help -----------------------------------------------------------------------------------------


def test_help_lists_every_command() -> None:
    result = nutgraf("--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert sorted(re.findall(r"^│ ([a-z]+) ", result.stdout, re.M)) == sorted(COMMANDS)
    for group in ("data", "model"):
        listed = re.findall(r"^│ ([a-z]+) ", nutgraf(group, "--help").stdout, re.M)
        assert listed == [name.split()[1] for name in SUBCOMMANDS if name.startswith(group)]


@pytest.mark.parametrize("command", ["", *COMMANDS, *SUBCOMMANDS])
def test_every_help_has_an_example(command: str) -> None:
    for option in ("--help", "-h"):
        result = nutgraf(*command.split(), option)
        assert result.exit_code == 0
        text = " ".join(result.stdout.split())
        assert re.search(rf"Examples?: .*nutgraf {command}", text)
        assert f"Usage: nutgraf {command}".strip() in text


def test_examples_parse() -> None:
    """Every option in an example exists."""
    for command in [*COMMANDS, *SUBCOMMANDS]:
        text = " ".join(nutgraf(*command.split(), "--help").stdout.split())
        options, examples = re.split(r"Examples?: ", text)
        for option in re.findall(r"--[a-z-]+", examples):
            assert command in {"data", "model"} or f"{option} " in options, option


def test_version() -> None:
    result = nutgraf("--version")
    assert (result.exit_code, result.stdout) == (0, f"nutgraf {__version__}\n")


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["nonsense"],
        ["predict"],
        ["predict", "a.txt", "--nonsense"],
        ["predict", "a.txt", "--json", "--table"],
        ["predict", "a.txt", "--min-confidence", "2"],
        ["predict", "a.txt", "--min-confidence", "analysis=x"],
        ["predict", "a.txt", "--min-confidence", "0.5", "--min-confidence", "0.6"],
        ["predict", "a.txt", "--out", "a.jsonl", "--html", "a.html"],
        ["evaluate", "default", "authored", "--seeds", "2"],
        ["evaluate", "default", "authored", "--train", "authored"],
        ["compare", "default", "authored"],
        ["compare", "default", "default", "authored"],
        ["predict", "a.txt", "--column", "text"],
        ["predict", "a.txt", "--on-error", "ignore"],
        ["train", "authored"],
        ["train", "authored", "--out", "m", "--split", "s.json", "--dev", "authored"],
        ["evaluate", "default"],
        ["data", "split", "authored", "--by", "weather"],
        ["data", "split", "authored", "--show", "a", "--out", "b"],
        ["labels", "--model", "default", "--file", "x.toml"],
    ],
)
def test_usage_errors_exit_with_2(here: Path, args: list[str]) -> None:
    result = nutgraf(*args)
    assert result.exit_code == 2
    assert "Usage: nutgraf" in result.stderr + result.stdout
    assert result.stdout == "" or args == []
    assert not list(here.iterdir())


# --- predict --------------------------------------------------------------------------------------


def test_json_lines_when_piped(run: Run, article: Path) -> None:
    done = run("predict", article)
    assert (done.returncode, done.stderr) == (0, "")
    (record,) = lines(done.stdout)
    assert [s["text"] for s in record["segments"]] == TEXT.strip().split("\n\n")
    assert set(record["segments"][0]["scores"]) == set(NEWS_ROLES.labels)
    assert nutgraf("predict", article, "--json").stdout == done.stdout


def test_a_table_on_request(article: Path) -> None:
    result = nutgraf("predict", article, "--table")
    assert result.exit_code == 0
    assert "Fire broke out at the port on Monday." in result.stdout
    assert "\x1b" not in result.stdout


def test_standard_input(article: Path) -> None:
    result = nutgraf("predict", "-", input=TEXT)
    (record,) = lines(result.stdout)
    (named,) = lines(nutgraf("predict", article).stdout)
    assert record["segments"] == named["segments"]
    as_json = json.dumps({"id": "7", "paragraphs": TEXT.strip().split("\n\n")})
    (record,) = lines(nutgraf("predict", "-", input=as_json + "\n").stdout)
    assert record["id"] == "7"
    assert [s["scores"] for s in record["segments"]] == [s["scores"] for s in named["segments"]]


def test_folders_and_many_inputs(here: Path, article: Path, unseen: list[Article]) -> None:
    folder = here / "folder"
    (folder / "deeper").mkdir(parents=True)
    (folder / "b.txt").write_text(TEXT)
    (folder / "deeper" / "c.txt").write_text(TEXT)
    jsonl(folder / "a.jsonl", unseen[:2])
    (folder / "ignored.png").write_bytes(b"\x89PNG")
    result = nutgraf("predict", article, folder)
    assert result.exit_code == 0
    ids = [record["id"] for record in lines(result.stdout)]
    assert ids == ["article", unseen[0].id, unseen[1].id, "b", "deeper/c"]


def test_tables_with_columns(here: Path) -> None:
    with (here / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["doc", "body", "role", "page"])
        writer.writerows([["1", "A fire.", "analysis", "4"], ["1", "A flood.", "", "5"], ["2", "A storm.", "", ""]])
    result = nutgraf("predict", "rows.csv")
    assert result.exit_code == 1
    assert "has no column 'text' for text; found 'doc', 'body', 'role', 'page'; name the column" in result.stderr
    columns = ["--column", "article=doc", "--column", "text=body", "--column", "label=role"]
    one, two = lines(nutgraf("predict", "rows.csv", *columns).stdout)
    assert (one["id"], two["id"]) == ("1", "2")
    assert [s["text"] for s in one["segments"]] == ["A fire.", "A flood."]
    assert one["paragraph_fields"][0] == {"label": "analysis", "page": "4"}


def test_notes_on_what_one_may_not_expect(here: Path, article: Path) -> None:
    assert nutgraf("predict", article).stderr == ""
    (here / "lines.txt").write_text("One.\nTwo.\nThree.\nFour.\nFive.\n", encoding="utf-8")
    result = nutgraf("predict", "lines.txt")
    assert result.stderr == (
        "note: 1 articles, the first 'lines', have many lines but no blank one and were read as one paragraph each; "
        "--format lines reads a paragraph a line\n"
    )
    (record,) = lines(nutgraf("predict", "lines.txt", "--format", "lines").stdout)
    assert [segment["text"] for segment in record["segments"]] == ["One.", "Two.", "Three.", "Four.", "Five."]
    (here / "mix").mkdir()
    (here / "mix" / "a.txt").write_text("One.", encoding="utf-8")
    (here / "mix" / "page.html").write_text("<p>", encoding="utf-8")
    (here / "mix" / ".hidden.doc").write_text("", encoding="utf-8")
    result = nutgraf("predict", "mix")
    assert result.stderr == "note: mix: 1 files of other types are not read: page.html\n"
    (here / "mix" / "page.html").rename(here / "mix" / "page.log")
    result = nutgraf("predict", "mix", "--format", "text")
    assert result.stderr == ""
    assert [record["id"] for record in lines(result.stdout)] == ["a", "page"]
    (here / "none.jsonl").touch()
    result = nutgraf("predict", "none.jsonl")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "note: no article was found in the input\n"


def test_the_note_on_lines_comes_once_and_only_where_it_is_true(here: Path) -> None:
    solid = "One.\nTwo.\nThree.\nFour.\nFive."
    jsonl(here / "many.jsonl", [Article.from_paragraphs([solid], id=f"a{number}") for number in range(1500)])
    result = nutgraf("predict", "many.jsonl")
    assert result.stderr.startswith("note: 1,500 articles, the first 'a0', have many lines but no blank one")
    assert result.stderr.count("\n") == 1
    (here / "dated.txt").write_text("date 2024-05-01\n \n" + solid, encoding="utf-8")
    result = nutgraf("predict", "dated.txt")
    assert len(lines(result.stdout)[0]["segments"]) == 1
    assert result.stderr == ""


def test_a_saved_data_set_is_read_without_a_note(here: Path) -> None:
    datasets = pytest.importorskip("datasets")
    rows = {"id": ["1"], "paragraphs": [["A fire.", "A flood."]]}
    datasets.Dataset.from_dict(rows).save_to_disk(here / "saved")
    result = nutgraf("predict", "saved")
    assert (result.exit_code, result.stderr) == (0, "")
    assert lines(result.stdout)[0]["id"] == "1"


def test_min_confidence_and_model(article: Path, tiny_model: Path) -> None:
    (record,) = lines(nutgraf("predict", article, "--min-confidence", "1", "--model", tiny_model).stdout)
    assert all(segment["abstained"] for segment in record["segments"])
    assert record["model"] == json.loads(nutgraf("model", "show", tiny_model, "--json").stdout)["fingerprint"]


def test_min_confidence_by_label(article: Path, tiny_model: Path) -> None:
    (record,) = lines(nutgraf("predict", article, "--model", tiny_model).stdout)
    label = record["segments"][0]["label"]
    (strict,) = lines(nutgraf("predict", article, "--min-confidence", f"{label}=1", "--model", tiny_model).stdout)
    assert [s["abstained"] for s in strict["segments"]] == [s["label"] == label for s in strict["segments"]]
    unknown = nutgraf("predict", article, "--min-confidence", "analysys=0.5", "--model", tiny_model)
    assert unknown.exit_code == 1
    assert "did you mean 'analysis'?" in unknown.stderr


def test_a_page(here: Path, article: Path, tiny_model: Path) -> None:
    args: list[str | Path] = ["predict", article, "--html", "a.html", "--model", tiny_model]
    made = nutgraf(*args)
    assert (made.exit_code, made.stdout) == (0, "")
    page = (here / "a.html").read_text(encoding="utf-8")
    assert "Fire broke out at the port on Monday." in page
    assert "words for and against" in page
    again = nutgraf(*args)
    assert again.exit_code == 1
    assert "exists already" in again.stderr
    assert nutgraf(*args, "--force").exit_code == 0


def test_bad_input_exits_with_1(here: Path) -> None:
    (here / "empty.txt").write_text(" \n")
    (here / "bad.jsonl").write_text("{\n")
    for args in (["predict", "none.txt"], ["predict", "empty.txt"], ["predict", "bad.jsonl"]):
        result = nutgraf(*args)
        assert (result.exit_code, result.stdout) == (1, "")
        assert re.fullmatch(rf"error: {args[1]}.*\n", result.stderr)
    result = nutgraf("predict", "empty.txt", "--model", "nowhere")
    assert result.exit_code == 1
    assert "'nowhere' is no folder and no bundled model" in result.stderr


def test_on_error_skip(here: Path, article: Path) -> None:
    good = json.dumps({"id": "good", "paragraphs": ["A fire."]})
    (here / "mixed.jsonl").write_text(f"{good}\nnonsense\n{good.replace('good', 'other')}\n")
    stopped = nutgraf("predict", "mixed.jsonl", article)
    assert stopped.exit_code == 1
    assert [record["id"] for record in lines(stopped.stdout)] == ["good"]
    assert stopped.stderr.startswith("error: mixed.jsonl:2: ")
    skipped = nutgraf("predict", "mixed.jsonl", "none.txt", article, "--on-error", "skip")
    assert skipped.exit_code == 1
    assert [record["id"] for record in lines(skipped.stdout)] == ["good", "other", "article"]
    messages = [line.split(":")[0] for line in skipped.stderr.splitlines()]
    assert messages == ["skipped", "skipped", "2 skipped, see above"]
    fine = nutgraf("predict", article, "--on-error", "skip")
    assert (fine.exit_code, fine.stderr) == (0, "")


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_out(here: Path, article: Path, name: str) -> None:
    result = nutgraf("predict", article, "--out", name)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"wrote 1 articles to {name}\n")
    before = (here / name).read_bytes()
    again = nutgraf("predict", article, "--out", name)
    assert again.exit_code == 1
    assert f"error: {name}: exists already; use --force" in again.stderr
    assert (here / name).read_bytes() == before
    assert nutgraf("predict", article, "--out", name, "--min-confidence", "1", "--force").exit_code == 0
    assert (here / name).read_bytes() != before
    assert sorted(path.name for path in here.iterdir()) == sorted(["article.txt", name])


def test_out_is_never_an_input(here: Path, unseen: list[Article]) -> None:
    corpus = jsonl(here / "corpus.jsonl", unseen[:1])
    before = corpus.read_bytes()
    for target in ("corpus.jsonl", str(corpus), "./corpus.jsonl"):
        result = nutgraf("predict", "corpus.jsonl", "--out", target, "--force")
        assert result.exit_code == 1
        assert "the output file is one of the inputs" in result.stderr
    assert corpus.read_bytes() == before
    assert nutgraf("predict", "corpus.jsonl", "--out", "out.csv").exit_code == 1


def test_an_error_in_the_middle_leaves_no_file(here: Path) -> None:
    good = json.dumps({"id": "good", "paragraphs": ["A fire."]})
    (here / "mixed.jsonl").write_text(f"{good}\nnonsense\n")
    for name in ("out.jsonl", "out.parquet"):
        assert nutgraf("predict", "mixed.jsonl", "--out", name).exit_code == 1
    assert [path.name for path in here.iterdir()] == ["mixed.jsonl"]


@pytest.mark.parametrize("name", ["out.jsonl", "out.parquet"])
def test_an_interrupt_leaves_no_half_file(here: Path, nutgraf_command: list[str], name: str) -> None:
    # A shell that runs tests in the background has its children ignore SIGINT.
    restore = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [*nutgraf_command[:2], restore + nutgraf_command[2], "predict", "-", "--format", "jsonl", "--out", name]
    good = json.dumps({"id": "good", "paragraphs": ["A fire."]})
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        assert process.stdout is not None
        process.stdin.write(good + "\n")
        process.stdin.flush()  # and it waits for more
        deadline = time.monotonic() + 30
        while not list(here.glob(f".{name}.*")):
            assert time.monotonic() < deadline, "nothing was begun"
            time.sleep(0.02)
        time.sleep(0.3)  # from making the file to waiting for input
        process.send_signal(signal.SIGINT)
        process.wait(30)
        errors, out = process.stderr.read(), process.stdout.read()
    assert process.returncode == 130
    assert errors == "interrupted\n"
    assert out == ""
    assert not list(here.iterdir())


@pytest.mark.parametrize("form", ["--json", "--table"])
def test_a_closed_pipe(nutgraf_command: list[str], form: str) -> None:
    with subprocess.Popen(
        [*nutgraf_command, "predict", "authored", form],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert len(process.stdout.readline()) > 10
        process.stdout.close()
        errors = process.stderr.read()
        process.wait(30)
    assert errors == ""
    assert process.returncode == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize(
    "args",
    [
        ["predict", "article.txt", "--json"],
        ["predict", "article.txt", "--table"],
        ["predict", "authored", "--json"],
        ["data", "check", "article.txt"],
        ["model", "show"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk(nutgraf_command: list[str], article: Path, args: list[str], unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*nutgraf_command, *args],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: the output cannot be written: No space left on device"
    assert "Traceback" not in done.stderr
    assert "ignored" not in done.stderr


def test_an_error_of_a_file_is_one_line(article: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", "some.file")

    monkeypatch.setattr("nutgraf.registry.load", refuse)
    result = nutgraf("predict", article)
    assert (result.exit_code, result.stderr) == (1, "error: some.file: Permission denied\n")


def on_terminal(command: list[str], *, stdout: int | None = None, **env: str) -> str:
    """What a command shows on a terminal of 100 columns; ``stdout`` sends the results elsewhere."""
    master, slave = pty.openpty()
    plain = {key: value for key, value in os.environ.items() if key not in {"NO_COLOR", "FORCE_COLOR"}}
    settings = {**plain, "TERM": "xterm-256color", "COLUMNS": "100", **env}
    with subprocess.Popen(command, stdin=slave, stdout=stdout or slave, stderr=slave, env=settings) as process:
        os.close(slave)
        shown, deadline = b"", time.monotonic() + 300
        while time.monotonic() < deadline:
            if not select.select([master], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            shown += piece
        else:
            process.kill()  # or it would wait for a reader for ever, and the test for it
        process.wait(10)
    os.close(master)
    assert process.returncode == 0, shown
    return shown.decode("utf-8")


def test_a_terminal_gets_a_coloured_table(nutgraf_command: list[str], article: Path) -> None:
    command = [*nutgraf_command, "predict", str(article)]
    shown = on_terminal(command)
    assert COLOUR.search(shown)
    assert "Fire broke out at the port on Monday." in shown
    plain = on_terminal(command, NO_COLOR="1")
    assert not COLOUR.search(plain)
    strip = re.compile(r"\x1b\[[\d;?]*[a-zA-Z]")
    assert strip.sub("", plain) == strip.sub("", shown)
    record = on_terminal([*command, "--json"])
    assert "\x1b" not in record
    assert len(lines(record)) == 1


def test_progress_stays_out_of_the_results(here: Path, nutgraf_command: list[str]) -> None:
    with (here / "results.jsonl").open("wb") as results:
        shown = on_terminal([*nutgraf_command, "predict", "authored"], stdout=results.fileno())
    assert "annotating" in shown
    assert "segments" not in shown
    assert len(lines((here / "results.jsonl").read_text(encoding="ascii"))) == 120


# --- data -----------------------------------------------------------------------------------------


def test_check_lists_everything(here: Path, unseen: list[Article]) -> None:
    records = [article.to_json() for article in unseen[:3]]
    records[0]["paragraphs"][0]["label"] = "incident_raport"
    records[1]["paragraphs"][1]["label"] = "backgroud"
    records[2]["id"] = records[0]["id"]
    text = "".join(json.dumps(record) + "\n" for record in records) + "nonsense\n"
    (here / "bad.jsonl").write_text(text)
    (here / "labels.json").write_text(json.dumps({"labels": list(NEWS_ROLES.labels)}))
    result = nutgraf("data", "check", "bad.jsonl", "none.txt", "--labels", "labels.json")
    assert result.exit_code == 1
    found = result.stdout
    for part in (
        "error: bad.jsonl:4: is not valid JSON",
        "error: none.txt: ",
        "'incident_raport'; did you mean 'incident_report'? [unknown-label]",
        "'backgroud'; did you mean 'background'? [unknown-label]",
        "occurs again",
        "[duplicate-id]",
        "warning: ",
        "[rare-label]",
    ):
        assert part in found, part
    assert re.fullmatch(r"3 articles: 5 errors, \d+ warnings\n", result.stderr)
    record = json.loads(nutgraf("data", "check", "bad.jsonl", "none.txt", "--labels", "labels.json", "--json").stdout)
    assert (record["articles"], record["errors"]) == (3, 5)
    assert len(record["problems"]) == 5 + record["warnings"] == len(found.splitlines())
    assert set(record["problems"][0]) == {"level", "code", "message", "path", "line"}


def test_check_of_a_sound_corpus() -> None:
    result = nutgraf("data", "check", "authored")
    assert result.exit_code == 0
    assert "error" not in result.stdout
    assert result.stderr.startswith("120 articles: 0 errors, ")


def test_check_finds_leaks(here: Path, unseen: list[Article]) -> None:
    jsonl(here / "train.jsonl", unseen[:6])
    jsonl(here / "test.jsonl", unseen[5:8])
    result = nutgraf("data", "check", "train.jsonl", "--held-out", "test.jsonl")
    assert result.exit_code == 1
    assert f"the held-out article {unseen[5].id!r} is in the training corpus too" in result.stdout


def test_split_shows_labels_as_they_are(here: Path, unseen: list[Article]) -> None:
    records = [article.to_json() for article in unseen]
    for record in records:
        for paragraph, label in zip(record["paragraphs"], ("[/x]", "[red]:fire:", "\x1b[2J"), strict=False):
            paragraph["label"] = label
    (here / "odd.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    result = nutgraf("data", "split", "odd.jsonl")
    assert result.exit_code == 0
    for label in ("[/x]", "[red]:fire:", "\\u{1b}[2J"):
        assert re.search(rf"^{re.escape(label)} +\d", result.stdout, re.M), label
    assert "\x1b" not in result.stdout


def test_stats(here: Path, unseen: list[Article]) -> None:
    jsonl(here / "a.jsonl", unseen)
    record = json.loads(nutgraf("data", "stats", "a.jsonl", "--json").stdout)
    assert (record["articles"], record["paragraphs"]) == (20, sum(len(a.paragraphs) for a in unseen))
    shown = nutgraf("data", "stats", "a.jsonl").stdout
    assert "articles: 20\n" in shown


def test_join_recovers_the_shipped_labels(here: Path, shared: Path) -> None:
    texts = shared / "corpora" / "newsdiscourse" / "train.zip"
    if not texts.is_file():
        pytest.skip(f"{texts} is not there; NUTGRAF_SHARED names another folder")
    result = nutgraf("data", "join", "newswire-train", texts, "--out", "train.jsonl", "--json")
    assert result.exit_code == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["total"] == 6170
    assert record["matched"] / record["total"] >= 0.995
    assert "wrote " in result.stderr
    joined = list(read_articles(here / "train.jsonl"))
    assert len(joined) == record["articles"]
    assert sum(p.label is not None for a in joined for p in a.paragraphs) == record["matched"]
    again = nutgraf("data", "join", "newswire-train", texts, "--out", "train.jsonl")
    assert again.exit_code == 1
    assert "exists already; use --force" in again.stderr


def test_data_commands_never_write_over_their_input(here: Path, unseen: list[Article]) -> None:
    corpus = jsonl(here / "corpus.jsonl", unseen[:4])
    before = corpus.read_bytes()
    for args in (["join", "newswire-dev", "corpus.jsonl"], ["split", "./corpus.jsonl"]):
        result = nutgraf("data", *args, "--out", corpus, "--force")
        assert result.exit_code == 1
        assert "the output file is one of the inputs" in result.stderr
    assert corpus.read_bytes() == before


def test_join_of_other_texts(here: Path, article: Path) -> None:
    result = nutgraf("data", "join", "newswire-dev", article, "--out", "dev.jsonl")
    assert result.exit_code == 1
    assert "none of the labelled paragraphs was found in the texts" in result.stderr
    assert not (here / "dev.jsonl").exists()
    misspelt = nutgraf("data", "join", "newswire-dv", article, "--out", "dev.jsonl")
    assert misspelt.exit_code == 1
    assert "those that do are newswire-train, newswire-dev," in misspelt.stderr


# --- train, evaluate, model, labels ---------------------------------------------------------------


@pytest.fixture
def recipe(here: Path) -> Path:
    (here / "tiny.toml").write_text('kind = "linear"\n[features]\nbits = 16\n[fit]\nfolds = 3\n')
    return here / "tiny.toml"


def test_split_train_and_evaluate_work_together(here: Path, recipe: Path, tiny_corpus: list[Article]) -> None:
    jsonl(here / "corpus.jsonl", tiny_corpus)
    made = nutgraf("data", "split", "corpus.jsonl", "--held-out", "0.3", "--out", "split.json", "--json")
    assert made.exit_code == 0
    parts = {row["part"]: row["articles"] for row in json.loads(made.stdout)["parts"]}
    assert parts["train"] + parts["held_out"] == 20
    shown = nutgraf("data", "split", "corpus.jsonl", "--show", "split.json", "--json")
    assert shown.stdout == made.stdout
    assert nutgraf("data", "split", "corpus.jsonl", "--out", "split.json").exit_code == 1

    train: list[str | Path] = ["train", "corpus.jsonl", "--recipe", recipe, "--split", "split.json", "--out", "m"]
    trained = nutgraf(*train, "--json")
    assert trained.exit_code == 0, trained.stderr
    metrics = json.loads(trained.stdout)["metrics"]["held_out"]
    assert metrics["articles"] == parts["held_out"]
    assert "read 20 articles" in trained.stderr

    scored = nutgraf("evaluate", "m", "corpus.jsonl", "--split", "split.json", "--json")
    assert scored.exit_code == 0
    record = json.loads(scored.stdout)
    assert (record["articles"], record["seen"]) == (parts["held_out"], 0)
    assert record["model"] == json.loads(trained.stdout)["model"]
    assert {key: record[key] for key in ("accuracy", "macro_f1", "confusion")} == {
        key: metrics[key] for key in ("accuracy", "macro_f1", "confusion")
    }

    refused = nutgraf("evaluate", "m", "corpus.jsonl")
    assert refused.exit_code == 1
    assert f"the model was trained on {parts['train']} of these 20 articles" in refused.stderr
    taken = nutgraf("evaluate", "m", "corpus.jsonl", "--include-seen", "--resamples", "100")
    assert taken.exit_code == 0
    assert f"warning: the model was trained on {parts['train']} of these articles" in taken.stderr
    assert re.search(r"^accuracy +0\.\d{3} \[0\.\d{3}, ", taken.stdout, re.M)
    for label in NEWS_ROLES.labels:
        assert label in taken.stdout

    assert nutgraf(*train).exit_code == 1  # it exists
    assert nutgraf(*train, "--force").exit_code == 0


def test_evaluate_in_full(here: Path, tiny_model: Path, unseen: list[Article]) -> None:
    held = jsonl(here / "held.jsonl", unseen)
    asked = ["--by", "outlet", "--target", "0.8", "--coverage", "0.9", "--resamples", "100"]
    made = nutgraf("evaluate", tiny_model, held, *asked, "--report", "report.html")
    assert made.exit_code == 0, made.stderr
    for text in ("Cohen's kappa", "Brier score", "min_confidence", "Conformal sets at 90.0%", "By outlet"):
        assert text in made.stdout
    record = json.loads((here / "report.json").read_text(encoding="utf-8"))
    assert f"{record['accuracy']['value']:.3f}" in made.stdout
    assert f"{record['accuracy']['value']:.3f}" in (here / "report.md").read_text(encoding="utf-8")
    assert "<h1>" in (here / "report.html").read_text(encoding="utf-8")
    assert len(record["mistakes"]) <= 20
    assert [m["confidence"] for m in record["mistakes"]] == sorted(
        (m["confidence"] for m in record["mistakes"]), reverse=True
    )
    taken = nutgraf("evaluate", tiny_model, held, "--report", "report.html")
    assert (taken.exit_code, "exists already" in taken.stderr) == (1, True)
    wrong = nutgraf("evaluate", tiny_model, held, "--report", "report.pdf")
    assert (wrong.exit_code, ".html" in wrong.stderr) == (1, True)
    unknown = nutgraf("evaluate", tiny_model, held, "--by", "weather")
    assert (unknown.exit_code, "'weather'" in unknown.stderr) == (1, True)


def test_evaluate_with_seeds_and_folds(
    here: Path, tiny_model: Path, tiny_corpus: list[Article], unseen: list[Article]
) -> None:
    held, corpus = jsonl(here / "held.jsonl", unseen), jsonl(here / "corpus.jsonl", tiny_corpus)
    made = nutgraf("evaluate", tiny_model, held, "--train", corpus, "--seeds", "2", "--resamples", "100", "--json")
    assert made.exit_code == 0, made.stderr
    assert len(json.loads(made.stdout)["macro_f1"]["values"]) == 2
    made = nutgraf("evaluate", tiny_model, held, "--folds", "2", "--resamples", "100", "--json")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["articles"] == len(unseen)
    taught = nutgraf("evaluate", "default", held, "--folds", "2")
    assert (taught.exit_code, "was taught by another one" in taught.stderr) == (1, True)


def test_compare(here: Path, tiny_model: Path) -> None:
    made = nutgraf("compare", "linear", "default", "authored-held-out", "--resamples", "100", "--show", "1")
    assert made.exit_code == 0, made.stderr
    assert "McNemar p" in made.stdout
    record = json.loads(nutgraf("compare", "linear", "default", "authored-held-out", "--json").stdout)
    (pair,) = record["pairs"]
    gain = record["models"]["linear"]["accuracy"]["value"] - record["models"]["default"]["accuracy"]["value"]
    assert pair["accuracy"]["value"] == pytest.approx(gain)
    seen = nutgraf("compare", "linear", "default", "authored")
    assert (seen.exit_code, "the model was trained on" in seen.stderr) == (1, True)


def test_audit(here: Path, tiny_corpus: list[Article]) -> None:
    corpus = jsonl(here / "corpus.jsonl", tiny_corpus)
    other = jsonl(here / "other.jsonl", [a for a in tiny_corpus if a.id != tiny_corpus[0].id])
    made = nutgraf("data", "audit", corpus, "--second", other, "--limit", "5", "--json")
    assert made.exit_code == 0, made.stderr
    record = json.loads(made.stdout)
    assert len(record["suspects"]) == 5
    assert (record["agreement"]["same"], record["agreement"]["kappa"]) == (1.0, 1.0)
    text = nutgraf("data", "audit", corpus, "--second", other, "--limit", "5")
    assert re.search(r"corpus\.jsonl:\d+: ", text.stdout)
    assert "100.0% the same" in text.stdout


def test_train_warns_of_held_out_text_that_is_scattered_over_training_articles(here: Path, recipe: Path) -> None:
    # The Fano plane: any two articles share one paragraph of three, so they are no near-duplicates, and every
    # paragraph stands in three of them.
    pool = [Paragraph(" ".join(f"word{n}x{k}" for k in range(30)), 0, 0, "odd" if n % 2 else "even") for n in range(7)]
    planes = [
        Article.from_paragraphs([pool[n], pool[(n + 1) % 7], pool[(n + 3) % 7]], id=f"plane{n}") for n in range(7)
    ]
    result = nutgraf(
        "train", jsonl(here / "planes.jsonl", planes), "--recipe", recipe, "--held-out", "0.15", "--out", "m"
    )
    assert result.exit_code == 0
    assert "warning: most of the text of 1 held-out articles stands in training articles, too" in result.stderr


def test_a_split_of_another_corpus(here: Path, recipe: Path, tiny_corpus: list[Article]) -> None:
    jsonl(here / "corpus.jsonl", tiny_corpus)
    jsonl(here / "less.jsonl", tiny_corpus[1:])
    assert nutgraf("data", "split", "corpus.jsonl", "--out", "split.json").exit_code == 0
    result = nutgraf("train", "less.jsonl", "--recipe", recipe, "--split", "split.json", "--out", "m")
    assert result.exit_code == 1
    assert "1 article(s) of the split are not in the corpus" in result.stderr
    assert not (here / "m").exists()


def test_train_with_dev_and_about(here: Path, recipe: Path, tiny_corpus: list[Article], unseen: list[Article]) -> None:
    jsonl(here / "corpus.jsonl", tiny_corpus)
    jsonl(here / "others.jsonl", unseen)
    (here / "about.md").write_text("For tests alone.")
    args = ["--dev", "others.jsonl", "--about", "about.md", "--seed", "5", "--out", "m"]
    result = nutgraf("train", "corpus.jsonl", "--recipe", recipe, *args)
    assert result.exit_code == 0, result.stderr
    assert "On the articles held out of training" in result.stdout
    assert "trained on 20 articles" in result.stderr
    card = (here / "m" / "README.md").read_text(encoding="utf-8")
    assert "For tests alone." in card
    assert "others" in card
    assert json.loads(nutgraf("model", "show", "m", "--json").stdout)["seed"] == 5


def test_train_of_bad_input(here: Path, article: Path) -> None:
    result = nutgraf("train", article, "--out", "m")
    assert result.exit_code == 1
    assert "no paragraph of the corpus has a label, expected at least two" in result.stderr
    result = nutgraf("train", "authored", "--recipe", "none.toml", "--out", "m")
    assert (
        "the recipes that ship with nutgraf are distil, encoder-base, encoder-small, fine-tune, linear, lora"
        in result.stderr
    )
    (here / "wrong.toml").write_text('kind = "linear"\n[fit]\nC = "much"\n')
    result = nutgraf("train", "authored", "--recipe", "wrong.toml", "--out", "m")
    assert "error: wrong.toml: the recipe is malformed: fit.C is 'much', expected a number" in result.stderr
    assert not (here / "m").exists()


def test_a_model_folder_that_is_there_is_noticed_at_once(here: Path) -> None:
    (here / "thesis").mkdir()
    (here / "thesis" / "chapter.txt").write_text("years of work")
    result = nutgraf("train", "none.jsonl", "--out", "thesis", "--force")
    assert result.exit_code == 1
    assert "thesis exists and is no model folder" in result.stderr
    assert (here / "thesis" / "chapter.txt").read_text() == "years of work"


def test_model_show(tiny_model: Path) -> None:
    shown = nutgraf("model", "show", tiny_model)
    assert shown.exit_code == 0
    assert "kind linear, format 1" in shown.stdout
    assert "trained on" in shown.stdout
    assert "recipe      tiny, seed 0" in shown.stdout
    record = json.loads(nutgraf("model", "show", tiny_model, "--json").stdout)
    assert record["fingerprint"] == record["digest"][:16]
    default = nutgraf("model", "show")
    assert default.exit_code == 0
    assert json.loads(nutgraf("model", "show", "--json").stdout)["label_set"] == "news-roles"


@pytest.mark.parametrize("figure", ["\x1b[2J", [1], None, float("inf"), float("nan")], ids=repr)
@pytest.mark.parametrize("part", ["confusion", "support", "articles", "macro_f1"])
def test_a_manifest_whose_figures_are_none(here: Path, tiny_model: Path, part: str, figure: object) -> None:
    shutil.copytree(tiny_model, here / "m")
    manifest = json.loads((here / "m" / "manifest.json").read_bytes())
    scores = manifest["metrics"]["held_out"]
    if part == "confusion":
        next(iter(scores[part].values())).update(dict.fromkeys(scores["labels"], figure))
    elif part == "support":
        next(iter(scores["labels"].values()))[part] = figure
    elif part == "macro_f1":
        scores[part] = {"value": figure, "low": figure, "high": figure}
    else:
        scores[part] = figure
    del manifest["digest"]
    manifest["digest"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    (here / "m" / "manifest.json").write_text(json.dumps(manifest))
    result = nutgraf("model", "show", "m")
    assert "\x1b" not in result.stdout + result.stderr
    if part != "macro_f1" or not isinstance(figure, float | None):
        assert result.exit_code == 1
        assert "error: m is refused as a model: manifest.json does not hold what it has to" in result.stderr


def test_a_model_shows_labels_as_they_are(here: Path) -> None:
    labels = LabelSet("[/x]", {":fire:": "", "[red]b": ""})
    data = {"articles": 1, "paragraphs": 1}
    manifest = {"training_data": data, "recipe": {"name": "r"}, "seed": 0, "versions": {}, "metrics": {}}
    write_model(here / "m", kind="linear", label_set=labels, files={"settings.toml": b""}, manifest=manifest)
    result = nutgraf("model", "show", "m")
    assert "2 of [/x]: :fire:, [red]b" in result.stdout


def test_a_damaged_model_is_refused(here: Path, tiny_model: Path, article: Path) -> None:
    shutil.copytree(tiny_model, here / "m")
    weights = here / "m" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    commands: list[list[str | Path]] = [["predict", article, "--model", "m"], ["model", "show", "m"]]
    commands.append(["evaluate", "m", "authored"])
    for args in commands:
        result = nutgraf(*args)
        assert result.exit_code == 1
        assert re.match(r"error: m is refused as a model: model\.safetensors has [\d,]+ bytes, expected", result.stderr)


def test_labels(here: Path, tiny_model: Path) -> None:
    shown = nutgraf("labels").stdout
    assert re.findall(r"^(\w+)", shown, re.M) == list(NEWS_ROLES.labels)
    record = json.loads(nutgraf("labels", "--json").stdout)
    assert record == {"name": "news-roles", "labels": dict(NEWS_ROLES.descriptions)}
    assert nutgraf("labels", "--model", tiny_model, "--json").stdout == nutgraf("labels", "--json").stdout
    (here / "mine.toml").write_text('name = "mine"\n[labels]\nrain = "it falls"\nsun = ""\n')
    assert json.loads(nutgraf("labels", "--file", "mine.toml", "--json").stdout)["labels"]["rain"] == "it falls"
    assert nutgraf("labels", "--file", "none.toml").exit_code == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_that_is_not_utf_8(run: Run, here: Path, encoding: str) -> None:
    (here / "a.txt").write_text("Über “Fire” 火 🔥.", encoding="utf-8")
    (here / "mine.json").write_text('{"labels": {"Ü": "火 🔥", "b": "…"}}', encoding="utf-8")
    for args in (["--help"], ["predict", "a.txt", "--table"], ["model", "show"], ["labels", "--file", "mine.json"]):
        done = run(*args, env={"PYTHONIOENCODING": encoding})
        assert (done.returncode, done.stderr) == (0, "")
    record = json.loads(run("labels", "--file", "mine.json", "--json", env={"PYTHONIOENCODING": encoding}).stdout)
    assert record["labels"] == {"Ü": "火 🔥", "b": "…"}
    done = run("predict", "none-ü.txt", env={"PYTHONIOENCODING": encoding})
    assert done.returncode == 1
    assert done.stderr.startswith("error: none-")


def test_messages_move_no_terminal(here: Path) -> None:
    name = "evil\x1b[31m\u202e.txt"
    (here / name).write_text(" ")
    result = nutgraf("predict", name)
    assert result.exit_code == 1
    assert "\x1b" not in result.stderr
    assert "\u202e" not in result.stderr
    assert "evil\\u{1b}[31m\\u{202e}.txt" in result.stderr
