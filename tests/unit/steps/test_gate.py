"""What a gate is in a plan: judged, shown, counted; and who could open it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from migrator.analysis.assertions import RULE
from migrator.catalogue.catalogue import load_one
from migrator.evidence import Check, Verdict
from migrator.gates import answers
from migrator.gates.window import next_stretch
from migrator.ledger.rows import StepStatus
from migrator.plan import OnFailure, Plan, Severity
from migrator.reports.review_card import card
from migrator.stages.analyze import analyze
from migrator.steps import gating, undo_decision
from tests.evidence import make_bundle
from tests.integration.stages import make_target
from tests.unit.ledger_rows import migration_row, step_row
from tests.unit.steps.test_kinds import folder

QUESTION = "Is <b>all</b> of it deployed,\n`everywhere`?"
FILES = {"expand.sql": "ALTER TABLE t ADD COLUMN b int;\n", "contract.sql": "ALTER TABLE t DROP COLUMN a;\n"}


def planned(tmp_path: Path, **given: Any) -> Plan:
    steps = [
        {"name": "expand", "kind": "sql", "file": "expand.sql"},
        {"name": "wait", "kind": "gate", **given},
        {"name": "contract", "kind": "sql", "file": "contract.sql"},
    ]
    return analyze(load_one(folder(tmp_path, steps, FILES, risk_level="high"), "001_one"))


def errors(plan: Plan) -> list[str]:
    return [one.message for one in plan.findings if one.rule == RULE and one.severity is Severity.ERROR]


@pytest.mark.parametrize("sql", ["SELECT count(*) = 0 FROM t", "VALUES (true)", "TABLE flags", "SHOW row_security"])
def test_a_condition_that_reads_is_a_statement_of_the_plan(sql: str, tmp_path: Path) -> None:
    plan = planned(tmp_path, condition=sql)
    assert not errors(plan)
    (statement,) = plan.steps[1].statements
    assert (statement.sql, statement.file, statement.index) == (sql, "migration-metadata.yaml#wait", 1)
    assert [one.needs_window for one in plan.steps[1].phases] == [False]
    assert plan.steps[2].statements[0].index == 2


@pytest.mark.parametrize(
    "sql, why",
    [
        ("DELETE FROM t RETURNING true", "must be a query"),
        ("SELECT true; SELECT false", "must be one query, and is 2 statements"),
        ("SELECT nextval('s') > 0", "calls nextval()"),
        ("SELECT true FROM t FOR UPDATE", "has a part that does not"),
    ],
)
def test_a_condition_that_does_more_is_refused_like_an_assertion(sql: str, why: str, tmp_path: Path) -> None:
    found = errors(planned(tmp_path, condition=sql))
    assert any(message.startswith("this condition ") and why in message for message in found)


def test_a_condition_with_a_fault_is_told_with_its_place(tmp_path: Path) -> None:
    found = [one for one in planned(tmp_path, condition="SELECT FROM WHERE").findings if one.severity is Severity.ERROR]
    assert found[0].file == "migration-metadata.yaml#wait"


def test_a_question_is_in_the_digest_and_is_no_markup_on_the_card(tmp_path: Path) -> None:
    plan = planned(tmp_path / "one", question=QUESTION)
    other = planned(tmp_path / "two", question="Is it?")
    assert not [one for one in plan.findings if one.severity is Severity.ERROR and "wait" in (one.file or "")]
    assert (plan.digest, plan.content_digest) != (other.digest, other.content_digest)
    assert plan.steps[1].statements == ()
    checks = (Check("apply", Verdict.PASSED, "2 statements; gate 'wait': would ask: Is <b>it</b>?"),)
    shown = card(plan, make_bundle(plan, checks=checks))
    assert r'after **expand**, gate **wait** waits for an answer to "Is &lt;b>all&lt;/b> of it deployed, \`ev' in shown
    assert "nothing is waited for: 2 statements; gate 'wait': would ask: Is &lt;b>it&lt;/b>?" in shown
    assert "## Gates" not in card(replace(plan, steps=plan.steps[:1]), None)


def test_what_comes_next_at_a_question_needs_no_window(tmp_path: Path) -> None:
    plan = planned(tmp_path, question=QUESTION)
    rows = [step_row(step="expand", status=StepStatus.SUCCESS, statement_digests=("a",))]
    assert next_stretch(plan, make_bundle(plan), rows).needs_window is False
    rows.append(step_row(step="wait", status=StepStatus.SUCCESS, kind="gate", statement_digests=()))
    assert next_stretch(plan, make_bundle(plan), rows).needs_window is True


@pytest.mark.parametrize("may_answer, told", [(0, True), (1, False)])
def test_a_question_that_nobody_may_answer_is_refused_before_anything_is_copied(
    may_answer: int, told: bool, tmp_path: Path
) -> None:
    found = answers.nobody_may(make_target(), planned(tmp_path / "a", question="Is it?"), may_answer)
    assert (found is not None) is told
    assert answers.nobody_may(make_target(), planned(tmp_path / "b", condition="SELECT true"), 0) is None


def test_an_expired_gate_holds_what_is_applied() -> None:
    """Whatever the metadata says about failures; a person may still ask for the rollback."""
    cursor = {"waiting": {"reason": "for it", "since": "2026-01-01T00:00:00+00:00", "expired": True}}
    steps = [step_row(step="expand", status=StepStatus.SUCCESS), step_row(step="wait", kind="gate")]
    failed = step_row(step="wait", kind="gate", status=StepStatus.FAILED, cursor=cursor)

    def decided(*rows: Any, force: bool = False) -> undo_decision.Decision:
        given: dict[str, Any] = {
            "run_id": "run-1",
            "on_failure": OnFailure.ROLLBACK,
            "has_script": True,
            "force": force,
        }
        return undo_decision.decide(migration_row(), rows, **given)

    held = decided(steps[0], failed)
    assert (held.action, held.close, "waits anew" in held.reason) == (undo_decision.Action.HELD, True, True)
    assert decided(*steps).action is undo_decision.Action.ROLLED_BACK
    assert decided(steps[0], failed, force=True).action is undo_decision.Action.ROLLED_BACK
    assert gating.expired(steps) is None
