"""Comments by which other tools keep both directions of a change in one file: `-- migrate:up`, `-- +goose Down`.

To PostgreSQL they are comments: all of the file would run.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.frozen import frozen
from migrator.parsing import lexer
from migrator.parsing.statements import ParsedFile

UP, DOWN = "up", "down"

_ANY = re.compile(r"(?im)^[ \t]*(?:#|--|/\*).*(?:up|down|undo|below)")
_TOOLS = "migrate|goose|micrate|rambler|migration|migrations|dbmate|sql"
_MARK = re.compile(
    rf"""
    (?P<tool>[+!@]|//@?)?[ ]*
    (?:(?P<named>{_TOOLS})[ ]*[: ][ ]*)?
    (?P<way>ups?|downs?|undo)
    (?:[ ](?:migrations?|script|sql))?
    (?:[ ](?:transaction:\w+|no[ ]?transaction))*
    """,
    re.IGNORECASE | re.VERBOSE,
)
_TERN = re.compile(r"create above ?/ ?drop below", re.IGNORECASE)
_ADORNED = " \t-=#*~_:.<>[]()"


@frozen
class Mark:
    """`plain`: it may be a heading of somebody's own as well as a tool's mark."""

    way: str
    text: str
    offset: int
    plain: bool


@frozen
class Halves:
    """`cut`: where the half begins that does not belong to the file."""

    cut: Mark
    line: int
    column: int


def read(parsed: ParsedFile, *, rollback: bool) -> Halves | None:
    """The second direction of a file, where it has statements of its own. None: there is but one.

    One mark that can be nothing else is enough where statements stand before it as well.
    """
    if not _ANY.search(parsed.text):
        return None
    marks, own = list(_marks(parsed)), DOWN if rollback else UP
    for place, mark in enumerate(marks):
        end = next((one.offset for one in marks[place + 1 :] if one.way != mark.way), len(parsed.text))
        if mark.way == own or not _between(parsed, mark.offset, end):
            continue
        if any(one.way == own for one in marks) or (not mark.plain and _between(parsed, 0, mark.offset)):
            return Halves(mark, *parsed.lines.place(mark.offset))
    return None


def _between(parsed: ParsedFile, start: int, end: int) -> bool:
    return bool(lexer.scan(parsed.text[start:end]).segments)


def _marks(parsed: ParsedFile) -> Iterator[Mark]:
    """Of comments that stand alone on their line, between statements."""
    for token in lexer.tokens(parsed.text):
        if token.kind != "comment" or "\n" in token.text:
            continue
        before = parsed.text[parsed.text.rfind("\n", 0, token.start) + 1 : token.start]
        if before.strip(" \t#") or any(one.start < token.start < one.end for one in parsed.statements):
            continue
        text = token.text.removeprefix("/*").removesuffix("*/").strip(_ADORNED)
        if _TERN.fullmatch(text):
            yield Mark(DOWN, token.text.strip(), token.start, False)
        elif match := _MARK.fullmatch(" ".join(text.split())):
            way = UP if match["way"].lower().startswith("up") else DOWN
            plain = not (match["tool"] or match["named"])
            yield Mark(way, token.text.strip(), token.start, plain)
