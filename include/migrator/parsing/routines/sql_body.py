"""Bodies in SQL: statements one after the other, as a string or as BEGIN ATOMIC ... END."""

from __future__ import annotations

import re

from migrator.parsing import lexer
from migrator.parsing.routines.body import Body
from migrator.parsing.routines.contents import Contents, Fault, Piece
from migrator.parsing.statements import parse

_RETURN = re.compile(r"return\b", re.IGNORECASE)


def read(body: Body) -> Contents:
    pieces, faults = [], []
    for segment in lexer.scan(body.text).segments:
        sql = body.text[segment.start : segment.end]
        offset = body.offset + segment.start
        if _RETURN.match(sql):
            pieces.append(Piece("SELECT" + sql[len("return") :], offset, value=True))
            continue
        parsed = parse(sql, file="")
        if parsed.statements:
            pieces.append(Piece(sql, offset))
        for problem in parsed.problems[:1]:
            start = place(sql, problem.line or 1, problem.column or 1)
            faults.append(Fault(offset + start, problem.message, problem.hint or ""))
    return Contents(tuple(pieces), faults=tuple(faults))


def place(text: str, line: int, column: int) -> int:
    """Offset of a line and column, both from 1."""
    start = 0
    for _ in range(line - 1):
        start = text.index("\n", start) + 1
    return start + column - 1
