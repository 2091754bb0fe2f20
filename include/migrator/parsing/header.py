"""The comment that a file begins with, as the runbook wants it: `-- Migration: 001_x`, `-- Author: ...`.

Read from the comments before the first statement. What is not of the form `Name: value` is prose and left alone.
"""

from __future__ import annotations

import re

from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.statements import ParsedFile

FIELDS = {
    "migration": "version",
    "migration name": "version",
    "version": "version",
    "rollback": "version",
    "rollback of": "version",
    "original migration": "version",
    "this is": "file",
    "author": "author",
    "description": "description",
    "risk": "risk_level",
    "risk level": "risk_level",
    "depends on": "dependencies",
    "dependencies": "dependencies",
}
"""What people call it, and the metadata's key."""

_FIELD = re.compile(r"^[ \t*-]*([A-Za-z][A-Za-z _]{2,24}?)[ \t]*:[ \t]*(\S.*?)[ \t]*(?:\*/)?$", re.MULTILINE)


@frozen
class Field:
    """`line` and `column` are those of the name."""

    key: str
    name: str
    value: str
    line: int
    column: int


def read(parsed: ParsedFile) -> tuple[Field, ...]:
    """The fields that say what the metadata says as well, in the order of the file."""
    found: list[Field] = []
    for token in lexer.tokens(parsed.text):
        if token.kind == "space":
            continue
        if token.kind != "comment":
            break
        for match in _FIELD.finditer(token.text.removeprefix("/*")):
            key = FIELDS.get(" ".join(match[1].lower().replace("_", " ").split()))
            if key is not None:
                shift = 2 if token.text.startswith("/*") else 0
                line, column = parsed.lines.place(token.start + shift + match.start(1))
                found.append(Field(key, match[1], match[2], line, column))
    return tuple(found)
