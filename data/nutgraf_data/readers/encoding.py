"""From bytes to text: byte order marks, named encodings, and errors that name the byte."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from nutgraf_data.errors import DataError
from nutgraf_data.readers.source import Source

__all__ = ["LINE_END", "check_encoding", "read_decoded", "read_lines"]

#: What ends a line of text; ``str.splitlines`` knows eight more that occur inside of paragraphs.
LINE_END = re.compile(r"\r\n|\r|\n")

# UTF-32 stands first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def check_encoding(encoding: str | None) -> None:
    """Refuses the name of an encoding that Python does not know or that does not make text.

    Raises:
        DataError: always with the names of common encodings.
    """
    if encoding is None:
        return
    try:
        # What cannot stand in for a bad byte ("idna", "undefined") is no encoding of files either.
        b"a".decode(encoding, errors="replace")
    except (LookupError, ValueError):
        raise DataError(
            f"{encoding!r} is not the name of a text encoding",
            hint="use a name that Python knows: utf-8, cp1252, latin-1, utf-16, shift_jis, gb18030 …",
        ) from None


def read_decoded(source: Source, encoding: str | None = None) -> str:
    """The whole text of a source, without its byte order mark and with its line ends as they are.

    Raises:
        DataError: it cannot be read, or a byte does not fit the encoding.
    """
    data = source.read()
    codec, mark = _codec(data, encoding)
    try:
        return data[mark:].decode(codec)
    except UnicodeError as error:
        line = 1
        if isinstance(error, UnicodeDecodeError):
            before = data[mark : mark + error.start].decode(codec, errors="replace")
            line += sum(1 for _ in LINE_END.finditer(before))
        raise _undecodable(source, codec, error, mark, line) from None


def read_lines(source: Source, encoding: str | None = None) -> Iterator[tuple[str, DataError | None]]:
    r"""Each line of a source with its ``\n``, and what could not be decoded in it, bytes that then are U+FFFD; or None.

    Lines are split after ``\n`` only and decoded one by one; plain tuples, since a table may have millions of lines.
    Encodings whose line feed is not the byte 0x0A (UTF-16, UTF-32, EBCDIC) are decoded as a whole.

    Raises:
        DataError: the source cannot be read, or a byte does not fit an encoding that is decoded as a whole.
    """
    codec, offset = "utf-8", 0
    for number, data in enumerate(source.lines(), start=1):
        start = 0
        if number == 1:
            codec, start = _codec(data, encoding)
            if not _keeps_line_feeds(codec):
                break
        try:
            yield data[start:].decode(codec), None
        except UnicodeError as error:
            # ASCII rather than the codec: a stand-in that cannot fail and keeps quotes and commas.
            text = data[start:].decode("ascii", errors="replace")
            yield text, _undecodable(source, codec, error, offset + start, number)
        offset += len(data)
    else:
        return
    # Nothing is lost by starting again: of standard input only ``source.head`` was taken.
    for line in re.finditer(r"[^\n]*\n|[^\n]+", read_decoded(source, encoding)):
        yield line.group(), None


def _codec(data: bytes, encoding: str | None) -> tuple[str, int]:
    """The codec for data that begins so, and the length of its byte order mark."""
    name = "utf-8" if encoding is None else codecs.lookup(encoding).name
    if not name.startswith("utf-"):
        return encoding or name, 0
    # A name such as "utf-16-le" settles what FF FE 00 00 begins: that text may start with NUL.
    marks = [(mark, codec) for mark, codec in _MARKS if codec.startswith(name)]
    if not name.endswith(("-le", "-be")):
        marks += _MARKS
    for mark, codec in marks:
        if data.startswith(mark):
            return codec, len(mark)
    return ("utf-8" if name == "utf-8-sig" else name), 0


def _keeps_line_feeds(codec: str) -> bool:
    try:
        return "\n".encode(codec) == b"\n"
    except UnicodeError:
        return False


def _undecodable(source: Source, codec: str, error: UnicodeError, offset: int, line: int) -> DataError:
    if not isinstance(error, UnicodeDecodeError):
        return source.error(f"is not valid {codec}: {error}", line=line)
    return source.error(
        f"byte 0x{error.object[error.start]:02X} at offset {offset + error.start} is not valid {codec.upper()}",
        line=line,
        hint="name the encoding of the file, such as --encoding cp1252",
    )
