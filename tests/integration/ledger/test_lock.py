"""The migration lock: one runner at a time, nobody waits inside PostgreSQL, and a dead holder holds nothing."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

from migrator.database import session
from migrator.database.locking import LockHolder, holder_of, lock_key, migration_lock
from migrator.database.session import Endpoint
from migrator.errors import ConnectionLost, HeldByOther
from migrator.run import RunContext
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import query
from tests.integration.test_apply import wait_for

RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester")
NEXT = RunContext(run_id="run-2", version="002_next", target="test", actor="tester")


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_the_second_is_told_by_whom_it_is_held(database: Endpoint) -> None:
    clock, told = Clock(), list[LockHolder | None]()
    with (
        migration_lock(database, run=RUN) as lock,
        pytest.raises(
            HeldByOther, match=r'"migration lock 001_test" \(pid \d+, user migrator, from 127\.0\.0\.1, since'
        ) as raised,
        migration_lock(database, run=NEXT, deadline_seconds=30, on_wait=told.append, clock=clock, sleep=clock.sleep),
    ):
        pass
    assert "gave up after 30 s" in str(raised.value)
    assert str(lock.pid) in str(raised.value)
    assert {holder.pid for holder in told if holder is not None} == {lock.pid}


def test_it_tries_and_backs_off(database: Endpoint) -> None:
    """The pauses grow, are not all the same (others wait too), and end at the deadline."""
    clock = Clock()
    with (
        migration_lock(database, run=RUN),
        pytest.raises(HeldByOther),
        migration_lock(database, run=NEXT, deadline_seconds=60, clock=clock, sleep=clock.sleep),
    ):
        pass
    assert sum(clock.pauses) == pytest.approx(60)
    assert max(clock.pauses[:3]) < 1.0
    assert 2.0 >= max(clock.pauses) > 0.5
    assert len(set(clock.pauses)) > len(clock.pauses) // 2


def test_it_is_got_when_the_first_lets_go(database: Endpoint) -> None:
    clock = Clock()
    first = migration_lock(database, run=RUN)
    first.__enter__()

    def let_go(seconds: float) -> None:
        clock.sleep(seconds)
        if len(clock.pauses) == 2:
            first.__exit__(None, None, None)

    with migration_lock(database, run=NEXT, clock=clock, sleep=let_go) as lock:
        lock.check()
    assert len(clock.pauses) == 2


def test_databases_do_not_keep_each_other_out(database: Endpoint, make_database: MakeDatabase) -> None:
    other = make_database("other")
    with migration_lock(database, run=RUN), migration_lock(other, run=NEXT, deadline_seconds=0) as lock:
        lock.check()
    with session.connect(database, purpose="a") as one, session.connect(other, purpose="b") as two:
        assert lock_key(one) != lock_key(two)


def test_it_is_free_as_soon_as_its_holder_dies(database: Endpoint) -> None:
    """kill -9: the system closes the socket, the server ends the session, and no stale lock is left to clear."""
    script = (
        "import sys, time; from migrator.database.locking import migration_lock; from migrator.run import RunContext;"
        "from migrator.database.session import Endpoint\n"
        "with migration_lock(Endpoint(sys.argv[1]), run=RunContext('r', '001_test', 'test', 'tester')):\n"
        "    print('held', flush=True); time.sleep(100)"
    )
    process = subprocess.Popen([sys.executable, "-c", script, database.conninfo], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(HeldByOther), migration_lock(database, run=NEXT, deadline_seconds=0):
            pass
    finally:
        process.kill()
        process.communicate()
    with migration_lock(database, run=NEXT, deadline_seconds=20) as lock:
        lock.check()


def test_its_session_never_holds_a_snapshot(database: Endpoint) -> None:
    """Neither while it holds the lock nor while it waits for it: CREATE INDEX CONCURRENTLY would wait for both."""
    query(database, "CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    seen: list[tuple[object, ...]] = []

    def look(holder: LockHolder | None) -> None:
        seen.extend(
            query(
                database,
                "SELECT state, backend_xmin, xact_start FROM pg_stat_activity"
                " WHERE application_name LIKE 'migration lock%'",
            )
        )
        query(database, "CREATE INDEX CONCURRENTLY t_id ON t (id)")
        query(database, "DROP INDEX CONCURRENTLY t_id")

    clock = Clock()
    with (
        migration_lock(database, run=RUN),
        pytest.raises(HeldByOther),
        migration_lock(database, run=NEXT, deadline_seconds=0.1, on_wait=look, clock=clock, sleep=clock.sleep),
    ):
        pass
    assert len(seen) >= 2
    assert set(seen) == {("idle", None, None)}


def test_a_lost_lock_is_noticed_before_commit(database: Endpoint) -> None:
    with migration_lock(database, run=RUN) as lock:
        query(database, "SELECT pg_terminate_backend(%s)", lock.pid)
        wait_for(database, f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {lock.pid})")
        with pytest.raises(ConnectionLost, match="the session that held the migration lock is gone"):
            lock.check()


def test_a_lock_that_somebody_unlocked_is_noticed(database: Endpoint) -> None:
    """DISCARD ALL by a pooler, for instance."""
    with migration_lock(database, run=RUN) as lock:
        lock.check()
        lock._connection.execute("SELECT pg_advisory_unlock_all()")
        with pytest.raises(ConnectionLost, match="not held any more; nothing more is executed"):
            lock.check()


def test_who_holds_it(database: Endpoint) -> None:
    with session.connect(database, purpose="look") as conn:
        key = lock_key(conn)
        assert holder_of(conn, key) is None
        with migration_lock(database, run=RUN) as lock:
            holder = holder_of(conn, key)
            assert holder is not None
            assert (holder.pid, holder.backend_start) == (lock.pid, lock.backend_start)
        assert holder_of(conn, key) is None


def test_nothing_hides_from_an_ordinary_role_that_there_is_a_holder(database: Endpoint, superuser: str) -> None:
    """Without pg_monitor the name and client of another role's session are hidden; that it holds the lock is not."""
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("CREATE ROLE onlooker LOGIN PASSWORD 'only for this test'")
        try:
            conninfo = psycopg.conninfo.make_conninfo(database.conninfo, user="onlooker", password="only for this test")
            with migration_lock(database, run=RUN) as lock, session.connect(Endpoint(conninfo), purpose="look") as conn:
                holder = holder_of(conn, lock._key)
                assert holder is not None
                assert (holder.pid, holder.client, holder.backend_start) == (lock.pid, None, None)
                assert f"pid {lock.pid}" in str(holder)
        finally:
            admin.execute("DROP ROLE onlooker")
