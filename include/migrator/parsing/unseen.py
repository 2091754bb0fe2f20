"""Characters that people do not see, or take for others: shown by their U+ number, so that nobody signs what he cannot
read.

Bidirectional controls change the order in which a line is shown (https://trojansource.codes), zero-width characters
make two names of what looks like one.
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_COMMAND = re.compile(r"(?m)^(\s*):(?=:[\w-])|#(?=#(?:\[|vso\[))")


def visible(text: str) -> str:
    """With <U+200B> for what cannot be seen."""
    return text if text.isascii() else _UNSEEN.sub(lambda match: f"<{number(match[0])}>", text)


def is_unseen(char: str) -> bool:
    return _UNSEEN.match(char) is not None


def number(char: str) -> str:
    return f"U+{ord(char):04X}"


def called(char: str) -> str:
    """ "U+200B ZERO WIDTH SPACE"."""
    return f"{number(char)} {unicodedata.name(char, 'without a name')}"


def no_command(text: str) -> str:
    """Harmless to what reads the output of a job for orders: `::error ...` at the head of a line (GitHub), `##[...]`
    anywhere (GitHub, Azure)."""
    if "::" not in text and "##" not in text:
        return text
    return _COMMAND.sub(lambda match: f"{match[1] or ''}\\x{ord(match[0][-1]):02x}", text)


def one_line(text: str) -> str:
    """A text that has to stay on one line, whatever names are in it."""
    return text if "\n" not in text and "\r" not in text else text.replace("\r", "\\r").replace("\n", "\\n")


def continued(text: str) -> str:
    """A text of several lines, none of which begins as a line of the log does: names and comments are a stranger's."""
    lines = text.splitlines()
    return "\n    ".join(lines) if len(lines) > 1 else text.rstrip("\r\n")
