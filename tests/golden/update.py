"""Writes ``seed_scores.json``: what the bundled models say of the seed article.

Run it after one of them was trained anew, and look at the difference before committing it::

    python tests/golden/update.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nutgraf

HERE = Path(__file__).parent
SEED = HERE.parents[1] / "seeds" / "000_6814731f4ee210d7.txt"
MODELS = ("default", "linear")


def seed_record(model: str) -> dict[str, Any]:
    """A model's fingerprint and the seed's segments, scores to two decimals."""
    (article,) = nutgraf.read_articles(SEED)
    annotation = nutgraf.load(model).predict(article)
    return {
        "model": annotation.model,
        "segments": [
            {
                "paragraph": segment.paragraph,
                "start": segment.start,
                "end": segment.end,
                "label": segment.label,
                "scores": {label: round(score, 2) for label, score in segment.scores.items()},
            }
            for segment in annotation
        ],
    }


if __name__ == "__main__":
    (HERE / "seed_scores.json").write_text(
        json.dumps({model: seed_record(model) for model in MODELS}, indent=1) + "\n", encoding="utf-8"
    )
    print(f"wrote {HERE / 'seed_scores.json'}")
