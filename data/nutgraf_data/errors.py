"""Every error that nutgraf raises on purpose, in one tree.

::

    NutgrafError
    ├── DataError          an article, a row, a file or a label set is not what it has to be
    ├── ModelError         a model folder fails its checks
    └── MissingExtraError  a part is used whose optional dependencies are not installed

All of them say what was found, what was expected and what to do. The command line prints them as one
line on standard error and exits with 1.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["DataError", "MissingExtraError", "ModelError", "NutgrafError"]


class NutgrafError(Exception):
    """Base of all errors raised on purpose; catch it to catch them all."""


class DataError(NutgrafError, ValueError):
    """Input that cannot be used as it is.

    Args:
        message: what was found and what was expected.
        path: the file, or another name of the place (``"<stdin>"``), where known.
        line: the line in that file, counted from 1, where known.
        hint: the way out.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        hint: str | None = None,
    ) -> None:
        self.message, self.line, self.hint = message, line, hint
        self.path = None if path is None else str(path)
        super().__init__(message)

    def __str__(self) -> str:
        where = self.path or ""
        if self.line is not None:
            where += f":{self.line}" if where else f"line {self.line}"
        text = f"{where}: {self.message}" if where else self.message
        return f"{text}; {self.hint}" if self.hint else text


class ModelError(NutgrafError):
    """A model folder that was refused: what was found, what was expected, what to do."""


class MissingExtraError(NutgrafError, ImportError):
    """A part of nutgraf whose optional dependencies are not installed.

    Args:
        what: what was asked for, as the subject of a sentence ("Reading Parquet").
        extra: the extra of the ``nutgraf`` distribution that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        self.extra = extra
        super().__init__(f'{what} needs packages that are not installed: pip install "nutgraf[{extra}]"')
