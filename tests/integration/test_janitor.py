"""What migrations that are over have left: whose it is, and that nothing else goes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.cli import main
from migrator.custody import janitor
from migrator.custody.janitor import Report
from migrator.custody.orphans import Todo
from migrator.database import locking, session
from migrator.database.session import Endpoint
from migrator.database.told import names_known
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import Helper, MigrationStatus, ObjectClass
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.steps.names import helper_name
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, run_of, verify_it
from tests.integration.test_apply import wait_for
from tests.integration.test_crash import GONE
from tests.integration.test_reindex import TABLE, WAITING, leave_one, rebuilding
from tests.integration.worker import working

RUN = RunContext(run_id="janitor-1", version="", target="test", actor="the janitor")
CAPTURE, OUTBOX = (helper_name("001_test", "copy", purpose) for purpose in ("capture", "outbox"))
CAPTURED = f"""
CREATE TABLE t (id int PRIMARY KEY);
CREATE TABLE {OUTBOX} (id int);
CREATE FUNCTION {CAPTURE}() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN INSERT INTO public.{OUTBOX} VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER {CAPTURE} BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION {CAPTURE}();
"""
HELPERS = (
    Helper(ObjectClass.TABLE, "public", OUTBOX, needed=True),
    Helper(ObjectClass.FUNCTION, "public", CAPTURE, needed=True),
    Helper(ObjectClass.TRIGGER, "public", CAPTURE, "t", needed=True),
)
TRIGGER = f"SELECT tgenabled::text FROM pg_trigger WHERE tgname = '{CAPTURE}'"
CAPTURES = f"SELECT count(*) FROM {OUTBOX}"


def look(database: Endpoint, *, drop: bool = False) -> Report:
    """As at a terminal, which tells all names."""
    with Ledger(database) as ledger, names_known(lambda name: True):
        return janitor.run(endpoint=database, ledger=ledger, run=RUN, drop=drop)


def told(report: Report) -> dict[str, str]:
    return {one.what.replace('"', ""): f"{one.todo}{' done' if one.done else ''}" for one in report.orphans}


def events(database: Endpoint) -> list[tuple[str, Any]]:
    with Ledger(database) as ledger:
        assert not ledger.verify_chain()
        return [(one.kind, one.detail["name"]) for one in ledger.events() if one.kind.startswith("janitor")]


def mark(plan: Plan, database: Endpoint, status: MigrationStatus) -> None:
    """As a run leaves it, or a person says."""
    with Ledger(database) as ledger:
        if status is MigrationStatus.FAILED:
            ledger.mark_failed(plan.version, run=run_of(plan), error_message="given up")
        else:
            ledger.repair(plan.version, status=status, run=run_of(plan), reason="a test")


def left_behind(database: Endpoint) -> Plan:
    """A migration that runs, and captures what others write."""
    query(database, CAPTURED)
    plan = plan_from_sql("SELECT 1", "SELECT 2")
    apply_all(plan, database)
    with Ledger(database) as ledger:
        ledger.register(HELPERS, version=plan.version, step="copy", run=run_of(plan))
    return plan


def killed(plan: Plan, database: Endpoint, folder: Path) -> None:
    with psycopg.connect(database.conninfo) as writer:
        writer.execute("UPDATE t SET v = 'x' WHERE id = 1")
        with working(plan, database, folder) as worker:
            wait_for(database, "EXISTS (SELECT FROM pg_index WHERE NOT indisvalid AND indisready) AND " + WAITING)
            worker.kill()
            wait_for(database, GONE, seconds=5)


@pytest.mark.parametrize("what", ["reindex", "create_index"])
def test_an_index_that_a_killed_worker_has_left(each_database: MakeDatabase, tmp_path: Path, what: str) -> None:
    database = each_database(script=TABLE)
    leave_one(database, "t_pkey")
    built = "CREATE INDEX CONCURRENTLY t_new ON t (v, id)"
    plan = rebuilding(table="t") if what == "reindex" else plan_from_sql(built)
    killed(plan, database, tmp_path)
    others = {"index public.t_pkey_ccold": "person"}
    left = "t_new" if what == "create_index" else "t_v_ccnew"

    report = look(database, drop=True)
    assert told(report)[f"index public.{left}"] == "leave", "its run may go on"
    mark(plan, database, MigrationStatus.FAILED)
    report = look(database)
    assert told(report)[f"index public.{left}"] == "drop"
    (orphan,) = [one for one in report.orphans if one.what.replace('"', "") == f"index public.{left}"]
    assert orphan.statement == f'DROP INDEX CONCURRENTLY IF EXISTS "public"."{left}"'
    assert (orphan.version, orphan.run_id) == (plan.version, "run-1")
    assert not report.is_clean

    toast = [one for one in report.orphans if "pg_toast" in one.what]
    assert [one.todo for one in toast] == (["person"] if what == "reindex" else [])
    for one in toast:
        assert re.fullmatch(r'DROP .* IF EXISTS "pg_toast"."pg_toast_[0-9]+_index_ccnew"', one.statement)
        assert "a superuser may drop it, or its owner who may use schema pg_toast" in one.why

    done = told(look(database, drop=True))
    assert done.pop(f"index public.{left}") == "drop done"
    assert {key: value for key, value in done.items() if value != "drop done" and "pg_toast" not in key} == others
    assert query(database, "SELECT relname::text FROM pg_class WHERE relname ~ '_cc|t_new' AND relname !~ 'toast'") == [
        ("t_pkey_ccold",)
    ]
    written = events(database)
    assert ("janitor_dropped", "t_new" if what == "create_index" else "t_v") in written
    assert {key for key in told(look(database, drop=True)) if "pg_toast" not in key} == set(others)
    assert events(database) == written, "a second time it does nothing"
    apply_all(plan, database, run_id="run-2")
    verify_it(plan, database, run_id="run-2")


def test_a_trigger_is_disabled_while_others_read_and_dropped_when_nobody_does(
    each_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DISABLE TRIGGER takes SHARE ROW EXCLUSIVE, DROP TRIGGER ACCESS EXCLUSIVE."""
    monkeypatch.setattr(janitor, "DEADLINE_SECONDS", 0.3)
    database = each_database()
    plan = left_behind(database)
    verify_it(plan, database)
    before = dict.fromkeys((f"table public.{OUTBOX}", f"function public.{CAPTURE}"), "wait")
    trigger = f"trigger {CAPTURE} of public.t"
    assert told(look(database)) == {**before, trigger: "disable"}
    assert query(database, TRIGGER) == [("O",)], "without being asked it only tells"

    with psycopg.connect(database.conninfo) as writer:
        writer.execute("INSERT INTO t VALUES (1)")
        assert told(look(database, drop=True))[trigger] == "wait", "its writer may not be over"
    assert query(database, CAPTURES) == [(1,)]

    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT count(*) FROM t")
        assert told(look(database, drop=True)) == {**before, trigger: "wait"}
        assert query(database, TRIGGER) == [("D",)]
        query(database, "INSERT INTO t VALUES (2)")
        assert query(database, CAPTURES) == [(1,)]
    assert events(database) == [("janitor_disabled", CAPTURE)]

    done = told(look(database, drop=True))
    assert done == dict.fromkeys((trigger, *before), "drop done")
    assert events(database)[1:] == [("janitor_dropped", one) for one in (CAPTURE, CAPTURE, OUTBOX)]
    assert look(database).orphans == ()
    query(database, "INSERT INTO t VALUES (3)")


@pytest.mark.parametrize(
    "status, expected",
    [
        (None, "leave"),
        (MigrationStatus.FAILED, "leave"),
        (MigrationStatus.ROLLED_BACK, "drop done"),
        (MigrationStatus.SUCCESS, "drop done"),
    ],
)
def test_what_the_next_attempt_needs_stays(database: Endpoint, status: MigrationStatus | None, expected: str) -> None:
    plan = left_behind(database)
    if status is not None:
        mark(plan, database, status)
    assert set(told(look(database, drop=True)).values()) == {expected}
    assert query(database, TRIGGER) == ([("O",)] if expected == "leave" else [])


def test_nothing_is_touched_while_a_migration_is_at_work(database: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janitor, "LOCK_SECONDS", 0.2)
    plan = left_behind(database)
    verify_it(plan, database)
    with locking.migration_lock(database, run=replace(RUN, version="another")):
        report = look(database, drop=True)
    assert "nothing is dropped now: another migration holds this database" in report.held
    assert query(database, TRIGGER) == [("O",)]
    other = plan_from_sql("SELECT 2", version="002_other")
    apply_all(other, database)
    assert set(told(look(database, drop=True)).values()) == {"leave"}, "it is not verified yet"
    verify_it(other, database)
    assert set(told(look(database, drop=True)).values()) == {"drop done"}


def test_what_the_ledger_does_not_know_is_told_and_stays(database: Endpoint, superuser: str) -> None:
    query(database, CAPTURED + TABLE.replace(" t ", " u ").replace(" t_v", " u_v"))
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("SELECT pg_create_physical_replication_slot('forgotten_of_tests', true)")
    try:
        report = look(database, drop=True)
        assert set(told(report).values()) == {"person"}
        assert f"trigger {CAPTURE} of public.t" in told(report)
        (slot,) = [one for one in report.orphans if one.what == "replication slot forgotten_of_tests"]
        assert slot.statement == "SELECT pg_catalog.pg_drop_replication_slot('forgotten_of_tests')"
        assert slot.version is None
        assert query(database, TRIGGER) == [("O",)]
    finally:
        query(Endpoint(superuser), "SELECT pg_drop_replication_slot('forgotten_of_tests')")


def test_a_registered_slot_goes_when_nobody_reads_from_it(database: Endpoint, superuser: str) -> None:
    admin, name = Endpoint(superuser), helper_name("001_test", "copy", "slot")
    plan = plan_from_sql("SELECT 1")
    apply_all(plan, database)
    verify_it(plan, database)
    with Ledger(database) as ledger:
        slot = Helper(ObjectClass.SLOT, "", name)
        ledger.register((slot,), version=plan.version, step="copy", run=run_of(plan))
    query(admin, "SELECT pg_create_physical_replication_slot(%s, true)", name)
    query(admin, "SELECT pg_logical_emit_message(false, 'of tests', repeat('x', 100000))")
    try:
        (orphan,) = look(database).orphans
        assert (orphan.todo, orphan.bytes > 100_000) == (Todo.DROP, True)
        (refused,) = look(database, drop=True).orphans
        assert refused.todo is Todo.PERSON, "the role has no right to"
        with Ledger(admin) as ledger:
            report = janitor.run(endpoint=admin, ledger=ledger, run=RUN, drop=True)
        assert [(one.todo, one.done) for one in report.orphans] == [(Todo.DROP, True)]
    finally:
        query(admin, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s", name)


@pytest.mark.parametrize("moment", ["object_changed", "check_lock"])
def test_killed_in_between_the_next_one_goes_on(
    database: Endpoint, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Right after a statement and before the ledger knows of it; or between two."""
    verify_it(left_behind(database), database)
    real, count = Ledger.object_changed, iter(range(9))

    def dying(ledger: Ledger, *given: Any, **over: Any) -> None:
        if next(count) == (0 if moment == "object_changed" else 2):
            raise KeyboardInterrupt
        real(ledger, *given, **over)

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "object_changed", dying)
        with pytest.raises(KeyboardInterrupt):
            look(database, drop=True)
    look(database, drop=True)
    assert look(database).orphans == ()
    assert query(database, "SELECT count(*) FROM migrator.schema_migration_objects WHERE gone_at IS NULL") == [(0,)]
    with session.connect(database, purpose="observe") as conn:
        assert locking.holder_of(conn, locking.lock_key(conn)) is None


def test_the_command_tells_and_drops(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 as long as somebody has to do something."""
    verify_it(left_behind(database), database)
    query(database, "CREATE TABLE public.migrator_other_00000000 (id int)")
    dsn = ["--dsn", database.conninfo]
    assert main(["janitor", *dsn]) == 1
    (line,) = [one for one in capsys.readouterr().out.splitlines() if one.startswith("trigger")]
    assert f"{CAPTURE}" in line
    assert "001_test, copy" in line
    assert "disable" in line
    assert query(database, TRIGGER) == [("O",)]
    assert main(["janitor", *dsn, "--drop", "--format", "json"]) == 1, "one of them nobody knows"
    document = json.loads(capsys.readouterr().out)
    assert {one["todo"] for one in document["report"]["orphans"] if one["done"]} == {"drop"}
    assert query(database, TRIGGER) == []
    query(database, "DROP TABLE public.migrator_other_00000000")
    assert main(["janitor", *dsn]) == 0
    assert "no migration has left anything" in capsys.readouterr().out


def test_a_rollback_takes_out_of_the_registry_what_is_gone(database: Endpoint) -> None:
    plan = left_behind(database)
    query(database, f"DROP TRIGGER {CAPTURE} ON t")
    roll_back(plan, database, force=True)
    with Ledger(database) as ledger:
        assert {row.helper.kind for row in ledger.objects(plan.version)} == {ObjectClass.TABLE, ObjectClass.FUNCTION}
