"""``nutgraf model show``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from nutgraf.cli.console import JsonOption, guarded, print_json
from nutgraf.terminal import stdout_console, visible

if TYPE_CHECKING:
    from nutgraf.artefact import ModelFolder

__all__ = ["app", "show"]

app = typer.Typer(help="Look at model folders.", epilog="Example: nutgraf model show", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command("show", epilog="Example: nutgraf model show my-model/")
@guarded
def show(
    model: Annotated[str, typer.Argument(help="A model folder or a bundled model.")] = "default",
    json: JsonOption = False,
) -> None:
    """Check a model folder and show what it says of itself."""
    from nutgraf.artefact import read_model
    from nutgraf.registry import model_path

    folder = read_model(model_path(model))
    if json:
        print_json({"fingerprint": folder.fingerprint, **folder.manifest})
        return
    try:
        _print(folder)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise folder.refuse(f"manifest.json does not hold what it has to ({error!r})") from None


def _print(folder: ModelFolder) -> None:
    from rich.text import Text

    from nutgraf.cli.tables import print_scores

    console = stdout_console()
    data = folder.manifest["training_data"]
    size = sum(map(len, folder.files.values()))
    for name, value in {
        "model": f"{folder.fingerprint}, kind {folder.kind}, format {folder.manifest['format']}, {size / 1e6:.1f} MB",
        "labels": f"{len(folder.label_set)} of {folder.label_set.name}: {', '.join(folder.label_set.labels)}",
        "trained on": f"{data['articles']:,} articles, {data['paragraphs']:,} paragraphs",
        "recipe": f"{folder.manifest['recipe']['name']}, seed {folder.manifest['seed']}",
        "versions": ", ".join(f"{k} {v}" for k, v in folder.manifest["versions"].items()),
    }.items():
        console.print(Text(f"{name:12}{visible(value)}"))
    console.print()
    for part, title in (("held_out", "On articles held out of training"), ("cross_fitted", "Cross-fitted")):
        if part in folder.manifest["metrics"]:
            scores = folder.manifest["metrics"][part]
            print_scores(scores, f"{title}: {scores['of']}")
            break
