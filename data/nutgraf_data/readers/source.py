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

__all__ = ["LARGEST", "STDIN", "Source"]

#: What messages and origins call standard input.
STDIN = "<stdin>"

#: The most bytes of one line, or of a file that is held in memory; a megabyte of gzip can claim a gigabyte of text.
LARGEST = 64 * 2**20

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
        """Standard input, read up to its first line that is not blank, or the next one after a lone ``[``.

        Raises:
            DataError: standard input is closed or cannot be read.
        """
        head: list[bytes] = []
        begun = b""
        blank = cls(STDIN, "stdin")
        for line in blank.lines():
            head.append(line)
            begun += line.strip(_PEEK_IGNORES)
            if begun not in (b"", b"["):
                break
        return cls(STDIN, "stdin", head=tuple(head))

    def starts_with(self, chars: bytes) -> bool:
        """Whether ``head`` begins with these characters, blanks and byte order marks before each passed over."""
        rest = b"".join(self.head)
        for char in chars:
            rest = rest.lstrip(_PEEK_IGNORES)
            if not rest or rest[0] != char:
                return False
            rest = rest[1:]
        return True

    def lines(self) -> Iterator[bytes]:
        r"""The bytes in pieces that end after each ``\n``; only one piece is in memory at a time.

        Raises:
            DataError: it cannot be opened or read, is not valid gzip, or a line is longer than ``LARGEST``.
        """
        yield from self.head
        with self._errors(), self._open() as stream:
            number = len(self.head)
            while line := stream.readline(LARGEST + 1):
                number += 1
                if len(line) > LARGEST:
                    raise self.error(
                        f"the line has more than {LARGEST:,} bytes, expected an article or a row", line=number
                    )
                yield line

    def read(self, largest: int | None = LARGEST) -> bytes:
        """All the bytes; those of a pipe cannot be more than its writer has, so that ``largest`` may be None for one.

        Raises:
            DataError: as ``lines``, or there are more than ``largest``.
        """
        with self._errors(), self._open() as stream:
            data = b"".join(self.head) + stream.read(-1 if largest is None else largest + 1)
        if largest is not None and len(data) > largest:
            raise self.error(
                f"has more than {largest:,} bytes, unpacked, and would have to be held in memory as a whole",
                hint="split it into smaller files, or write JSON lines, of which only one is in memory at a time",
            )
        return data

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
