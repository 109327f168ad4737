"""``nutgraf labels``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nutgraf.cli.console import JsonOption, guarded, print_json
from nutgraf.terminal import stdout_console, visible

__all__ = ["EXAMPLES", "labels"]

EXAMPLES = "Examples:\n\nnutgraf labels\n\nnutgraf labels --model my-model/\n\nnutgraf labels --file my-labels.toml"


@guarded
def labels(
    model: Annotated[str | None, typer.Option(help="The labels of a model instead of the default ones.")] = None,
    file: Annotated[Path | None, typer.Option(help="The labels of a TOML or JSON file.")] = None,
    json: JsonOption = False,
) -> None:
    """List the roles: the default ones, a model's, or a file's."""
    from nutgraf_data.labels import NEWS_ROLES, LabelSet

    if model is not None and file is not None:
        raise typer.BadParameter("choose one of --model and --file")
    label_set = NEWS_ROLES
    if model is not None:
        from nutgraf.artefact import read_model
        from nutgraf.registry import model_path

        label_set = read_model(model_path(model)).label_set
    elif file is not None:
        label_set = LabelSet.from_file(file)
    if json:
        print_json({"name": label_set.name, "labels": dict(label_set.descriptions)})
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    for label, text in label_set.descriptions.items():
        table.add_row(Text(visible(label), style="bold", no_wrap=True), Text(visible(text)))
    stdout_console().print(table)
