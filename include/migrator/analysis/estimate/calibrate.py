"""Measure what work costs on a server: some ten seconds on a table of our own, once per server, version and settings.

The server is the one for restored copies: it may be loaded as one likes, and the dry run happens there too. The result
is kept in a small database beside the copies, so that every worker finds it. What was measured while others kept the
server busy says so, and is measured again soon.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql as pgsql
from psycopg.types.json import Jsonb

from migrator.analysis.estimate.ask import profile_of
from migrator.analysis.estimate.costs import Costs
from migrator.analysis.estimate.measurement import measure
from migrator.analysis.estimate.model import Profile
from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import EnvironmentFault, MigratorError

LOG = logging.getLogger(__name__)

DATABASE = "migrator_calibration"
SCHEMA = "migrator_costs"
KEY_VERSION = 4
"""To be raised when the meaning of a cost changes: older measurements are then made again."""
MAX_AGE = timedelta(days=30)
MAX_AGE_BUSY = timedelta(hours=2)
NOISE = "noise"
"""Beside the costs: `Noise.level` of their measurement."""
LOCK_TIMEOUT_MS = 60_000
"""Longer than another worker measures, so that the second one takes the result of the first."""
_LOCK_KEY = 0x6D69_6772_6361_6C69
"""Of the advisory lock in that database, so that two workers do not measure at the same time."""


def calibrated(copies: Endpoint, *, clock: Callable[[], datetime], log: logging.Logger = LOG) -> Profile:
    """The profile of the server for restored copies, measured now unless it was in the last thirty days, or, while
    the server was busy, in the last hours.

    :raises MigratorError: the server cannot be reached, or the role may not create databases there.
    """
    with session.connect(copies, purpose="calibrate") as conn:
        _create_database(conn)
    scratch = copies.with_database(DATABASE)
    with (
        session.connect(scratch, purpose="calibrate", lock_timeout_ms=LOCK_TIMEOUT_MS) as conn,
        session.translated(),
    ):
        conn.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_LOCK_KEY,))
        _use_own_schema(conn)
        profile = profile_of(conn)
        key = _key(conn, profile)
        texts = queries.load(__package__, "estimate")
        conn.execute(texts["cache"].encode())
        row = conn.execute(texts["cached"], {"key": key}).fetchone()
        if row is not None:
            known = _profile(profile, row[0], row[1])
            if clock() - row[0] < (MAX_AGE_BUSY if known.busy else MAX_AGE):
                return known
        started, now = time.monotonic(), clock()
        costs, noise = measure(conn)
        log.info("measured the costs of work on %s in %.1f s", copies.label, time.monotonic() - started)
        kept = {**asdict(costs), NOISE: noise.level}
        conn.execute(texts["remember"], {"key": key, "measured_at": now, "costs": Jsonb(kept)})
        found = _profile(profile, now, kept)
        if found.busy:
            log.warning(
                "%s was busy meanwhile: a calculation took %.1f times as long as alone, two rounds differed by a factor"
                " of %.1f; the costs may be too high and are measured again after %s",
                copies.label,
                noise.slowdown,
                noise.apart,
                MAX_AGE_BUSY,
            )
        return found


def known_or_default(copies: Endpoint | None, *, log: logging.Logger = LOG) -> Profile:
    """The last measurement, however old: nobody waits for one while a person does. The housekeeping makes it.

    Never raises: an estimate with the default costs is better than no analysis, and says what it is.
    """
    if copies is None:
        return Profile()
    try:
        return _known(copies)
    except MigratorError as exc:
        log.info("what work costs on %s is not known, so the default costs are used: %s", copies.label, exc)
        return Profile()


def _known(copies: Endpoint) -> Profile:
    with session.connect(copies.with_database(DATABASE), purpose="calibrate") as conn, session.translated():
        _use_own_schema(conn)
        profile, texts = profile_of(conn), queries.load(__package__, "estimate")
        conn.execute(texts["cache"].encode())
        row = conn.execute(texts["cached"], {"key": _key(conn, profile)}).fetchone()
        return _profile(profile, row[0], row[1]) if row is not None else Profile()


def _key(conn: Connection, profile: Profile) -> str:
    """What another measurement is needed for."""
    parts = (
        KEY_VERSION,
        conn.info.server_version,
        profile.shared_buffers,
        profile.maintenance_work_mem,
        profile.parallel_workers,
    )
    return "/".join(map(str, parts))


def _create_database(conn: Connection) -> None:
    with session.translated():
        found = queries.load(__package__, "estimate")["database"]
        there = conn.execute(found, {"name": DATABASE}).fetchone()
        if there is not None:
            if there[0]:  # made before the roles of copies were kept out of it
                conn.execute(pgsql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(pgsql.Identifier(DATABASE)))
            return
        try:
            conn.execute(pgsql.SQL("CREATE DATABASE {}").format(pgsql.Identifier(DATABASE)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another worker was faster
        note = pgsql.Literal("what work costs on this server, for estimates; may be dropped at any time")
        conn.execute(pgsql.SQL("COMMENT ON DATABASE {} IS {}").format(pgsql.Identifier(DATABASE), note))
        conn.execute(pgsql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(pgsql.Identifier(DATABASE)))


def _use_own_schema(conn: Connection) -> None:
    """A schema in which nobody else may create anything, so that the measurement may go without naming it.

    :raises EnvironmentFault: somebody else has made the database, or the schema.
    """
    conn.execute(pgsql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(pgsql.Identifier(SCHEMA)))
    owners = conn.execute(queries.load(__package__, "estimate")["owners"], {"schema": SCHEMA}).fetchall()
    others = [owner for owner, ours in owners if not ours]
    if others:
        raise EnvironmentFault(f'database "{DATABASE}" or its schema "{SCHEMA}" belongs to {others[0]}: drop it there')
    conn.execute(pgsql.SQL("SET search_path = {}").format(pgsql.Identifier(SCHEMA)))


def _profile(server: Profile, measured_at: datetime, value: Any) -> Profile:
    data = value if isinstance(value, dict) else json.loads(value)
    known = {item.name for item in fields(Costs)}
    costs = Costs(**{name: float(number) for name, number in data.items() if name in known})
    return replace(server, calibrated_at=measured_at, costs=costs, noise=float(data.get(NOISE, 1.0)))
