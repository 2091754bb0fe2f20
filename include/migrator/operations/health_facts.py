"""What preflight asks the server: read in one go, judged by `health_checks`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from migrator.database import naming, queries, session
from migrator.database.session import Connection
from migrator.steps import signals


@dataclass(frozen=True)
class Connections:
    """Sessions there are, and how many may be; a limit of -1 is none."""

    usable: int
    """Of the whole server, for roles that are no superusers."""
    taken: int
    taken_of_database: int
    taken_of_role: int
    database_limit: int
    role_limit: int


@dataclass(frozen=True)
class Standby:
    name: str
    state: str
    lag_bytes: int | None
    """WAL that it has not replayed; None when the server does not say."""


@dataclass(frozen=True)
class OpenTransaction:
    """A session with an open transaction; what PostgreSQL hides from our role is None."""

    pid: int
    user_name: str | None
    application_name: str | None
    state: str | None
    seconds: float | None


@dataclass(frozen=True)
class PreparedTransaction:
    gid: str
    user_name: str
    seconds: float


@dataclass(frozen=True)
class InvalidIndex:
    index_name: str
    bare_name: str
    table_name: str


@dataclass(frozen=True)
class Wraparound:
    """An autovacuum that does not give way."""

    table_name: str
    pid: int
    seconds: float | None


@dataclass(frozen=True)
class ServerFacts:
    standby: bool
    sees_all: bool
    """Whether our role sees other roles' sessions (pg_read_all_stats, part of pg_monitor)."""
    connections: Connections
    standbys: tuple[Standby, ...]
    transactions: tuple[OpenTransaction, ...]
    prepared: tuple[PreparedTransaction, ...]
    invalid_indexes: tuple[InvalidIndex, ...]
    wraparound: tuple[Wraparound, ...]
    rewrite_bytes: int
    """Size of the tables that get rewritten."""
    hidden_signals: tuple[str, ...] = ()
    """What our role may not see of what a step of many batches looks at while it runs, in words."""


def read(connection: Connection, *, touched: Collection[str], rewritten: Collection[str]) -> ServerFacts:
    """Ask. The connection stays the login role (purpose "observe"): SET ROLE would hide sessions.

    :param touched: tables that the migration locks, schema-qualified; those that do not exist yet do not matter.
    """
    tables = {"tables": sorted(touched)}
    server = _rows(connection, "server")[0]
    standby = bool(server["standby"])
    return ServerFacts(
        standby=standby,
        sees_all=bool(server["sees_all"]),
        connections=Connections(usable=server["usable_connections"], **_rows(connection, "connections")[0]),
        standbys=() if standby else tuple(Standby(**row) for row in _rows(connection, "standbys")),
        transactions=tuple(OpenTransaction(**row) for row in _rows(connection, "transactions")),
        prepared=tuple(PreparedTransaction(**row) for row in _rows(connection, "prepared")),
        invalid_indexes=tuple(InvalidIndex(**row) for row in _rows(connection, "invalid_indexes", **tables)),
        wraparound=tuple(Wraparound(**row) for row in _rows(connection, "wraparound", **tables)),
        rewrite_bytes=_rows(connection, "sizes", tables=sorted(rewritten))[0]["bytes"],
        hidden_signals=signals.hidden(connection),
    )


def _rows(connection: Connection, name: str, **parameters: Any) -> list[dict[str, Any]]:
    with session.translated():
        return naming.ask(connection, queries.load(__package__, "health")[name], parameters or None).named
