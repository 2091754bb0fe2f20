"""Whatever dies, and whenever: after the next try everything is there exactly once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import ConnectionLost, TransientError
from migrator.plan import Plan
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase, database_on
from tests.integration.stages import apply_all, outcome_of, query, roll_back, row_of, verify_it
from tests.integration.test_apply import ACTIVE, in_background, wait_for
from tests.integration.worker import working

GONE = "NOT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'migration apply%')"
ONCE = "CREATE TABLE once (id int); INSERT INTO once VALUES (1); {}"

AT_COMMIT = """
CREATE TABLE gate (id int);
CREATE FUNCTION stop_at_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
    IF new.id > 0 THEN  -- deferred triggers are made to run before COMMIT: this one puts off another
        SET CONSTRAINTS ALL DEFERRED;
        INSERT INTO public.gate VALUES (0);
    ELSE
        PERFORM pg_advisory_xact_lock(42);
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER stop AFTER INSERT ON gate DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION stop_at_commit();
"""
STOPPED = (
    "EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'migration apply 001_test'"
    " AND query = 'COMMIT' AND wait_event_type = '{}')"
)


def expect_once(plan: Plan, endpoint: Endpoint) -> None:
    """The next try, by the same run, ends as an undisturbed one."""
    apply_all(plan, endpoint)
    verify_it(plan, endpoint)
    assert query(endpoint, "SELECT count(*) FROM once") == [(1,)]
    assert outcome_of(plan, endpoint).ok


def test_worker_killed_in_a_statement(database: Endpoint, tmp_path: Path) -> None:
    """C.22: the server notices within two seconds, rolls back, and the lock is free."""
    plan = plan_from_sql(ONCE.format("SELECT pg_sleep(20);"))
    with working(plan, database, tmp_path) as worker:
        wait_for(database, ACTIVE.format("001_test"))
        worker.kill()
        wait_for(database, GONE, seconds=3)
    assert query(database, "SELECT to_regclass('once')") == [(None,)]
    row = row_of(plan, database)
    assert row is not None
    assert (row.status, row.applied_at) == ("running", None)
    assert "not finished" in outcome_of(plan, database).text
    short = plan_from_sql(ONCE.format("SELECT pg_sleep(0);"))
    expect_once(short, database)


def test_worker_killed_at_commit(database: Endpoint, tmp_path: Path) -> None:
    query(database, AT_COMMIT)
    plan = plan_from_sql(ONCE.format("INSERT INTO gate VALUES (1);"))
    with psycopg.connect(database.conninfo, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(42)")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, STOPPED.format("Lock"))
            worker.kill()
            wait_for(database, GONE, seconds=3)
    assert query(database, "SELECT to_regclass('once')") == [(None,)]
    expect_once(plan, database)


def test_a_session_that_somebody_ends_says_who_may_have_been_it(database: Endpoint) -> None:
    """The rollback of a run ends the session of a task that was marked, maybe before the task hears of it."""
    plan = plan_from_sql(ONCE.format("SELECT pg_sleep(20);"))
    with in_background(lambda: apply_all(plan, database)) as raised:
        wait_for(database, ACTIVE.format("001_test"))
        end_applying(database)
    (error,) = raised
    assert isinstance(error, ConnectionLost)
    assert "or the rollback of this run, when its task was marked" in str(error)


def test_connection_lost_at_commit_that_did_not_take_effect(database: Endpoint) -> None:
    """C.24, first half: the answer comes from the ledger, and the step is free to be tried again."""
    query(database, AT_COMMIT)
    plan = plan_from_sql(ONCE.format("INSERT INTO gate VALUES (1);"))
    with psycopg.connect(database.conninfo, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(42)")
        with in_background(lambda: apply_all(plan, database)) as raised:
            wait_for(database, STOPPED.format("Lock"))
            end_applying(database)
    (error,) = raised
    assert isinstance(error, ConnectionLost)
    assert "did not take effect" in str(error)
    expect_once(plan, database)


def test_connection_lost_at_commit_that_took_effect(own_server: Server) -> None:
    """C.24, second half: committed on disk, but the answer never came (here: it waits for a standby that is not
    there). The ledger's row was in that transaction, so nothing is executed again."""
    database = database_on(own_server, "lost", script=AT_COMMIT)
    plan = plan_from_sql(ONCE.format("INSERT INTO gate VALUES (1);"))
    applied: list[Any] = []
    with (
        psycopg.connect(own_server.conninfo(), autocommit=True) as admin,
        psycopg.connect(database.conninfo, autocommit=True) as holder,
    ):
        holder.execute("SELECT pg_advisory_lock(42)")
        with in_background(lambda: applied.extend(apply_all(plan, database))) as raised:
            wait_for(database, STOPPED.format("Lock"))
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            admin.execute("SELECT pg_reload_conf()")
            wait_for(database, "current_setting('synchronous_standby_names') = 'nobody'")
            holder.execute("SELECT pg_advisory_unlock(42)")
            wait_for(database, STOPPED.format("IPC"))
            end_applying(database)
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")
    assert raised == []
    assert [result.status for result in applied] == ["success"]
    assert query(database, "SELECT count(*) FROM once") == [(1,)]
    expect_once(plan, database)


def end_applying(endpoint: Endpoint) -> None:
    query(
        endpoint,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'migration apply 001_test'",
    )


@pytest.mark.parametrize("stop", [lambda server: server.stop("immediate"), lambda server: server.kill()])
def test_server_dies_during_apply(own_server: Server, stop: Callable[[Server], None]) -> None:
    database = database_on(own_server, "crash")
    ((started,),) = query(database, "SELECT pg_postmaster_start_time()::text")
    still = f"pg_postmaster_start_time() = '{started}'"
    plan = plan_from_sql(ONCE.format(f"SELECT pg_sleep(CASE WHEN {still} THEN 30 ELSE 0 END);"))
    with in_background(lambda: apply_all(plan, database)) as raised:
        wait_for(database, ACTIVE.format("001_test"))
        stop(own_server)
    (error,) = raised
    assert isinstance(error, TransientError), "Airflow tries again"
    own_server.start()
    assert query(database, "SELECT to_regclass('once')") == [(None,)]
    expect_once(plan, database)


def test_server_restarts_while_nothing_is_sure(own_server: Server) -> None:
    """COMMIT is under way when the server dies and comes back: the step asks the ledger until it answers."""
    database = database_on(own_server, "restart", script=AT_COMMIT)
    plan = plan_from_sql(ONCE.format("INSERT INTO gate VALUES (1);"))
    with psycopg.connect(database.conninfo, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(42)")
        with in_background(lambda: apply_all(plan, database)) as raised:
            wait_for(database, STOPPED.format("Lock"))
            own_server.stop("immediate")
            own_server.start()
    (error,) = raised
    assert isinstance(error, ConnectionLost)
    expect_once(plan, database)


INDEX = "CREATE INDEX CONCURRENTLY t_v ON t (v)"


def test_worker_killed_in_a_concurrent_build(database: Endpoint, tmp_path: Path) -> None:
    """C.23: what is left is an invalid index; the next try drops it and builds it again."""
    query(database, "CREATE TABLE t (id int, v int); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) g")
    plan = plan_from_sql(INDEX, "DROP INDEX CONCURRENTLY IF EXISTS t_v")
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("DECLARE c CURSOR FOR SELECT * FROM t")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, "to_regclass('t_v') IS NOT NULL")
            worker.kill()
            wait_for(database, GONE, seconds=3)
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass") == [(False,)]
    (result,) = apply_all(plan, database)
    assert result.statements[0].outcome == "repaired"
    assert "left invalid by an earlier attempt" in result.notes[0]
    assert query(database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_v'::regclass") == [(True,)]


def test_rollback_after_a_killed_build_leaves_nothing(make_database: MakeDatabase, tmp_path: Path) -> None:
    database, twin = (make_database(name, script="CREATE TABLE t (id int, v int)") for name in ("killed", "twin"))
    plan = plan_from_sql(INDEX, "DROP INDEX CONCURRENTLY IF EXISTS t_v")
    bundle = rehearse(plan, database, twin)
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("DECLARE c CURSOR FOR SELECT * FROM t")
        with working(plan, database, tmp_path) as worker:
            wait_for(database, "to_regclass('t_v') IS NOT NULL")
            worker.kill()
            wait_for(database, GONE, seconds=3)
    assert roll_back(plan, database, bundle).action == "rolled_back"
    assert query(database, "SELECT to_regclass('t_v')") == [(None,)]


def test_rollback_fences_a_worker_that_still_executes(database: Endpoint, tmp_path: Path) -> None:
    """Airflow believes the worker dead, but it lives: its session is ended before anything is undone."""
    plan = plan_from_sql(
        "CREATE TABLE a (id int); VACUUM; INSERT INTO a SELECT 1 FROM pg_sleep(30);", "DROP TABLE IF EXISTS a;"
    )
    with working(plan, database, tmp_path) as worker:
        wait_for(database, ACTIVE.format("001_test") + " AND to_regclass('a') IS NOT NULL")
        assert worker.poll() is None
        assert roll_back(plan, database).action == "rolled_back"
        worker.wait(timeout=20)
    assert query(database, "SELECT to_regclass('a')") == [(None,)]
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "rolled_back"


def test_worker_killed_in_the_rollback(database: Endpoint, tmp_path: Path) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE IF EXISTS a; SELECT pg_sleep(3);")
    apply_all(plan, database)
    with working(plan, database, tmp_path, "rollback") as worker:
        wait_for(
            database,
            "EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'migration rollback 001_test'"
            " AND query LIKE '%pg_sleep%' AND state = 'active')",
        )
        worker.kill()
        worker.wait()
        assert roll_back(plan, database).action == "rolled_back"
    assert query(database, "SELECT to_regclass('a')") == [(None,)]
