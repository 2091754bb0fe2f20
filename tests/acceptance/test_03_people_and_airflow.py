"""Case 3: what people and Airflow itself do to a run; the numbers are those of 24 situations that went wrong before.

For each: nothing is applied without a valid review, nothing is left applied and unverified, and the run is red unless
the migration is applied and verified.

 1 analyze fails, rollback must not run       test_02 test_analyze_refuses
 2 one of two parts fails                     test_c02_second_step_fails
 3 one group of tasks for each database       one target a run: each case of this suite is one
 4 only a leaf that always runs is green      test_02, each: the run is red
 5 rolled back, yet red                       test_02 test_apply_fails_in_production, test_verify_fails_in_production
 6 only apply is cleared after the rollback   test_c06_c07_c08_clear_apply_after_rollback
 7 apply and all after it are cleared         the same
 8 apply must not be repeated by itself       the same
 9 a time-out of the run skips the teardowns  test_c09_no_dagrun_timeout
10 run marked failed during apply             test_c10_c11_run_is_marked_while_applying[failed]
11 run marked success during apply            test_c10_c11_run_is_marked_while_applying[success]
12 apply marked success while it works        test_c12_apply_is_marked_success_while_applying
13 review marked success                      test_c13_reviews_are_marked_success
14 rejected, and the run is green             test_c14_c15_c16_rejection_ends_the_run
15 rejected, and a later task runs            the same
16 rejected, and asked again                  the same
17 silence approves                           test_c17_c18_c19_silence_second_answer_and_clear
18 a second answer to the same question       the same
19 the review is cleared                      the same
20 the files change under a running DAG       test_06 test_sql_edited_after_review, test_yaml_edited_after_review
21 the same, then Clear                       test_06 test_yaml_edited_after_review
22 the client is killed                       test_04 test_c22_killed_before_commit
23 the worker is lost                         test_04 test_c23_worker_is_lost
24 the worker is told to stop                 test_c24_worker_is_told_to_stop
"""

from __future__ import annotations

import time

import pytest

from tests.acceptance.case import ApiRefused, Case, Gate, wait_until
from tests.acceptance.specs import (
    ADD_TABLE,
    GATE,
    PATIENT,
    REVIEWED,
    SABOTAGED,
    SABOTEUR,
    Files,
    scenario,
)

FUTURE = "2130-01-01T00:00:00Z"
GATED = Files(sql=ADD_TABLE + GATE, metadata=PATIENT)


@scenario(
    migrations={
        "": Files(
            sql=ADD_TABLE,
            metadata={
                "steps": [{"name": "first", "kind": "sql"}, {"name": "second", "kind": "sql", "file": "second.sql"}]
            },
            more={"second.sql": SABOTAGED},
        )
    }
)
def test_c02_second_step_fails(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        assert run.wait() == "failed"
    states = run.states()
    assert (states["apply.first"], states["apply.second"]) == ("success", "failed")
    assert states["rollback"] == "success"
    case.expect_rolled_back()


@scenario(slow=True, migrations={"": Files(sql=ADD_TABLE + SABOTAGED)})
def test_c06_c07_c08_clear_apply_after_rollback(case: Case) -> None:
    """Clearing apply alone runs it again, and without verify it is undone; with downstream it passes."""
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        assert run.wait() == "failed"
        assert run.states()["rollback"] == "skipped", "the transaction left nothing to undo"
        case.expect_not_applied(status=("failed",))
        apply = run.admin.task(run.dag_id, run.run_id, case.step())
        assert apply["try_number"] == 1, "what failed for good is not repeated by itself"

    cleared = run.clear(case.step())
    assert {"begin", "rollback", "outcome"} <= set(cleared)
    assert run.wait() == "failed"
    case.expect_rolled_back()
    assert "downstream" in run.log("outcome")

    run.clear(case.step(), downstream=True)
    assert run.wait() == "success"
    case.expect_applied()


@scenario()
def test_c09_no_dagrun_timeout(case: Case) -> None:
    details = case.as_("admin").dag_details(case.dag())
    assert details["dag_run_timeout"] is None
    assert details["max_active_runs"] == 1


@pytest.mark.parametrize("state", ["failed", "success"])
@scenario(migrations={"": GATED})
def test_c10_c11_run_is_marked_while_applying(case: Case, state: str) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        run.mark(state)
        wait_until(
            lambda: run.states()["outcome"] == "failed",
            what=lambda: str(run.states()),
        )
    assert run.wait() == "failed"
    case.expect_not_applied(status=("rolled_back", "failed"))


@scenario(migrations={"": GATED})
def test_c12_apply_is_marked_success_while_applying(case: Case) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        run.mark_task(case.step(), "success")
        wait_until(lambda: run.states()["verify"] == "failed", what=lambda: str(run.states()))
    assert run.wait() == "failed"
    case.expect_not_applied(status=("rolled_back", "failed"))


@scenario(target=REVIEWED)
def test_c13_reviews_are_marked_success(case: Case) -> None:
    run = case.trigger()
    for number in (1, 2):
        run.until(f"review.reviewer_{number}", "awaiting_input", "deferred")
        run.mark_task(f"review.reviewer_{number}", "success")
    assert run.wait() == "failed"
    assert "review" in run.log("preflight").lower()
    case.expect_not_applied()

    # The one who marked the reviews marks the check as well.
    run.clear("preflight")
    run.wait()
    run.mark_task("preflight", "success")
    run.clear(case.step())
    assert run.wait() == "failed"
    case.expect_not_applied(status=(None, "failed", "rolled_back"))


@scenario()
def test_a_rehearsal_applies_nothing_whatever_is_marked_and_cleared(case: Case) -> None:
    run = case.trigger(until="dry_run")
    assert run.wait() == "success"
    for task in [task for task in run.states() if task.startswith("review.")]:
        run.mark_task(task, "success")
    run.clear("preflight", downstream=True)
    assert run.wait() == "failed"
    assert "rehearsal" in run.log("preflight")
    run.mark_task("preflight", "success")
    run.clear(case.step(), downstream=True)
    assert run.wait() == "failed"
    assert "rehearsal" in run.log(case.step())
    case.expect_not_applied()


@scenario(target=REVIEWED)
def test_c14_c15_c16_rejection_ends_the_run(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice")
    run.respond(2, "bob", "Reject")
    assert run.wait() == "failed"
    states = run.states()
    assert states["review.reviewer_2"] == "failed"
    assert states[case.step()] == "upstream_failed"
    assert run.admin.task(run.dag_id, run.run_id, "review.reviewer_2")["try_number"] == 1, "nobody is asked twice"
    case.expect_not_applied()


@scenario(target=REVIEWED)
def test_c17_c18_c19_silence_second_answer_and_clear(case: Case) -> None:
    run = case.trigger()
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    card = run.admin.card(run.dag_id, run.run_id, "review.reviewer_1")
    assert not card["defaults"]
    time.sleep(5)
    assert run.states()["review.reviewer_1"] in ("awaiting_input", "deferred")

    with pytest.raises(ApiRefused) as refused:
        case.as_("carol").respond(run.dag_id, run.run_id, "review.reviewer_1", "Approve")
    assert refused.value.status == 403

    run.respond(1, "bob")
    with pytest.raises(ApiRefused) as again:
        case.as_("bob").respond(run.dag_id, run.run_id, "review.reviewer_1", "Approve")
    assert again.value.status == 409

    # A cleared review is not asked again: the ledger has the answer to it.
    run.until("review.reviewer_2", "awaiting_input", "deferred")
    run.clear("review.reviewer_1")
    run.until("review.reviewer_1", "success")
    assert case.value("SELECT count(*) FROM migrator.schema_migration_reviews") == 1
    run.respond(2, "alice")
    assert run.wait() == "success"
    case.expect_applied()


@scenario(migrations={"": GATED})
def test_c24_worker_is_told_to_stop(case: Case) -> None:
    run = case.trigger()
    with Gate(case) as gate:
        backend = gate.wait_for_waiter()
        run.stop_task(case.step())
        wait_until(
            lambda: not case.query("SELECT 1 FROM pg_stat_activity WHERE pid = %s", backend),
            what="the backend of the stopped task to end",
            every=0.2,
        )
    state = run.wait()
    row = case.row()
    assert row is not None
    if state == "success":
        case.expect_applied()
    else:
        case.expect_not_applied(status=("rolled_back", "failed"))


@scenario()
def test_a_run_of_the_future_is_refused(case: Case) -> None:
    """Airflow would begin it, execute nothing of it for years, and keep all later runs waiting."""
    admin = case.as_("admin")
    for given in ({}, {"data_interval_start": FUTURE, "data_interval_end": FUTURE}):
        with pytest.raises(ApiRefused, match=r"400 .*lies in the future.*leave the logical date empty"):
            admin.call("POST", f"/dags/{case.dag()}/dagRuns", {"logical_date": FUTURE, **given})
    assert admin.runs(case.dag()) == ()
    assert case.trigger().wait() == "success"
    case.expect_applied()
