"""What reviewers read of the locks that keep writers waiting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from migrator.evidence import HELD, DryRunEvidence
from migrator.plan import Plan
from migrator.reports.lock_budget import NO_BOUND, section
from migrator.reports.markup import text
from tests.evidence import make_bundle
from tests.factories import make_plan, plan_from_sql


def dry_run(plan: Plan, *held: list[Any]) -> DryRunEvidence:
    evidence = make_bundle(plan).dry_run
    return replace(evidence, extra={HELD: list(held)})


def shown(plan: Plan, evidence: DryRunEvidence | None) -> str:
    return section(plan, evidence).replace("\u00a0", " ")


def test_budget_and_hold_stand_side_by_side() -> None:
    plan = plan_from_sql("ALTER TABLE t ADD a int", statement_timeout_ms=1500)
    said = shown(plan, dry_run(plan, ["sql", "public.t", "ACCESS EXCLUSIVE", 0.004]))
    row = "| sql | 1 | ACCESS EXCLUSIVE on public.t | 3.0 s | ACCESS EXCLUSIVE on public.t: 4 ms |"
    assert row in said
    assert "2.0 s a try" in said


def test_what_was_held_longer_and_what_nobody_has_foretold_stand_out() -> None:
    plan = plan_from_sql("ALTER TABLE t ADD a int", statement_timeout_ms=100)
    held = (["sql", "public.t", "ACCESS EXCLUSIVE", 0.5], ["sql", "public.u", "SHARE", 0.1])
    said = shown(plan, dry_run(plan, *held))
    assert "⚠️ ACCESS EXCLUSIVE on public.t: 500 ms" in said
    assert "| sql | - | ⚠️ nothing was foretold | - | SHARE on public.u: 100 ms |" in said


def test_before_the_dry_run_there_is_the_budget_alone() -> None:
    plan = plan_from_sql("ALTER TABLE t ADD a int", statement_timeout_ms=0)
    assert f"| {text(NO_BOUND)} | - |" in shown(plan, None)


def test_where_no_writer_waits_it_says_nothing() -> None:
    assert section(make_plan(), dry_run(make_plan())) == ""
