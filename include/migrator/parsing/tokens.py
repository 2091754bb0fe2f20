"""The tokens of SQL text, as PostgreSQL's scan.l cuts them (with standard_conforming_strings on, the only setting
since 9.1 that a migration session uses), white space and comments included."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f\v]+)
  | (?P<comment>--[^\n\r]*)
  | (?P<block>/\*)
  | (?P<string>(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*'
             | [eE]'[^'\\]*(?:(?:\\.|'')[^'\\]*)*')
  | (?P<quoted>(?:[uU]&)?"[^"]*(?:""[^"]*)*")
  | (?P<open>(?:[bBxXnNeE]|[uU]&)?'|(?:[uU]&)?")
  | (?P<dollar>\$(?:[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_\x80-\U0010FFFF]*)?\$)
  | (?P<word>[A-Za-z_\x80-\U0010FFFF][A-Za-z0-9_$\x80-\U0010FFFF]*)
  | (?P<number>0[xX][0-9A-Fa-f_]+|0[oO][0-7_]+|0[bB][01_]+
             |(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?|\$[0-9]+)
  | (?P<semicolon>;)
  | (?P<left>[(\[])
  | (?P<right>[)\]])
  | (?P<comma>,)
  | (?P<backslash>\\)
  | (?P<operator>(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+|::)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int
    closed: bool = True
    """False for a quote or comment that runs into the end of the file."""


def fold(word: str) -> str:
    """An unquoted identifier as PostgreSQL stores it: ASCII letters in lower case, others untouched."""
    return word.translate(_LOWER)


def tokens(text: str, start: int = 0) -> Iterator[Token]:
    """All tokens from `start`, white space and comments included; together they cover the text exactly."""
    position, size = start, len(text)
    while position < size:
        match = _TOKEN.match(text, position)
        if match is None:  # not reachable: `other` takes any character
            raise AssertionError(position)
        kind, end, closed = str(match.lastgroup), match.end(), True
        if kind == "block":
            end, closed = block_end(text, end)
            kind = "comment"
        elif kind == "dollar":
            close = text.find(match.group(), end)
            closed = close >= 0
            end = close + len(match.group()) if closed else size
            kind = "string"
        elif kind == "open":
            kind, end, closed = ("quoted" if match.group().endswith('"') else "string"), size, False
        yield Token(kind, text[position:end], position, end, closed)
        position = end


def block_end(text: str, position: int) -> tuple[int, bool]:
    """End of a block comment whose opening was read; they nest, as in scan.l."""
    depth = 1
    for match in _BLOCK_EDGE.finditer(text, position):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end(), True
    return len(text), False
