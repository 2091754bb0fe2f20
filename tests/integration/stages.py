"""The stages that touch the target, called as the operators call them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import psycopg

from migrator.database.session import Endpoint
from migrator.evidence import EvidenceBundle
from migrator.gates.drift import start_of
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerMigration
from migrator.plan import Plan, Risk
from migrator.run import RunContext
from migrator.stages import apply, outcome, rollback, verify
from migrator.stages.outcome import Outcome
from migrator.stages.rollback import RollbackReport
from migrator.stages.verify import VerifyReport
from migrator.steps.context import StepResult
from migrator.targets.targets import Limits, Target
from tests.evidence import make_bundle, read_schema
from tests.factories import NOW


def run_of(plan: Plan, run_id: str = "run-1", **over: Any) -> RunContext:
    run = RunContext(run_id=run_id, version=plan.version, target=plan.target, actor="tester", clock=lambda: NOW)
    return replace(run, **over)


def make_target(**over: Any) -> Target:
    """A development target without reviews and windows."""
    target = Target(
        name="test",
        environment="development",
        connection="test",
        copies_connection="copies",
        reviews={risk: 0 for risk in Risk},
        limits=Limits(min_free_connections=1),
    )
    return replace(target, **over)


def apply_all(
    plan: Plan,
    endpoint: Endpoint,
    bundle: EvidenceBundle | None = None,
    *,
    run_id: str = "run-1",
    target: Target | None = None,
    **over: Any,
) -> list[StepResult]:
    run = over.pop("run", run_of(plan, run_id))
    with Ledger(endpoint) as ledger:
        return [
            apply.run_step(
                plan,
                step.name,
                endpoint=endpoint,
                ledger=ledger,
                run=run,
                target=target or make_target(),
                evidence=bundle,
                **over,
            )
            for step in plan.steps
        ]


def verify_it(
    plan: Plan, endpoint: Endpoint, bundle: EvidenceBundle | None = None, *, run_id: str = "run-1"
) -> VerifyReport:
    with Ledger(endpoint) as ledger:
        return verify.run(
            plan,
            bundle,
            endpoint=endpoint,
            ledger=ledger,
            run=run_of(plan, run_id),
            without_evidence=bundle is None,
        )


def roll_back(
    plan: Plan, endpoint: Endpoint, bundle: EvidenceBundle | None = None, *, run_id: str = "run-1", **over: Any
) -> RollbackReport:
    """Without evidence as if all that is there now had been rehearsed."""
    found = over.pop("start", start_of(bundle or make_bundle(plan, read_schema(endpoint), states=())))
    with Ledger(endpoint) as ledger:
        return rollback.run(
            plan,
            endpoint=endpoint,
            ledger=ledger,
            run=run_of(plan, run_id),
            start=found,
            **over,
        )


def outcome_of(plan: Plan | None, endpoint: Endpoint, *, version: str = "001_test", run_id: str = "run-1") -> Outcome:
    run = RunContext(run_id=run_id, version=version, target="test", actor="tester", clock=lambda: NOW)
    with Ledger(endpoint) as ledger:
        return outcome.run(plan, version=version, endpoint=endpoint, ledger=ledger, run=run)


def row_of(plan: Plan, endpoint: Endpoint) -> LedgerMigration | None:
    with Ledger(endpoint) as ledger:
        return ledger.migration(plan.version) if ledger.exists() else None


def query(endpoint: Endpoint, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        cursor = conn.execute(sql.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def traces(endpoint: Endpoint) -> list[tuple[Any, ...]]:
    """Every row of the ledger with its place on disk: equal only when nothing was written, not even the same again."""
    tables = (
        *("ledger_identity", "schema_migrations", "schema_migration_steps", "schema_migration_events"),
        *("schema_migration_objects", "schema_migration_transactions"),
    )
    rows = [query(endpoint, f"SELECT t.ctid::text, t.xmin::text, t::text FROM migrator.{name} AS t") for name in tables]
    return list(itertools.chain.from_iterable(rows))
