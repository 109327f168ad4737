"""The bytes of an input: a file, a gzipped file or standard input, with one kind of error."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from nutgraf_data.errors import DataError

__all__ = ["STDIN", "Source"]

#: What messages and origins call standard input.
STDIN = "<stdin>"

_PEEK_IGNORES = b" \t\r\n\v\f\x00\xef\xbb\xbf\xff\xfe"


@dataclass(frozen=True, slots=True)
class Source:
    """A place that records come from.

    Attributes:
        path: its name in messages and origins.
        stem: what ids of records without one begin with; the id of a text file's article.
        file: the file to open; None for standard input and for what is not bytes (a data set).
        gzipped: the file is read through gzip.
        head: lines already taken from standard input, to be read first.
    """

    path: str
    stem: str
    file: Path | None = None
    gzipped: bool = False
    head: tuple[bytes, ...] = ()

    @classmethod
    def from_stdin(cls) -> Source:
        """Standard input, read up to its first line that is not blank.

        Raises:
            DataError: standard input is closed or cannot be read.
        """
        head: list[bytes] = []
        blank = cls(STDIN, "stdin")
        for line in blank.lines():
            head.append(line)
            if line.strip(_PEEK_IGNORES):
                break
        return cls(STDIN, "stdin", head=tuple(head))

    def starts_with(self, char: bytes) -> bool:
        """Whether the first character of ``head`` that is neither blank nor a byte order mark is ``char``."""
        return b"".join(self.head).lstrip(_PEEK_IGNORES).startswith(char)

    def lines(self) -> Iterator[bytes]:
        r"""The bytes in pieces that end after each ``\n``; only one piece is in memory at a time.

        Raises:
            DataError: it cannot be opened or read, or is not valid gzip.
        """
        yield from self.head
        with self._errors(), self._open() as stream:
            # Not "yield from": a generator that is dropped would close standard input with it.
            for line in stream:  # noqa: UP028
                yield line

    def read(self) -> bytes:
        """All the bytes.

        Raises:
            DataError: as ``lines``.
        """
        with self._errors(), self._open() as stream:
            return b"".join(self.head) + stream.read()

    def error(self, message: str, *, line: int | None = None, hint: str | None = None) -> DataError:
        """A DataError that names this source."""
        return DataError(message, path=self.path, line=line, hint=hint)

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        if self.file is None:
            stream = getattr(sys.stdin, "buffer", None)
            if stream is None or stream.closed:
                raise self.error("standard input is closed", hint="give a file instead of '-'")
            # Not closed here: standard input belongs to the process.
            yield stream
        elif self.gzipped:
            # GzipFile.__next__ goes through a call for each line; a BufferedReader does it in C.
            with gzip.open(self.file, "rb") as unzipped, io.BufferedReader(unzipped) as stream:
                yield stream
        else:
            with self.file.open("rb") as stream:
                yield stream

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self.error(
                f"is not a valid gzip file: {error}", hint="download or compress it again, or drop the suffix .gz"
            ) from None
        except (OSError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise self.error(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
