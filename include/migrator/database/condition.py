"""One query that must give one boolean, asked without writing: an assertion of the metadata, or what a gate waits for.

It is one statement by construction: the door sends it by the extended protocol. What it locks is looked at as well,
because the analysis has seen no more than its text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from migrator.database import naming, queries
from migrator.database.activity import Blocker
from migrator.database.door import lock_named, send
from migrator.database.session import Connection
from migrator.database.vocabulary import told_name

if TYPE_CHECKING:
    from migrator.plan import Statement

QUERIES = queries.load(__package__, "condition")
TIMEOUT_MS = 60_000
"""What takes longer is no question of a moment; the metadata's statement_timeout overrides."""


@dataclass(frozen=True)
class Found:
    value: bool | None = None
    problem: str = ""
    """Why there is no value: it took locks, or gave something else than one row with one boolean or NULL."""
    writing: Mapping[str, Blocker] = field(default_factory=dict)
    """Who may have been writing into what it has read, in rows that it has not seen; by their virtual transaction."""

    @property
    def shown(self) -> str:
        return "NULL" if self.value is None else str(self.value).lower()


def ask(
    conn: Connection,
    query: str,
    *,
    timeout_ms: int = 0,
    statement: Statement | None = None,
    around: Callable[[], AbstractContextManager[object]] = nullcontext,
    unchanged: Callable[[], object] | None = None,
    patience_ms: int | None = None,
) -> Found:
    """
    :param timeout_ms: 0: `TIMEOUT_MS`.
    :param statement: of which the query is the text.
    :param around: entered in the transaction, for the time that the query takes.
    :param unchanged: raises when others have changed what it may run. Asked when all that the query and its views name
        is locked, so that it does not run what is exchanged while it waits for that, and again when it has run.
    :param patience_ms: for how long it waits for any other lock then; None: as the session does.
    :raises psycopg.Error: not translated, as the caller knows what it was about.
    """
    with conn.transaction(force_rollback=True):
        conn.execute("SET TRANSACTION READ ONLY")
        conn.execute(f"SET LOCAL statement_timeout = {int(timeout_ms or TIMEOUT_MS)}")
        with around(), naming.names_of_target(conn):
            if unchanged is not None:
                lock_named(conn, query, statement=statement)
                unchanged()
            if patience_ms is not None:
                conn.execute(f"SET LOCAL lock_timeout = {int(patience_ms)}")
            cursor = send(conn, query, statement=statement)
        rows = cursor.fetchmany(2) if cursor.description else None
        taken = conn.execute(QUERIES["locks_taken"]).fetchall()
        writing = {row[0]: Blocker(*row[1:]) for row in conn.execute(QUERIES["writers"]).fetchall()}
        if unchanged is not None:
            unchanged()
    if taken:
        text = ", ".join(f"{mode} on {told_name(relation)}" for relation, mode in taken)
        return Found(problem=f"must only read, took {text}")
    if rows is None or len(rows) != 1 or len(rows[0]) != 1:
        shape = "no result" if rows is None else f"{'more than one' if len(rows) > 1 else len(rows)} rows"
        return Found(problem=f"must give one row with one value, gave {shape}")
    (value,) = rows[0]
    if value is not None and not isinstance(value, bool):  # it may be somebody's data, so only its type is told
        return Found(problem=f"gave a value of type {type(value).__name__}, not true")
    return Found(value, writing=writing)


def still_there(conn: Connection, writing: Mapping[str, Blocker]) -> tuple[Blocker, ...]:
    """Those whose transactions have not ended."""
    now = {name for (name,) in conn.execute(QUERIES["there"], {"transactions": list(writing)}).fetchall()}
    return tuple(blocker for name, blocker in writing.items() if name in now)
