"""Colours: a style is decoration, never the only carrier of a fact. Also what keeps text from driving the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

Paint = Callable[[str, str], str]
"""(text, style) to what is written. Text comes from people's files, so control characters are always taken out."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

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
    """Text without what could drive a terminal or reorder the line (escapes, bidirectional marks)."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def plain(text: str, style: str) -> str:
    return printable(text)


def coloured(text: str, style: str) -> str:
    code = _SGR.get(style)
    return f"\x1b[{code}m{printable(text)}\x1b[0m" if code and text else printable(text)
