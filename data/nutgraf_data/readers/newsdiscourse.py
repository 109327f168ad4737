"""The NewsDiscourse corpus (Choubey et al., ACL 2020) as its authors publish it.

A zip holds pairs of files in domain folders, whose names repeat between the folders::

    URL http://…                                  T1<TAB>Main 188 190<TAB>S1
    (blank)                                       E1<TAB>Main:T1
    DATE/ AUTHOR 2018-06-07 00:00:00<TAB>AUTHORS: …   T2<TAB>Speech 359 361<TAB>S2
    (blank)                                       …
    H headline
    (blank)
    S1 one sentence a line
    S2 …
    (blank: the paragraph ends)

The ``.ann`` file beside a ``.txt`` labels the markers S1, S2 … by character offsets: every sentence
has one of nine classes, and some have the flag ``Speech`` besides. A few offsets are off by some
characters, so a label goes to the sentence whose line it starts in.
"""

from __future__ import annotations

import lzma
import re
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from nutgraf_data.article import Article, Origin, Paragraph
from nutgraf_data.errors import DataError

__all__ = ["CLASSES", "REPOSITORY", "is_newsdiscourse", "read_newsdiscourse"]

#: The nine sentence classes; "NA" marks what is no part of the report.
CLASSES = (
    "Main",
    "Main_Consequence",
    "Cause_Specific",
    "Cause_General",
    "Distant_Historical",
    "Distant_Anecdotal",
    "Distant_Evaluation",
    "Distant_Expectations_Consequences",
    "NA",
)

REPOSITORY = "prafulla77/Discourse_Profiling"

# An article is some kilobytes; more is not an article, and a zip can claim terabytes.
_LARGEST = 4_000_000
# The blanks at the end of a line are stripped in Python: in a pattern, they take quadratic time.
_SENTENCE = re.compile(r"^(S\d+)[^\S\n]+(\S.*)$", re.MULTILINE)
_HEADLINE = re.compile(r"^H[^\S\n]+(\S.*)$", re.MULTILINE)
_MARKER = re.compile(r"\nS\d+[^\S\n]+")
_DATE = re.compile(r"^DATE/ AUTHOR (\d{4}-\d\d-\d\d)", re.MULTILINE)
_NAMED_DATE = re.compile(r"(?:^|_)(\d{4})_?(\d\d)_?(\d\d)(?=[._])")
_PARAGRAPH_END = re.compile(r"\n[^\S\n]*\n")
_LABEL = re.compile(r"T\d+\t(\S+) (\d+) \d+(?:\t.*)?")
_OUTLETS = {"Reuters": "Reuters", "Xinhua": "Xinhua", "NYT": "New York Times", "nyt": "New York Times"}


@dataclass(frozen=True, slots=True)
class _Sentence:
    marker: str
    start: int
    end: int
    line: int
    label: str | None
    speech: bool


def is_newsdiscourse(path: str | Path) -> bool:
    """Whether a file is a zip of ``.txt`` files with an ``.ann`` beside each; never raises for content."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(_texts(archive))
            return bool(names) and all(f"{name[:-4]}.ann" in archive.NameToInfo for name in names)
    except (OSError, zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):
        return False


def read_newsdiscourse(
    zip_path: str | Path, *, unit: Literal["paragraph", "sentence"] = "paragraph"
) -> Iterator[Article]:
    """Reads ``train.zip`` or ``validation.zip`` of the original release, one article a ``.txt``.

    Args:
        unit: ``"paragraph"`` gives the paragraphs as they stand in the text, without labels (the
            original ones are on sentences); ``Paragraph.extra`` holds ``sentences``, the markers, and
            ``span``, the character offsets in the ``.txt``, and the article's source is the
            paragraphs joined by blank lines, because in the ``.txt`` the markers stand between the
            sentences. ``"sentence"`` gives a Paragraph for each sentence, labelled with its class and
            with ``extra`` ``{"marker", "speech"}``; the source is the ``.txt`` itself.

    Raises:
        DataError: the file is no zip, a part of it is damaged, encrypted, not UTF-8 or larger than
            4 MB, an ``.ann`` is missing or malformed, or no article was found.
    """
    if unit not in {"paragraph", "sentence"}:
        raise DataError(f"unit is {unit!r}, expected 'paragraph' or 'sentence'")
    path = Path(zip_path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = list(_texts(archive))
            if not names:
                raise DataError("holds no .txt file, expected the NewsDiscourse release", path=path)
            for name in names:
                yield _article(archive, name, path, unit)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path=path) from None
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"is not a readable zip file: {error}", path=path, hint="download the NewsDiscourse release again"
        ) from None


def _texts(archive: zipfile.ZipFile) -> Iterator[str]:
    for name in archive.namelist():
        file = PurePosixPath(name)
        # macOS puts a "._name.txt" of resource forks beside each file.
        if file.suffix == ".txt" and "__MACOSX" not in file.parts and not file.name.startswith("."):
            yield name


def _read(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    where = f"{path}:{name}"
    try:
        with archive.open(name) as file:
            data = file.read(_LARGEST + 1)
    except KeyError:
        raise DataError("is missing, expected labels beside each .txt", path=where) from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError) as error:
        raise DataError(f"is damaged: {error}", path=where, hint="download the zip file again") from None
    except RuntimeError as error:
        raise DataError(f"is encrypted: {error}", path=where, hint="unpack it and pack it without a password") from None
    if len(data) > _LARGEST:
        raise DataError(f"is larger than {_LARGEST:,} bytes, expected a news article", path=where)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"is not UTF-8: byte {error.start} is 0x{data[error.start]:02X}", path=where) from None


def _article(archive: zipfile.ZipFile, name: str, path: Path, unit: str) -> Article:
    text, where = _read(archive, name, path), f"{path}:{name}"
    sentences = _sentences(text, _read(archive, f"{name[:-4]}.ann", path), where)
    file = PurePosixPath(name)
    split = file.parts[0].split()[0]  # "train 2/Crime/Xinhua_250.txt" is in data/train.zip
    headline, date = _HEADLINE.search(text), _DATE.search(text)
    published = date[1] if date else None
    if published is None and (named := _NAMED_DATE.search(file.stem)):
        published = "-".join(named.groups())
    outlet = next((outlet for key, outlet in _OUTLETS.items() if key in file.stem), None)
    build = _paragraphs if unit == "paragraph" else _labelled_sentences
    extra = {
        "topic": (file.parts[-2] if len(file.parts) > 1 else split).split()[0].lower(),
        "source": {"repository": REPOSITORY, "path": f"data/{split}.zip:{name}"},
    }
    made = Article(
        id="-".join(["nd", split, *file.parts[1:-1], file.stem]),
        paragraphs=build(text, sentences),
        source=text,
        headline=headline[1].rstrip() if headline else None,
        published=published,
        outlet=outlet,
        extra=extra,
        origin=Origin(where),
    )
    if unit == "sentence":
        return made
    return Article.from_paragraphs(
        [
            Paragraph(_unmarked(p.text), 0, 0, extra={**p.extra, "span": [p.start, p.end]}, line=p.line)
            for p in made.paragraphs
        ],
        id=made.id,
        headline=made.headline,
        published=made.published,
        outlet=made.outlet,
        extra=made.extra,
        origin=made.origin,
    )


def _unmarked(text: str) -> str:
    """A paragraph, which holds no blank line, with a space for each line end and marker."""
    *parts, last = _MARKER.split(text)
    return " ".join([*(part.rstrip() for part in parts), last])


def _sentences(text: str, labels: str, where: str) -> list[_Sentence]:
    found = list(_SENTENCE.finditer(text))
    starts = [s.start() for s in found]
    classes: dict[int, str] = {}
    speech: set[int] = set()
    for number, row in enumerate(labels.splitlines(), 1):
        if not row.startswith("T"):  # E rows repeat the T rows as events
            continue
        ann = f"{where[:-4]}.ann"
        match = _LABEL.fullmatch(row.rstrip())
        if match is None:
            raise DataError(f"found {row[:60]!r}, expected 'T1<TAB>Class start end<TAB>S1'", path=ann, line=number)
        label, offset = match[1], int(match[2])
        index = bisect_right(starts, offset) - 1
        if index < 0 or offset >= found[index].end():
            raise DataError(f"offset {offset} of {label} is in no sentence of the text", path=ann, line=number)
        if label == "Speech":
            speech.add(index)
        elif label not in CLASSES:
            raise DataError(f"unknown class {label!r}, expected one of {', '.join(CLASSES)}", path=ann, line=number)
        elif classes.setdefault(index, label) != label:
            raise DataError(
                f"sentence {found[index][1]} has two classes, {classes[index]} and {label}", path=ann, line=number
            )
    if not found:
        raise DataError("has no line that starts with a marker such as 'S1 '", path=where)
    made, line, counted = [], 1, 0
    for i, s in enumerate(found):
        line += text.count("\n", counted, s.start())
        counted = s.start()
        end = s.start(2) + len(s[2].rstrip())
        made.append(_Sentence(s[1], s.start(2), end, line, classes.get(i), i in speech))
    return made


def _labelled_sentences(text: str, sentences: list[_Sentence]) -> tuple[Paragraph, ...]:
    return tuple(
        Paragraph(
            text[s.start : s.end], s.start, s.end, s.label, None, {"marker": s.marker, "speech": s.speech}, s.line
        )
        for s in sentences
    )


def _paragraphs(text: str, sentences: list[_Sentence]) -> tuple[Paragraph, ...]:
    """Runs of sentences with no blank line between them, markers still inside."""
    runs: list[list[_Sentence]] = []
    for s in sentences:
        if runs and not _PARAGRAPH_END.search(text, runs[-1][-1].end, s.start):
            runs[-1].append(s)
        else:
            runs.append([s])
    return tuple(
        Paragraph(
            text[run[0].start : run[-1].end],
            run[0].start,
            run[-1].end,
            extra={"sentences": [s.marker for s in run]},
            line=run[0].line,
        )
        for run in runs
    )
