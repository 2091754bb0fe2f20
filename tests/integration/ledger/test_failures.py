"""What is written beside the DDL survives its rollback; what is written with it commits or vanishes with it."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import HeldByOther, LockNotAvailable, NeedsHuman, StatementFailed
from migrator.ledger.ledger import Ledger
from tests.factories import plan_from_sql
from tests.integration.ledger.history import events_of, kinds_of, problems_of
from tests.integration.stages import apply_all, query, row_of, run_of

FAILS = "CREATE TABLE t (id int);\n\nINSERT INTO t\n  SELECT 1/0;"


def test_a_failure_survives_the_rollback_of_its_transaction(database: Endpoint) -> None:
    plan = plan_from_sql(FAILS)
    with pytest.raises(StatementFailed, match=r"001_test\.sql:3:1: division by zero"):
        apply_all(plan, database)
    assert query(database, "SELECT to_regclass('t')") == [(None,)], "the DDL is rolled back"
    with Ledger(database) as ledger:
        (step,) = ledger.steps(plan.version)
    assert (step.status, step.sqlstate, step.attempts) == ("failed", "22012", 1)
    assert step.error is not None
    assert "division by zero" in step.error
    assert step.backend_pid is not None
    assert step.backend_start is not None
    event = events_of(database)[-1]
    assert event.kind == "step_failed"
    assert (event.detail["line"], event.detail["column"], event.detail["statement"]) == (3, 1, 1)
    assert problems_of(database) == ()


def test_each_attempt_is_kept(database: Endpoint) -> None:
    plan = plan_from_sql(FAILS)
    for _ in range(3):
        with pytest.raises(StatementFailed):
            apply_all(plan, database)
    assert kinds_of(database).count("step_failed") == 3
    assert [event.detail["attempt"] for event in events_of(database) if event.kind == "step_started"] == [1, 2, 3]


def test_success_commits_with_the_ddl_and_is_asked_from_the_ledger(database: Endpoint) -> None:
    """The row of success is in the DDL's own transaction, so an unknown COMMIT has an answer: both or neither."""
    plan = plan_from_sql("CREATE TABLE t (id int)")
    run = run_of(plan)
    step = plan.steps[0].name
    with Ledger(database) as ledger, psycopg.connect(database.conninfo) as ddl:
        ledger.install()
        ledger.begin(plan, run=run)
        ledger.step_started(plan.version, step, run=run, backend=None)
        for end in ("ROLLBACK", "COMMIT"):
            ddl.execute("CREATE TABLE public.t (id int)")
            ledger.step_succeeded(plan.version, step, run=run, on=ddl, last=True)
            assert ddl.execute("SELECT status FROM migrator.schema_migration_steps").fetchone() == ("success",)
            ddl.execute(end.encode())
            assert ledger.step_committed(plan.version, step, run=run) == (end == "COMMIT")
        kinds = kinds_of(database)
        assert kinds == ["install", "begin", "step_started", "step_succeeded"]
        assert ledger.step_committed(plan.version, step, run=run)
        assert kinds_of(database) == kinds, "asked twice, told once"


def test_the_ledger_does_not_wait_for_the_ddl(database: Endpoint) -> None:
    """While a step's transaction is open others write and verify; between its last look and its COMMIT they read."""
    plan = plan_from_sql("CREATE TABLE t (id int)")
    run = run_of(plan)
    with Ledger(database) as ledger, psycopg.connect(database.conninfo) as ddl:
        ledger.install()
        ledger.begin(plan, run=run)
        ledger.step_started(plan.version, plan.steps[0].name, run=run, backend=None)
        ddl.execute("CREATE TABLE public.t (id int)")
        with Ledger(database) as other:
            other.append_event("note", version=None, run=run, detail={"while": "the transaction is open"})
            ledger.step_succeeded(plan.version, plan.steps[0].name, run=run, on=ddl, last=True)
            assert other.verify_chain() == ()
        ddl.rollback()


def test_a_worker_that_lost_the_migration_cannot_commit(database: Endpoint) -> None:
    """Everybody thinks it dead, another run took over; its transaction is refused at the last moment."""
    plan = plan_from_sql("CREATE TABLE t (id int)")
    run, other = run_of(plan), run_of(plan, "run-2")
    step = plan.steps[0].name
    with Ledger(database) as ledger, psycopg.connect(database.conninfo) as ddl:
        ledger.install()
        ledger.begin(plan, run=run)
        ledger.step_started(plan.version, step, run=run, backend=None)
        ddl.execute("CREATE TABLE public.t (id int)")
        with pytest.raises(HeldByOther, match="run run-1 by tester"):
            ledger.begin(plan, run=other)
        ledger.mark_failed(plan.version, run=run, error_message="given up")
        ledger.begin(plan, run=other)
        with pytest.raises(HeldByOther):
            ledger.step_succeeded(plan.version, step, run=run, on=ddl, last=True)
        ddl.rollback()
        with pytest.raises(HeldByOther):
            ledger.step_started(plan.version, step, run=run, backend=None)
    row = row_of(plan, database)
    assert row is not None
    assert (row.run_id, row.applied_at) == ("run-2", None)


def test_a_step_that_was_not_started_cannot_succeed(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE t (id int)")
    run = run_of(plan)
    with Ledger(database) as ledger:
        ledger.install()
        with pytest.raises(NeedsHuman, match="begin comes first"):
            ledger.step_started(plan.version, "sql", run=run, backend=None)
        ledger.begin(plan, run=run)
        with pytest.raises(NeedsHuman, match="it was not started, or is done already"):
            ledger.step_succeeded(plan.version, plan.steps[0].name, run=run, last=True)
        with pytest.raises(NeedsHuman, match="a step is missing, so it cannot be verified"):
            ledger.mark_verified(plan.version, run=run)


def test_a_lost_connection_of_the_ledger_is_renewed(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE t (id int)")
    run = run_of(plan)
    with Ledger(database) as ledger:
        ledger.install()
        for write in (False, True):
            query(database, "SELECT pg_terminate_backend(%s, 5000)", ledger.connection.info.backend_pid)
            if write:
                ledger.begin(plan, run=run)
            else:
                assert ledger.migrations() == ()
        assert [row.version for row in ledger.all_running()] == [plan.version]


def test_text_that_postgresql_cannot_store(database: Endpoint) -> None:
    """NUL and lone surrogates come out of exceptions and file names; the event is written all the same."""
    plan = plan_from_sql("CREATE TABLE t (id int)")
    with Ledger(database) as ledger:
        ledger.install()
        ledger.append_event(
            "note", version=None, run=run_of(plan, actor="nul\x00"), detail={"a\x00": "b\udc80", "é": ["ü\x00"]}
        )
        event = ledger.events()[-1]
        assert event.actor == "nul\ufffd"
        assert event.detail == {"a\ufffd": "b?", "é": ["ü\ufffd"]}
        assert ledger.verify_chain() == ()


def test_who_keeps_the_writers_waiting_is_named(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who has rights on the ledger can; whoever is on call knows whose session it is."""
    monkeypatch.setattr("migrator.ledger.connection.LOCK_TIMEOUT_MS", 200)
    with Ledger(database) as ledger, psycopg.connect(database.conninfo, application_name="nosy") as somebody:
        ledger.install()
        somebody.execute("LOCK TABLE migrator.ledger_identity IN SHARE UPDATE EXCLUSIVE MODE")
        named = rf"keeps the ledger's writers waiting: nosy \(pid {somebody.info.backend_pid},"
        with pytest.raises(LockNotAvailable, match=named):
            ledger.append_event("note", version=None, run=run_of(plan_from_sql("SELECT 1")), detail={})
        with pytest.raises(LockNotAvailable, match=named), ledger.turn():
            pass


def test_nobody_else_keeps_the_writers_waiting(database: Endpoint, superuser: str) -> None:
    with Ledger(database) as ledger, psycopg.connect(superuser, autocommit=True) as admin:
        ledger.install()
        admin.execute("CREATE ROLE app_waiting; GRANT USAGE ON SCHEMA migrator TO app_waiting")
        try:
            admin.execute("SET ROLE app_waiting")
            with pytest.raises(psycopg.errors.InsufficientPrivilege), admin.transaction():
                admin.execute("LOCK TABLE migrator.ledger_identity IN SHARE UPDATE EXCLUSIVE MODE")
        finally:
            admin.execute("RESET ROLE; DROP OWNED BY app_waiting; DROP ROLE app_waiting")
