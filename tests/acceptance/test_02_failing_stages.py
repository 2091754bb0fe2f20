"""Case 2: each stage fails once. The ledger, the run's colour and the target's schema are right each time."""

from __future__ import annotations

from typing import Any

from tests.acceptance.case import Case, Run, wait_until
from tests.acceptance.specs import (
    ADD_TABLE,
    DROP_TABLE,
    NOT_SABOTAGED,
    REVIEWED,
    SABOTAGED,
    SABOTEUR,
    Files,
    scenario,
)


def expect_red(case: Case, run: Run, failed: str, *, rollback: str | None) -> dict[str, Any]:
    """The run is red, `failed` is the first task that failed, and rollback did what it had to."""
    assert run.wait() == "failed"
    states = run.states()
    assert states[failed] == "failed", states
    assert states["rollback"] == rollback, states
    return states


@scenario(migrations={"": Files(sql="DROP TABLE messages;\n", rollback=None, metadata={"risk_level": "low"})})
def test_analyze_refuses(case: Case) -> None:
    run = case.trigger()
    states = expect_red(case, run, "analyze", rollback="upstream_failed")
    assert states["snapshot"] == "upstream_failed"
    assert "risk" in run.log("analyze")
    case.expect_not_applied()


@scenario(target={"storage": "file:///dev/null/snapshots"})
def test_snapshot_cannot_be_written(case: Case) -> None:
    expect_red(case, case.trigger(), "snapshot", rollback="upstream_failed")
    case.expect_not_applied()


@scenario(target={"copies_connection": "migrator_powerless"})
def test_the_copies_role_may_not_create_a_database(case: Case) -> None:
    """Said before anything is dumped."""
    run = case.trigger()
    expect_red(case, run, "analyze", rollback="upstream_failed")
    assert "may not make databases and roles" in run.log("analyze")
    case.expect_not_applied()


@scenario(migrations={"": Files(sql=ADD_TABLE + "CREATE TABLE forgotten (id bigint PRIMARY KEY);\n")})
def test_dry_run_finds_an_incomplete_rollback(case: Case) -> None:
    run = case.trigger()
    states = expect_red(case, run, "dry_run", rollback="upstream_failed")
    assert states["drop_copy"] == "success"
    assert "forgotten" in run.log("dry_run")
    case.expect_not_applied()


@scenario(target=REVIEWED)
def test_review_is_rejected(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice", "Reject", comment="not before the release")
    expect_red(case, run, "review.reviewer_1", rollback="upstream_failed")
    case.expect_not_applied()


@scenario(target={"limits": {"min_free_connections": 100_000}})
def test_preflight_finds_too_few_connections(case: Case) -> None:
    run = case.trigger()
    states = expect_red(case, run, "preflight", rollback="skipped")
    assert states[case.step()] == "upstream_failed"
    assert "connections" in run.log("preflight")
    case.expect_not_applied()


@scenario(migrations={"": Files(sql=ADD_TABLE + SABOTAGED)})
def test_apply_fails_in_production(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        states = expect_red(case, run, case.step(), rollback="skipped")
    assert states["outcome"] == "failed"
    log = run.log(case.step())
    assert "sabotaged" in log
    assert f"{case.version()}.sql:5" in log, "the message names file and line of the statement"
    case.expect_not_applied(status=("failed",))
    row = case.row()
    assert row is not None
    assert "sabotaged" in (row.error_message or "")


@scenario(migrations={"": Files(metadata=NOT_SABOTAGED)})
def test_verify_fails_in_production(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        states = expect_red(case, run, "verify", rollback="success")
    assert states[case.step()] == "success"
    assert states["outcome"] == "failed"
    case.expect_rolled_back()


@scenario(migrations={"": Files(rollback=SABOTAGED + DROP_TABLE, metadata=NOT_SABOTAGED)})
def test_rollback_fails_in_production(case: Case) -> None:
    with case.connect(application_name=SABOTEUR):
        run = case.trigger()
        states = expect_red(case, run, "rollback", rollback="failed")
    assert states["verify"] == "failed"
    assert states["outcome"] == "failed"
    row = case.row()
    assert row is not None
    assert row.status == "rollback_failed"
    assert "sabotaged" in run.log("rollback")
    assert run.admin.task(run.dag_id, run.run_id, "rollback")["try_number"] == 1, "a failed rollback is not repeated"

    again = case.trigger()
    assert again.wait() == "failed"
    assert case.row() == row, "nothing may touch a database that needs a person"


@scenario()
def test_target_is_closed_after_verify(case: Case) -> None:
    """The outcome stage itself cannot reach the ledger at first, and says so instead of guessing."""
    run = case.trigger()
    run.until("verify", "success")
    case.query(f'ALTER DATABASE "{case.target}" CONNECTION LIMIT 0')
    wait_until(
        lambda: "up_for_retry" in run.states().values(),
        what=lambda: f"a teardown that cannot connect: {run.states()}",
        every=0.1,
    )
    case.query(f'ALTER DATABASE "{case.target}" CONNECTION LIMIT -1')
    assert run.wait() == "success"
    case.expect_applied()
