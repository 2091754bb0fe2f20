"""Ledgers that nobody works on any more, on a real server: what is closed, what is told, what is left alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from migrator.database import session
from migrator.database.locking import migration_lock
from migrator.database.session import Endpoint
from migrator.errors import HeldByOther, LedgerForeign, LedgerTampered, StatementFailed
from migrator.ledger.ledger import Ledger
from migrator.operations import reconcile
from migrator.operations.reconcile import Report, RunState, State
from migrator.run import RunContext
from tests.factories import make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of, run_of, traces, verify_it

ME = RunContext(run_id="hourly__1", version="", target="test", actor="housekeeping")
BROKEN = "CREATE TABLE a (id int);\nSELECT nonsense;"
HALF = "CREATE TABLE a (id int); VACUUM; SELECT nonsense;"


def look(
    endpoint: Endpoint, state: RunState = RunState.GONE, *, sleep: Callable[[float], None] = lambda seconds: None
) -> Report:
    with Ledger(endpoint) as ledger:
        return reconcile.run(endpoint=endpoint, ledger=ledger, run=ME, state_of=lambda row: state, sleep=sleep)


def kinds(endpoint: Endpoint) -> list[str]:
    with Ledger(endpoint) as ledger:
        assert ledger.verify_chain() == ()
        return [event.kind for event in ledger.events()]


def test_nothing_is_running(database: Endpoint) -> None:
    assert look(database).state is State.FREE
    with Ledger(database) as ledger:
        assert not ledger.exists(), "looking installs nothing"
    plan = make_plan()
    apply_all(plan, database)
    verify_it(plan, database)
    before = traces(database)
    assert look(database).state is State.FREE
    assert traces(database) == before


def test_a_run_that_goes_on_is_left_alone(database: Endpoint) -> None:
    apply_all(make_plan(), database)
    before = traces(database)
    assert look(database, RunState.ACTIVE).state is State.AT_WORK
    assert traces(database) == before


def test_nothing_applied_is_closed_and_the_next_may_run(database: Endpoint) -> None:
    with pytest.raises(StatementFailed):
        apply_all(plan_from_sql(BROKEN), database)
    following = make_plan(version="002_next")
    with pytest.raises(HeldByOther):
        apply_all(following, database, run=run_of(following))

    report = look(database)
    assert (report.state, report.news, report.wants_a_person) == (State.CLOSED, True, False)
    row = row_of(plan_from_sql(BROKEN), database)
    assert row is not None
    assert (row.status, row.run_id) == ("failed", "run-1")
    assert "nonsense" in (row.error_message or ""), "why it failed is not lost"
    assert kinds(database)[-2:] == ["failed", "reconcile"]
    assert look(database).state is State.FREE
    apply_all(following, database, run=run_of(following))


def test_half_applied_is_told_once_and_not_touched(database: Endpoint) -> None:
    plan = plan_from_sql(HALF, "DROP TABLE IF EXISTS a;")
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    before = query(database, "SELECT t::text FROM migrator.schema_migrations AS t")
    report = look(database)
    assert (report.state, report.news, report.wants_a_person) == (State.STUCK, True, True)
    assert look(database).news is False
    assert kinds(database).count("reconcile") == 1
    assert query(database, "SELECT t::text FROM migrator.schema_migrations AS t") == before
    assert query(database, "SELECT to_regclass('a')") != [(None,)]

    roll_back(plan, database)
    assert look(database).state is State.FREE


def test_applied_and_never_verified(database: Endpoint) -> None:
    apply_all(make_plan(), database)
    report = look(database, RunState.OVER)
    assert report.state is State.STUCK
    assert "not verified" in report.text


def test_a_session_that_still_executes(database: Endpoint) -> None:
    """Its worker is dead and its run gone, but the server works on."""
    plan = plan_from_sql("CREATE TABLE a (id int);\nSELECT pg_sleep(60);")
    ended: list[BaseException] = []

    def worker() -> None:
        try:
            apply_all(plan, database)
        except BaseException as exc:
            ended.append(exc)

    thread = threading.Thread(target=worker)
    thread.start()
    try:
        pid = _wait_for_sleep(database)
        report = look(database)
        assert report.state is State.ORPHANED
        assert str(pid) in report.text
        assert query(database, "SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid) == [(1,)], "left alone"
    finally:
        query(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        thread.join()
    assert ended, "the worker noticed"
    assert look(database).state is State.CLOSED


def test_it_changes_its_mind_when_somebody_comes_back(database: Endpoint) -> None:
    """Between the two looks the teardown of the run begins."""
    with pytest.raises(StatementFailed):
        apply_all(plan_from_sql(BROKEN), database)
    plan = plan_from_sql(BROKEN)
    report = look(database, RunState.OVER, sleep=lambda seconds: (roll_back(plan, database), None)[1])
    assert report.state is State.FREE
    assert "reconcile" not in kinds(database)


def test_the_lock_of_somebody_at_work_is_respected(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "LOCK_SECONDS", 0.2)
    with pytest.raises(StatementFailed):
        apply_all(plan_from_sql(BROKEN), database)
    before = traces(database)
    with migration_lock(database, run=replace(ME, version="002_other")):
        assert look(database).state is State.AT_WORK
    assert traces(database) == before


def test_a_clone_is_not_reconciled(database: Endpoint, make_database: MakeDatabase, superuser: str) -> None:
    """Its rows are another database's."""
    with pytest.raises(StatementFailed):
        apply_all(plan_from_sql(BROKEN), database)
    query(database, "UPDATE migrator.ledger_identity SET database_oid = database_oid + 1")
    before = traces(database)
    with pytest.raises(LedgerForeign):
        look(database)
    assert traces(database) == before


def _wait_for_sleep(endpoint: Endpoint) -> int:
    with session.connect(endpoint, purpose="observe") as connection:
        for _ in range(600):
            rows: list[Any] = connection.execute(
                "SELECT pid, pg_sleep(0.05) FROM pg_stat_activity"
                " WHERE wait_event = 'PgSleep' AND datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
            if rows:
                return int(rows[0][0])
            with psycopg.connect(endpoint.conninfo) as pause:
                pause.execute("SELECT pg_sleep(0.05)")
    raise TimeoutError("nothing sleeps")


def test_a_ledger_that_somebody_has_changed_is_noticed_while_nothing_runs(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a;")
    with Ledger(database) as ledger:
        reconcile.require_trustworthy(ledger)
    apply_all(plan, database)
    verify_it(plan, database)
    with Ledger(database) as ledger:
        reconcile.require_trustworthy(ledger)
    query(database, "ALTER TABLE migrator.schema_migration_events DISABLE TRIGGER append_only")
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match="append_only"):
        reconcile.require_trustworthy(ledger)
    query(database, "UPDATE migrator.schema_migration_events SET actor = 'x' WHERE kind = 'verified'")
    query(database, "ALTER TABLE migrator.schema_migration_events ENABLE ALWAYS TRIGGER append_only")
    with Ledger(database) as ledger, pytest.raises(LedgerTampered, match="nothing is applied on the word"):
        reconcile.require_trustworthy(ledger)
