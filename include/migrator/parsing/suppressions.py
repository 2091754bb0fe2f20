"""Comments in a SQL file by which its author takes responsibility for a finding on the next statement:

    -- migrator: allow <rule>[, <rule>] because <reason> until <YYYY-MM-DD>

They are read from real comments only (never from a string), belong to the statement that follows and to no other, and
are part of what a review covers (`content.file_digest`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.statements import ParsedFile
from migrator.problems import Problem

FORM = "-- migrator: allow <rule> because <reason> until <YYYY-MM-DD>"

_MARK = re.compile(r"migrator\s*:", re.IGNORECASE)
_COMMENT = re.compile(r"(?:--|/\*)\s*migrator\s*:\s*(?P<text>.*?)\s*(?:\*/)?\s*\Z", re.IGNORECASE | re.DOTALL)
_ALLOW = re.compile(
    r"allow\s+(?P<rules>[^\s,]+(?:\s*,\s*[^\s,]+)*)(?:\s+because\b\s*(?P<reason>.*?))?(?:\s*\buntil\b\s*(?P<until>\S*))?\Z",
    re.IGNORECASE | re.DOTALL,
)


@frozen
class Suppression:
    """One rule that is allowed for one statement. `line` and `column` are the comment's."""

    rule: str
    """As written: may be another tool's id."""
    reason: str
    until: date
    """Last day on which it counts."""
    statement: int
    line: int
    column: int


@frozen
class Suppressions:
    valid: tuple[Suppression, ...] = ()
    faults: tuple[Problem, ...] = ()
    """Comments that allow nothing, because they are not understood."""


NONE = Suppressions()


def read(parsed: ParsedFile) -> Suppressions:
    """All suppressions of a file, in its order."""
    if not _MARK.search(parsed.text):
        return NONE
    valid: list[Suppression] = []
    faults: list[Problem] = []
    for token in lexer.tokens(parsed.text):
        match = _COMMENT.match(token.text) if token.kind == "comment" else None
        if match is None:
            continue
        line, column = parsed.lines.place(token.start)
        found = _read_one(parsed, token, match["text"], line, column)
        if isinstance(found, Problem):
            faults.append(found)
        else:
            valid.extend(found)
    return Suppressions(tuple(valid), tuple(faults))


def _read_one(
    parsed: ParsedFile, token: lexer.Token, text: str, line: int, column: int
) -> Problem | tuple[Suppression, ...]:
    def fault(message: str, hint: str) -> Problem:
        return Problem(parsed.file, message, line, column, hint=hint)

    match = _ALLOW.match(text)
    if match is None:
        return fault("this comment to the analyser is not understood", f"write {FORM}")
    if not match["reason"]:
        return fault(f"the allowance for {match['rules']!r} has no reason", f"say why it is safe here: {FORM}")
    if not match["until"]:
        return fault(f"the allowance for {match['rules']!r} has no end", f"say until when it counts: {FORM}")
    try:
        until = date.fromisoformat(match["until"])
    except ValueError:
        return fault(f"{match['until']!r} is not a date", "write it as YYYY-MM-DD")
    if parsed.lines.text_of(line)[: column - 1].strip():
        return fault("an allowance stands before its statement", "move the comment to the line above the statement")
    statement = _statement_after(parsed, token.end)
    if statement is None:
        return fault("no statement that could be analysed follows this allowance", "write it right before a statement")
    rules = re.split(r"\s*,\s*", match["rules"])
    reason = " ".join(match["reason"].split())
    return tuple(Suppression(rule, reason, until, statement, line, column) for rule in rules)


def _statement_after(parsed: ParsedFile, offset: int) -> int | None:
    """Index of the statement whose first token is the next one."""
    if any(statement.start < offset < statement.end for statement in parsed.statements):
        return None
    start = next(_starts(parsed.text, offset), None)
    return next((statement.index for statement in parsed.statements if statement.start == start), None)


def _starts(text: str, offset: int) -> Iterator[int]:
    for token in lexer.tokens(text, offset):
        if token.kind not in ("space", "comment", "semicolon"):
            yield token.start
