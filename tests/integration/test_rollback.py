"""The rollback on a real server: undone exactly, held where a person decides, never repeated blindly."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import LockNotAvailable, NeedsHuman, RollbackFailed, StatementFailed, VerifyFailed
from migrator.ledger.ledger import Ledger
from migrator.plan import OnFailure
from migrator.steps.undo_decision import Action
from tests.evidence import read_schema, rehearse
from tests.factories import make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, query, roll_back, row_of, run_of, traces, verify_it


def test_applied_but_unverified_is_undone_and_compared(database: Endpoint, make_database: MakeDatabase) -> None:
    """B.13: a failing assertion; the schema afterwards is the very one from before."""
    plan = make_plan(assertions=("SELECT count(*) > 0 FROM thing",))
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    with pytest.raises(VerifyFailed, match="gave false"):
        verify_it(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert (report.action, report.schema_equal, report.differences) == (Action.ROLLED_BACK, True, ())
    assert [result.kind for result in report.statements] == ["DROP TABLE"]
    assert read_schema(database).fingerprint == bundle.snapshot.schema_fingerprint
    row = row_of(plan, database)
    assert row is not None
    assert (row.status, row.applied_at, row.verified_at) == ("rolled_back", None, None)
    before = traces(database)
    assert roll_back(plan, database, bundle).action is Action.NOTHING
    assert traces(database) == before, "a second time it writes nothing"
    apply_all(plan, database, bundle, run_id="run-2")
    with Ledger(database) as ledger:
        assert ledger.verify_chain() == ()


def test_undo_and_the_ledger_commit_together(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a; CREATE TABLE marker (id int);")
    apply_all(plan, database)
    roll_back(plan, database)
    (xmins,) = query(
        database,
        "SELECT (SELECT xmin::text FROM pg_class WHERE oid = 'marker'::regclass),"
        " (SELECT xmin::text FROM migrator.schema_migrations)",
    )
    assert xmins[0] == xmins[1]


def test_a_difference_afterwards_is_told(database: Endpoint, make_database: MakeDatabase) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int); CREATE TABLE forgotten (id int);", "DROP TABLE a;")
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert (report.action, report.schema_equal) == (Action.ROLLED_BACK, False)
    assert any("forgotten" in line for line in report.differences)
    with Ledger(database) as ledger:
        assert "rollback_differs" in [event.kind for event in ledger.events()]


def test_only_the_script_of_what_was_applied_is_executed(database: Endpoint) -> None:
    """The files were edited and analysed again since: nobody has rehearsed or approved the script that lies there."""
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a;")
    apply_all(plan, database)
    other = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a; CREATE TABLE planted (id int);")
    report = roll_back(other, database)
    assert (report.action, "another content" in report.reason) == (Action.HELD, True)
    assert query(database, "SELECT to_regclass('a')::text, to_regclass('planted')::text") == [("a", None)]
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "failed", "the database is free, and the next run is stopped by what is half applied"
    assert roll_back(plan, database).action is Action.ROLLED_BACK


def test_a_half_done_step_is_undone(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int); VACUUM; SELECT nonsense;", "DROP TABLE IF EXISTS a;")
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    assert roll_back(plan, database).action is Action.ROLLED_BACK
    assert query(database, "SELECT to_regclass('a')") == [(None,)]


def test_nothing_took_effect_but_the_row_is_closed(database: Endpoint) -> None:
    """Otherwise the failed run would hold the database for ever."""
    plan = plan_from_sql("CREATE TABLE a (id int); SELECT nonsense;", "DROP TABLE a;")
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    assert roll_back(plan, database).action is Action.NOTHING
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "failed"
    apply_all(make_plan(version="002_next"), database, run_id="run-2")


@pytest.mark.parametrize("on_failure", [OnFailure.HOLD, OnFailure.ASK])
def test_held_until_a_person_decides(database: Endpoint, on_failure: OnFailure) -> None:
    plan = make_plan(on_failure=on_failure)
    apply_all(plan, database)
    assert roll_back(plan, database).action is Action.HELD
    assert query(database, "SELECT to_regclass('thing')") == [("thing",)]
    with pytest.raises(NeedsHuman, match="part of it is still applied"):
        apply_all(make_plan(version="002_next"), database, run_id="run-2")
    assert roll_back(plan, database, force=True).action is Action.ROLLED_BACK
    assert query(database, "SELECT to_regclass('thing')") == [(None,)]


def test_without_a_script_it_is_forward_only(database: Endpoint) -> None:
    """B.15."""
    plan = plan_from_sql("CREATE TABLE a (id int);")
    apply_all(plan, database)
    report = roll_back(plan, database)
    assert report.action is Action.HELD
    assert "forward fix" in report.reason


def test_a_failed_rollback_is_not_repeated(database: Endpoint) -> None:
    """B.14: recorded, everybody else kept out, nothing of the script left, and a repair by a person ends it."""
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a;\nDROP TABLE is_not_there;")
    apply_all(plan, database)
    with pytest.raises(RollbackFailed, match=r"001_test_rollback\.sql:2") as caught:
        roll_back(plan, database)
    assert caught.value.sqlstate == "42P01"
    assert query(database, "SELECT to_regclass('a')") == [("a",)], "the script is one transaction"
    report = roll_back(plan, database)
    assert report.action is Action.HELD
    assert "not repeated blindly" in report.reason
    with pytest.raises(NeedsHuman, match="ledger repair"):
        apply_all(make_plan(version="002_next"), database, run_id="run-2")
    query(database, "DROP TABLE a")
    with Ledger(database) as ledger:
        ledger.repair(plan.version, status="rolled_back", run=run_of(plan), reason="dropped by hand")
    apply_all(make_plan(version="002_next"), database, run_id="run-2")


def test_another_runs_work_is_left_alone(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    report = roll_back(plan, database, run_id="run-2")
    assert report.action is Action.NOTHING
    assert "'run-1'" in report.reason
    assert query(database, "SELECT to_regclass('thing')") == [("thing",)]


def test_verified_is_only_undone_when_a_person_asks(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    verify_it(plan, database)
    assert roll_back(plan, database).action is Action.KEPT_VERIFIED
    assert roll_back(plan, database, run_id="run-2", force=True).action is Action.ROLLED_BACK
    assert query(database, "SELECT to_regclass('thing')") == [(None,)]


def test_a_rollback_outside_a_transaction(make_database: MakeDatabase) -> None:
    database, twin = (make_database(name, script="CREATE TABLE t (id int)") for name in ("outside", "twin"))
    plan = plan_from_sql("CREATE INDEX CONCURRENTLY t_id ON t (id)", "DROP INDEX CONCURRENTLY IF EXISTS t_id")
    bundle = rehearse(plan, database, twin)
    apply_all(plan, database, bundle)
    report = roll_back(plan, database, bundle)
    assert report.action is Action.ROLLED_BACK
    assert query(database, "SELECT to_regclass('t_id')") == [(None,)]


def test_the_rollback_waits_its_turn_in_short_tries(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a;", lock_timeout_ms=200)
    apply_all(plan, database)
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT * FROM a")
        with pytest.raises(LockNotAvailable):
            roll_back(plan, database, deadline_seconds=1.0)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running", "a lock is no failure of the script"
    assert roll_back(plan, database).action is Action.ROLLED_BACK
