"""Sessions that forgot their transaction, and a policy that lets a step end them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrator.database.session import Endpoint
from migrator.errors import LockNotAvailable, MigratorError
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.steps import queueing
from migrator.targets.targets import IdleSessions
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, make_target, query

PLAN = plan_from_sql("ALTER TABLE t ADD COLUMN w int", lock_timeout_ms=1000)
SECOND = timedelta(seconds=1)


@pytest.fixture
def table(database: Endpoint, superuser: str) -> Endpoint:
    query(database, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("GRANT ALL ON t TO PUBLIC")
    return database


@contextmanager
def holding(superuser: str, role: str, name: str = "forgotten psql") -> Iterator[psycopg.Connection]:
    """Somebody who has written a row and gone to lunch. A role for each test: the cluster is shared."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
    own = make_conninfo(superuser, user=role, password="secret", application_name=name)
    conn = psycopg.connect(own)
    try:
        conn.execute("INSERT INTO t VALUES (2)")
        yield conn
    finally:
        conn.close()
        with psycopg.connect(superuser, autocommit=True) as conn:
            conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def apply_with(policy: IdleSessions | None, table: Endpoint, seconds: float, plan: Plan = PLAN) -> None:
    apply_all(plan, table, target=replace(make_target(), idle_in_transaction=policy), deadline_seconds=seconds)


def told(table: Endpoint) -> list[str]:
    with Ledger(table) as ledger:
        return [event.detail["session"] for event in ledger.events(PLAN.version) if event.kind == queueing.ENDED]


def test_it_is_ended_and_the_ledger_says_so(table: Endpoint, superuser: str, caplog: pytest.LogCaptureFixture) -> None:
    """What it had written is taken back, as when its client dies; the change is made."""
    with holding(superuser, "lunch_ended") as conn, caplog.at_level(logging.WARNING):
        apply_with(IdleSessions(SECOND, ("other", "lunch_ended")), table, 20)
        with pytest.raises(psycopg.OperationalError):
            conn.execute("SELECT 1")
    assert query(table, "SELECT count(w), count(*) FROM t") == [(0, 1)]
    (session,) = told(table)
    assert "forgotten psql" in session
    assert "lunch_ended" in session
    assert "has ended" in caplog.text


@pytest.mark.parametrize(
    "policy",
    [
        pytest.param(None, id="no policy"),
        pytest.param(IdleSessions(SECOND, ("somebody_else",)), id="another role"),
        pytest.param(IdleSessions(timedelta(minutes=1), ("lunch_stays",)), id="not for so long"),
    ],
)
def test_it_stays(table: Endpoint, superuser: str, policy: IdleSessions | None) -> None:
    with holding(superuser, "lunch_stays") as conn:
        time.sleep(1.1)
        with pytest.raises(LockNotAvailable, match="forgotten psql"):
            apply_with(policy, table, 2)
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)
    assert told(table) == []


def work(conn: psycopg.Connection, stop: threading.Event) -> None:
    while not stop.wait(0.3):
        conn.execute("SELECT 1")


def test_who_works_is_not_idle(table: Endpoint, superuser: str) -> None:
    """Its transaction is old, but it asks something each half of a second."""
    with holding(superuser, "lunch_works") as conn:
        worker = threading.Thread(target=work, args=(conn, stop := threading.Event()))
        worker.start()
        try:
            with pytest.raises(LockNotAvailable):
                apply_with(IdleSessions(SECOND, ("lunch_works",)), table, 3)
        finally:
            stop.set()
            worker.join()
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_the_migrators_own_sessions_stay(table: Endpoint, superuser: str) -> None:
    """Another migration's, or a snapshot's: they have a way of their own to end."""
    with holding(superuser, "lunch_own", name="migration snapshot 001") as conn:
        time.sleep(1.1)
        with pytest.raises(LockNotAvailable):
            apply_with(IdleSessions(SECOND, ("lunch_own",)), table, 2)
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_of_whom_the_ledger_cannot_be_told_stays(
    table: Endpoint, superuser: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Ledger.append_event

    def refusing(self: Ledger, kind: str, **more: object) -> object:
        if kind == queueing.ENDED:
            raise MigratorError("the ledger is away")
        return append(self, kind, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "append_event", refusing)
    with holding(superuser, "lunch_untold") as conn:
        with pytest.raises(LockNotAvailable):
            apply_with(IdleSessions(SECOND, ("lunch_untold",)), table, 3)
        assert conn.execute("SELECT count(*) FROM t").fetchone() == (2,)
