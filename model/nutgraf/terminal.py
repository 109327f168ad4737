"""What a terminal is given: text that cannot move it, and a console of a fitting width."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["stdout_console", "visible"]

_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    """The text on one line for a terminal: control, bidirectional and other invisible characters as escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        " " if char in "\r\n\t" else f"\\u{{{ord(char):x}}}" if unicodedata.category(char) in _HIDDEN else char
        for char in text
    )


def stdout_console() -> Console:
    """A rich console on standard output, which honours NO_COLOR and is wide when it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 100
    return console
