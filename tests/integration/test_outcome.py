"""How a run ended, told from a real ledger: once, and without a trace when nothing happened."""

from __future__ import annotations

import psycopg
import pytest

from migrator import documents
from migrator.database.session import Endpoint
from migrator.errors import RollbackFailed, StatementFailed, VerifyFailed
from migrator.ledger.ledger import Ledger
from migrator.plan import OnFailure
from migrator.stages.outcome import Outcome
from tests.factories import make_plan, plan_from_sql
from tests.integration.stages import apply_all, outcome_of, roll_back, run_of, traces, verify_it

BROKEN = "CREATE TABLE a (id int);\nSELECT nonsense;"


def test_success_is_told_once(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    verify_it(plan, database)
    result = outcome_of(plan, database)
    assert (result.ok, result.status, result.next_step, result.changed) == (True, "success", "", True)
    assert "001_test on test: applied and verified" in result.text
    assert "step sql: done" in result.text
    assert documents.from_dict(Outcome, documents.to_dict(result)) == result
    before = traces(database)
    assert outcome_of(plan, database) == result
    assert traces(database) == before, "told twice"
    with Ledger(database) as ledger:
        assert [event.kind for event in ledger.events()].count("outcome") == 1
        assert ledger.verify_chain() == ()


def test_a_run_that_found_everything_done_leaves_no_trace(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    verify_it(plan, database)
    before = traces(database)
    apply_all(plan, database, run_id="run-2")
    verify_it(plan, database, run_id="run-2")
    roll_back(plan, database, run_id="run-2")
    result = outcome_of(plan, database, run_id="run-2")
    assert (result.ok, result.changed) == (True, False)
    assert "this run changed nothing" in result.text
    assert traces(database) == before


def test_without_a_ledger_nothing_was_begun(database: Endpoint) -> None:
    result = outcome_of(make_plan(), database)
    assert (result.ok, result.status) == (False, "not_applied")
    assert "nothing of it was ever begun" in result.text
    with Ledger(database) as ledger:
        assert not ledger.exists()


def test_failed_and_rolled_back_is_no_success(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int); VACUUM; SELECT nonsense;", "DROP TABLE IF EXISTS a;")
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    roll_back(plan, database)
    result = outcome_of(plan, database)
    assert (result.ok, result.status) == (False, "rolled_back")
    for part in ("it failed and was rolled back", "nonsense", "downstream"):
        assert part in result.text


def test_says_what_verify_found_before_it_was_rolled_back(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE a;", assertions=("SELECT false",))
    apply_all(plan, database)
    with pytest.raises(VerifyFailed):
        verify_it(plan, database)
    roll_back(plan, database)
    result = outcome_of(plan, database)
    assert (result.status, result.error) == ("rolled_back", "verify: assertion 1: gave false, not true: SELECT false")
    lines = result.text.splitlines()
    assert [line for line in lines if "verify failed at" in line and line.endswith("not true: SELECT false")]
    assert not [line for line in lines if line.startswith("- error:")], "told twice"
    with Ledger(database) as ledger:
        assert ledger.verify_chain() == ()


def test_failed_in_its_transaction_left_nothing(database: Endpoint) -> None:
    plan = plan_from_sql(BROKEN, "DROP TABLE a;")
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    roll_back(plan, database)
    result = outcome_of(plan, database)
    assert (result.ok, result.status) == (False, "failed")
    assert "nothing of it is applied" in result.text
    assert "001_test.sql:2:8" in result.text


def test_held_says_what_stays_and_what_to_do(database: Endpoint) -> None:
    plan = make_plan(on_failure=OnFailure.HOLD, assertions=("SELECT false",))
    apply_all(plan, database)
    with pytest.raises(VerifyFailed):
        verify_it(plan, database)
    assert roll_back(plan, database).action == "held"
    result = outcome_of(plan, database)
    assert not result.ok
    assert "stays applied" in result.next_step
    assert "ledger repair" in result.next_step


def test_failed_rollback_is_the_first_thing_said(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", "DROP TABLE b;")
    apply_all(plan, database)
    with pytest.raises(RollbackFailed):
        roll_back(plan, database)
    result = outcome_of(plan, database)
    assert result.status == "rollback_failed"
    assert "THE ROLLBACK FAILED" in result.text.splitlines()[0]
    assert "migrator ledger repair 001_test" in result.next_step
    with psycopg.connect(database.conninfo) as conn:
        assert conn.execute("SELECT to_regclass('a')").fetchone() == ("a",)


def test_held_by_another_run(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    result = outcome_of(plan, database, run_id="run-2")
    assert not result.ok
    assert "run 'run-1' by tester holds the database" in result.text


def test_other_content_is_not_this_plans_success(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    verify_it(plan, database)
    other = plan_from_sql("CREATE TABLE other (id int);")
    result = outcome_of(other, database, run_id="run-2")
    assert not result.ok
    assert "must not be edited" in result.next_step
    assert outcome_of(None, database, run_id="run-2").ok, "without a plan there is nothing to compare"


def test_applied_but_not_verified(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database)
    result = outcome_of(plan, database)
    assert not result.ok
    assert "clear verify with downstream" in result.next_step


def test_says_why_the_run_was_started(database: Endpoint) -> None:
    plan = make_plan()
    apply_all(plan, database, run=run_of(plan, reason="ticket 4711"))
    verify_it(plan, database)
    assert "begun by tester at " in outcome_of(plan, database).text
    assert "ticket 4711" in outcome_of(plan, database).text
