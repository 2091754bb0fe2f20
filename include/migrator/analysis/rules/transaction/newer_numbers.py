"""Numbers that the parser here knows, and that a server before PostgreSQL 16 reads as something else.

Of the texts that both grammars take they are the only ones that mean two things: to 14 `SELECT 1_000` is
`SELECT 1 AS _000`, and 15 refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.analysis.effects.world import UNKNOWN_VERSION, World
from migrator.analysis.rules.model import Hit, Rule
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.spots import spots_of
from migrator.parsing.routines import READERS, body_of
from migrator.parsing.statements import ParsedStatement
from migrator.parsing.tokens import tokens
from migrator.plan import Severity

SINCE = 16
CONSTANT = "A_Const"
_MAYBE = re.compile(r"[0-9.]_|0[xXoObB][0-9A-Fa-f_]")
"""Cheap, for the files that have none."""
_NUMBER = re.compile(
    r"0[xXoObB][0-9A-Fa-f_]+|(?:[0-9][0-9_]*(?:\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?"
)


def check(script: Script) -> Iterator[Hit]:
    if not _MAYBE.search(script.parsed.text):
        return
    seen = set()
    for subject in script.subjects:
        for start, number in _numbers(subject.statement):
            seen.add((subject.statement.index, number))
            yield from _hit(number, script.parsed.lines.place(min(start, len(script.parsed.text))), subject.world)
    for spot in spots_of(script, (CONSTANT,)):
        around = spot.around
        if spot.kind != CONSTANT:  # a text that cannot be read
            continue
        number = _number_at(around.statement.sql, spot.node.location) if around.within else ""
        if number and (around.index, number) not in seen:  # in a text that becomes SQL
            seen.add((around.index, number))
            yield from _hit(number, (around.statement.line, around.statement.column), spot.world)


def _hit(number: str, place: tuple[int, int], world: World) -> Iterator[Hit]:
    severity, server = _of(world)
    plain = _plain(number)
    if severity is not None:
        yield Hit(
            f"PostgreSQL {server} does not know the number {number}, which is {plain}: 14 reads it as a number and a"
            " name after it, 15 refuses it",
            severity,
            help=f"write {plain}",
            place=place,
        )


def _of(world: World) -> tuple[Severity | None, str]:
    if world.facts is None and world.assumed.server_version_num == UNKNOWN_VERSION:
        return Severity.WARNING, f"before {SINCE}, if that is the target's,"
    return (Severity.ERROR, str(world.major)) if world.major < SINCE else (None, "")


def _numbers(statement: ParsedStatement) -> Iterator[tuple[int, str]]:
    yield from ((statement.start + at, number) for at, number in _in(statement.sql))
    body = body_of(statement)
    if body is not None and not body.standard and body.language in READERS:
        yield from ((body.offset + at, number) for at, number in _in(body.text))


def _in(sql: str) -> Iterator[tuple[int, str]]:
    for token in tokens(sql):
        number = _newer(sql, token.start) if token.kind == "number" else ""
        if number:
            yield token.start, number


def _number_at(sql: str, location: int) -> str:
    """:param location: in bytes, as the parser counts."""
    return _newer(sql, len(sql.encode()[:location].decode(errors="ignore")))


def _newer(sql: str, start: int) -> str:
    found = _NUMBER.match(sql, start + (sql[start - 1 : start + 1] == ".."))  # 1..1_000 of PL/pgSQL
    return found[0] if found is not None and ("_" in found[0] or found[0][1:2] in tuple("xXoObB")) else ""


def _plain(number: str) -> str:
    """In the digits that every release knows."""
    digits = number.replace("_", "")
    try:
        return str(int(digits, 0)) if digits[1:2].lower() in ("x", "o", "b") else digits
    except ValueError:  # 0b7: the server refuses that, too
        return digits


RULE = Rule(
    id="number-of-a-newer-grammar",
    severity=Severity.ERROR,
    condition="a number with `_` in it, or one that begins with 0x, 0o or 0b, for a server before PostgreSQL 16; a"
    " warning when nobody knows which one the target is",
    effect="PostgreSQL 14 reads `1_000` as 1 with the name _000, without an error: other rows are changed than the"
    " analysis and the reviewers saw. 15 refuses it",
    alternative="write the number in plain digits",
    without_sql="always: the number stands in the message",
    source="https://www.postgresql.org/docs/16/release-16.html#RELEASE-16-GENERAL",
    script=check,
    in_rollback=True,
    versions="14-15",
    allowable=False,
)
