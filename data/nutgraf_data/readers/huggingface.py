"""Hugging Face data sets: saved folders and what ``load_dataset`` finds. Needs datasets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nutgraf_data.article import Article
from nutgraf_data.errors import DataError, MissingExtraError
from nutgraf_data.readers.columns import Columns
from nutgraf_data.readers.records import read_records
from nutgraf_data.readers.source import Source

__all__ = ["PREFIX", "is_saved_dataset", "read_dataset"]

#: What a data set's name begins with where a path is expected: ``hf:NAME_OR_FOLDER[@split]``.
PREFIX = "hf:"


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``save_to_disk`` made the folder."""
    return (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file()


def read_dataset(name: str, *, columns: Columns, report: Callable[[DataError], None]) -> Iterator[Article]:
    """Yields the articles of a data set; where files have lines, it has rows, counted from 1.

    Args:
        name: a folder or a name on the hub, and a split after ``@`` (``hf:`` may stand before).

    Raises:
        MissingExtraError: datasets is not installed.
    """
    try:
        import datasets  # noqa: F401
    except ImportError:
        raise MissingExtraError("Reading Hugging Face data sets", "train") from None
    name = name.removeprefix(PREFIX)
    place, split = name, ""
    if "@" in name and not os.path.isdir(name):
        place, _, split = name.rpartition("@")
    source = Source(name, Path(place).name)
    try:
        if not place:
            raise source.error(
                "names no data set", hint=f"write {PREFIX}NAME_OR_FOLDER, and @SPLIT after it if need be"
            )
        dataset = _load(place, split, source)
        columns.check(dataset.column_names, source, rows_only=False)
    except DataError as error:
        report(error)
        return
    yield from read_records(_records(dataset, source), source, columns, report)


def _load(place: str, split: str, source: Source) -> Any:
    import datasets

    saved = os.path.isdir(place) and is_saved_dataset(Path(place))
    try:
        found = datasets.load_from_disk(place) if saved else datasets.load_dataset(place, split=split or None)
    # What the hub, the network and a repository's files can raise has no common base.
    except Exception as error:
        message = next(iter(str(error).splitlines()), type(error).__name__)
        raise source.error(
            f"the data set cannot be loaded: {message}",
            hint="check its name and the network, or load it elsewhere and save it with save_to_disk",
        ) from error
    if not isinstance(found, datasets.DatasetDict):
        if saved and split and str(found.split) != split:
            raise source.error(f"has the split {str(found.split)!r} only, asked for {split!r}", hint="leave @ out")
        return found.with_format(None)
    if not split and len(found) == 1:
        (split,) = found
    if split not in found:
        problem = f"has no split {split!r}" if split else "has more than one split"
        choices = ", ".join(found) or "none"
        raise source.error(
            f"{problem}; found {choices}", hint=f"choose one with {PREFIX}{place}@{next(iter(found), 'SPLIT')}"
        )
    return found[split].with_format(None)


def _records(dataset: Any, source: Source) -> Iterator[tuple[int, Mapping[str, Any]]]:
    features, row = dataset.features, 0
    try:
        for record in dataset:
            row += 1
            named = {key: _named(value, features[key]) for key, value in record.items()}
            if isinstance(named.get("paragraphs"), Mapping):
                named["paragraphs"] = _transposed(named["paragraphs"])
            yield row, named
    except (OSError, ValueError, RuntimeError) as error:  # ArrowException is a ValueError or an OSError, mostly
        message = next(iter(str(error).splitlines()), type(error).__name__)
        raise source.error(f"cannot be read after row {row}: {message}") from None


def _named(value: Any, feature: Any) -> Any:
    """The value with the integers of ``ClassLabel`` as names, inside of lists and objects too."""
    import datasets

    if value is None:
        return None
    if isinstance(feature, datasets.ClassLabel):
        # By convention -1 stands for an example without a label.
        return None if value == -1 else feature.int2str(value)
    if isinstance(feature, Mapping) and isinstance(value, Mapping):
        return {key: _named(item, feature[key]) for key, item in value.items()}
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)
    if inner is not None and isinstance(value, list):
        return [_named(item, inner) for item in value]
    if isinstance(inner, Mapping) and isinstance(value, Mapping):  # a Sequence of objects is stored as lists
        return {key: [_named(item, inner[key]) for item in items] for key, items in value.items()}
    return value


def _transposed(paragraphs: Mapping[str, Any]) -> Any:
    """An object of equally long lists, which is how ``Sequence`` stores a list of objects, as that list."""
    lists = list(paragraphs.values())
    if not lists or not all(isinstance(items, list) and len(items) == len(lists[0]) for items in lists):
        return paragraphs
    return [dict(zip(paragraphs, items, strict=True)) for items in zip(*lists, strict=True)]
