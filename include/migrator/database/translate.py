"""Driver errors in the engine's words: what is transient, what was lost, and where in the file a statement failed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from migrator.database.advice import advice
from migrator.database.told import condition, told_and_kept, words
from migrator.errors import (
    ConnectionLost,
    EnvironmentFault,
    LockNotAvailable,
    MigratorError,
    StatementFailed,
    TransientError,
)
from migrator.plan import Statement

LOST = frozenset({"57P01", "57P02", "57P03", "57P05", "53300", "25P03", "25P04"})
"""Ended by an administrator, a crash or a timeout, or not let in (PostgreSQL's Appendix A); and all of class 08."""
ENDED = "57P01"
"""admin_shutdown"""
ENDED_BY = (
    ". somebody has ended this session: whoever stops the server, or the rollback of this run, when its task was marked"
    " or seemed to be dead"
)

PROTOCOL_VIOLATION = "08P01"
"""Of class 08, but no lost connection: the server's answer to a text with `$1`, for which there is no value."""

RETRYABLE = frozenset({"55P03", "40P01", "40001"})
"""Lock not granted, deadlock, serialization failure: the transaction is gone, the session lives."""

PERMANENT_LOGIN = re.compile(
    r'password authentication failed|no password supplied|no pg_hba\.conf entry|role ".*" does not exist'
    r'|database ".*" does not exist|permission denied for database|not permitted to log in'
    r"|certificate|SSL.*not support|could not translate host name",
    re.IGNORECASE,
)


def is_transient_sqlstate(sqlstate: str | None) -> bool:
    """Whether the same call may go through later. None means that the connection broke without a word."""
    return sqlstate is None or sqlstate in RETRYABLE or _is_lost(sqlstate)


def _is_lost(sqlstate: str) -> bool:
    return sqlstate in LOST or (sqlstate.startswith("08") and sqlstate != PROTOCOL_VIOLATION)


def mark(exc: psycopg.Error, query: object) -> None:
    """Let an error say which of the engine's queries it is of."""
    exc.__dict__.setdefault("label", getattr(query, "label", ""))


@contextmanager
def translated(*, statement: Statement | None = None, step: str | None = None, moment: str = "") -> Iterator[None]:
    """Turn psycopg's errors into ours; with `statement` the message carries file, line and column.

    Without the cause: a traceback would print what the server has said, whole, see `told`.

    :param moment: for what runs later than it was written: "deferred until COMMIT".
    """
    try:
        yield
    except psycopg.Error as exc:
        raise to_engine_error(exc, statement=statement, step=step, moment=moment) from None


def to_engine_error(
    exc: psycopg.Error, *, statement: Statement | None = None, step: str | None = None, moment: str = ""
) -> MigratorError:
    """The decision behind `translated`. What may hold a row stays out of the message and its fields."""
    state = exc.sqlstate
    place, fields = _place(exc, statement, step)
    if state is None:
        if isinstance(exc, (psycopg.OperationalError, psycopg.InterfaceError)):
            return ConnectionLost(f"{place}the connection was lost: {words(exc)}", sqlstate=None, **fields)
        return StatementFailed(f"{place}{words(exc)}", sqlstate=None, **fields)
    written = statement.sql if statement is not None else ""
    label = "" if statement is not None else exc.__dict__.get("label", "")
    told = told_and_kept(exc.diag, written=written, place=place)
    if not condition(state) and state not in written:  # RAISE takes any five letters, also those of a row
        return StatementFailed(
            (f"the engine's query {label}: " if label else place)
            + f"{told.text}{f', {moment}' if moment else ''} (a SQLSTATE of its own)"
            + (f"; {advice(state)}" if label else ""),
            sqlstate=None,
            where=told.where,
            **fields,
        )
    if state == "55P03":
        return LockNotAvailable(f"{place}{told.text}", sqlstate=state, **fields)
    if _is_lost(state):
        by_whom = ENDED_BY if state == ENDED else ""
        return ConnectionLost(f"{place}the connection was lost: {told.text}{by_whom}", sqlstate=state, **fields)
    name = condition(state)
    if label:
        place = f"the engine's query {label}: "
    text = f"{place}{told.text}{f', {moment}' if moment else ''} (SQLSTATE {state}{f', {name}' if name else ''})"
    if label:
        text += f"; {advice(state)}"
    if state in RETRYABLE:
        return TransientError(text, sqlstate=state, **fields)
    return StatementFailed(
        text,
        sqlstate=state,
        where=told.where,
        columns=told.columns or (exc.diag.column_name if told.named else None),
        schema=exc.diag.schema_name if told.named else None,
        table=exc.diag.table_name if told.named else None,
        constraint=exc.diag.constraint_name if told.named else None,
        **fields,
    )


def position_in_file(statement: Statement, position: int | None) -> tuple[int, int]:
    """Line and column in the file of the 1-based character `position` that the server counts within the statement."""
    if position is None:
        return statement.line, statement.column
    before = statement.sql[: position - 1]
    newlines = before.count("\n")
    if newlines == 0:
        return statement.line, statement.column + len(before)
    return statement.line + newlines, len(before) - before.rindex("\n")


_OF_OPTIONS = re.compile(r'(invalid value for parameter "[^"]*"|invalid command-line argument[^:]*): .*')
"""A value out of `options`: settings may hold secrets."""


def connect_error(exc: psycopg.Error, label: str) -> MigratorError:
    """A failed login. A malformed connection string is not quoted: libpq's message may repeat the password."""
    if isinstance(exc, psycopg.ProgrammingError):
        return EnvironmentFault(f"the connection string of {label} cannot be read; check the quoting of its parts")
    text = _OF_OPTIONS.sub(r"\1", " ".join(str(exc).split()))
    if PERMANENT_LOGIN.search(text):
        return EnvironmentFault(f"cannot connect to {label}: {text}", sqlstate=exc.sqlstate)
    return ConnectionLost(f"cannot connect to {label}: {text}", sqlstate=exc.sqlstate)


def _place(exc: psycopg.Error, statement: Statement | None, step: str | None) -> tuple[str, dict[str, Any]]:
    if statement is None:
        return "", {"step": step} if step else {}
    raw = exc.diag.statement_position
    line, column = position_in_file(statement, int(raw) if raw else None)
    fields = {
        "file": statement.file,
        "line": line,
        "column": column,
        "sql": statement.sql,
        "statement": statement.index,
        "step": step,
    }
    return f"{statement.file}:{line}:{column}: ", fields
