"""Case 11: readers and a forgotten session hold the table while the application works. Nobody waits long because of us.

The application is pgbench; each of its transactions is logged with its duration.
"""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus

from migrator.database.lock_queue import LockQueue
from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.errors import LockNotAvailable
from migrator.plan import Plan, PredictedLock
from migrator.steps import queueing
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query
from tests.integration.test_apply import in_background

LOCK_TIMEOUT = 1.0
SECONDS = 60
"""At most: the traffic ends with the block, a little later."""
REPORT_SECONDS = 5.0
CLIENTS = 4
SETUP = "CREATE TABLE t (id int PRIMARY KEY, v int); INSERT INTO t SELECT g, g FROM generate_series(1, 10000) g;"
WAITING = """
SELECT l.pid, l.waitstart::text, extract(epoch FROM clock_timestamp() - l.waitstart)::float8
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE NOT l.granted AND l.waitstart IS NOT NULL AND l.locktype = 'relation' AND a.application_name = 'pgbench'
"""
HELD = """
SELECT l.relation::regclass::text, l.mode FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.relation = 't'::regclass AND l.mode = 'AccessExclusiveLock' AND a.application_name LIKE 'migration%%'
""".replace("%%", "%")
WORK = "\\set id random(1, 10000)\nSELECT v FROM t WHERE id = :id;\nUPDATE t SET v = v + 1 WHERE id = :id;\n"


@contextmanager
def application(programs: Programs, endpoint: Endpoint, folder: Path) -> Iterator[list[float]]:
    """Traffic for the time of the block; then the list holds the seconds that each transaction took."""
    script = folder / "work.sql"
    script.write_text(WORK)
    where = conninfo_to_dict(endpoint.conninfo)
    process = subprocess.Popen(
        [
            str(programs.path("pgbench")), "--no-vacuum", f"--client={CLIENTS}", "--jobs=1", f"--time={SECONDS}",
            "--rate=200", "--log", "--log-prefix=traffic", f"--file={script}",
            f"--host={where['host']}", f"--port={where['port']}", f"--username={where['user']}", str(where["dbname"]),
        ],
        cwd=folder,
        env={**programs.env, "PGPASSWORD": str(where["password"])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    durations: list[float] = []
    try:
        time.sleep(1)
        yield durations
        time.sleep(0.5)
        process.send_signal(signal.SIGALRM)  # what its own clock sends when the time is over
        said, _ = process.communicate(timeout=30)
        assert process.returncode == 0, said.decode()
    finally:
        process.kill()
        process.wait()
    for log in folder.glob("traffic*"):
        for line in log.read_text().splitlines():
            # client, number, latency and lag in microseconds: pgbench's own lateness is not the server's doing
            fields = line.split()
            durations.append((int(fields[2]) - int(fields[6])) / 1e6)


@pytest.fixture
def table(database: Endpoint) -> Endpoint:
    query(database, SETUP)
    return database


@contextmanager
def waits_of_others(endpoint: Endpoint) -> Iterator[dict[tuple[int, str], float]]:
    """Each wait of pgbench for a lock of a table, as pg_locks shows it: by session and begin, the seconds that it had
    lasted when it was seen last."""
    seen: dict[tuple[int, str], float] = {}
    done = threading.Event()

    def poll() -> None:
        with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
            while not done.wait(0.002):
                for pid, since, lasted in conn.execute(WAITING).fetchall():
                    seen[pid, since] = max(lasted, seen.get((pid, since), 0.0))

    with in_background(poll) as failed:
        try:
            yield seen
        finally:
            done.set()
    assert not failed


@pytest.mark.parametrize("held", ["reader", "idle in transaction"])
def test_the_application_is_never_stalled(
    table: Endpoint, programs: Programs, tmp_path: Path, caplog: pytest.LogCaptureFixture, held: str
) -> None:
    """Nobody queues behind who holds the table, and so nobody queues behind us."""
    plan = plan_from_sql("ALTER TABLE t ADD COLUMN w int", lock_timeout_ms=int(LOCK_TIMEOUT * 1000))
    with caplog.at_level(logging.WARNING), application(programs, table, tmp_path) as durations:
        if held == "reader":
            with in_background(lambda: long_report(table)), waits_of_others(table) as waits:
                time.sleep(0.3)
                expect_patience(plan, table)
        else:
            with psycopg.connect(table.conninfo, application_name="forgotten psql") as holder:
                holder.execute("SELECT count(*) FROM t")
                with waits_of_others(table) as waits:
                    expect_patience(plan, table)
        apply_all(plan, table)
    assert len(durations) > 500
    assert sum(waits.values()) < 0.1, waits
    assert max(durations) < LOCK_TIMEOUT, "an application's transaction waited too long"
    name = "report" if held == "reader" else "forgotten psql"
    assert re.search(rf"stands in no queue behind .*\({name}", caplog.text)
    assert query(table, "SELECT count(w) FROM t") == [(0,)]
    ((blockers,),) = query(
        table,
        "SELECT DISTINCT detail ->> 'blockers' FROM migrator.schema_migration_events WHERE kind = 'lock_awaited'",
    )
    assert name in blockers


def test_what_stalls_the_application_is_seen(table: Endpoint, programs: Programs, tmp_path: Path) -> None:
    """The same with psql: else the test above would prove nothing."""
    with (
        application(programs, table, tmp_path),
        waits_of_others(table) as waits,
        psycopg.connect(table.conninfo) as holder,
        psycopg.connect(table.conninfo) as naive,
    ):
        holder.execute("SELECT count(*) FROM t")
        naive.execute("SET LOCAL lock_timeout = '500ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            naive.execute("ALTER TABLE t ADD COLUMN w int")
    assert sum(waits.values()) > 0.4


def test_a_reader_that_comes_between_two_statements_stalls_nobody(table: Endpoint, tmp_path: Path) -> None:
    """What the first one has locked is let go again while the second one's table is waited for."""
    query(table, "CREATE TABLE u (id int)")
    plan = plan_from_sql("ALTER TABLE t ADD COLUMN w int; ALTER TABLE u ADD COLUMN w int", lock_timeout_ms=5000)
    holder = psycopg.connect(table.conninfo, application_name="late report")

    class Late(LockQueue):
        def require_clear(self, locks: Collection[PredictedLock]) -> None:
            if holder.info.transaction_status == TransactionStatus.IDLE and not looks:
                holder.execute("SELECT count(*), pg_sleep(0.2) FROM u")
            looks.append(query(table, HELD))
            super().require_clear(locks)

        def wait(self, locks: Collection[PredictedLock]) -> None:
            if looks:
                looks.append(query(table, HELD))
                holder.rollback()
            super().wait(locks)

    looks: list[list[tuple[object, ...]]] = []
    with holder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(queueing, "LockQueue", Late)
        apply_all(plan, table)
    assert looks[:2] == [[("t", "AccessExclusiveLock")], []]
    assert query(table, "SELECT count(w) FROM u") == [(0,)]


def expect_patience(plan: Plan, endpoint: Endpoint) -> None:
    with pytest.raises(LockNotAvailable, match="no lock after"):
        apply_all(plan, endpoint, deadline_seconds=3.0)


def long_report(endpoint: Endpoint) -> None:
    with psycopg.connect(endpoint.conninfo, application_name="report") as conn:
        conn.execute("SELECT count(*), pg_sleep(%s) FROM t", (REPORT_SECONDS,))


@pytest.mark.thorough
def test_a_concurrent_build_stalls_nobody(table: Endpoint, programs: Programs, tmp_path: Path) -> None:
    """It waits for an open transaction as long as that takes, and no statement of the application waits with it."""
    plan = plan_from_sql("CREATE INDEX CONCURRENTLY t_v ON t (v)", lock_timeout_ms=100)
    with application(programs, table, tmp_path) as durations, in_background(lambda: long_report(table)) as failed:
        time.sleep(0.3)
        apply_all(plan, table)
    assert not failed
    assert max(durations) < 1.0
    assert query(table, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass") == [(True,)]
