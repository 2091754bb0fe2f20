"""Colours: a style is decoration, never the only carrier of a fact. Also what keeps text from driving the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from migrator.parsing.unseen import no_command, one_line, visible

Paint = Callable[[str, str], str]
"""(text, style) to what is written. Text comes from people's files, so control characters are always taken out."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_SGR: Mapping[str, str] = {
    "error": "1;31",
    "warning": "33",
    "info": "36",
    "good": "32",
    "bad": "31",
    "faint": "2",
    "strong": "1",
}
"""ECMA-48 "select graphic rendition" parameters."""


def printable(text: str) -> str:
    """Text without what could drive a terminal, reorder the line, hide in it, or order the job that prints it."""
    if not text.isprintable():
        text = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", visible(text))
    return no_command(text)


def plain(text: str, style: str) -> str:
    return printable(one_line(text))


def coloured(text: str, style: str) -> str:
    code = _SGR.get(style)
    shown = printable(one_line(text))
    return f"\x1b[{code}m{shown}\x1b[0m" if code and text else shown
