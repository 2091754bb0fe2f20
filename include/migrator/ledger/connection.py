"""The ledger's own connection: autocommit, apart from the one that executes DDL, renewed when it was lost.

Because it is a second connection, what it writes survives the rollback of the DDL; because it holds no transaction
between two calls, CREATE INDEX CONCURRENTLY never waits for it.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from migrator.database import queries, sealing, session
from migrator.database.session import Connection, Endpoint
from migrator.database.vocabulary import told_application
from migrator.errors import ConnectionLost, LockNotAvailable
from migrator.ledger.version import SCHEMA

LOCK_TIMEOUT_MS = 10_000
"""Writers of events wait for each other, a few milliseconds each."""

Self = TypeVar("Self", bound="LedgerConnection")


class LedgerConnection:
    """What reader and writer stand on. One thread at a time."""

    def __init__(self, endpoint: Endpoint, *, schema: str = SCHEMA, purpose: str = "ledger") -> None:
        """:param purpose: of the session; `custodian` only looks."""
        self.endpoint = endpoint
        self.purpose = purpose
        self.schema = schema
        self._connection: Connection | None = None
        self._turns: Connection | None = None
        self._has_turn = False

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for connection in (self._connection, self._turns):
            if connection is not None:
                connection.close()
        self._connection = self._turns = None

    @functools.cached_property
    def seal_key(self) -> bytes | None:
        """What reviews are sealed with; None: they are not."""
        return sealing.key_of(self.endpoint, "reviews")

    @property
    def connection(self) -> Connection:
        """The kept connection, opened on first use and again after it broke."""
        if self._connection is None or self._connection.closed:
            self._connection = session.connect(self.endpoint, purpose=self.purpose, lock_timeout_ms=LOCK_TIMEOUT_MS)
        return self._connection

    def key(self, purpose: str) -> int:
        """Of an advisory lock. They are per database; the key only has to differ from those of others."""
        name = f"migrator ledger {purpose} {self.schema}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)

    def query(self, name: str) -> psycopg.sql.Composed:
        """A query of ledger.sql with the schema's name put in."""
        return psycopg.sql.SQL(queries.load(__package__, "ledger")[name]).format(
            schema=psycopg.sql.Identifier(self.schema)
        )

    def read(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """All rows of a query. Asked again once on a new connection when the kept one turns out to be dead."""
        try:
            return fetch(self.connection, self.query(name), parameters)
        except ConnectionLost:
            self.close()
            return fetch(self.connection, self.query(name), parameters)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One short transaction. A dead connection is renewed before anything was sent, never after."""
        with session.translated(), ExitStack() as stack:
            yield self._begin(stack)

    def execute(self, connection: Connection, name: str, **parameters: Any) -> int:
        """Run a query of the ledger on the given connection; the number of rows that it met."""
        with session.translated():
            return connection.execute(self.query(name), parameters).rowcount

    def fetch(self, connection: Connection, name: str, **parameters: Any) -> list[dict[str, Any]]:
        return fetch(connection, self.query(name), parameters)

    def take_head(self, connection: Connection, detail: str = "{}") -> list[dict[str, Any]]:
        """First in every transaction that writes: those of others wait until this one ends. On a connection that is not
        the ledger's own only for whoever has the turn, see `turn`.

        :param detail: JSON, which comes back as PostgreSQL prints it.
        """
        if connection is self._connection and not self._has_turn:
            self._take_turn(connection)
        return self.fetch(connection, "take_head", detail=detail)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Nobody else writes until this ends, nor has a transaction number to write with: whatever the ledger holds by
        then of transactions that begin meanwhile, no other engine has written. It is kept by a session of its own,
        which has a transaction open and no snapshot.

        :raises LockNotAvailable: another writer has not ended in time.
        """
        keeping = self.prepare_turn()
        try:
            with session.translated():
                keeping.execute("BEGIN")
            self._take_turn(keeping)
            self._has_turn = True
            yield
        finally:
            self._has_turn = False
            keeping.close()

    def prepare_turn(self) -> Connection:
        """Open the session that keeps a turn. Before a migration's statements: they may lock what a login wants to
        write, as the copy's role does by changing its own password."""
        if self._turns is None or self._turns.closed:
            self._turns = session.connect(self.endpoint, purpose="ledger", lock_timeout_ms=LOCK_TIMEOUT_MS)
        return self._turns

    def _take_turn(self, connection: Connection) -> None:
        """:raises LockNotAvailable: names who has the turn."""
        try:
            self.execute(connection, "take_turn")
        except LockNotAvailable as exc:
            with session.connect(self.endpoint, purpose="observe") as looking:
                found = self.fetch(looking, "turn_holder", schema=self.schema)
            holder = _called(**found[0]) if found else "it let go just now"
            raise LockNotAvailable(
                f"another session keeps the ledger's writers waiting: {holder}; see what it does, and end it when it is"
                " not the engine's",
                **exc.fields,
            ) from exc

    def _begin(self, stack: ExitStack) -> Connection:
        try:
            stack.enter_context(self.connection.transaction())
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self.close()
            stack.enter_context(self.connection.transaction())
        return self.connection


def fetch(connection: Connection, query: psycopg.sql.Composed, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows as dictionaries; driver errors in our words."""
    with session.translated(), connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, parameters).fetchall()


def _called(pid: int, user_name: str | None, application_name: str | None) -> str:
    name = told_application(application_name)
    return f"{name} (pid {pid}, user {user_name})" if name else f"pid {pid} (user {user_name})"
