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

FIELDS = ("id", "published", "outlet", "headline", "paragraphs")
OUTLETS = {
    *("ABC News", "AP", "Al Jazeera", "BBC", "Bloomberg", "CNN", "Christian Science Monitor", "NPR", "Reuters"),
    *("The Guardian", "Wall Street Journal"),
}
TOPICS = {
    *("afghanistan", "africa", "asia", "china", "coronavirus", "crime", "cybersecurity", "defense", "europe", "fbi"),
    *("foreign_policy", "general_news", "homeland_security", "iran", "iraq", "isis", "israel", "justice"),
    *("latin_america", "middle_east", "national_defense", "national_security", "north_korea", "nuclear_weapons"),
    *("russia", "state_department", "syria", "terrorism", "trade", "ukraine", "un", "united_nations", "us_military"),
    *("violence_in_america", "world"),
}


def main() -> None:
    """Writes ``unlabelled.jsonl`` into the folder of the corpora."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--corpora", type=Path, default=Path("corpora"), help="folder that has unlabelled/*.jsonl.gz")
    parser.add_argument("--count", type=int, default=8000)
    options = parser.parse_args()
    first, others = (read(options.corpora / "unlabelled" / f"{name}.jsonl.gz") for name in ("rest", "allsides"))
    random.Random(0).shuffle(others)
    others.sort(key=rank)
    with (options.corpora / "unlabelled.jsonl").open("w", encoding="utf-8") as stream:
        for article in [*first, *others][: options.count]:
            stream.write(json.dumps({field: article[field] for field in FIELDS}) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """One article a line."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def rank(article: dict[str, Any]) -> int:
    """0 for what is most like the news of the label set."""
    return 2 * (article["topic"] not in TOPICS) + (article["outlet"] not in OUTLETS)


if __name__ == "__main__":
    main()
