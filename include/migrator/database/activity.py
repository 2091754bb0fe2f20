"""Other sessions of the target: who blocks us, and how to end the one that a dead worker left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import kwargs_row

from migrator.database import queries, session
from migrator.database.session import Connection
from migrator.database.vocabulary import told_application, told_name
from migrator.errors import NeedsHuman, StatementFailed

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Blocker:
    """One session that keeps ours waiting. What PostgreSQL hides from our role is None. What it executes is not asked:
    other people's SQL holds rows."""

    pid: int
    """0 for a prepared transaction."""
    user: str | None
    application_name: str | None
    state: str | None
    xact_age_seconds: float | None
    mode: str | None
    """The lock that it holds, or waits for ahead of us, as pg_locks writes it."""
    relation: str | None
    backend_start: datetime | None = None
    holds: bool = True
    """False for one that waits itself, ahead of us in the queue."""

    @property
    def who(self) -> str:
        if self.pid == 0:
            return "a prepared transaction"
        age = f", transaction open for {self.xact_age_seconds:.1f} s" if self.xact_age_seconds is not None else ""
        called = called_by(told_application(self.application_name), self.application_name)
        return f"pid {self.pid} ({called}user {self.user or 'hidden'}, {self.state or 'state hidden'}{age})"

    def __str__(self) -> str:
        relation = told_name(self.relation) if self.relation else "an object"
        verb = "holds" if self.holds else "waits ahead of us for"
        return f"{self.who} {verb} {self.mode or 'a lock'} on {relation}"


def called_by(told: str | None, name: str | None) -> str:
    """What a session calls itself by, before its user; nothing where that is not told."""
    return f"{told or 'no application name'}, " if told or not name else ""


def blockers_of(connection: Connection, pid: int) -> tuple[Blocker, ...]:
    """The sessions that `pid` waits for, the oldest transaction first; empty when it does not wait."""
    with session.translated(), connection.cursor(row_factory=kwargs_row(_blocker)) as cursor:
        return tuple(cursor.execute(queries.load(__package__, "activity")["blockers"], {"pid": pid}).fetchall())


def fence(
    connection: Connection,
    *,
    pid: int,
    backend_start: datetime,
    wait_seconds: float = 10,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Make sure that the session `pid`, started at `backend_start`, executes nothing any more.

    True when it is gone, whether we ended it or not; False when it is still there after `wait_seconds` (it may wait
    for a disk or a standby): then nothing else may start. Only that very session is terminated: when the server gave
    the pid to another one since, there is nothing to do. The connection must be in autocommit.

    :raises NeedsHuman: our role may not see or may not terminate it.
    """
    deadline = time.monotonic() + wait_seconds
    parameters = {"pid": pid, "backend_start": backend_start}
    sent = False
    while True:
        rows = as_login_role(connection, "backend", parameters)
        if not rows:
            return True
        if rows[0][0] is None:
            raise NeedsHuman(
                f"a session with pid {pid} exists, but this role may not see when it started; grant it "
                "pg_read_all_stats, or end the session by hand if it still executes the migration"
            )
        if rows[0][0] != backend_start:
            return True
        if not sent:
            as_login_role(connection, "terminate", parameters)
            sent = True
        if time.monotonic() >= deadline:
            return False
        sleep(POLL_SECONDS)


def is_alive(connection: Connection, *, pid: int, backend_start: datetime) -> bool:
    """Whether that very session is still there; True as well when our role may not see when it started."""
    rows = as_login_role(connection, "backend", {"pid": pid})
    return bool(rows) and rows[0][0] in (None, backend_start)


def as_login_role(connection: Connection, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """A query of activity.sql. pg_stat_activity is read once per transaction, so each look is one; after SET ROLE it
    would hide our sessions."""
    try:
        with session.translated(), connection.transaction():
            connection.execute("SET LOCAL ROLE NONE")
            return connection.execute(queries.load(__package__, "activity")[query], parameters).fetchall()
    except StatementFailed as exc:
        if exc.fields.get("sqlstate") == "42501":
            pids = parameters.get("pids", [parameters.get("pid")])
            raise NeedsHuman(f"cannot end the session with pid {', '.join(map(str, pids))}: {exc}") from exc
        raise


def _blocker(**row: Any) -> Blocker:
    return Blocker(user=row.pop("user_name"), **row)
