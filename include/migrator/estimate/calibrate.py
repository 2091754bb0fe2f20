"""Measure what work costs on a server: a few seconds on a table of our own, once per server, version and settings.

The server is the one for restored copies: it may be loaded as one likes, and the dry run happens there too. The result
is kept in a small database beside the copies, so that every worker finds it.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql as pgsql
from psycopg.types.json import Jsonb

from migrator import session, sql
from migrator.errors import MigratorError
from migrator.estimate.ask import profile_of
from migrator.estimate.model import Costs, Profile
from migrator.session import Connection, Endpoint

LOG = logging.getLogger(__name__)

DATABASE = "migrator_calibration"
ROWS = 100_000
KEY_VERSION = 1
"""To be raised when the meaning of a cost changes: older measurements are then made again."""
MAX_AGE = timedelta(days=30)
LEAST = 0.001
"""No cost is measured as less than this: a difference of two short times may come out negative."""
LOCK_TIMEOUT_MS = 60_000
"""Longer than another worker measures, so that the second one takes the result of the first."""
_LOCK_KEY = 0x6D69_6772_6361_6C69
"""Of the advisory lock in that database, so that two workers do not measure at the same time."""


def calibrated(copies: Endpoint, *, clock: Callable[[], datetime], log: logging.Logger = LOG) -> Profile:
    """The profile of the server for restored copies, measured now unless it was in the last thirty days.

    :raises MigratorError: the server cannot be reached, or the role may not create databases there.
    """
    with session.connect(copies, purpose="calibrate") as conn:
        _create_database(conn)
    scratch = copies.with_database(DATABASE)
    with (
        session.connect(scratch, purpose="calibrate", lock_timeout_ms=LOCK_TIMEOUT_MS) as conn,
        session.translated(),
    ):
        conn.execute("SELECT pg_advisory_lock(%s)", (_LOCK_KEY,))
        profile = profile_of(conn)
        key = f"{KEY_VERSION}/{conn.info.server_version}/{profile.shared_buffers}/{profile.maintenance_work_mem}"
        queries = sql.load("estimate")
        conn.execute(queries["cache"].encode())
        row = conn.execute(queries["cached"], {"key": key}).fetchone()
        if row is not None and clock() - row[0] < MAX_AGE:
            return replace(profile, calibrated_at=row[0], costs=_from_json(row[1]))
        started, now = time.monotonic(), clock()
        costs = measure(conn)
        log.info("measured the costs of work on %s in %.1f s", copies.label, time.monotonic() - started)
        conn.execute(queries["remember"], {"key": key, "measured_at": now, "costs": Jsonb(asdict(costs))})
        return replace(profile, calibrated_at=now, costs=costs)


def calibrated_or_default(
    copies: Endpoint | None, *, clock: Callable[[], datetime], log: logging.Logger = LOG
) -> Profile:
    """Never raises: an estimate with the default costs is better than no analysis, and says what it is."""
    if copies is None:
        return Profile()
    try:
        return calibrated(copies, clock=clock, log=log)
    except MigratorError as exc:
        log.warning(
            "the costs of work could not be measured on %s, so the default costs are used: %s", copies.label, exc
        )
        return Profile()


def measure(conn: Connection, *, rows: int = ROWS, timer: Callable[[], float] = time.perf_counter) -> Costs:
    """The costs on this server. Makes ordinary tables, in a database of our own: temporary ones write no WAL."""
    return _Measurement(conn, rows, timer).costs()


class _Measurement:
    def __init__(self, conn: Connection, rows: int, timer: Callable[[], float]) -> None:
        self._conn = conn
        self._timer = timer
        self._rows = rows
        queries = sql.load("estimate")
        for statement in (
            "SET temp_buffers = '64MB'",
            "DROP TABLE IF EXISTS sample, parents, other",
            queries["sample"],
        ):
            conn.execute(statement.encode())
        conn.execute(queries["fill_sample"], {"rows": rows})
        conn.execute("CREATE TABLE parents AS SELECT i AS id FROM generate_series(0, 999) AS i")
        conn.execute("ALTER TABLE parents ADD PRIMARY KEY (id)")
        conn.execute("ANALYZE sample")

    def costs(self) -> Costs:
        default = Costs()
        statement = self._seconds("ALTER TABLE sample ALTER a SET STATISTICS 100", times=5)
        scan = self._millions("ALTER TABLE sample ALTER a SET NOT NULL", less=statement)
        five = " AND ".join(f"a > -{number}" for number in range(1, 6))
        operator = (self._millions(f"ALTER TABLE sample ADD CHECK ({five})", less=statement) - scan) / 5
        pattern = self._millions("ALTER TABLE sample ADD CHECK (t ~ '^[^@]+@[^@]+$')", less=statement) - scan
        random_bytes = self._millions("SELECT count(gen_random_uuid()) FROM sample", less=statement) - scan
        probe = self._millions("ALTER TABLE sample ADD FOREIGN KEY (parent) REFERENCES parents", less=statement) - scan
        write = self._millions("ALTER TABLE sample ALTER a TYPE bigint", less=statement)
        levels = math.log2(self._rows)
        ordered = self._millions("CREATE INDEX ON sample (id)", less=statement)
        build = 0.7 * ordered
        compare = (self._millions("CREATE INDEX ON sample (a)", less=statement) - build) / levels
        compare_text = (self._millions("CREATE INDEX ON sample (t)", less=statement) - build) / levels
        hash_build = self._millions("CREATE INDEX ON sample USING hash (t)", less=statement)
        insert = self._millions("INSERT INTO other SELECT * FROM sample", less=statement, other="") - scan
        placed = [
            (self._millions("INSERT INTO other SELECT * FROM sample", less=statement, other=column) - scan - insert)
            / levels
            for column in ("id", "a", "t")
        ]
        update = self._millions("UPDATE other SET a = a + 1", less=statement, other="") - scan
        delete = self._millions("DELETE FROM other", less=statement, other="") - scan
        found = Costs(
            statement=statement,
            scan=scan,
            operator=operator,
            pattern=pattern,
            random_bytes=random_bytes,
            probe=probe,
            write=write,
            build=build,
            compare_ordered=0.3 * ordered / levels,
            compare=compare,
            compare_text=compare_text,
            hash_build=hash_build,
            insert=insert,
            place_ordered=placed[0],
            place=placed[1],
            place_text=placed[2],
            update=update,
            delete=delete,
        )
        self._conn.execute("DROP TABLE sample, parents")
        return _completed(found, default)

    def _millions(self, statement: str, *, less: float, other: str | None = None) -> float:
        """Seconds for a million rows, without those that any statement takes. `other`: on a copy of the sample, with an
        index on this column."""
        return max(0.0, self._seconds(statement, times=3, other=other) - less) / self._rows * 1e6

    def _seconds(self, statement: str, *, times: int, other: str | None = None) -> float:
        """The shortest of some tries: whatever else the machine does only makes it longer."""
        return min(self._once(statement, other) for _ in range(times))

    def _once(self, statement: str, other: str | None) -> float:
        with self._conn.transaction(force_rollback=True):
            if other is not None:
                self._conn.execute("CREATE TABLE other AS SELECT * FROM sample")
                if other:
                    index = pgsql.SQL("CREATE INDEX ON other ({})").format(pgsql.Identifier(other))
                    self._conn.execute(index)
            started = self._timer()
            self._conn.execute(statement.encode())
            return self._timer() - started


def _completed(found: Costs, default: Costs) -> Costs:
    """What was not measured scales with what was; what came out as nothing is a little."""
    measured = [
        (getattr(found, name), getattr(default, name))
        for name in ("scan", "write", "build", "insert", "update", "compare_text")
    ]
    logs = [math.log(max(now, LEAST) / then) for now, then in measured]
    factor = math.exp(sum(logs) / len(logs))
    values: dict[str, float] = {}
    for item in fields(Costs):
        value, usual = getattr(found, item.name), getattr(default, item.name)
        unmeasured = item.name in ("call", "token", "page_read", "trigger")
        values[item.name] = round(usual * factor, 5) if unmeasured else round(max(value, usual * factor / 10), 5)
    return Costs(**values)


def _create_database(conn: Connection) -> None:
    with session.translated():
        there = conn.execute("SELECT FROM pg_catalog.pg_database WHERE datname = %s", (DATABASE,)).fetchone()
        if there is not None:
            return
        try:
            conn.execute(pgsql.SQL("CREATE DATABASE {}").format(pgsql.Identifier(DATABASE)))
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            return  # another worker was faster
        note = pgsql.Literal("what work costs on this server, for estimates; may be dropped at any time")
        conn.execute(pgsql.SQL("COMMENT ON DATABASE {} IS {}").format(pgsql.Identifier(DATABASE), note))


def _from_json(value: Any) -> Costs:
    data = value if isinstance(value, dict) else json.loads(value)
    known = {item.name for item in fields(Costs)}
    return Costs(**{name: float(number) for name, number in data.items() if name in known})
