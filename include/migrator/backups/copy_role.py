"""The role that owns what is in a restored copy, and nothing else: as whom a migration's texts run there.

It connects; nobody becomes it by SET ROLE, which RESET ROLE would undo. It is a member of stand-ins alone
(`stand_ins`), it may not make databases or roles, and it may log in only while a session of ours is being opened:
whoever gives it another password (`ALTER ROLE CURRENT_USER PASSWORD`, which PostgreSQL allows to each role) gains
nothing, and shuts nobody out.

It does not own the database itself. An owner may rename it, comment on it, give it settings, a limit of connections and
IS_TEMPLATE, and let others connect (src/backend/commands/dbcommands.c); all of that stays ours, so that our mark on it
is a proof.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import psycopg
from psycopg import sql as pgsql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import CopySpoiled, EnvironmentFault, MigratorError

LOG = logging.getLogger(__name__)

WRONG_PASSWORD = "password authentication failed"
WANTED = "the copies connection needs a role with LOGIN, CREATEDB and CREATEROLE"


@dataclass
class CopyRole:
    """A `session.Latch`. One object per role and process: it knows the password, which is kept nowhere."""

    name: str
    copies: Endpoint
    """Our own login, which may change the role."""
    log: logging.Logger = LOG
    changed: bool = False
    """Whether somebody has given it another password since `renew`."""
    lasting: timedelta = timedelta(days=2)
    """VALID UNTIL so long from each login: longer than any dry run goes without another one."""
    _password: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _lifting: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """Reentrant, because a signal's handler may have to connect while a session is being opened."""
    _depth: int = 0
    _ours: set[int] = field(default_factory=set, repr=False)
    """The processes of the sessions that we have opened as the role."""

    def on(self, database: str) -> Endpoint:
        """That database, as the role."""
        conninfo = make_conninfo(self.copies.conninfo, dbname=database, user=self.name, password=self._password)
        return replace(self.copies, conninfo=conninfo, role=None, latch=self)

    def behind(self, endpoint: Endpoint) -> Endpoint:
        return self.copies.with_database(str(conninfo_to_dict(endpoint.conninfo)["dbname"]))

    def create(self, conn: Connection, *, mark: str) -> None:
        """The role, its mark and our right to what it owns, all or nothing. It may log in until `close`.

        :raises EnvironmentFault: we may not make roles.
        """
        inherit = " WITH INHERIT TRUE, SET TRUE" if conn.info.server_version >= 160000 else ""
        try:
            with session.translated(), conn.transaction():
                conn.execute(
                    pgsql.SQL(
                        "CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD {}"
                        " VALID UNTIL {}"
                    ).format(self._sql, self._verifier(conn), _in(conn, self.lasting))
                )
                conn.execute(pgsql.SQL("COMMENT ON ROLE {} IS {}").format(self._sql, pgsql.Literal(mark)))
                conn.execute(pgsql.SQL("GRANT {} TO CURRENT_USER" + inherit).format(self._sql))
        except MigratorError as exc:
            if exc.fields.get("sqlstate") != "42501":
                raise
            raise EnvironmentFault(f"cannot create a role for the restored copy: {exc}. {WANTED}") from None

    def renew(self, conn: Connection) -> None:
        """As it was made, whatever an earlier attempt has done with it: password, settings, members, sessions."""
        self.changed = False
        with session.translated():
            conn.execute(
                pgsql.SQL("ALTER ROLE {} NOLOGIN PASSWORD {} VALID UNTIL {}").format(
                    self._sql, self._verifier(conn), _in(conn, self.lasting)
                )
            )
            reset(conn, self.name)
            for (member,) in conn.execute(_query("others_in_it"), {"role": self.name}).fetchall():
                self.log.warning(
                    '"%s" is a member of the role "%s" of a restored copy: not any more', member, self.name
                )
                conn.execute(pgsql.SQL("REVOKE {} FROM {}").format(self._sql, pgsql.Identifier(member)))
        self.end_sessions(conn)

    def end_sessions(self, conn: Connection) -> None:
        """Of whoever else has logged in as it."""
        with session.translated():
            conn.execute(_query("end_sessions"), {"role": self.name, "ours": sorted(self._ours)})

    def close(self, conn: Connection) -> None:
        """From now on nobody logs in as it, until it is lifted."""
        with session.translated():
            conn.execute(pgsql.SQL("ALTER ROLE {} NOLOGIN").format(self._sql))

    @contextmanager
    def lifted(self) -> Iterator[set[int]]:
        """Let it log in for so long. Never again after its password was changed: who knows the new one may have begun a
        login that only waits for this moment, since a server checks the password first and LOGIN later.

        :raises CopySpoiled: its password was changed.
        """
        with self._lifting, session.connect(self.copies, purpose="copy_role") as conn:
            self._depth += 1
            try:
                if self.look():
                    raise CopySpoiled()
                with session.translated():
                    command = pgsql.SQL("ALTER ROLE {} LOGIN PASSWORD {} VALID UNTIL {}")
                    conn.execute(command.format(self._sql, self._verifier(conn), _in(conn, self.lasting)))
                yield self._ours
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._shut(conn)

    def look(self) -> bool:
        """Whether somebody has changed the password since `renew`. A server checks it before it says that the role may
        not log in (ClientAuthentication, then InitializeSessionUserId: src/backend/utils/init/postinit.c)."""
        try:
            psycopg.connect(self.on(self.name).conninfo, connect_timeout=session.CONNECT_TIMEOUT_SECONDS).close()
        except psycopg.OperationalError as exc:
            if WRONG_PASSWORD in str(exc) and not self.changed:
                self.changed = True
                self.log.warning('somebody has changed the password of the role "%s" of a restored copy', self.name)
        return self.changed

    def _shut(self, conn: Connection) -> None:
        try:
            self.close(conn)
            self.end_sessions(conn)
        except MigratorError:
            try:
                with session.connect(self.copies, purpose="copy_role") as again:
                    self.close(again)
                    self.end_sessions(again)
            except MigratorError as exc:  # nobody knows its password, which is void in a while
                self.log.warning('the role "%s" could not be shut out again: %s', self.name, exc)

    @property
    def _sql(self) -> pgsql.Identifier:
        return pgsql.Identifier(self.name)

    def _verifier(self, conn: Connection) -> pgsql.Literal:
        """What the server stores: a password in clear text would stand in its log."""
        return pgsql.Literal(conn.pgconn.encrypt_password(self._password.encode(), self.name.encode()).decode())


def drop(conn: Connection, name: str) -> None:
    """The databases in which it owns something must be gone."""
    with session.translated():
        conn.execute(pgsql.SQL("DROP ROLE IF EXISTS {}").format(pgsql.Identifier(name)))


def reset(conn: Connection, name: str) -> None:
    """Take away what settings a role has of its own."""
    role = pgsql.Identifier(name)
    with session.translated():
        conn.execute(pgsql.SQL("ALTER ROLE {} RESET ALL").format(role))
        for (database,) in conn.execute(_query("settings_of"), {"role": name}).fetchall():
            conn.execute(pgsql.SQL("ALTER ROLE {} IN DATABASE {} RESET ALL").format(role, pgsql.Identifier(database)))


def _in(conn: Connection, time: timedelta) -> pgsql.Literal:
    """So far from now, by the server's clock."""
    row = conn.execute(_query("moment_in"), {"seconds": time.total_seconds()}).fetchone()
    return pgsql.Literal(str(row[0]) if row else "-infinity")


def _query(name: str) -> str:
    return queries.load(__package__, "copies")[name]
