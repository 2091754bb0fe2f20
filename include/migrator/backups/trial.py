"""The throw-away clone of a restored copy on which SQL that nobody has reviewed yet is tried.

Why a clone and not the copy itself: a dry run that was killed leaves its database half applied, and a retry there would
rehearse on something that no restore test has proved. The clone is a file copy of the proved copy on the same server
(no dump, no index build), is made anew by every attempt, and leaves the copy as it was: comparisons after the rollback
can still look at it. The price is the copy's disk space once more for as long as the dry run takes.

There are two ways to it. The migration's texts go as the copy's role; who only looks on goes as we, so that those texts
can neither end nor deceive him.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import psycopg
from psycopg import sql as pgsql

from migrator.backups import stand_ins, target_settings
from migrator.backups.copies import Copy, base_name, drop_database, settle, spoil, trial_name
from migrator.backups.copy_role import CopyRole
from migrator.backups.isolation import require_confined, require_isolated
from migrator.database import queries, session
from migrator.database.activity import called_by
from migrator.database.session import Connection, Endpoint
from migrator.database.vocabulary import told_program
from migrator.errors import CopySpoiled, EnvironmentFault, TransientError

LOG = logging.getLogger(__name__)

FILE_COPY_BYTES = 256 * 1024 * 1024
"""From here on copying files beats writing every page into the WAL."""
SPOILED = 'a dry run has changed the password of the role of the restored copy "{}"'
PATIENCE_SECONDS = 30.0
"""How long somebody who looks at the copy may keep us from cloning it."""


@dataclass(frozen=True)
class Trial:
    """A fresh clone of a copy, and who goes there."""

    copy: Copy
    copies: Endpoint
    role: CopyRole
    name: str
    origin: str
    """The database that it is a clone of: the copy, or what the migrations that come first have made of it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Those of the target's own that the texts are rehearsed with."""
    session_settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the target's database and role."""

    @property
    def texts(self) -> Endpoint:
        """For everything that comes from the migration's files."""
        return self._texts_on(self.name)

    @property
    def watching(self) -> Endpoint:
        """For everything else."""
        return self.copies.with_database(self.name)

    @property
    def pristine(self) -> Endpoint:
        """What it is a clone of, to look at."""
        return self.copies.with_database(self.origin)

    def password_changed(self) -> bool:
        """Whether the texts have given their role another password."""
        return self.role.look()

    @contextmanager
    def beside(self, version: str) -> Iterator[tuple[Connection, Connection]]:
        """What it is a clone of, and the clone, to look at."""
        with (
            session.connect(self.pristine, purpose="observe", version=version) as untouched,
            session.connect(self.watching, purpose="observe", version=version) as conn,
        ):
            yield untouched, conn

    @contextmanager
    def texts_on_the_origin(self) -> Iterator[Endpoint]:
        """What it is a clone of as the copy's role, which may connect there for so long only."""
        _let(self.copies, "GRANT CONNECT ON DATABASE {} TO {}", self.origin, self.copy)
        try:
            yield self._texts_on(self.origin)
        finally:
            _let(self.copies, "REVOKE CONNECT ON DATABASE {} FROM {}", self.origin, self.copy)

    def _texts_on(self, database: str) -> Endpoint:
        begun = target_settings.beginning_with(self.session_settings, self.role.on(database))
        return replace(begun, settings=self.settings)


@contextmanager
def trial_database(
    copies: Endpoint,
    copy: Copy,
    *,
    first: Callable[[Trial], None] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
    session_settings: Mapping[str, str] = MappingProxyType({}),
    log: logging.Logger = LOG,
    patience_seconds: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Trial]:
    """A fresh clone of the database of `copy`, gone at the end whatever happens; its role stays with the copy, and
    cannot log in.

    :param first: what is to be done before; the clone is made of what it leaves.
    :param settings: see `Trial.settings`.
    :param session_settings: with which the sessions of the texts begin.

    :raises Refused: the server is not fit for it. :raises CopySpoiled: an earlier attempt has spoiled the copy.
    :raises EnvironmentFault: there is no such copy. :raises TransientError: somebody is connected to it.
    """
    if copy.spoiled:
        raise CopySpoiled(f"{SPOILED.format(copy.name)}: run again from restore_test")
    name = trial_name(copy.name)
    role = CopyRole(copy.name, copies, log)
    with session.connect(copies, purpose="dry_run") as conn:
        require_isolated(conn)
        role.renew(conn)
        stand_ins.renew(conn, copy.stand_ins)
        base = Trial(copy, copies, role, base_name(copy.name), copy.name, settings, session_settings)
        trial = replace(base, name=name, origin=copy.name if first is None else base.name)
        for database in (trial.name, base.name):
            _drop(conn, database)
        require_confined(conn, copy)
        try:
            if first is not None:
                _clone(conn, base, patience_seconds, sleep, log)
                first(base)
                if role.look():
                    raise CopySpoiled(f"{SPOILED.format(copy.name)}: what comes first has done it")
                role.renew(conn)
                _let(copies, "REVOKE CONNECT ON DATABASE {} FROM {}", base.name, copy)
            _clone(conn, trial, patience_seconds, sleep, log)
            yield trial
        finally:
            _end(conn, trial, log)


def seal(conn: Connection, role: CopyRole, copy: Copy) -> None:
    """The copy is made: its role has no business in it any more, until a dry run has."""
    role.close(conn)
    role.end_sessions(conn)
    with session.translated():
        conn.execute(
            pgsql.SQL("REVOKE CONNECT ON DATABASE {} FROM {}").format(
                pgsql.Identifier(copy.name), pgsql.Identifier(copy.name)
            )
        )


def _let(copies: Endpoint, command: str, database: str, copy: Copy) -> None:
    with session.connect(copies, purpose="copy_role") as conn, session.translated():
        conn.execute(pgsql.SQL(command).format(pgsql.Identifier(database), pgsql.Identifier(copy.name)))


def _clone(
    conn: Connection, trial: Trial, patience: float, sleep: Callable[[float], None], log: logging.Logger
) -> None:
    started, origin = time.monotonic(), trial.origin
    with session.translated():
        row = conn.execute(queries.load(__package__, "trial")["database"], {"database": origin}).fetchone()
    if row is None:
        raise EnvironmentFault(f'there is no restored copy "{origin}"; run again from restore_test', database=origin)
    command = pgsql.SQL("CREATE DATABASE {} TEMPLATE {} ALLOW_CONNECTIONS false").format(
        pgsql.Identifier(trial.name), pgsql.Identifier(origin)
    )
    if conn.info.server_version >= 150000 and int(row[0]) >= FILE_COPY_BYTES:
        command = pgsql.SQL("{} STRATEGY file_copy").format(command)
    deadline = time.monotonic() + patience
    while True:
        try:
            with session.translated():
                conn.execute(command)
            settle(conn, trial.copy, trial.name)
            log.info('cloned "%s" for the dry run in %.1f s', origin, time.monotonic() - started)
            return
        except Exception as exc:
            if getattr(exc, "fields", {}).get("sqlstate") != "55006":
                raise
            who = _connected(conn, origin)
            if time.monotonic() >= deadline:
                raise TransientError(
                    f'the restored copy "{origin}" cannot be cloned while others are connected to it: {who}',
                    holder=who,
                ) from exc
            LOG.info('waiting for "%s", which is in use by %s', origin, who)
        sleep(0.5)


def _connected(conn: Connection, copy: str) -> str:
    with session.translated():
        rows = conn.execute(queries.load(__package__, "trial")["connected"], {"database": copy}).fetchall()
    who = (f"pid {pid} ({called_by(told_program(name), name)}user {user})" for pid, user, name in rows)
    return "; ".join(who) or "nobody"


def _drop(conn: Connection, name: str) -> None:
    drop_database(conn, name)


def _end(conn: Connection, trial: Trial, log: logging.Logger) -> None:
    """A clone that stays behind is dropped by the next attempt, or together with the copy: no reason to fail."""
    try:
        if not conn.closed and conn.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            _shut(conn, trial)
            return
        with session.connect(trial.copies, purpose="dry_run") as again:
            _shut(again, trial)
    except Exception as exc:
        log.warning('the clone "%s" could not be dropped: %s', trial.name, exc)


def _shut(conn: Connection, trial: Trial) -> None:
    try:
        trial.role.close(conn)
        if trial.role.look():
            spoil(conn, trial.copy)
    finally:
        for name in (trial.name, base_name(trial.copy.name)):
            _drop(conn, name)
