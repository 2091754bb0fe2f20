"""Case 14: index and constraint kinds, killed, cleared and marked while they wait for a colleague's transaction.

What one attempt does with what another has left is tested without Airflow in tests/integration; here are the ways on
which one attempt follows another: Airflow's retry, a person's Clear, a mark.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.acceptance.case import Case, Gate, Holder, Run, wait_until
from tests.acceptance.specs import GATE, PATIENT, Files, scenario
from tests.acceptance.test_04_killed import expect_gone, wait_for_end, wait_for_one

WAITS_FOR_OTHERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name LIKE 'migration%%' AND wait_event = 'virtualxid'"
)
"""A statement that is CONCURRENTLY waits for the transactions of others within itself."""
STANDS_ASIDE = (
    "SELECT backend_pid FROM migrator.schema_migration_steps"
    " WHERE step = '{}' AND status = 'running' AND cursor -> 'waiting' ->> 'name' = 'locks'"
)
"""What needs a strong lock does not queue for it behind an old transaction."""
INVALID = (
    "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready)"
    " AND indrelid::regclass::text NOT LIKE 'pg_toast.%%'"
)
"""But for those of TOAST tables, which only a superuser may drop."""

TRIPS = "CREATE INDEX{} trips_at ON trips (at);\n"
INDEXED = """\
CREATE TABLE trips (k int NOT NULL, at int) PARTITION BY LIST (k);
CREATE TABLE trips_1 PARTITION OF trips FOR VALUES IN (1);
CREATE TABLE trips_2 PARTITION OF trips FOR VALUES IN (2);
CREATE TABLE parcels (id int PRIMARY KEY, code text);
CREATE TABLE crates (id int PRIMARY KEY, code text);
CREATE INDEX crates_code ON crates (code);
"""
PARCELS = "CREATE INDEX parcels_code ON parcels (code);\n"


@scenario(
    slow=True,
    migrations={
        "": Files(
            sql=INDEXED + PARCELS,
            plain=INDEXED
            + "CREATE INDEX trips_at ON ONLY trips (at);\n"
            + "".join(
                f"CREATE INDEX trips_{k}_trips_at ON trips_{k} (at);\n"
                f"ALTER INDEX trips_at ATTACH PARTITION trips_{k}_trips_at;\n"
                for k in (1, 2)
            ),
            rollback="DROP TABLE trips;\nDROP TABLE parcels;\nDROP TABLE crates;\n",
            metadata={
                **PATIENT,
                "on_failure": "hold",
                "steps": [
                    {"name": "make", "kind": "sql"},
                    {"name": "gate", "kind": "sql", "file": "gate.sql"},
                    {"name": "add", "kind": "create_index", "file": "add.sql"},
                    {"name": "drop", "kind": "drop_index", "index": "public.parcels_code"},
                    {"name": "rebuild", "kind": "reindex", "index": "public.crates_code"},
                ],
            },
            more={"gate.sql": GATE, "add.sql": TRIPS.format(" CONCURRENTLY")},
        )
    },
)
def test_indexes_are_killed_and_go_on(case: Case) -> None:
    """Each has a colleague's transaction in its way. The first goes on by Airflow's own retry, the others by Clear."""
    tables = {"add": "trips_2", "drop": "parcels", "rebuild": "crates"}
    run = case.trigger()
    with ExitStack() as stack:
        gate = stack.enter_context(Gate(case))
        gate.wait_for_waiter()
        holders = {
            step: stack.enter_context(Holder(case, f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE"))
            for step, table in tables.items()
        }
        gate.open()
        for step, holder in holders.items():
            task = f"apply.{step}"
            backend = wait_for_one(case, WAITS_FOR_OTHERS)
            assert run.states()[task] == "running"
            if step == "add":
                first = case.value("SELECT 'trips_1_trips_at'::regclass::oid")
            run.kill_task(task)
            expect_gone(case, backend)
            assert case.query(INVALID), "there is something to mend"
            holder.let_go()
            if step != "add":
                wait_for_end(run, task)
                run.clear(task, downstream=True)
    assert run.wait() == "success"
    case.expect_applied()
    assert case.query(INVALID) == []
    assert case.value("SELECT 'trips_1_trips_at'::regclass::oid") == first, "the partition that was done"
    assert {run.admin.task(run.dag_id, run.run_id, f"apply.{step}")["try_number"] for step in tables} == {2}


CONSTRAINED = """\
CREATE TABLE senders (id int PRIMARY KEY);
CREATE TABLE notes (id int PRIMARY KEY, body text);
CREATE TABLE shipments (id int PRIMARY KEY, sender_id int);
CREATE TABLE tags (id int PRIMARY KEY, label text);
"""


def constraint(name: str, table: str, definition: str, called: str = "") -> dict[str, str]:
    return {
        "name": name,
        "kind": "constraint",
        "table": f"public.{table}",
        "constraint": called or f"{table}_{name}",
        "definition": definition,
    }


@scenario(
    slow=True,
    migrations={
        "": Files(
            sql=CONSTRAINED,
            plain=CONSTRAINED
            + "ALTER TABLE notes ALTER COLUMN body SET NOT NULL;\n"
            + "ALTER TABLE shipments ADD CONSTRAINT shipments_refers FOREIGN KEY (sender_id) REFERENCES senders (id);\n"
            + "ALTER TABLE tags ADD CONSTRAINT tags_unique UNIQUE (label);\n",
            rollback="DROP TABLE shipments;\nDROP TABLE senders;\nDROP TABLE notes;\nDROP TABLE tags;\n",
            metadata={
                **PATIENT,
                "on_failure": "hold",
                "steps": [
                    {"name": "make", "kind": "sql"},
                    {"name": "gate", "kind": "sql", "file": "gate.sql"},
                    constraint("filled", "notes", "NOT NULL body", called="notes_body_not_null"),
                    constraint("refers", "shipments", "FOREIGN KEY (sender_id) REFERENCES public.senders (id)"),
                    constraint("unique", "tags", "UNIQUE (label)"),
                ],
            },
            more={"gate.sql": GATE},
        )
    },
)
def test_constraints_are_killed_violated_and_go_on(case: Case) -> None:
    """The rows that violate one are written after the rehearsal; a person mends them and clears the task."""
    run = case.trigger()
    with ExitStack() as stack:
        gate = stack.enter_context(Gate(case))
        gate.wait_for_waiter()
        reads = {
            step: stack.enter_context(Holder(case, f"LOCK TABLE {table} IN ACCESS SHARE MODE"))
            for step, table in {"filled": "notes", "unique": "tags"}.items()
        }
        case.query("INSERT INTO shipments VALUES (1, 7), (2, 8), (3, NULL)")
        gate.open()
        kill_aside(run, "filled", reads["filled"])

        run.until("apply.refers", "failed")
        assert run.wait() == "failed"
        log = run.log("apply.refers")
        assert "2 rows of public.shipments violate FOREIGN KEY" in log
        assert "mend them, then try again" in log
        row = case.row()
        assert row is not None
        assert row.status == "failed"
        case.query("INSERT INTO senders VALUES (7), (8)")
        run.clear("apply.refers", downstream=True)

        kill_aside(run, "unique", reads["unique"])
        assert case.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tags_unique'::regclass")
    assert run.wait() == "success"
    case.expect_applied()
    begun = [event.kind for event in case.events()].count("begin")

    run.clear("apply.filled", downstream=True)
    assert run.wait() == "success"
    case.expect_applied()
    assert [event.kind for event in case.events()].count("begin") == begun, "what is done is done"


def kill_aside(run: Run, step: str, holder: Holder) -> None:
    """Kill the step while it stands aside for the holder, let that one go, and clear it with what comes after."""
    backend = wait_for_one(run.case, STANDS_ASIDE.format(step))
    run.kill_task(f"apply.{step}")
    expect_gone(run.case, backend)
    holder.let_go()
    wait_for_end(run, f"apply.{step}")
    run.clear(f"apply.{step}", downstream=True)


@pytest.mark.parametrize("state", ["failed", "success"])
@scenario(
    migrations={
        "": Files(
            sql="CREATE INDEX CONCURRENTLY messages_by_direction ON messages (direction);\n",
            rollback="DROP INDEX CONCURRENTLY IF EXISTS messages_by_direction;\n",
            metadata={
                "steps": [
                    {"name": "build", "kind": "create_index"},
                    {"name": "rebuild", "kind": "reindex", "table": "public.users"},
                ]
            },
        )
    }
)
def test_an_index_is_marked_while_it_is_built(case: Case, state: str) -> None:
    run = case.trigger()
    with Holder(case, "LOCK TABLE users IN ROW EXCLUSIVE MODE"):
        backend = wait_for_one(case, WAITS_FOR_OTHERS)
        run.mark_task("apply.rebuild", state)
        expect_gone(case, backend)
    assert run.wait() == "failed"
    case.expect_rolled_back()
    assert case.query(INVALID) == []
    wait_until(lambda: not case.backends(), what="nothing to go on behind our back")

    run.clear("apply.build", downstream=True)
    assert run.wait() == "success"
    case.expect_applied()
