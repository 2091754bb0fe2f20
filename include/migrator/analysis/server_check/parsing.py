"""Lets the server parse one statement, and reads where it stopped."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from psycopg import pq
from psycopg.pq import DiagnosticField

from migrator.analysis.server_check.literals import Text, without_literals
from migrator.parsing.tokens import tokens

if TYPE_CHECKING:
    from migrator.database.session import Connection

GRAMMAR_STATES = frozenset(["42601", "42602", "42622", "42939"])
"""Syntax error, invalid name, name too long, reserved name: what a grammar alone can find."""


@dataclass(frozen=True)
class Refusal:
    """The server does not take a statement."""

    sqlstate: str
    message: str
    hint: str | None
    offset: int | None
    """Characters from the start of the text that was sent."""

    in_analysis: bool = False
    """The grammar takes it: what the server says, with whatever SQLSTATE, it says about the tables as they are now."""

    @property
    def is_syntax(self) -> bool:
        return self.sqlstate in GRAMMAR_STATES and not self.in_analysis

    def of_analysis(self) -> Refusal:
        return replace(self, in_analysis=True)


def parse_on_server(conn: Connection, sql: str) -> Refusal | None:
    """None when the server accepts the statement. Nothing is run: only a Parse message is sent, without the literals.

    :raises psycopg.OperationalError: when the connection is lost.
    """
    text = without_literals(sql)
    if text is None and not grammar_refuses(conn, sql):
        return None  # this grammar does not know it, so its literals cannot be told from the rest
    text = text or Text(sql)
    refusal = _refusal(conn.pgconn.prepare(b"", text.sql.encode()))
    return refusal if refusal is None or refusal.offset is None else replace(refusal, offset=text.place(refusal.offset))


def grammar_refuses(conn: Connection, sql: str) -> bool:
    """Whether it is the grammar that does not take a statement, and not the look at the tables which follows.

    "INSERT has more expressions than target columns" is a syntax error, too (42601), and is not true any more once the
    file has added a column. In the body of a function no statement is looked at before the function is made.
    """
    wrapped = f"CREATE FUNCTION pg_temp.f() RETURNS void BEGIN ATOMIC {_without_semicolon(sql)}\n; END"
    refusal = _refusal(conn.pgconn.prepare(b"", wrapped.encode()))
    return refusal is not None and refusal.sqlstate in GRAMMAR_STATES


def compile_on_server(conn: Connection, body: str) -> Refusal | None:
    """The same for the body of a DO block in PL/pgSQL, which Parse takes for a string.

    It becomes a nested block behind a RETURN: the server compiles all of it and runs the RETURN.
    """
    if body.lstrip().startswith("#"):
        return None  # an option of the compiler, which only stands at the very beginning
    body = _without_semicolon(body)
    tag = "$migrator"
    while tag in body:
        tag = f"$m{secrets.token_hex(8)}"
    prefix = f"DO {tag}$ BEGIN RETURN; "
    result = conn.pgconn.exec_(f"{prefix}{body}\n; END {tag}$".encode())
    refusal = _refusal(result)
    if refusal is None or refusal.offset is None:
        return refusal
    skipped = len(prefix) if _field(result, DiagnosticField.STATEMENT_POSITION) else len(" BEGIN RETURN; ")
    offset = refusal.offset - skipped
    return Refusal(refusal.sqlstate, refusal.message, refusal.hint, offset if 0 <= offset <= len(body) else None)


def _refusal(result: pq.abc.PGresult) -> Refusal | None:
    if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
        return None
    position = _field(result, DiagnosticField.STATEMENT_POSITION) or _field(result, DiagnosticField.INTERNAL_POSITION)
    return Refusal(
        sqlstate=_field(result, DiagnosticField.SQLSTATE),
        message=_field(result, DiagnosticField.MESSAGE_PRIMARY),
        hint=_field(result, DiagnosticField.MESSAGE_HINT) or None,
        offset=int(position) - 1 if position else None,
    )


def _field(result: pq.abc.PGresult, field: DiagnosticField) -> str:
    value = result.error_field(field)
    return value.decode(errors="replace") if value else ""


def _without_semicolon(body: str) -> str:
    """The block without the semicolon that may stand behind its END; a nested block has exactly one."""
    last = None
    for token in tokens(body):
        if token.kind not in ("space", "comment"):
            last = token
    if last is not None and last.kind == "semicolon":
        return body[: last.start] + " " + body[last.end :]
    return body
