"""What a plan may keep writers from, and for how long, by its statements and time-outs alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.plan import Plan, PredictedLock
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named
from migrator.steps.lock_budget import Budget, budgets_of
from tests.factories import plan_from_sql, to_steps

AX = "ACCESS EXCLUSIVE"


def plan(sql: str, **over: Any) -> Plan:
    return plan_from_sql(sql, **{"lock_timeout_ms": 2000, "statement_timeout_ms": 3000, **over})


def test_one_transaction_has_one_budget_from_its_first_strong_lock_on() -> None:
    sql = "SELECT 1;\nALTER TABLE t ADD a int;\nCREATE INDEX i ON t (a);\nALTER TABLE u ADD b int;"
    locks = (PredictedLock("public.t", AX), PredictedLock("public.u", AX))
    assert budgets_of(plan(sql)) == (Budget("sql", 2, locks, seconds=12.0, queue_seconds=2.0),)


def test_statement_by_statement_each_has_its_own() -> None:
    found = budgets_of(plan("ALTER TABLE t ADD a int;\nALTER TABLE u ADD b int;", transaction=False))
    assert [(one.line, one.locks[0].relation, one.seconds) for one in found] == [
        (1, "public.t", 6.0),
        (2, "public.u", 6.0),
    ]


def test_without_statement_timeout_nothing_ends_it() -> None:
    (budget,) = budgets_of(plan("ALTER TABLE t ADD a int", statement_timeout_ms=0))
    assert budget.seconds is None


HARMLESS = (
    "CREATE TABLE t (a int)",
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "UPDATE t SET a = 1 WHERE a = 2",
    "ANALYZE t",
)


@pytest.mark.parametrize("sql", HARMLESS)
def test_what_keeps_no_writer_waiting_needs_no_budget(sql: str) -> None:
    assert budgets_of(plan(sql)) == ()


def test_a_block_may_lock_what_nobody_can_foretell() -> None:
    (budget,) = budgets_of(plan("DO $$ BEGIN EXECUTE current_setting('my.sql'); END $$"))
    assert (budget.locks, budget.known, budget.seconds) == ((), False, 6.0)


def test_the_phases_of_a_constraint_are_a_transaction_each() -> None:
    kind = kind_named("constraint")
    wanted = kind.PARAMETERS("public.t", "positive", "CHECK (a > 0)")
    parsed, made = to_steps(kind.sql(wanted, 17), "step add")
    made = tuple(
        replace(one, locks=(PredictedLock("public.t", AX),)) if "ADD CONSTRAINT" in one.sql else one for one in made
    )
    step = kind.plan(Written("add", parsed, made, vars(wanted)))
    (budget,) = budgets_of(replace(plan("SELECT 1"), steps=(step,)))
    assert (budget.step, budget.locks) == ("add", (PredictedLock("public.t", AX),))
