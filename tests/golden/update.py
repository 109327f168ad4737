"""Writes ``seed_scores.json``: what the bundled model says of the seed article.

Run it after the bundled model was trained anew, and look at the difference before committing it::

    python tests/golden/update.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nutgraf

HERE = Path(__file__).parent
SEED = HERE.parents[1] / "seeds" / "000_6814731f4ee210d7.txt"


def seed_record() -> dict[str, Any]:
    """The model's fingerprint and the seed's segments, scores to two decimals."""
    (article,) = nutgraf.read_articles(SEED)
    annotation = nutgraf.load().predict(article)
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
    (HERE / "seed_scores.json").write_text(json.dumps(seed_record(), indent=1) + "\n", encoding="utf-8")
    print(f"wrote {HERE / 'seed_scores.json'}")
