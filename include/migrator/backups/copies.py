"""Restored copies: throw-away databases with production's data, marked so that what was forgotten can be found.

A copy is a role and the database that has the same name, with everything in it belonging to the role. The mark is the
role's comment; role and comment are made in one transaction, before the database. The role itself can write neither its
own comment (that wants CREATEROLE) nor its database's (that is the owner's, and we are the owner): no SQL that runs on
a copy can change what we know about it. The name has a random part, so that nobody can work it out.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import secrets
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from psycopg import sql as pgsql

from migrator.backups import copy_role, stand_ins
from migrator.backups.copy_role import CopyRole
from migrator.backups.copy_template import Locale, Template
from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import EnvironmentFault, MigratorError, Refused
from migrator.run import RunContext

LOG = logging.getLogger(__name__)

LIFETIME = timedelta(days=2)
"""A copy that is older belongs to nobody; a review that takes longer does not need it."""
TRIAL, SCRATCH, BASE = "_try", "_bak", "_pre"
SUFFIXES = (TRIAL, SCRATCH, BASE)
DEFAULT = Locale()
LONGEST_STEM = 42
"""With the random part and the suffix of the clone: 63 bytes."""


@dataclass(frozen=True)
class Copy:
    """What the mark says. The database and the role have the same name."""

    name: str
    role_oid: int
    run_id: str
    version: str
    target: str
    expires_at: datetime
    spoiled: bool = False
    """Somebody knew its role's password for a while: it is not used any more."""
    stand_ins: tuple[str, ...] = ()
    """Of the target's roles, which it shares with other copies."""

    @property
    def mark(self) -> str:
        return json.dumps(
            {
                "migrator_copy": 2,
                "run_id": self.run_id,
                "version": self.version,
                "target": self.target,
                "expires_at": self.expires_at.isoformat(),
                "spoiled": self.spoiled,
                "stand_ins": list(self.stand_ins),
            }
        )

    @property
    def databases(self) -> tuple[str, str, str, str]:
        """What a backup of the clone is restored into, the clone of it that a dry run works on, the one of what comes
        first, and the copy itself."""
        return scratch_name(self.name), trial_name(self.name), base_name(self.name), self.name

    @property
    def mark_of_database(self) -> str:
        return json.dumps({"migrator_copy": 2, "role": self.role_oid})

    def belongs_to(self, run: RunContext) -> bool:
        return (self.target, self.version, self.run_id) == (run.target, run.version, run.run_id)


def trial_name(copy: str) -> str:
    """The clone's name, 63 bytes at most. Whoever drops a copy drops this one, too: a killed dry run leaves it."""
    return _with_suffix(copy, TRIAL)


def scratch_name(copy: str) -> str:
    return _with_suffix(copy, SCRATCH)


def base_name(copy: str) -> str:
    return _with_suffix(copy, BASE)


def _with_suffix(copy: str, suffix: str) -> str:
    return copy.encode()[: 63 - len(suffix)].decode(errors="ignore") + suffix


def new_name(run: RunContext) -> str:
    """Another one each time: what the copy of a run is called stands in its mark and in the stage's document."""
    stem = re.sub(r"[^a-z0-9]+", "_", f"copy_{run.target}_{run.version}".lower())[:LONGEST_STEM]
    return f"{stem}_{secrets.token_hex(8)}"


def create(
    conn: Connection,
    role: CopyRole,
    *,
    run: RunContext,
    locale: Locale = DEFAULT,
    template: Template | None = None,
    roles: Mapping[str, str] = MappingProxyType({}),
) -> Copy:
    """A database without tables in which the role may make everything; the copies of earlier attempts are dropped
    before. The role may log in until it is closed.

    :param template: of this very locale, with what only an administrator can make.
    :param roles: of the target, that must be there by their names: see `stand_ins.of_target`.

    :raises EnvironmentFault: we may not create databases or roles, or the locale is not on this server.
    """
    for earlier in of_run(conn, run):
        drop(conn, earlier)
    wanted = Copy(role.name, 0, run.run_id, run.version, run.target, run.clock() + LIFETIME)
    with session.translated(), conn.transaction():
        wanted = replace(wanted, stand_ins=stand_ins.make(conn, roles) if roles else ())
        role.create(conn, mark=wanted.mark)
        stand_ins.lend(conn, role.name, roles)
    copy = next(one for one in _all(conn) if one.name == role.name)
    try:
        _make(conn, role.copies, copy, copy.name, locale, template)
    except MigratorError as exc:
        drop(conn, copy)
        if exc.fields.get("sqlstate") not in ("42501", "22023"):
            raise
        raise EnvironmentFault(
            f"cannot create a database for the restored copy: {exc}. {copy_role.WANTED} on a server that knows the"
            " source's locale"
        ) from None
    return copy


def drop_database(conn: Connection, name: str) -> None:
    """With whoever is in it. A worker of autovacuum no role but a superuser may end, and FORCE is refused for it; the
    plain statement sends it away, and waits for five seconds (CountOtherDBBackends in storage/ipc/procarray.c)."""
    plain = pgsql.SQL("DROP DATABASE IF EXISTS {}").format(pgsql.Identifier(name))
    forced = pgsql.SQL("{} WITH (FORCE)").format(plain)
    for command in (forced, plain, forced, plain, forced):
        try:
            with session.translated():
                conn.execute(command)
            return
        except MigratorError as exc:
            if command is forced and exc.fields.get("sqlstate") != "42501":
                raise
            refused = exc
    raise refused


@contextmanager
def scratch(copies: Endpoint, copy: Copy, *, locale: Locale, template: Template | None) -> Iterator[str]:
    """One more database of a copy's role, empty and for so long only."""
    name = scratch_name(copy.name)
    with session.connect(copies, purpose="restore") as conn:
        drop_database(conn, name)
        _make(conn, copies, copy, name, locale, template)
    try:
        yield name
    finally:
        with session.connect(copies, purpose="restore") as conn:
            drop_database(conn, name)


def _make(conn: Connection, copies: Endpoint, copy: Copy, name: str, locale: Locale, template: Template | None) -> None:
    origin = pgsql.Identifier(template.name if template is not None else "template0")
    with session.translated():
        conn.execute(
            pgsql.SQL("CREATE DATABASE {} TEMPLATE {} {} ALLOW_CONNECTIONS false").format(
                pgsql.Identifier(name), origin, locale.options
            )
        )
    settle(conn, copy, name)
    _give_schemas(copies.with_database(name), copy)


def settle(conn: Connection, copy: Copy, database: str) -> None:
    """Mark a new database as the copy's, and let its role connect, and nobody else. Until now nobody could."""
    name, role = pgsql.Identifier(database), pgsql.Identifier(copy.name)
    with session.translated():
        for command in (
            pgsql.SQL("COMMENT ON DATABASE {} IS {}").format(name, pgsql.Literal(copy.mark_of_database)),
            pgsql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name),
            pgsql.SQL("GRANT CONNECT, CREATE, TEMPORARY ON DATABASE {} TO {}").format(name, role),
            pgsql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name),
        ):
            conn.execute(command)


def spoil(conn: Connection, copy: Copy) -> None:
    """Its mark says so from now on, in every process."""
    mark = pgsql.Literal(replace(copy, spoiled=True).mark)
    with session.translated():
        conn.execute(pgsql.SQL("COMMENT ON ROLE {} IS {}").format(pgsql.Identifier(copy.name), mark))


def _give_schemas(database: Endpoint, copy: Copy) -> None:
    """`public`, and those that a template brings for its extensions."""
    with session.connect(database, purpose="restore") as conn, session.translated():
        for (name,) in conn.execute(_query("schemas_to_give")).fetchall():
            command = pgsql.SQL("ALTER SCHEMA {} OWNER TO {}")
            conn.execute(command.format(pgsql.Identifier(name), pgsql.Identifier(copy.name)))


def own(conn: Connection, name: str, run: RunContext) -> Copy:
    """The copy of that name, which a document speaks of.

    :raises Refused: it is not a copy that this run has made. :raises EnvironmentFault: there is none.
    """
    found = next((copy for copy in _all(conn) if copy.name == name), None)
    if found is not None and found.belongs_to(run):
        return found
    if found is None and not _there(conn, name):
        raise EnvironmentFault(f'there is no restored copy "{name}"; run again from restore_test', database=name)
    raise Refused(
        f'"{name}" is not the restored copy of this run: somebody has changed a document of the run; clear restore_test'
        " with downstream"
    )


def of_run(conn: Connection, run: RunContext) -> tuple[Copy, ...]:
    """What the attempts of one run have made. One that was killed told nobody the name."""
    return tuple(copy for copy in _all(conn) if copy.belongs_to(run))


def drop(conn: Connection, copy: Copy) -> None:
    """Drop the role with everything that it owns.

    :raises Refused: a database of that name is not ours, or says that it is something else.
    """
    there = _databases(conn, copy)
    for name, ours, opened, mark in there:
        begun = mark is None and not opened  # we were killed after CREATE DATABASE
        if not ours or not (begun or mark == copy.mark_of_database):
            raise Refused(f'database "{name}" is not marked as a restored copy of ours: it is not dropped')
    role = pgsql.Identifier(copy.name)
    with session.translated():
        conn.execute(pgsql.SQL("ALTER ROLE {} NOLOGIN").format(role))  # else it could come back meanwhile
        for name, *_ in there:
            drop_database(conn, name)
    copy_role.drop(conn, copy.name)
    stand_ins.sweep(conn, LOG)


def drop_named(conn: Connection, name: str) -> None:
    """One that the caller has begun to make, however far it came."""
    for copy in _all(conn):
        if copy.name == name:
            drop(conn, copy)


def drop_own(conn: Connection, name: str, run: RunContext) -> bool:
    """Drop all copies of a run, one of which a document calls `name`. Whether there were any.

    :raises Refused: the document names something else that is there.
    """
    found = of_run(conn, run)
    if name not in {copy.name for copy in found} and _there(conn, name):
        own(conn, name, run)
    for copy in found:
        drop(conn, copy)
    return bool(found)


def reap(copies: Endpoint, *, now: datetime, spare: Collection[str] = (), log: logging.Logger = LOG) -> tuple[str, ...]:
    """Drop the copies on this server whose time is over; their names. One that somebody is connected to stays: it may
    be the longest of all dry runs. One that cannot be dropped stops none of the others.

    :param spare: targets whose copies are somebody else's business.
    :raises EnvironmentFault: what could not be dropped, and why.
    """
    dropped, failed = [], []
    with session.connect(copies, purpose="reaper") as conn:
        for copy in (*_all(conn), *_old(conn)):
            if copy.expires_at >= now or copy.target in spare:
                continue
            if _in_use(conn, copy):
                log.warning('the copy "%s" should be gone, but somebody works in it: left alone', copy.name)
                continue
            log.info('dropping the copy "%s" of run %s of %s: nobody needs it', copy.name, copy.run_id, copy.version)
            try:
                drop(conn, copy) if copy.role_oid else _drop_old(conn, copy)
                dropped.append(copy.name)
            except MigratorError as exc:
                failed.append(f'"{copy.name}": {exc}')
        stand_ins.sweep(conn, log)
    if failed:
        raise EnvironmentFault(
            f"{len(dropped)} restored copies were dropped, {len(failed)} could not be: {'; '.join(failed)}"
        )
    return tuple(dropped)


def read_mark(name: str, role_oid: int, comment: str | None) -> Copy | None:
    """None: this role is not one of ours. Pure."""
    try:
        data = json.loads(comment or "")
        if data["migrator_copy"] != 2:
            return None
        expires = datetime.fromisoformat(data["expires_at"])
        spoiled, others = bool(data["spoiled"]), tuple(map(str, data.get("stand_ins", ())))
        return Copy(name, role_oid, data["run_id"], data["version"], data["target"], expires, spoiled, others)
    except (ValueError, KeyError, TypeError):
        return None


def read_old_mark(name: str, comment: str | None) -> Copy | None:
    """The comment on a database that stood for everything before a copy had a role. Pure."""
    try:
        data = json.loads(comment or "")
        unique = hashlib.sha256(f"{data['target']}/{data['version']}/{data['run_id']}".encode()).hexdigest()[:10]
        if data["migrator_copy"] != 1 or not name.endswith(f"_{unique}"):
            return None  # a mark that was copied from another database
        expires = datetime.fromisoformat(data["expires_at"])
        return Copy(name, 0, data["run_id"], data["version"], data["target"], expires)
    except (ValueError, KeyError, TypeError):
        return None


def _all(conn: Connection) -> tuple[Copy, ...]:
    with session.translated():
        rows = conn.execute(_query("marked_roles")).fetchall()
    return tuple(copy for row in rows if (copy := read_mark(*row)) is not None)


def _old(conn: Connection) -> tuple[Copy, ...]:
    with session.translated():
        rows = conn.execute(_query("old_marks")).fetchall()
    return tuple(copy for row in rows if (copy := read_old_mark(*row)) is not None)


def _drop_old(conn: Connection, copy: Copy) -> None:
    with session.translated():
        for name in copy.databases:
            drop_database(conn, name)


def _databases(conn: Connection, copy: Copy) -> list[tuple[str, bool, bool, str | None]]:
    """Name, whether it is ours, whether anybody may connect, and its comment; the clone first."""
    with session.translated():
        rows = conn.execute(_query("databases"), {"names": list(copy.databases)}).fetchall()
    return sorted(rows, key=lambda row: copy.databases.index(row[0]))


def _there(conn: Connection, name: str) -> bool:
    with session.translated():
        return bool(conn.execute(_query("databases"), {"names": [name]}).fetchall())


def _in_use(conn: Connection, copy: Copy) -> bool:
    with session.translated():
        return any(
            conn.execute(queries.load(__package__, "trial")["connected"], {"database": name}).fetchall()
            for name in copy.databases
        )


def _query(name: str) -> str:
    return queries.load(__package__, "copies")[name]
