"""The folder of a run: whose it is, and which checkpoint it can go on from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from nutgraf.tagger import Tagger
from nutgraf_data.article import Article
from nutgraf_data.errors import DataError
from nutgraf_data.files import write_text_atomically
from nutgraf_data.labels import LabelSet
from nutgraf_training.recipe import EncoderRecipe

__all__ = ["claim", "last_checkpoint"]

_RUN = "run.json"


def claim(
    run: Path,
    articles: Sequence[Article],
    label_set: LabelSet,
    recipe: EncoderRecipe,
    teachers: Sequence[Tagger],
    unlabelled: Sequence[Article],
    validation: Sequence[Article],
    weights: str,
) -> None:
    """Makes the folder of a run, or finds that it is the same run's; ``weights`` is a digest of those it begins with.

    Raises:
        DataError: it is another run's, or no run's.
    """
    record = {
        "recipe": hashlib.sha256(recipe.to_toml()).hexdigest(),
        "articles": _digest(articles),
        "label_set": list(label_set.labels),
        "teachers": [teacher.fingerprint for teacher in teachers],
        "unlabelled": _digest(unlabelled),
        "validation": _digest(validation),
        "weights to begin with": weights,
        "number of processes": int(os.environ.get("WORLD_SIZE", "1")),  # a step takes as many batches
    }
    file = run / _RUN
    hint = "remove it, or name another --out"
    if run.is_file() or (run.is_dir() and any(run.iterdir())):
        try:
            before = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = None
        if not isinstance(before, dict) or before.keys() != record.keys():
            raise DataError(f"{run} exists and is no run of nutgraf", hint=hint)
        changed = [key for key in record if before[key] != record[key]]
        # With nothing beside the record it was refused before it began, and what was wrong may be mended.
        if changed and any(path != file for path in run.iterdir()):
            raise DataError(f"{run} holds the checkpoints of another run (other {', '.join(changed)})", hint=hint)
    run.mkdir(parents=True, exist_ok=True)
    write_text_atomically(file, json.dumps(record, indent=1) + "\n")


def _digest(articles: Sequence[Article]) -> str:
    """Of all that is read of articles, in their order, which a teacher's saved answers go by."""
    whole = hashlib.sha256()
    for article in articles:
        record = [article.id, article.headline, *([p.text, p.label, p.alt] for p in article.paragraphs)]
        whole.update(json.dumps(record).encode() + b"\n")
    return whole.hexdigest()


def last_checkpoint(folder: Path, *, remove: bool) -> Path | None:
    """The newest checkpoint in a folder that was written to its end, or None.

    Args:
        folder: of ``transformers.Trainer``.
        remove: whether what an interruption left of newer ones is removed.

    Raises:
        DataError: it is a link, which may lead to checkpoints of others.
    """
    found = sorted(
        (path for path in folder.glob("checkpoint-*") if path.name.split("-")[1].isdigit()),
        key=lambda path: int(path.name.split("-")[1]),
    )
    while found:
        path = found.pop()
        if path.is_symlink():
            raise DataError(f"{path} is a link; only checkpoints that this run wrote are read", hint="remove it")
        if _is_whole(path):
            return path
        if remove:
            shutil.rmtree(path, ignore_errors=True)
    return None


def _is_whole(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint was written to its end, and reached the disk."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text())  # it is written last
        with safe_open(checkpoint / "model.safetensors", framework="pt"):
            pass
        # What torch saves is a ZIP archive, which has its directory at the end.
        archives = [checkpoint / name for name in ("optimizer.pt", "scheduler.pt")]
        return all(map(zipfile.is_zipfile, [*archives, *checkpoint.glob("rng_state*.pth")]))
    except (OSError, ValueError, SafetensorError):
        return False
