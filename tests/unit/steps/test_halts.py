"""Where a failure can stop a migration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.ledger.rows import StepStatus
from migrator.plan import Phase, Plan
from migrator.steps.contract import IN_BATCHES
from migrator.steps.halts import cut, halted, halts_of
from tests.factories import plan_from_sql
from tests.unit.ledger_rows import step_row

TWO = "CREATE TABLE a (id int); CREATE TABLE b (id int);"


def in_steps(*parts: Plan) -> Plan:
    steps = tuple(replace(part.steps[0], name=f"s{number}") for number, part in enumerate(parts))
    return replace(plan_from_sql(TWO, "DROP TABLE a;"), steps=steps)


WHOLE, SINGLE = plan_from_sql(TWO), plan_from_sql(TWO, transaction=False)
ANALYZE = plan_from_sql("ANALYZE a;")
ANALYZE = replace(ANALYZE, steps=(replace(ANALYZE.steps[0], kind="analyze_tables", transactional=False),))
BATCHES = plan_from_sql("UPDATE a SET id = 1 WHERE id IS NULL;")
BATCHES = replace(BATCHES, steps=(replace(BATCHES.steps[0], kind="backfill", transactional=False, phases=()),))
PHASES = replace(WHOLE, steps=(replace(WHOLE.steps[0], phases=(Phase("a", 1), Phase("b", 1))),))


@pytest.mark.parametrize(
    "plan, keys",
    [
        (in_steps(WHOLE), []),
        (in_steps(SINGLE), ["s0:1"]),
        (in_steps(PHASES), ["s0:1"]),
        (in_steps(WHOLE, WHOLE), ["s0"]),
        (in_steps(SINGLE, WHOLE), ["s0:1", "s0"]),
        (in_steps(WHOLE, ANALYZE, WHOLE), ["s0"]),
        (in_steps(WHOLE, ANALYZE), []),
        (in_steps(BATCHES), ["s0:part"]),
        (in_steps(WHOLE, BATCHES, WHOLE), ["s0", "s1:part", "s1"]),
    ],
    ids=[
        "transaction",
        "one by one",
        "phases",
        "two steps",
        "both",
        "undoes itself",
        "undoes itself at the end",
        "batches",
        "between",
    ],
)
def test_between_nothing_and_all(plan: Plan, keys: list[str]) -> None:
    halts = halts_of(plan)
    assert [halt.key for halt in halts] == keys
    for halt in halts:
        last = cut(plan, halt).steps[-1]
        assert (last.name, len(last.statements)) == (halt.step, halt.of if halt.part else halt.statements)


DONE, FAILED = StepStatus.SUCCESS, StepStatus.FAILED


@pytest.mark.parametrize(
    "rows, key",
    [
        ([{"status": FAILED}], None),
        (
            [{"status": FAILED, "cursor": {"statement": 0, "state": "failed", "kind": "VACUUM", "statements_done": 0}}],
            None,
        ),
        ([{"status": FAILED, "cursor": {"statement": 0, "state": "done", "statements_done": 1}}], "s0:1"),
        ([{"status": DONE}], "s0"),
        ([{"status": DONE}, {"status": FAILED}], "s0"),
        (
            [{"status": DONE}, {"status": FAILED, "cursor": {"statement": 0, "state": "done", "statements_done": 1}}],
            "s1:1",
        ),
        ([{"status": DONE}, {"status": DONE}], None),
    ],
)
def test_by_the_ledger(rows: list[dict[str, Any]], key: str | None) -> None:
    plan = in_steps(SINGLE, SINGLE)
    found = halted(
        plan, [step_row(step=f"s{number}", statement_digests=("a", "b"), **row) for number, row in enumerate(rows)]
    )
    assert (found.key if found else None) == key


def test_between_two_batches() -> None:
    cursor = {"statement": 0, "state": IN_BATCHES, "statements_done": 0}
    found = halted(in_steps(BATCHES), [step_row(step="s0", statement_digests=("a",), status=FAILED, cursor=cursor)])
    assert found is not None
    assert (found.key, found.doubtful) == ("s0:part", False)
    assert str(found) == "part-way through step 's0'"


def test_what_commits_by_itself_may_have_stopped_within() -> None:
    cursor = {"statement": 0, "state": "failed", "kind": "CALL", "statements_done": 0}
    found = halted(in_steps(SINGLE), [step_row(step="s0", statement_digests=("a", "b"), status=FAILED, cursor=cursor)])
    assert found is not None
    assert str(found) == "within statement 1 of step 's0'"
