"""A gate between two steps: what it waits for, what opens it, and that nothing is held or lost meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from migrator.database import locking
from migrator.database.session import Endpoint
from migrator.errors import GateClosed, GateExpired, GateRefused, NeedsHuman, ReviewRefused, StatementFailed
from migrator.evidence import EvidenceBundle
from migrator.gates import answers
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import WAITING
from migrator.plan import Plan, Step
from migrator.reports.progress import progress_of
from migrator.stages import apply
from migrator.steps import gating
from migrator.steps.context import StepHandle
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from migrator.steps.undo_decision import Action
from tests.evidence import rehearse
from tests.factories import plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, roll_back, row_of, run_of, verify_it
from tests.integration.test_calendar import sql_step, waits
from tests.integration.test_rests import ON_V, short_plan

TABLES = "CREATE TABLE t (id int); CREATE TABLE flags (done boolean); CREATE TABLE v (id int PRIMARY KEY, x int);"
CONDITION = "SELECT EXISTS (SELECT FROM flags WHERE done)"
QUESTION = "Is the new application deployed everywhere?"
PEOPLE = make_target(reviewers={"alice": "alice@wakala.com", "dave": "author@example.com"})


def gate(start: int = 1, name: str = "gate", **given: Any) -> Step:
    sql = given.get("condition") or ""
    parsed, statements = to_steps(sql, f"migration-metadata.yaml#{name}", start=start) if sql else ((), ())
    parameters = {"condition": None, "question": None, "expires": "7 days", "every": None, **given}
    return kind_named("gate").plan(Written(name, parsed, statements, parameters))


def plan_with(*gates: Step) -> Plan:
    back = "ALTER TABLE t DROP COLUMN IF EXISTS b"
    end = 1 + sum(len(one.statements) for one in gates)
    steps = (
        sql_step("ALTER TABLE t ADD COLUMN b int", "expand", 0),
        *gates,
        sql_step("ALTER TABLE t ALTER COLUMN b SET DEFAULT 0", "contract", end),
    )
    return replace(plan_from_sql("SELECT 1", back), steps=steps)


@pytest.fixture
def lab(database: Endpoint, make_database: MakeDatabase) -> Any:
    query(database, TABLES)

    def rehearsed(plan: Plan, more: str = "") -> EvidenceBundle:
        return rehearse(plan, database, make_database(f"twin{plan.version[:3]}", script=TABLES + more))

    return rehearsed


def shut(plan: Plan, database: Endpoint, bundle: EvidenceBundle, **over: Any) -> Mapping[str, Any]:
    """It does not open; gives what is said to whoever has to come back."""
    with pytest.raises(GateClosed) as caught:
        apply_all(plan, database, bundle, target=PEOPLE, **over)
    return caught.value.fields


def step_alone(plan: Plan, name: str, database: Endpoint, bundle: EvidenceBundle, **over: Any) -> None:
    """As its task does, and without patience."""
    with Ledger(database) as ledger:
        given: dict[str, Any] = {"endpoint": database, "ledger": ledger, "run": run_of(plan), "target": PEOPLE}
        given |= over
        apply.run_step(plan, name, evidence=bundle, deadline_seconds=0.5, **given)


def answer(plan: Plan, database: Endpoint, told: Mapping[str, Any], person: str, *, yes: bool, **over: Any) -> None:
    step = next(one for one in plan.steps if one.name == told["step"])
    run = replace(run_of(plan), actor=person)
    with Ledger(database) as ledger:
        given: dict[str, Any] = {"target": PEOPLE, "comment": "as agreed", "since": told["since"], "run": run, **over}
        answers.record(ledger, plan, None, step, responder=person, yes=yes, **given)


def steps_of(database: Endpoint) -> dict[str, str]:
    return dict(query(database, "SELECT step, status FROM migrator.schema_migration_steps ORDER BY position"))


def pass_time(plan: Plan, database: Endpoint) -> None:
    """As if it had begun to wait a week earlier."""
    with Ledger(database) as ledger:
        (row,) = [one for one in ledger.steps(plan.version) if one.kind == "gate"]
        told = dict(row.cursor[WAITING])
        for key in ("since", "until"):
            told[key] = (datetime.fromisoformat(told[key]) - timedelta(days=7)).isoformat()
        ledger.step_progress(plan.version, row.step, cursor={WAITING: told})


def test_a_condition_opens_it(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(condition=CONDITION, every="10 seconds"))
    bundle = lab(plan)
    first = shut(plan, database, bundle)
    assert (first["again"] - first["since"]).total_seconds() == pytest.approx(10, abs=3)
    before = query(database, "SELECT count(*) FROM migrator.schema_migration_events")
    again = shut(plan, database, bundle)
    assert (again["since"], again["until"]) == (first["since"], first["until"])
    assert query(database, "SELECT count(*) FROM migrator.schema_migration_events") == before, "looking writes nothing"
    assert steps_of(database) == {"expand": "success", "gate": "running", "contract": "pending"}
    (said,) = waits(plan, database)
    assert (said["step"], CONDITION in said["reason"]) == ("gate", True)
    assert not query(database, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'migration%'")
    query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)


@pytest.mark.parametrize("is_prepared", [False, True], ids=["open", "prepared"])
@pytest.mark.parametrize("reads", ["flags", "seen"], ids=["its table", "a view"])
def test_it_does_not_open_before_those_who_write_what_it_reads(
    reads: str,
    is_prepared: bool,
    database: Endpoint,
    make_database: MakeDatabase,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they write nobody sees yet: they are waited for, and it is looked at again."""
    if is_prepared and query(database, "SHOW max_prepared_transactions") == [("0",)]:
        pytest.skip("this server prepares no transaction")
    monkeypatch.setattr(gating, "WRITERS_SECONDS", 0.5)
    script = TABLES + "CREATE VIEW seen AS SELECT done FROM flags;"
    query(database, script)
    plan = plan_with(gate(condition=f"SELECT NOT EXISTS (SELECT FROM {reads} WHERE NOT done)"))
    bundle = rehearse(plan, database, make_database("twin", script=script))
    with psycopg.connect(database.conninfo, autocommit=True) as application:
        application.execute("BEGIN; INSERT INTO flags VALUES (false)")
        if is_prepared:
            application.execute("PREPARE TRANSACTION 'old'")
        note = shut(plan, database, bundle)["note"]
        who = "a prepared transaction" if is_prepared else f"pid {application.info.backend_pid}"
        assert "it is true, but nobody knows what those write who have begun" in note
        assert f"{who} " in note
        assert "RowExclusiveLock on public.flags" in note
        application.execute("COMMIT PREPARED 'old'" if is_prepared else "COMMIT")
    assert shut(plan, database, bundle)["note"] == " (it is false)"
    query(database, "UPDATE flags SET done = true")
    with psycopg.connect(database.conninfo) as reader:
        reader.execute("SELECT FROM flags")
        apply_all(plan, database, bundle, target=PEOPLE)


def test_what_they_wrote_counts(database: Endpoint, lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer ends while it is waited for: then it is not true any more."""
    plan = plan_with(gate(condition="SELECT NOT EXISTS (SELECT FROM flags WHERE NOT done)"))
    bundle = lab(plan)
    with psycopg.connect(database.conninfo) as application:
        application.execute("INSERT INTO flags VALUES (false)")
        monkeypatch.setattr(StepHandle, "sleep", lambda handle, seconds: application.commit())
        assert shut(plan, database, bundle)["note"] == " (it is false)"


def test_a_person_opens_it(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    told = shut(plan, database, bundle)
    assert told["question"] == QUESTION
    answer(plan, database, told, "alice", yes=True)
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)
    with Ledger(database) as ledger:
        (event,) = [one for one in ledger.events(plan.version) if one.kind == answers.EVENT]
        assert not ledger.verify_chain()
    assert (event.actor, event.detail["decision"], event.detail["plan_digest"]) == ("alice", "yes", plan.digest)


@pytest.mark.parametrize("person, why", [("dave", "is the author"), ("mallory", "is not among the reviewers")])
def test_who_may_not_review_does_not_open_it(database: Endpoint, lab: Any, person: str, why: str) -> None:
    plan = plan_with(gate(question=QUESTION))
    assert plan.author == PEOPLE.reviewers["dave"]
    bundle = lab(plan)
    told = shut(plan, database, bundle)
    with pytest.raises(ReviewRefused, match=why):
        answer(plan, database, told, person, yes=True)
    shut(plan, database, bundle)
    answer(plan, database, told, "alice", yes=True)
    with pytest.raises(GateClosed):  # alice has left the list since
        apply_all(plan, database, bundle, target=replace(PEOPLE, reviewers={"bob": "bob@wakala.com"}))
    apply_all(plan, database, bundle, target=PEOPLE)


def test_no_fails_the_step_and_the_rollback_undoes_what_is_there(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    answer(plan, database, shut(plan, database, bundle), "alice", yes=False)
    with pytest.raises(GateRefused, match=r"'alice' said no at gate 'gate', asked .*deployed.*: as agreed"):
        apply_all(plan, database, bundle, target=PEOPLE)
    assert steps_of(database)["gate"] == "failed"
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK


def test_an_answer_counts_for_one_asking_of_one_run_and_plan(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    told = shut(plan, database, bundle)
    answer(plan, database, told, "alice", yes=True, since=told["since"] - timedelta(seconds=1))
    other = replace(run_of(plan, "run-2"), actor="alice")
    answer(plan, database, told, "alice", yes=True, run=other)
    answer(replace(plan, description="another"), database, told, "alice", yes=True)
    shut(plan, database, bundle)


def test_its_time_is_up_and_it_waits_anew(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    told = shut(plan, database, bundle)
    pass_time(plan, database)
    with pytest.raises(GateExpired, match=r"has waited 1 week for an answer.*stays as it is: clear the apply task"):
        apply_all(plan, database, bundle, target=PEOPLE)
    report = roll_back(plan, database, bundle)
    assert (report.action, "waits anew" in report.reason) == (Action.HELD, True)
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "failed"
    assert query(database, "SELECT b FROM t") == [], "what is applied stays"
    again = shut(plan, database, bundle)
    assert again["since"] > told["since"]
    answer(plan, database, told, "alice", yes=True)
    shut(plan, database, bundle)
    answer(plan, database, again, "alice", yes=True)
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)


@pytest.mark.thorough
def test_what_fails_after_it_has_opened_is_undone_as_ever(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(condition=CONDITION))
    bundle = lab(plan)
    shut(plan, database, bundle)
    pass_time(plan, database)
    with pytest.raises(GateExpired, match="it is false"):
        apply_all(plan, database, bundle, target=PEOPLE)
    query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=PEOPLE)
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK


def test_a_gate_marked_as_success_is_not_passed(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    shut(plan, database, bundle)
    with pytest.raises(NeedsHuman, match="comes after 'gate', which the ledger does not"):
        step_alone(plan, "contract", database, bundle)


@pytest.mark.thorough
def test_another_run_waits_at_it_again(database: Endpoint, lab: Any) -> None:
    """What was so for one run and plan need not be so for the next; what is applied is not done twice."""
    plan = plan_with(gate(condition=CONDITION))
    bundle = lab(plan)
    query(database, "INSERT INTO flags VALUES (true)")
    for name in ("expand", "gate", "contract"):
        step_alone(plan, name, database, bundle)
    query(database, "DELETE FROM flags")
    with Ledger(database) as ledger:
        ledger.mark_failed(plan.version, run=run_of(plan), error_message="its run is gone")
    again = run_of(plan, "run-2")
    with pytest.raises(NeedsHuman, match="comes after 'gate'"):
        step_alone(plan, "contract", database, bundle, run=again)
    shut(plan, database, bundle, run_id="run-2")
    query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=PEOPLE, run_id="run-2")
    verify_it(plan, database, bundle, run_id="run-2")
    attempts = dict(query(database, "SELECT step, attempts FROM migrator.schema_migration_steps"))
    assert (attempts["expand"], attempts["contract"]) == (1, 1)


def test_what_was_asked_of_the_same_run_is_not_asked_again(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(condition=CONDITION))
    bundle = lab(plan)
    query(database, "INSERT INTO flags VALUES (true)")
    for name in ("expand", "gate"):
        step_alone(plan, name, database, bundle)
    with Ledger(database) as ledger:
        ledger.mark_failed(plan.version, run=run_of(plan), error_message="held")
    query(database, "DELETE FROM flags")
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)


def test_an_answer_to_another_card_is_kept_and_does_not_count(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    told = shut(plan, database, bundle)
    with pytest.raises(ReviewRefused, match="another plan lies there"):
        answer(plan, database, told, "alice", yes=True, stale="another plan lies there")
    shut(plan, database, bundle)


@pytest.mark.thorough
def test_others_are_applied_beside_it(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(condition=CONDITION))
    bundle, other = lab(plan), short_plan(*ON_V)
    shut(plan, database, bundle)
    theirs = lab(other, "ALTER TABLE t ADD COLUMN b int")
    apply_all(other, database, theirs, run_id="run-2")
    verify_it(other, database, theirs, run_id="run-2")
    query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)


def test_a_look_needs_no_turn(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(condition=CONDITION))
    bundle = lab(plan)
    shut(plan, database, bundle)
    with locking.migration_lock(database, run=run_of(plan, "run-2"), deadline_seconds=5), pytest.raises(GateClosed):
        step_alone(plan, "gate", database, bundle)


def test_two_gates_and_what_a_status_says(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION, name="deployed"), gate(condition=CONDITION, name="drained"))
    bundle = lab(plan)
    told = shut(plan, database, bundle)
    with Ledger(database) as ledger:
        shown = [str(one) for one in progress_of(ledger.steps(plan.version), ledger.control(plan.version))]
    assert shown[1].startswith(f'deployed: waits; for an answer to "{QUESTION}", until {told["until"]:%Y-%m-%d %H:%M}')
    assert shown[1].endswith(f"since {told['since']:%Y-%m-%d %H:%M:%S}")
    answer(plan, database, told, "alice", yes=True)
    assert shut(plan, database, bundle)["step"] == "drained"
    query(database, "INSERT INTO flags VALUES (true)")
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)


@pytest.mark.parametrize(
    "query_, why",
    [
        ("SELECT 1", "gave a value of type int"),
        ("SELECT true FROM flags", "must give one row with one value, gave 0 rows"),
        ("SELECT done FROM nowhere", "nowhere"),
        ("DELETE FROM flags RETURNING true", "read-only transaction"),
    ],
)
def test_a_condition_that_is_none_fails(database: Endpoint, lab: Any, query_: str, why: str) -> None:
    plan = plan_with(gate(condition=query_))
    with pytest.raises(StatementFailed, match=why):
        apply_all(plan, database, target=PEOPLE)


@pytest.mark.thorough
def test_what_it_reads_may_be_locked_for_a_while(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(condition=CONDITION))
    bundle = lab(plan)
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("LOCK TABLE flags")
        shut(plan, database, bundle)
