"""What an unqualified name means: in the engine's own queries nothing but pg_catalog's, in a migration's texts the
target's.

A session's search path is `session.OWN_PATH`. Two doors lead to the target's own path, and no other:

- `names_of_target`: while a text is sent that somebody else has written. No query of ours is sent inside.
- `ask`: a query of ours whose *answer* depends on the path: to_regclass(), format_type(), current_schemas(). DECLARE
  looks all its names up under our path and plans it (PerformCursorOpen in src/backend/commands/portalcmds.c); FETCH,
  under the target's, runs that very plan. So no function or operator is looked up in the target's path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from psycopg import sql as quoting
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from migrator.database.session import OWN_PATH, Session

_PART = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^",]+?))\s*(?:,|\Z)')
_CURSOR = "migrator_names"


class Answer(NamedTuple):
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    @property
    def named(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@contextmanager
def names_of_target(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """While it lasts, names mean what they mean to the target; what the text itself sets is kept for the next one.

    SET and SHOW take no snapshot, so that SET TRANSACTION may still follow.
    """
    if not isinstance(conn, Session):  # a connection that is not ours keeps its own path
        yield
        return
    _set(conn, conn.target_path)
    try:
        yield
    except BaseException:
        if not conn.closed and conn.info.transaction_status == TransactionStatus.IDLE:
            _set(conn, OWN_PATH)  # within a transaction nothing can be set any more, and ROLLBACK does it
        raise
    conn.target_path = _shown(conn, then=OWN_PATH)
    if conn.info.transaction_status == TransactionStatus.IDLE:
        conn.lasting_path = conn.target_path


def ask(conn: psycopg.Connection[Any], query: str, values: Mapping[str, Any] | None = None) -> Answer:
    """The whole answer of a query of ours, as the target's own path makes it."""
    if not isinstance(conn, Session):
        cursor = conn.cursor(row_factory=tuple_row).execute(query.encode(), values)
        return _answer(cursor)
    with conn.pipeline(), conn.transaction():
        conn.execute(f"DECLARE {_CURSOR} NO SCROLL CURSOR FOR {query}".encode(), values)
        _set(conn, conn.target_path, local=True)
        cursor = conn.cursor(row_factory=tuple_row).execute(f"FETCH ALL FROM {_CURSOR}".encode())
        _set(conn, OWN_PATH, local=True)
        conn.execute(f"CLOSE {_CURSOR}".encode())
        return _answer(cursor)


@contextmanager
def passing(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """What is done inside is undone after: a transaction of its own, or a savepoint of the one that is open."""
    kept = (conn.target_path, conn.lasting_path) if isinstance(conn, Session) else None
    try:
        with conn.transaction(force_rollback=True):
            yield
    finally:
        if isinstance(conn, Session) and kept is not None:
            conn.target_path, conn.lasting_path = kept


def before_commit(conn: psycopg.Connection[Any]) -> None:
    """COMMIT runs the deferred triggers of the statements, which find their names as the statements do."""
    if isinstance(conn, Session):
        _set(conn, conn.target_path, local=True)


def committed(conn: psycopg.Connection[Any]) -> None:
    """After COMMIT: a path that a statement has set for the session, not for its transaction, stays the target's."""
    if not isinstance(conn, Session):
        return
    try:
        now = _shown(conn)
        if now != OWN_PATH:
            conn.lasting_path = now
            _set(conn, OWN_PATH)
    except psycopg.Error:
        conn.close()  # what is committed is committed: whoever sends the next statement is told
    conn.target_path = conn.lasting_path


def path_of(conn: psycopg.Connection[Any]) -> str | None:
    """The target's path as the statements have left it; None of a connection that is not ours."""
    return conn.target_path if isinstance(conn, Session) else None


def keep_path(conn: psycopg.Connection[Any], path: str) -> None:
    """Outside of a transaction: as if a statement had set it for the session."""
    if isinstance(conn, Session):
        conn.target_path = conn.lasting_path = path


def rolled_back(conn: psycopg.Connection[Any]) -> None:
    """After ROLLBACK: what was set in the transaction never was."""
    if isinstance(conn, Session):
        conn.target_path = conn.lasting_path


def _answer(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Answer:
    rows = cursor.fetchall()  # first: in a pipeline only this waits for the server
    return Answer(tuple(column.name for column in cursor.description or ()), rows)


def _set(conn: Session, path: str, *, local: bool | None = None) -> None:
    """For this transaction when there is one, else for the session."""
    conn.execute(_setting(conn, path, local))


def _setting(conn: Session, path: str, local: bool | None = None) -> quoting.Composed:
    if local is None:
        local = conn.info.transaction_status != TransactionStatus.IDLE
    parts = [quoting.Literal(name) for name in names_in(path)] or [quoting.Literal("")]
    scope = quoting.SQL("LOCAL" if local else "SESSION")
    return quoting.SQL("SET {} search_path TO {}").format(scope, quoting.SQL(", ").join(parts))


def names_in(path: str) -> list[str]:
    """As SplitIdentifierString reads it (src/backend/utils/adt/varlena.c)."""
    found = _PART.finditer(path)
    return [one["quoted"].replace('""', '"') if one["quoted"] else one["plain"].lower() for one in found]


def _shown(conn: Session, *, then: str | None = None) -> str:
    """:param then: what it is set to, in the same round trip."""
    shown = quoting.SQL("SHOW search_path")
    both = shown if then is None else quoting.SQL("{}; {}").format(shown, _setting(conn, then))
    row = conn.execute(both).fetchone()
    return str(row[0]) if row else OWN_PATH
