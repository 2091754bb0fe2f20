"""A fence ends the very session that a dead worker left behind, and no other that got its number since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from migrator.database import session
from migrator.database.activity import fence
from migrator.database.session import Connection, Endpoint
from migrator.errors import NeedsHuman
from tests.integration.stages import query
from tests.integration.test_apply import in_background, wait_for


@pytest.fixture
def fencing(database: Endpoint) -> Iterator[Connection]:
    with session.connect(database, purpose="fence") as conn:
        yield conn


@contextmanager
def left_behind(endpoint: Endpoint) -> Iterator[Connection]:
    conn = session.connect(endpoint, purpose="apply", version="001_test")
    try:
        yield conn
    finally:
        conn.close()


def test_the_recorded_session_is_ended(database: Endpoint, fencing: Connection) -> None:
    with left_behind(database) as conn:
        pid, start = session.backend_of(conn)
        with in_background(lambda: conn.execute("SELECT pg_sleep(60)")) as raised:
            wait_for(database, f"EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND state = 'active')")
            assert fence(fencing, pid=pid, backend_start=start)
            assert query(database, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == [(0,)]
        assert isinstance(raised[0], psycopg.errors.AdminShutdown)


def test_a_recycled_pid_is_left_alone(database: Endpoint, fencing: Connection) -> None:
    """Same pid, another start: somebody else's session, for instance the application's."""
    with left_behind(database) as conn:
        pid, start = session.backend_of(conn)
        for other in (start - timedelta(hours=1), start - timedelta(microseconds=1), start + timedelta(microseconds=1)):
            assert fence(fencing, pid=pid, backend_start=other)
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert session.backend_of(conn) == (pid, start)


def test_a_session_that_is_gone_already(database: Endpoint, fencing: Connection) -> None:
    with left_behind(database) as conn:
        pid, start = session.backend_of(conn)
    wait_for(database, f"NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid} AND backend_start = '{start}')")
    assert fence(fencing, pid=pid, backend_start=start)


def test_the_answer_is_no_while_it_is_still_there(fencing: Connection) -> None:
    """A session that waits for a disk or a standby does not go at once; then nothing else may start. Our own is the one
    that surely stays: it is never ended."""
    pid, start = session.backend_of(fencing)
    assert not fence(fencing, pid=pid, backend_start=start, wait_seconds=0.2)


def test_a_role_that_may_not_end_it(database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("CREATE ROLE weak LOGIN PASSWORD 'only for this test'")
        try:
            weak = Endpoint(
                psycopg.conninfo.make_conninfo(database.conninfo, user="weak", password="only for this test")
            )
            with left_behind(database) as conn, session.connect(weak, purpose="fence") as fencing:
                pid, start = session.backend_of(conn)
                with pytest.raises(NeedsHuman, match="may not see when it started; grant it pg_read_all_stats"):
                    fence(fencing, pid=pid, backend_start=start)
                admin.execute("GRANT pg_read_all_stats TO weak")
                with pytest.raises(NeedsHuman, match=f"cannot end the session with pid {pid}"):
                    fence(fencing, pid=pid, backend_start=start)
                assert conn.execute("SELECT 1").fetchone() == (1,)
                admin.execute("GRANT migrator TO weak")
                assert fence(fencing, pid=pid, backend_start=start)
        finally:
            admin.execute("DROP ROLE weak")
