"""What must be true once a migration is applied: the metadata's `verify`, and what each step's kind promises."""

from __future__ import annotations

from typing import Any

import psycopg

from migrator.database import naming, queries, session
from migrator.database.door import send
from migrator.database.schema import Schema
from migrator.database.vocabulary import only_known, told_name
from migrator.errors import MigratorError, TransientError
from migrator.evidence import Check, Verdict
from migrator.plan import Plan
from migrator.steps.kinds import kind_of

ASSERTION_TIMEOUT_MS = 60_000
"""An assertion that takes longer has no place in a maintenance window; the metadata's statement_timeout overrides."""


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
    conn: psycopg.Connection[Any], number: int, query: str, plan: Plan, before: Schema | None = None
) -> Check:
    """One query of the metadata's `verify`, which must give exactly one row with one true value; it cannot write, and
    it is one statement by construction. What it locks is looked at: the analysis has seen no more than its text.

    :param before: the schema from before, whose names may be told.
    :raises TransientError: somebody's lock or a lost connection says nothing about the migration, and must not undo it.
    """
    name = f"assertion {number}"
    timeout = plan.statement_timeout_ms or ASSERTION_TIMEOUT_MS
    try:
        with only_known(plan, before), session.translated(), conn.transaction(force_rollback=True):
            conn.execute("SET TRANSACTION READ ONLY")
            conn.execute(f"SET LOCAL statement_timeout = {int(timeout)}")
            with naming.names_of_target(conn):
                cursor = send(conn, query)
            rows = cursor.fetchmany(2) if cursor.description else None
            taken = conn.execute(queries.load(__package__, "assertions")["locks_taken"]).fetchall()
    except TransientError:
        raise
    except MigratorError as exc:
        return Check(name, Verdict.FAILED, f"{exc}: {query}")
    if taken:
        text = ", ".join(f"{mode} on {told_name(relation)}" for relation, mode in taken)
        return Check(name, Verdict.FAILED, f"must only read, took {text}: {query}")
    if rows is None or len(rows) != 1 or len(rows[0]) != 1:
        shape = "no result" if rows is None else f"{'more than one' if len(rows) > 1 else len(rows)} rows"
        return Check(name, Verdict.FAILED, f"must give one row with one value, gave {shape}: {query}")
    value = rows[0][0]
    if value is not True:
        # A value may be somebody's data, so only its type is told.
        shown = "NULL" if value is None else "false" if value is False else f"a value of type {type(value).__name__}"
        return Check(name, Verdict.FAILED, f"gave {shown}, not true: {query}")
    return Check(name, Verdict.PASSED, query)
