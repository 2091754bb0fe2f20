"""What a run has left, ended from outside on a real server: what is verified, undone, held, or left for a person."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from migrator.custody import finish
from migrator.custody.finish import Ending, Finished, Stored
from migrator.database.session import Endpoint
from migrator.errors import NeedsHuman, StatementFailed
from migrator.evidence import TAKES, EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerMigration
from migrator.operations.reconcile import RunState
from migrator.plan import OnFailure, Plan
from migrator.run import RunContext
from tests.evidence import make_bundle, read_schema, rehearse, takes_nothing
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, outcome_of, query, roll_back, row_of, verify_it

ME = RunContext(run_id="custodian__1", version="", target="test", actor="custodian")
ADD = "CREATE TABLE a (id int PRIMARY KEY);"
DROP = "DROP TABLE IF EXISTS a;"
HALF = "CREATE TABLE a (id int); VACUUM; SELECT nonsense;"


def end(
    plan: Plan,
    endpoint: Endpoint,
    evidence: EvidenceBundle | None,
    state: RunState = RunState.OVER,
    *,
    stored: Callable[[LedgerMigration], Stored] | None = None,
    sleep: Callable[[float], None] = lambda seconds: None,
) -> Finished:
    with Ledger(endpoint) as ledger:
        return finish.run(
            endpoint=endpoint,
            ledger=ledger,
            run=ME,
            state_of=lambda row: state,
            stored=stored or (lambda row: Stored(plan, evidence)),
            sleep=sleep,
        )


def status(plan: Plan, endpoint: Endpoint) -> str | None:
    row = row_of(plan, endpoint)
    return row.status if row is not None else None


def last_event(endpoint: Endpoint) -> Any:
    with Ledger(endpoint) as ledger:
        assert ledger.verify_chain() == ()
        return ledger.events()[-1]


def rehearsed(plan: Plan, database: Endpoint) -> EvidenceBundle:
    """What a dry run would have left, but that it has seen the first two statements only."""
    (step,) = plan.steps
    begun = replace(plan, steps=(replace(step, statements=step.statements[:2]),))
    bundle = rehearse(begun, database, database, plan_digest=plan.digest, extra={TAKES: takes_nothing(plan)})
    query(database, DROP)
    return bundle


def half(database: Endpoint, **over: Any) -> tuple[Plan, EvidenceBundle]:
    """Its first statement is applied, its third one failed, and nobody has ended it."""
    plan = plan_from_sql(HALF, DROP, **over)
    bundle = rehearsed(plan, database)
    with pytest.raises(StatementFailed):
        apply_all(plan, database, bundle)
    return plan, bundle


def applied(database: Endpoint, down: str = DROP, **over: Any) -> tuple[Plan, EvidenceBundle]:
    """All of it is applied, nothing is verified, and the evidence is what a dry run would have left."""
    plan = plan_from_sql(ADD, down, **over)
    before = read_schema(database)
    query(database, ADD)
    after = read_schema(database)
    query(database, DROP)
    bundle = make_bundle(plan, before, after)
    apply_all(plan, database, bundle)
    return plan, bundle


def test_all_of_it_is_applied(database: Endpoint) -> None:
    plan, bundle = applied(database)
    found = end(plan, database, bundle)
    assert (found.ending, found.news) == (Ending.VERIFIED, True)
    assert status(plan, database) == "success"
    event = last_event(database)
    assert (event.kind, event.actor, event.run_id, event.detail["ending"]) == (
        "finished",
        "custodian",
        "run-1",
        "verified",
    )
    assert outcome_of(plan, database).ok, "the run's own outcome, should it ever run, says so"
    assert end(plan, database, bundle).ending is Ending.NOTHING
    assert roll_back(plan, database, bundle).action == "kept_verified"


def test_what_is_applied_is_not_what_was_promised(database: Endpoint) -> None:
    plan, bundle = applied(database, assertions=("SELECT false",))
    found = end(plan, database, bundle)
    assert found.ending is Ending.ROLLED_BACK
    assert status(plan, database) == "rolled_back"
    assert query(database, "SELECT to_regclass('a')") == [(None,)]


@pytest.mark.parametrize("state", [RunState.OVER, RunState.GONE, RunState.IDLE])
def test_half_of_it_is_applied(database: Endpoint, state: RunState) -> None:
    plan, bundle = half(database)
    found = end(plan, database, bundle, state)
    assert found.ending is Ending.ROLLED_BACK
    assert status(plan, database) == "rolled_back"
    assert query(database, "SELECT to_regclass('a')") == [(None,)]


def test_a_run_that_may_be_another_airflows(database: Endpoint) -> None:
    """Two deployments look after one database, and neither says where it is: neither ends what the other has begun."""
    plan, bundle = applied(database)
    found = end(plan, database, bundle, RunState.UNKNOWN)
    assert (found.ending, found.news) == (Ending.PERSON, True)
    assert "base_url" in found.text
    assert status(plan, database) == "running"
    assert end(plan, database, bundle, RunState.UNKNOWN).news is False, "told once"


def test_its_run_goes_on(database: Endpoint) -> None:
    plan, bundle = half(database)
    for state in (RunState.ACTIVE, RunState.ELSEWHERE):
        assert end(plan, database, bundle, state).ending is Ending.NOTHING
    assert status(plan, database) == "running"


def test_somebody_comes_back_between_the_two_looks(database: Endpoint) -> None:
    plan, bundle = applied(database)
    found = end(plan, database, bundle, sleep=lambda seconds: (verify_it(plan, database, bundle), None)[1])
    assert found.ending is Ending.NOTHING
    assert last_event(database).kind == "verified"


def test_nothing_of_it_is_applied(database: Endpoint) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int); SELECT nonsense;", DROP)
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    assert end(plan, database, None).ending is Ending.CLOSED
    assert status(plan, database) == "failed"


@pytest.mark.parametrize("policy", [OnFailure.HOLD, OnFailure.ASK])
def test_the_policy_keeps_it(database: Endpoint, policy: OnFailure) -> None:
    plan, bundle = half(database, on_failure=policy)
    found = end(plan, database, bundle)
    assert found.ending is Ending.HELD
    assert "on_failure" in found.text
    assert status(plan, database) == "failed"
    assert query(database, "SELECT to_regclass('a')") != [(None,)]


def test_the_rollback_fails(database: Endpoint) -> None:
    plan = plan_from_sql(HALF, "DROP TABLE a; SELECT nonsense;")
    bundle = rehearsed(plan, database)
    with pytest.raises(StatementFailed):
        apply_all(plan, database, bundle)
    found = end(plan, database, bundle)
    assert found.ending is Ending.ROLLBACK_FAILED
    assert status(plan, database) == "rollback_failed"
    assert end(plan, database, bundle).ending is Ending.NOTHING, "it is not repeated blindly"


def test_the_stored_plan_is_not_the_ledgers(database: Endpoint) -> None:
    """Whoever can write to the storage cannot choose what is run as the rollback."""
    plan, bundle = half(database)
    other = plan_from_sql(HALF, "DROP TABLE IF EXISTS a; CREATE TABLE mine (id int);")
    found = end(other, database, bundle)
    assert (found.ending, found.news) == (Ending.PERSON, True)
    assert "exchanged" in found.text
    assert end(other, database, bundle).news is False, "told once"
    assert status(plan, database) == "running"
    assert query(database, "SELECT to_regclass('a') IS NOT NULL, to_regclass('mine') IS NULL") == [(True, True)]


def test_the_stored_evidence_is_of_another_plan(database: Endpoint) -> None:
    plan, bundle = applied(database)
    forged = replace(bundle, dry_run=replace(bundle.dry_run, plan_digest="sha256:0"))
    assert end(plan, database, forged).ending is Ending.PERSON
    assert status(plan, database) == "running"


def test_the_documents_are_gone(database: Endpoint) -> None:
    plan, bundle = applied(database)

    def gone(row: LedgerMigration) -> Stored:
        raise NeedsHuman("what stage 'analyze' wrote is gone")

    found = end(plan, database, bundle, stored=gone)
    assert found.ending is Ending.PERSON
    assert "is gone" in found.text
    assert end(plan, database, None).ending is Ending.PERSON, "without evidence nothing is verified, nor undone"
    assert status(plan, database) == "running"


def test_a_session_that_still_executes_is_ended_first(database: Endpoint) -> None:
    """Its worker is dead and its run over, but the server works on."""
    plan = plan_from_sql("CREATE TABLE a (id int); VACUUM; SELECT pg_sleep(60);", DROP)
    bundle = rehearsed(plan, database)
    ended: list[BaseException] = []

    def worker() -> None:
        try:
            apply_all(plan, database, bundle)
        except BaseException as exc:
            ended.append(exc)

    thread = threading.Thread(target=worker)
    thread.start()
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
    while query(database, sleeping) == [(0,)] and thread.is_alive():
        pass
    found = end(plan, database, bundle)
    thread.join()
    assert found.ending is Ending.ROLLED_BACK
    assert ended
    assert query(database, "SELECT to_regclass('a')") == [(None,)]


def test_a_rollback_script_that_reaches_for_the_ledger_has_failed(database: Endpoint) -> None:
    """In its own transaction: nothing is undone, and whoever is on call hears of it."""
    reaches = "DO $$ BEGIN EXECUTE 'UPDATE migra' || 'tor.schema_migrations SET risk = risk'; END $$;"
    plan, bundle = applied(database, f"{reaches} {DROP}", assertions=("SELECT false",))
    found = end(plan, database, bundle)
    assert (found.ending, found.news) == (Ending.ROLLBACK_FAILED, True)
    assert "reached for its own ledger" in found.text
    assert status(plan, database) == "rollback_failed"
    assert query(database, "SELECT to_regclass('a')") != [(None,)]
