"""The command line: ``nutgraf predict | train | evaluate | compare | data … | labels | model show``.

Results go to standard output, all else to standard error. Exit codes: 0 done, 1 bad data or a failed check, 2 usage,
130 interrupted. Heavy packages are imported inside the commands that need them.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from nutgraf.cli import data, evaluate, labels, model, predict, train

__all__ = ["app", "main"]

app = typer.Typer(
    name="nutgraf",
    help="Say what each paragraph of a news article does: incident report, official statement, background …",
    epilog="Example: nutgraf predict article.txt",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from nutgraf import __version__

        typer.echo(f"nutgraf {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command("predict", epilog=predict.EXAMPLES)(predict.predict)
app.command("train", epilog=train.EXAMPLES)(train.train)
app.command("evaluate", epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command("compare", epilog=evaluate.COMPARE_EXAMPLES)(evaluate.compare)
app.add_typer(data.app, name="data")
app.command("labels", epilog=labels.EXAMPLES)(labels.labels)
app.add_typer(model.app, name="model")


def main() -> None:
    """The entry point of the ``nutgraf`` command."""
    # A shell may have closed them (nutgraf … >&-).
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show a character shows its escape
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="nutgraf")
