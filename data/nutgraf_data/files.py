"""Writing a file so that nobody ever sees half of it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nutgraf_data.errors import DataError

__all__ = ["replacing", "write_text_atomically"]


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
