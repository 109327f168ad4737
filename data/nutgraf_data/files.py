"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nutgraf_data.errors import DataError

__all__ = ["check_output", "replacing", "write_text_atomically"]


def check_output(path: Path, inputs: Iterable[str | Path], *, force: bool) -> None:
    """Refuses an output file before any work is done.

    Raises:
        DataError: it is one of the inputs, or it exists and ``force`` is false, or is no file.
    """
    if not path.exists():
        return
    if any(Path(source).exists() and path.samefile(source) for source in inputs):
        raise DataError("the output file is one of the inputs", path=path, hint="name another file")
    if not force or not path.is_file():
        raise DataError("exists already", path=path, hint="use --force to replace it, or name another file")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place at the end of the block.

    After any exception, Ctrl-C included, the temporary file is gone and ``path`` is as it was.

    Raises:
        DataError: the folder is missing or not writable.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        try:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            temporary = Path(name)
            os.close(descriptor)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)  # mkstemp makes it private
            temporary.replace(path)
        except BaseException:
            if temporary is not None:
                temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror}", path=path) from None


def write_text_atomically(path: str | Path, text: str) -> None:
    """Writes UTF-8, so that a reader sees the old file or the new one.

    Raises:
        DataError: the folder is missing or not writable.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
