"""What must be true once a migration is applied: the metadata's `verify`, and what each step's kind promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg

from migrator.database import condition, session
from migrator.database.schema import Schema
from migrator.database.vocabulary import only_known
from migrator.errors import DriftDetected, MigratorError, TransientError
from migrator.evidence import Check, Verdict
from migrator.plan import Plan
from migrator.steps.kinds import kind_of


def step_checks(plan: Plan, conn: psycopg.Connection[Any]) -> list[Check]:
    """What the kinds of the steps have to say once all is applied; a kind that has nothing to look at is left out."""
    checks = []
    for step in plan.steps:
        problems = kind_of(step).verify(step, conn)
        if problems is not None:
            verdict = Verdict.FAILED if problems else Verdict.PASSED
            checks.append(Check(f"step {step.name}", verdict, "; ".join(problems) or f"{step.kind}: as it should be"))
    return checks


def assertion(
    conn: psycopg.Connection[Any],
    number: int,
    query: str,
    plan: Plan,
    before: Schema | None = None,
    *,
    unchanged: Callable[[], object] | None = None,
) -> Check:
    """One query of the metadata's `verify`, which must give exactly one row with one true value; it cannot write, and
    it is one statement by construction. What it locks is looked at: the analysis has seen no more than its text.

    :param before: the schema from before, whose names may be told.
    :param unchanged: see `condition.ask`.
    :raises DriftDetected: see there.
    :raises TransientError: somebody's lock or a lost connection says nothing about the migration, and must not undo it.
    """
    name = f"assertion {number}"
    try:
        with only_known(plan, before), session.translated():
            found = condition.ask(conn, query, timeout_ms=plan.statement_timeout_ms, unchanged=unchanged)
    except (TransientError, DriftDetected):
        raise
    except MigratorError as exc:
        return Check(name, Verdict.FAILED, f"{exc}: {query}")
    if found.problem:
        return Check(name, Verdict.FAILED, f"{found.problem}: {query}")
    if found.value is not True:
        return Check(name, Verdict.FAILED, f"gave {found.shown}, not true: {query}")
    return Check(name, Verdict.PASSED, query)
