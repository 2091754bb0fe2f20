"""Restored copies: throw-away databases with production's data, marked so that what was forgotten can be found."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import sql as pgsql

from migrator.backups.trial import trial_name
from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import EnvironmentFault, MigratorError, Refused
from migrator.run import RunContext

LOG = logging.getLogger(__name__)

LIFETIME = timedelta(days=2)
"""A copy that is older belongs to nobody; a review that takes longer does not need it."""


@dataclass(frozen=True)
class CopyMark:
    """The comment on a copy's database."""

    database: str
    run_id: str
    version: str
    target: str
    expires_at: datetime


def copy_name(run: RunContext) -> str:
    """The same for every attempt of one run, and no other run's."""
    return _name(run.target, run.version, run.run_id)


def _name(target: str, version: str, run_id: str) -> str:
    unique = hashlib.sha256(f"{target}/{version}/{run_id}".encode()).hexdigest()[:10]
    stem = re.sub(r"[^a-z0-9]+", "_", f"copy_{target}_{version}".lower())[:46]
    return f"{stem}_{unique}"


def require_own(name: str, run: RunContext) -> None:
    """:raises Refused: a document says that the run's copy is a database that no run of this name ever made."""
    if name != copy_name(run):
        raise Refused(
            f'"{name}" is not the restored copy of this run, which is "{copy_name(run)}": somebody has changed a'
            " document of the run; clear restore_test with downstream"
        )


def create(conn: Connection, name: str, *, run: RunContext, encoding: str, lc_collate: str, lc_ctype: str) -> None:
    """An empty database with the source's encoding and locale; one that an earlier attempt left is dropped before.

    :raises EnvironmentFault: the role may not create databases, or the locale is not on this server.
    """
    drop(conn, name, run=run)
    command = pgsql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(
        pgsql.Identifier(name), pgsql.Literal(encoding), pgsql.Literal(lc_collate), pgsql.Literal(lc_ctype)
    )
    try:
        with session.translated():
            conn.execute(command)
            mark = {
                "migrator_copy": 1,
                "run_id": run.run_id,
                "version": run.version,
                "target": run.target,
                "expires_at": (run.clock() + LIFETIME).isoformat(),
            }
            conn.execute(
                pgsql.SQL("COMMENT ON DATABASE {} IS {}").format(
                    pgsql.Identifier(name), pgsql.Literal(json.dumps(mark))
                )
            )
    except EnvironmentFault:
        raise
    except Exception as exc:
        if getattr(exc, "fields", {}).get("sqlstate") not in ("42501", "22023"):
            raise
        raise EnvironmentFault(
            f"cannot create a database for the restored copy: {exc}. the copies connection needs a role with LOGIN and"
            " CREATEDB on a server that knows the source's locale"
        ) from None


def drop(conn: Connection, name: str, *, run: RunContext | None = None) -> bool:
    """Drop a copy and the clone that a killed dry run left of it. Whether there was one.

    :param run: whose copy it is. Killed between making it and marking it, an attempt leaves it without a comment: only
        under the very name of the run's copy is such a database dropped.
    :raises Refused: the database is there, but does not carry the mark of the run that its name is made of.
    """
    with session.translated():
        rows = conn.execute(queries.load(__package__, "backups")["mark"], {"database": name}).fetchall()
        unmarked = bool(rows) and rows[0][0] is None and run is not None and name == copy_name(run)
        if rows and not unmarked and parse_mark(name, rows[0][0]) is None:
            raise Refused(f'database "{name}" is not marked as a restored copy: it is not dropped')
        for one in _both(name):
            conn.execute(pgsql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(pgsql.Identifier(one)))
    return bool(rows)


def reap(copies: Endpoint, *, now: datetime, spare: Collection[str] = (), log: logging.Logger = LOG) -> tuple[str, ...]:
    """Drop the copies on this server whose time is over; their names. One that somebody is connected to stays: it may
    be the longest of all dry runs. One that cannot be dropped stops none of the others.

    :param spare: targets whose copies are somebody else's business.
    :raises EnvironmentFault: what could not be dropped, and why.
    """
    dropped, failed = [], []
    with session.connect(copies, purpose="reaper") as conn:
        with session.translated():
            rows = conn.execute(queries.load(__package__, "backups")["copies"]).fetchall()
        for name, comment in rows:
            mark = parse_mark(name, comment)
            if mark is None or mark.expires_at >= now or mark.target in spare:
                continue
            if _in_use(conn, name):
                log.warning('the copy "%s" should be gone, but somebody works in it: left alone', name)
                continue
            log.info('dropping the copy "%s" of run %s of %s: nobody needs it', name, mark.run_id, mark.version)
            try:
                drop(conn, name)
                dropped.append(name)
            except MigratorError as exc:
                failed.append(f'"{name}": {exc}')
    if failed:
        raise EnvironmentFault(
            f"{len(dropped)} restored copies were dropped, {len(failed)} could not be: {'; '.join(failed)}"
        )
    return tuple(dropped)


def _in_use(conn: Connection, name: str) -> bool:
    with session.translated():
        rows = [
            conn.execute(queries.load(__package__, "trial")["connected"], {"database": one}).fetchall()
            for one in _both(name)
        ]
    return any(rows)


def _both(name: str) -> tuple[str, str]:
    """A copy and the clone of it that a dry run works on."""
    return trial_name(name), name


def parse_mark(database: str, comment: str | None) -> CopyMark | None:
    """None: this database is not one of ours. Pure."""
    try:
        data = json.loads(comment or "")
        if data["migrator_copy"] != 1:
            return None
        if database != _name(data["target"], data["version"], data["run_id"]):
            return None  # a mark that was copied from another database
        expires = datetime.fromisoformat(data["expires_at"])
        return CopyMark(database, data["run_id"], data["version"], data["target"], expires)
    except (ValueError, KeyError, TypeError):
        return None
