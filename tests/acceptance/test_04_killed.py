"""Case 4: the process of a task is killed with -9, or PostgreSQL stops, at the worst moments; then somebody clears.

The end state must equal that of an undisturbed run. Also cases 22 (the client is killed), 23 (the worker is lost
without a word) of managers.md 4.3 and scenarios C 22 to 24 of 3.2.
"""

from __future__ import annotations

import pytest

from tests.acceptance.case import Brake, Case, Gate, Holder, Run, wait_until
from tests.acceptance.specs import (
    ADD_TABLE,
    DROP_TABLE,
    FILL,
    GATE,
    NOT_SABOTAGED,
    NUMBERS,
    PATIENT,
    SABOTEUR,
    Files,
    braked,
    paused,
    scenario,
)

AT_COMMIT = """\
CREATE TABLE labels (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE gates (id bigint PRIMARY KEY);
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_TABLE_NAME = 'labels' THEN
        SET CONSTRAINTS ALL DEFERRED; INSERT INTO gates VALUES (NEW.id); RETURN NULL;
    END IF;
    PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER labels_at_commit AFTER INSERT ON labels
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit();
CREATE CONSTRAINT TRIGGER gates_at_commit AFTER INSERT ON gates
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit();
INSERT INTO labels VALUES (1, 'first');
"""
"""COMMIT itself waits at the gate: what is deferred once runs before it."""
AT_COMMIT_ROLLBACK = "DROP TABLE labels;\nDROP TABLE gates;\nDROP FUNCTION at_commit();\n"
FILLING = {
    **PATIENT,
    "steps": [
        {"name": "make", "kind": "sql"},
        {"name": "gate", "kind": "sql", "file": "gate.sql"},
        {"name": "fill", "kind": "backfill", "file": "fill.sql"},
    ],
}
WAITS_FOR_A_ROW = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%numbers%%'"
PAUSED_VERIFY = f"SELECT count(*) = 0 FROM ({paused('brake_verify')}) AS pause"
BUILDING = "SELECT pid FROM pg_stat_progress_create_index WHERE lockers_total > 0"
BUILD = "CREATE INDEX CONCURRENTLY messages_by_direction ON messages (direction);\n"
BUILD_ROLLBACK = "DROP INDEX CONCURRENTLY IF EXISTS messages_by_direction;\n"


def expect_gone(case: Case, backend: int) -> None:
    """A statement does not outlive its client, although it would wait at the gate for ever."""
    wait_until(
        lambda: not case.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", backend),
        what="the backend of the killed task to end",
        every=0.1,
    )


def clear_after_kill(run: Run, task_id: str) -> str:
    """What the team does: look, then Clear with Downstream. Airflow may have begun a retry by then; that is fine."""
    wait_for_end(run, task_id)
    run.clear(task_id, downstream=True)
    return run.wait()


def wait_for_end(run: Run, task_id: str) -> None:
    """Until Airflow has noticed that the process is gone."""
    wait_until(
        lambda: run.states()[task_id] != "running",
        what=lambda: str(run.states()),
        every=0.2,
    )


@scenario(migrations={"": Files(sql=ADD_TABLE + braked("brake_dry_run"))})
def test_killed_in_dry_run(case: Case) -> None:
    with Brake(case, "brake_dry_run", copies=True) as brake:
        run = case.trigger()
        brake.wait_for_stop()
        run.kill_task("dry_run")
    assert clear_after_kill(run, "dry_run") == "success"
    case.expect_applied()
    expect_no_copy(case)


@scenario(migrations={"": Files(sql=ADD_TABLE + GATE, metadata=PATIENT)})
def test_c22_killed_before_commit(case: Case) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        backend = gate.wait_for_waiter()
        run.kill_task(case.step())
        expect_gone(case, backend)
        assert case.value("SELECT to_regclass('labels') IS NULL"), "nothing committed"
    assert clear_after_kill(run, case.step()) == "success"
    case.expect_applied()


@pytest.mark.parametrize("committed", [False, True])
@scenario(migrations={"": Files(sql=AT_COMMIT, rollback=AT_COMMIT_ROLLBACK, metadata=PATIENT)})
def test_killed_at_commit(case: Case, committed: bool) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        backend = gate.wait_for_waiter()
        run.kill_task(case.step())
        if committed:
            gate.open()
        expect_gone(case, backend)
    assert case.value("SELECT to_regclass('labels') IS NOT NULL") == committed
    assert clear_after_kill(run, case.step()) == "success"
    case.expect_applied()
    assert case.query("SELECT id, name FROM labels") == [(1, "first")], "once, whether or not the COMMIT was answered"


@scenario(migrations={"": Files(sql=BUILD, rollback=BUILD_ROLLBACK)})
def test_killed_in_concurrent_index_build(case: Case) -> None:
    with Holder(case, "LOCK TABLE messages IN ROW EXCLUSIVE MODE"):
        run = case.trigger()
        backend = wait_for_build(case)
        run.kill_task(case.step())
        expect_gone(case, backend)
    assert not case.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'messages_by_direction'::regclass")
    assert clear_after_kill(run, case.step()) == "success"
    case.expect_applied()


@scenario(
    migrations={
        "": Files(
            sql=NUMBERS, rollback="DROP TABLE numbers;\n", metadata=FILLING, more={"gate.sql": GATE, "fill.sql": FILL}
        )
    }
)
def test_killed_between_batches(case: Case) -> None:
    """What was committed stays, and is not done again."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        with Holder(case, "SELECT FROM numbers WHERE id = 15000 FOR UPDATE"):
            gate.open()
            backend = wait_for_one(case, WAITS_FOR_A_ROW)
            run.kill_task("apply.fill")
            expect_gone(case, backend)
    done = case.value("SELECT count(*) FROM numbers WHERE done")
    assert 0 < done < 15000
    assert case.query("SELECT status, rows_done FROM migrator.schema_migration_steps WHERE step = 'fill'") == [
        ("running", done)
    ]
    assert clear_after_kill(run, "apply.fill") == "success"
    case.expect_applied()
    assert case.query("SELECT times, count(*) FROM numbers WHERE done GROUP BY times") == [(1, 20000)]


@scenario(migrations={"": Files(metadata={"verify": [PAUSED_VERIFY]})})
def test_killed_in_verify(case: Case) -> None:
    with Brake(case, "brake_verify") as brake:
        run = case.trigger()
        backend = brake.wait_for_stop()
        run.kill_task("verify")
        expect_gone(case, backend)
    assert clear_after_kill(run, "verify") == "success"
    case.expect_applied()


@scenario(
    slow=True,
    migrations={"": Files(rollback=paused("brake_rollback") + ";\n" + DROP_TABLE, metadata=NOT_SABOTAGED)},
)
def test_killed_in_rollback(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        with Brake(case, "brake_rollback") as brake:
            run = case.trigger()
            backend = brake.wait_for_stop()
            run.kill_task("rollback")
            expect_gone(case, backend)
        wait_for_end(run, "rollback")
        run.clear("rollback", downstream=True)
        assert run.wait() == "failed"
        case.expect_rolled_back()
    run.clear(case.step(), downstream=True)
    assert run.wait() == "success"
    case.expect_applied()


@scenario(slow=True, own_server=True, migrations={"": Files(sql=ADD_TABLE + GATE, metadata=PATIENT)})
def test_postgresql_stops_at_once_while_applying(case: Case) -> None:
    server = case.laboratory.server(case)
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        server.stop("immediate")
    run.until(case.step(), "up_for_retry", "failed")
    server.start()
    if run.wait() != "success":
        run.clear(case.step(), downstream=True)
        assert run.wait() == "success"
    case.expect_applied()


@scenario(slow=True, migrations={"": Files(sql=ADD_TABLE + GATE, metadata=PATIENT)})
def test_c23_worker_is_lost(case: Case) -> None:
    """The task and the process that watches it die together, so nobody tells Airflow; it notices by the heartbeat."""
    run = case.trigger()
    with Gate(case) as gate:
        backend = gate.wait_for_waiter()
        run.kill_worker(case.step())
        expect_gone(case, backend)
    # Airflow restarts the lost step by itself, and the ledger says that nothing of it took effect.
    assert run.wait() == "success"
    case.expect_applied()


def wait_for_build(case: Case) -> int:
    """Until a concurrent build waits for the other session. Returns its backend."""
    return wait_for_one(case, BUILDING)


def wait_for_one(case: Case, backends: str) -> int:
    """Until the query finds a backend. Returns the first."""
    found: list[int] = []

    def there() -> bool:
        found[:] = [row[0] for row in case.query(backends)]
        if not found and case.is_over():
            raise AssertionError(f"the run ended before there was {backends}: {case.diagnosis()}")
        return bool(found)

    wait_until(there, what=lambda: f"{backends}: {case.diagnosis()}", every=0.1)
    return found[0]


def expect_no_copy(case: Case) -> None:
    """A copy of production's data does not outlive the run."""
    left = [name for name in case.laboratory.databases_of_copies() if case.target in name]
    assert left == []
