"""Connections to a target: the settings of every migration session, and errors in the engine's words.

Each session is direct (a pooler in transaction mode would hand our advisory lock and our settings to strangers), has an
`application_name` that starts with `migration`, and asks the server to look for a vanished client every second: without
`client_connection_check_interval` a killed worker's statement runs on and commits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import tuple_row

from migrator.database import meanings, queries
from migrator.database.pooler import detect_pooler, is_direct
from migrator.database.told import words
from migrator.database.translate import connect_error, is_transient_sqlstate, mark, translated
from migrator.errors import EnvironmentFault, MigratorError

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "Connection",
    "Endpoint",
    "backend_of",
    "connect",
    "detect_pooler",
    "is_transient_sqlstate",
    "settings_for",
    "system_identifier",
    "translated",
]

Connection = psycopg.Connection[tuple[Any, ...]]

APPLICATION = "migration"
"""The first word of every session's application_name."""
OWN_PATH = "pg_catalog, pg_temp"
"""Where the engine's own queries look names up: nowhere that anybody else may create anything (CVE-2018-1058)."""

READING = frozenset({"observe", "validate", "verify", "lock", "cancel", "snapshot", "custodian", "baseline"})
"""Purposes that change nothing: the server refuses them to write, whatever code they should be brought to run."""

OBSERVERS = frozenset({"lock", "observe"})
"""Purposes that stay the login role: after SET ROLE, pg_stat_activity hides our own sessions from us."""

LOOKING_ON = frozenset({"lock", "observe", "cancel"})
"""Purposes that send nothing of a migration's own: see `Latch.behind`. Some of them are pursued while its SQL runs."""

CHANGING = frozenset({"apply", "dry_run", "rollback"})
"""Purposes that send what a migration changes, and so only where that means what was rehearsed."""

HOLDS_SNAPSHOT = frozenset({"snapshot"})
"""Purposes that keep a transaction idle for as long as pg_dump works beside it."""

IDLE_IN_TRANSACTION_MS = 5 * 60 * 1000
KEEPALIVES = {"keepalives": 1, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
CONNECT_TIMEOUT_SECONDS = 10

_URI = re.compile(r"postgres(?:ql)?://")
_HOST = r"(?:\[[^\]]*\]|[^@/?:,\[\]]*)(?::[0-9]*)?"
_CLEAR_URI = re.compile(
    rf"postgres(?:ql)?://(?:[^@/:]*(?::[^@/]*)?@)?{_HOST}(?:,{_HOST})*(?:/[^@/:?]*)?(?:\?.*)?", re.DOTALL
)
"""In which each of what divides a URI stands once: libpq takes the first @ and / that it finds."""
_PORTS = re.compile(r"[0-9, ]*")


class Cursor(psycopg.Cursor[tuple[Any, ...]]):
    """Its errors know which of the engine's queries they are of."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        try:
            return super().execute(query, params, **options)
        except psycopg.Error as exc:
            mark(exc, query)
            raise


class Session(psycopg.Connection[tuple[Any, ...]]):
    """A connection that knows what unqualified names mean in a migration's texts: see `naming`."""

    def __init__(self, pgconn: Any, row_factory: Any = tuple_row) -> None:
        super().__init__(pgconn, row_factory)
        self.cursor_factory = Cursor

    target_path: str = OWN_PATH
    """The target's own search path, or what a statement of the migration has set since."""
    lasting_path: str = OWN_PATH
    """The same, as it is outside of the transaction that is open."""
    given: Mapping[str, str | None] = MappingProxyType({})
    """What the server, the database and the role gave it of `meanings.LOOKED_AT`."""


class Latch(Protocol):
    """Keeps a role from logging in, but for the moments in which a session of ours is opened."""

    def lifted(self) -> AbstractContextManager[set[int]]:
        """To be told the process of the session that was opened. :raises CopySpoiled: it stays closed for good."""

    def behind(self, endpoint: Endpoint) -> Endpoint:
        """The same database as we: what the role itself can neither end nor keep out."""


@dataclass(frozen=True)
class Endpoint:
    """One database and how to reach it. `conninfo` is a libpq string or URI; it may hold a password, so it is never
    shown."""

    conninfo: str = field(repr=False)
    role: str | None = None
    """SET ROLE after connecting."""
    search_path: str = "public"
    """What the migration's statements look names up in; the engine's own queries have `OWN_PATH`."""
    name: str = ""
    """For messages; a target's name."""
    settings: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Of another database, whose migrations are rehearsed here: see `meanings.TARGETS_OWN`."""
    latch: Latch | None = field(default=None, repr=False, compare=False)
    """Of a role that nobody but us may log in as."""
    seal_secret: str | None = field(default=None, repr=False, compare=False)
    """What approvals and documents are sealed with; None: the password."""

    def with_database(self, dbname: str) -> Endpoint:
        """The same server, role and settings, another database. :raises EnvironmentFault: see `require_clear`."""
        self.require_clear()
        return replace(self, conninfo=make_conninfo(self.conninfo, dbname=dbname))

    @property
    def label(self) -> str:
        """What a message may say about this endpoint."""
        parts = _parts(self.conninfo)
        if parts is None:
            return self.name or "(unreadable connection string)"
        where = f"{parts.get('host') or parts.get('hostaddr') or 'local'}/{parts.get('dbname') or ''}"
        return f"{self.name} ({where})" if self.name else where

    def require_clear(self) -> None:
        """:raises EnvironmentFault: what would be looked for as a host may be a part of the password."""
        if _parts(self.conninfo) is None:
            raise EnvironmentFault(
                f"the connection string of {self.label} cannot be read; check the quoting of its parts: in a URI %, @,"
                " :, / and ? of a password are %25, %40, %3A, %2F and %3F",
                sqlstate=None,
            )


def _parts(conninfo: str) -> dict[str, Any] | None:
    """None: libpq cannot read it, or takes what is half of a password for something that messages name."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.Error:
        return None
    told = [str(parts.get(key) or "") for key in ("host", "hostaddr", "dbname")]
    if _URI.match(conninfo) and not _CLEAR_URI.fullmatch(conninfo):
        return None
    if any("@" in text for text in told) or not _PORTS.fullmatch(str(parts.get("port") or "")):
        return None
    return parts


def settings_for(
    endpoint: Endpoint,
    *,
    purpose: str,
    lock_timeout_ms: int = 2000,
    statement_timeout_ms: int = 0,
    idle_in_transaction_timeout_ms: int | None = None,
    server_version_num: int,
) -> dict[str, str]:
    """Every setting of a session, in the order in which they are set. Pure: a test reads each back from pg_settings.

    The role comes last, because it may not be allowed to set what the login role is.
    """
    if idle_in_transaction_timeout_ms is None:
        idle_in_transaction_timeout_ms = 0 if purpose in HOLDS_SNAPSHOT else IDLE_IN_TRANSACTION_MS
    settings = {
        "lock_timeout": f"{lock_timeout_ms}ms",
        "statement_timeout": f"{statement_timeout_ms}ms",
        "idle_in_transaction_session_timeout": f"{idle_in_transaction_timeout_ms}ms",
        "search_path": OWN_PATH,
        "synchronous_commit": "on",
        "default_transaction_isolation": "read committed",
        "default_transaction_read_only": "on" if purpose in READING else "off",
        "default_transaction_deferrable": "off",
        # What `naming` reads through a cursor is read to the end.
        "cursor_tuple_fraction": "1",
        # The server's own look-out for a client whose host vanished; libpq's keepalives watch the other direction.
        "tcp_keepalives_idle": "15",
        "tcp_keepalives_interval": "5",
        "tcp_keepalives_count": "3",
        **meanings.PINNED,
        **endpoint.settings,
    }
    if server_version_num >= 140000:
        settings["idle_session_timeout"] = "0"
        settings["client_connection_check_interval"] = "1s"
    if server_version_num >= 160000:
        settings |= meanings.PINNED_SINCE_16
    if server_version_num >= 170000:
        settings["transaction_timeout"] = "0"
    if purpose in OBSERVERS:
        settings["role"] = "none"  # also where the database or the login role has one of its own
    elif endpoint.role:
        settings["role"] = endpoint.role
    return settings


def connect(
    endpoint: Endpoint,
    *,
    purpose: str,
    lock_timeout_ms: int = 2000,
    statement_timeout_ms: int = 0,
    idle_in_transaction_timeout_ms: int | None = None,
    autocommit: bool = True,
    version: str | None = None,
) -> Session:
    """A session with all settings of `settings_for`. Timeouts in milliseconds, 0 = none.

    :raises ConnectionLost: the server cannot be reached now. :raises EnvironmentFault: wrong password, no such database
    or role. :raises PoolerDetected: a pooler in transaction mode sits in between. :raises Refused: see `require_usual`;
    of `CHANGING` only.
    """
    if endpoint.latch is not None and purpose in LOOKING_ON:
        endpoint = endpoint.latch.behind(endpoint)
    with nullcontext(set[int]()) if endpoint.latch is None else endpoint.latch.lifted() as opened:
        connection = _open(endpoint, application_name(purpose, version))
        opened.add(connection.info.backend_pid)
        try:
            with translated():
                if not is_direct(connection):
                    detect_pooler(connection)
                wanted = settings_for(
                    endpoint,
                    purpose=purpose,
                    lock_timeout_ms=lock_timeout_ms,
                    statement_timeout_ms=statement_timeout_ms,
                    idle_in_transaction_timeout_ms=idle_in_transaction_timeout_ms,
                    server_version_num=connection.info.server_version,
                )
                _set_all(connection, wanted, endpoint)
                connection.autocommit = autocommit
                connection.target_path = connection.lasting_path = endpoint.search_path
                if purpose in CHANGING:
                    require_usual(connection, endpoint)
        except BaseException:
            connection.close()
            raise
    return connection


def major_of(endpoint: Endpoint) -> int:
    """Version of the server, such as 16. :raises MigratorError: see `connect`."""
    with connect(endpoint, purpose="observe") as connection:
        return connection.info.server_version // 10_000


def require_usual(connection: Session, endpoint: Endpoint) -> None:
    """:raises Refused: what it was given makes SQL mean something else here than on a copy."""
    meanings.require_usual(connection, connection.given, role=endpoint.role, label=endpoint.label)


def _open(endpoint: Endpoint, name: str) -> Session:
    endpoint.require_clear()
    try:
        return Session.connect(_login(endpoint, name), autocommit=True, prepare_threshold=None)
    except psycopg.Error as exc:
        raise connect_error(exc, endpoint.label) from None


def application_name(purpose: str, version: str | None) -> str:
    """What pg_stat_activity shows; the runbook's monitoring looks for the first word. 63 bytes at most."""
    name = " ".join(part for part in (APPLICATION, purpose, version) if part)
    return name.encode()[:63].decode(errors="ignore")


def backend_of(connection: Connection) -> tuple[int, datetime]:
    """pid and start of the session's server process: what `activity.fence` needs to find this very session again."""
    with translated():
        row = connection.execute(queries.load(__package__, "session")["own_backend"]).fetchone()
    if row is None or row[1] is None:
        raise EnvironmentFault("pg_stat_activity does not show our own session; is track_activities off?")
    return row[0], row[1]


def system_identifier(connection: Connection) -> str:
    """The cluster's identity, or `unavailable` where a managed service does not let us read it."""
    try:
        row = connection.execute(queries.load(__package__, "session")["system_identifier"]).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        return "unavailable"
    return str(row[0]) if row else "unavailable"


def _login(endpoint: Endpoint, name: str) -> str:
    given = conninfo_to_dict(endpoint.conninfo)
    timeout = given.get("connect_timeout") or CONNECT_TIMEOUT_SECONDS
    return make_conninfo(
        endpoint.conninfo, application_name=name, client_encoding="UTF8", connect_timeout=timeout, **KEEPALIVES
    )


def _set_all(connection: Session, settings: dict[str, str], endpoint: Endpoint) -> None:
    """One round trip for all. A platform without POLLRDHUP refuses the connection check: then go without it."""
    try:
        _set(connection, settings)
    except psycopg.errors.InvalidParameterValue as exc:
        if "client_connection_check_interval" in str(exc):
            _set(connection, {key: value for key, value in settings.items() if "connection_check" not in key})
        else:
            raise _bad_setting(exc, endpoint) from None
    except psycopg.errors.InsufficientPrivilege as exc:
        raise _bad_setting(exc, endpoint) from None


def _set(connection: Session, settings: dict[str, str]) -> None:
    """What is looked at comes first: a list is evaluated from the left to the right."""
    looks = [psycopg.sql.SQL("pg_catalog.current_setting({}, true)").format(name) for name in meanings.LOOKED_AT]
    calls = [
        psycopg.sql.SQL("pg_catalog.set_config({}, {}, false)").format(key, value) for key, value in settings.items()
    ]
    query = psycopg.sql.SQL("SELECT {}").format(psycopg.sql.SQL(", ").join([*looks, *calls]))
    found = connection.execute(query).fetchone() or ()
    connection.given = dict(zip(meanings.LOOKED_AT, found, strict=False))


def _bad_setting(exc: psycopg.Error, endpoint: Endpoint) -> MigratorError:
    return EnvironmentFault(f"cannot prepare the session on {endpoint.label}: {words(exc)}", sqlstate=exc.sqlstate)
