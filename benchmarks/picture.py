"""Draws the picture of the README: the seed article as ``nutgraf predict`` shows it."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from rich.console import Console

import nutgraf
from nutgraf.writers import write_table

SEEDS = Path(__file__).parents[1] / "seeds"


def main() -> None:
    """Writes ``seeds/annotated.svg``, without fonts from the network."""
    console = Console(record=True, width=110, file=StringIO(), force_terminal=True)
    tagger = nutgraf.load()
    articles = nutgraf.read_articles(SEEDS / "000_6814731f4ee210d7.txt")
    write_table(tagger.predict_many(articles), tagger.label_set, console)
    svg = console.export_svg(title="nutgraf predict", unique_id="nutgraf")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
    (SEEDS / "annotated.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
