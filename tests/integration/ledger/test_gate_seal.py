"""SQL that runs as the ledger's owner, whenever it runs, opens no gate: it is passed only if a sealed record says so.

A step that is done by its row alone is found."""

from __future__ import annotations

from typing import Any

import pytest

from migrator.database.session import Endpoint
from migrator.errors import GateClosed, LedgerTampered
from migrator.gates import answers
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import WAITING, MigrationStatus
from tests.integration.ledger import later
from tests.integration.ledger.history import history, problems_of
from tests.integration.stages import apply_all, query, roll_back, run_of, verify_it
from tests.integration.test_gate import PEOPLE, QUESTION, answer, gate, lab, plan_with, shut, step_alone, steps_of

__all__ = ["lab"]

OF_GATE = """
FROM migrator.schema_migration_steps AS s INNER JOIN migrator.schema_migrations AS m USING (version)
WHERE s.kind = 'gate' AND s.status = 'running';
"""
ANSWERS = f"""
PERFORM public.link('gate_answered', s.version, m.run_id, 'alice', jsonb_build_object('step', s.step, 'decision', 'yes',
    'comment', 'fine', 'email', 'alice@wakala.com', 'plan_digest', m.plan_digest,
    'asked', s.cursor #>> '{{{WAITING},since}}')) {OF_GATE}
"""
COPIES = """
PERFORM public.link(kind, version, run_id, actor, detail)
FROM migrator.schema_migration_events WHERE kind = 'gate_answered';
"""
MARKS = "UPDATE migrator.schema_migration_steps SET status = 'success' WHERE kind = 'gate' AND status = 'running';"
TELLS = f"""
PERFORM public.link('step_succeeded', s.version, m.run_id, 'engine', jsonb_build_object('step', s.step,
    'attempt', s.attempts, 'rows', NULL, 'plan_digest', m.plan_digest)) {OF_GATE}
"""


def test_an_answer_that_sql_has_written_opens_no_gate(
    database: Endpoint, superuser: str, lab: Any, caplog: pytest.LogCaptureFixture
) -> None:
    query(database, later.script(ANSWERS))
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan, later.script(ANSWERS))
    told = shut(plan, database, bundle)
    later.autovacuum(superuser)
    assert problems_of(database) == ()
    shut(plan, database, bundle)
    assert "the answer of 'alice' at gate gate was not written with the password" in caplog.text
    answer(plan, database, told, "alice", yes=True)
    apply_all(plan, database, bundle, target=PEOPLE)
    verify_it(plan, database, bundle)


@pytest.mark.parametrize(
    "given", [{"question": QUESTION}, {"condition": "SELECT false"}], ids=["question", "condition"]
)
@pytest.mark.parametrize("forged", [MARKS, TELLS + MARKS], ids=["its row", "its row and an event"])
def test_a_gate_whose_row_alone_says_that_it_was_passed(
    forged: str, given: dict[str, str], database: Endpoint, superuser: str, lab: Any
) -> None:
    """It is refused and told; when a person has answered for it, it is waited at anew."""
    query(database, later.script(forged))
    plan = plan_with(gate(**given))
    bundle = lab(plan, later.script(forged))
    shut(plan, database, bundle)
    later.autovacuum(superuser)
    for attempt in (apply_all, lambda *args, **over: step_alone(plan, "contract", database, bundle)):
        with pytest.raises(LedgerTampered, match=r"changed by hand|counts as passed by its row alone"):
            attempt(plan, database, bundle, target=PEOPLE)
    assert steps_of(database)["contract"] == "pending", "what comes after it is not applied"
    with Ledger(database) as ledger:
        ledger.repair(plan.version, status=MigrationStatus.FAILED, run=run_of(plan), reason="looked")
    assert problems_of(database) == ()
    with pytest.raises(GateClosed):
        apply_all(plan, database, bundle, target=PEOPLE)
    assert steps_of(database)["gate"] == "running"


def test_a_yes_to_an_earlier_asking_opens_no_gate(database: Endpoint, superuser: str, lab: Any) -> None:
    """The answer is sealed; but it was given to what is not there any more, whatever the step's row has."""
    query(database, later.script(COPIES))
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan, later.script(COPIES))
    told = shut(plan, database, bundle)
    answer(plan, database, told, "alice", yes=True)
    step_alone(plan, "gate", database, bundle)
    with Ledger(database) as ledger:
        ledger.mark_failed(plan.version, run=run_of(plan), error_message="contract has failed")
    roll_back(plan, database, bundle)
    shut(plan, database, bundle)
    since = f"'{{{WAITING},since}}', to_jsonb('{told['since'].isoformat()}'::text)"
    query(
        database, f"UPDATE migrator.schema_migration_steps SET cursor = jsonb_set(cursor, {since}) WHERE kind = 'gate'"
    )
    shut(plan, database, bundle)
    query(database, "UPDATE migrator.schema_migration_steps SET status = 'success', attempts = 1 WHERE kind = 'gate'")
    with pytest.raises(LedgerTampered):
        apply_all(plan, database, bundle, target=PEOPLE)


def test_with_another_password_a_gate_is_waited_at_anew(database: Endpoint, lab: Any) -> None:
    """Nobody can tell who has opened it: a person is asked for, and then it is looked at again."""
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    answer(plan, database, shut(plan, database, bundle), "alice", yes=True)
    step_alone(plan, "gate", database, bundle)
    changed = Endpoint(database.conninfo, seal_secret="another")
    with pytest.raises(LedgerTampered, match="the password was changed since"):
        apply_all(plan, changed, bundle, target=PEOPLE)
    with Ledger(changed) as ledger:
        assert ledger.verify_chain() == (), "other migrations go on"
        ledger.repair(plan.version, status=MigrationStatus.FAILED, run=run_of(plan), reason="it was rotated")
    answer(plan, changed, shut(plan, changed, bundle), "alice", yes=True)
    apply_all(plan, changed, bundle, target=PEOPLE)


def test_a_step_that_is_done_by_its_row_alone_is_found(database: Endpoint, lab: Any) -> None:
    plan = plan_with(gate(question=QUESTION))
    bundle = lab(plan)
    shut(plan, database, bundle)
    query(database, "UPDATE migrator.schema_migration_steps SET status = 'success' WHERE step = 'contract'")
    told = "step contract of 001_test is done, but no event tells that attempt 0 has succeeded: changed by hand"
    assert problems_of(database) == (told,)
    with pytest.raises(LedgerTampered, match="changed by hand"):
        apply_all(plan, database, bundle, target=PEOPLE)


def test_what_the_engine_and_a_person_have_done_is_no_such_step(database: Endpoint) -> None:
    plan = history(database)
    for status in (MigrationStatus.ROLLED_BACK, MigrationStatus.SUCCESS):
        with Ledger(database) as ledger:
            ledger.repair(plan.version, status=status, run=run_of(plan), reason="looked")
        assert problems_of(database) == ()
    with Ledger(database) as ledger:
        assert answers.EVENT not in {event.kind for event in ledger.events()}
