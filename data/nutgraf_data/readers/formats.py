"""The formats that can be read: their names, their suffixes, and the files of a folder that have them."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from nutgraf_data.errors import DataError

__all__ = ["FORMATS", "SUFFIXES", "check_format", "files_in", "format_of", "is_gzipped", "passed_over", "stem_of"]

#: Suffix → format.
SUFFIXES = {
    ".txt": "text",
    ".text": "text",
    ".md": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}

#: The names that ``format`` takes; ``lines`` is text with a paragraph a line, ``hf`` a data set.
FORMATS = (*dict.fromkeys(SUFFIXES.values()), "lines", "hf")


def check_format(format: str | None) -> None:
    """Refuses a name that is not one of ``FORMATS``.

    Raises:
        DataError: always with the names.
    """
    if format is not None and format not in FORMATS:
        raise DataError(f"{format!r} is not a format that can be read", hint=f"the formats are {', '.join(FORMATS)}")


def is_gzipped(path: Path) -> bool:
    """Whether the name ends in ``.gz``."""
    return path.suffix.lower() == ".gz"


def stem_of(path: Path) -> str:
    """The name, with its folders, less ``.gz`` and one suffix; always valid Unicode."""
    return os.fsencode(path.parent / _unzipped(path).stem).decode("utf-8", errors="replace")


def format_of(path: Path) -> str:
    """The format that a file's suffix stands for.

    Raises:
        DataError: the suffix is unknown.
    """
    found = _known(path)
    if found is not None:
        return found
    suffix = _unzipped(path).suffix + (path.suffix if is_gzipped(path) else "")
    if _unzipped(path).suffix.lower() in (".html", ".htm"):
        raise DataError("HTML is not read yet", path=path, hint="extract the article's text first, and save it as .txt")
    raise DataError(
        f"the suffix {suffix!r} is not that of a format that can be read; expected one of {', '.join(SUFFIXES)}",
        path=path,
        hint=f"name the format with --format ({', '.join(FORMATS[:-1])})",
    )


def files_in(folder: Path, format: str | None = None) -> list[Path]:
    """The files of a folder and its subfolders that can be read, sorted by their path in it.

    Hidden files and folders are passed over. With a format, these are the files with its suffixes
    and those whose suffix says nothing.

    Raises:
        DataError: a folder cannot be read, or no file is found.
    """

    def refuse(error: OSError) -> None:
        raise DataError(f"cannot be read: {error.strerror}", path=error.filename) from None

    found = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            known = _known(path)
            wanted = known is not None if format is None else known in ("text" if format == "lines" else format, None)
            if wanted and not name.startswith("."):
                found.append(path)
    if not found:
        raise DataError(
            "no file that can be read is in the folder",
            path=folder,
            hint=f"expected files that end in {', '.join(SUFFIXES)} (.gz may follow)",
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def passed_over(folder: Path) -> list[Path]:
    """The files of a folder and its subfolders that are not hidden and whose suffix is not that of a format."""
    every = (path for path in folder.rglob("*") if path.is_file() and _known(path) is None)
    return sorted(path for path in every if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def _known(path: Path) -> str | None:
    found = SUFFIXES.get(_unzipped(path).suffix.lower())
    # Parquet compresses its own pages and cannot be read from front to back.
    return None if found == "parquet" and is_gzipped(path) else found


def _unzipped(path: Path) -> PurePosixPath:
    """The name of a file, without its folders and without ``.gz``."""
    return PurePosixPath(path.name[: -len(".gz")] if is_gzipped(path) else path.name)
