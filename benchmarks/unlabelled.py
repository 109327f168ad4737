"""Chooses the articles without labels that the default model is taught on, and puts them into one file.

``unlabelled/rest.jsonl.gz`` (what was left of the labelled sources) comes first and whole, then those of
``unlabelled/allsides.jsonl.gz`` (US-centred news) that are most like the news of the label set: world affairs, conflict
and crime by outlets that report rather than comment, then by others, then other topics by the former.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
from pathlib import Path
from typing import Any

from nutgraf_data.files import write_text_atomically

OUT = "unlabelled.jsonl"
FIELDS = ("id", "published", "outlet", "headline", "paragraphs")
COUNT = 8000
OUTLETS = {
    "ABC News",
    "AP",
    "Al Jazeera",
    "BBC",
    "Bloomberg",
    "CNN",
    "Christian Science Monitor",
    "NPR",
    "Reuters",
    "The Guardian",
    "Wall Street Journal",
}
TOPICS = {
    "afghanistan",
    "africa",
    "asia",
    "china",
    "coronavirus",
    "crime",
    "cybersecurity",
    "defense",
    "europe",
    "fbi",
    "foreign_policy",
    "general_news",
    "homeland_security",
    "iran",
    "iraq",
    "isis",
    "israel",
    "justice",
    "latin_america",
    "middle_east",
    "national_defense",
    "national_security",
    "north_korea",
    "nuclear_weapons",
    "russia",
    "state_department",
    "syria",
    "terrorism",
    "trade",
    "ukraine",
    "un",
    "united_nations",
    "us_military",
    "violence_in_america",
    "world",
}


def main() -> None:
    """Writes ``unlabelled.jsonl`` into the folder of the corpora, unless there is one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpora", type=Path, default=Path("corpora"), help="folder that has unlabelled/*.jsonl.gz")
    folder: Path = parser.parse_args().corpora
    sources, out = [folder / "unlabelled" / f"{name}.jsonl.gz" for name in ("rest", "allsides")], folder / OUT
    for file in sources:
        if not file.is_file():
            parser.error(f"{file} is missing; or put articles of your own, one a line, into {out}")
    if out.exists():
        parser.error(f"{out} exists already; remove it to choose anew")
    first, others = map(read, sources)
    random.Random(0).shuffle(others)
    others.sort(key=rank)
    chosen = [*first, *others][:COUNT]
    lines = [json.dumps({field: article[field] for field in FIELDS}) + "\n" for article in chosen]
    write_text_atomically(out, "".join(lines))
    print(f"wrote {out}: all {len(first):,} articles of {sources[0].name}, {len(chosen) - len(first):,} of the other")


def read(path: Path) -> list[dict[str, Any]]:
    """One article a line."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def rank(article: dict[str, Any]) -> int:
    """0 for what is most like the news of the label set."""
    return 2 * (article["topic"] not in TOPICS) + (article["outlet"] not in OUTLETS)


if __name__ == "__main__":
    main()
