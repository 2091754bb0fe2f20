"""Writing the row and the steps of a migration that begins, in the caller's transaction."""

from __future__ import annotations

import migrator
from migrator.database.session import Connection
from migrator.ledger import events, states
from migrator.ledger.connection import LedgerConnection
from migrator.ledger.resume import Beginning
from migrator.ledger.rows import MigrationStatus
from migrator.plan import Plan
from migrator.run import RunContext


def write(
    ledger: LedgerConnection,
    connection: Connection,
    plan: Plan,
    beginning: Beginning,
    run: RunContext,
    evidence_digest: str | None,
) -> None:
    """What is done already is left alone; everything else becomes what this plan says."""
    detail = {
        states.STATUS: MigrationStatus.RUNNING.value,
        "plan_digest": plan.digest,
        "content_digest": plan.content_digest,
        "steps": [step.name for step in plan.steps],
        "done": beginning.done,
        "resumed_from": beginning.resumed_from,
    }
    if evidence_digest is not None:
        detail[states.EVIDENCE] = evidence_digest
    if run.reason:
        detail["reason"] = run.reason
    events.append(ledger, connection, "begin", version=plan.version, run=run, detail=detail)
    ledger.execute(
        connection,
        "begin_migration",
        version=plan.version,
        filename=plan.sql_file,
        checksum=plan.content_digest,
        description=events.clean(plan.description),
        type=str(plan.type),
        risk=str(plan.risk),
        actor=events.clean(run.actor),
        run_id=run.run_id,
        run_url=run.run_url,
        engine_version=migrator.__version__,
        plan_digest=plan.digest,
    )
    if beginning.applied_at is not None:
        ledger.execute(connection, "keep_applied", version=plan.version, applied_at=beginning.applied_at)
    ledger.execute(connection, "forget_steps", version=plan.version, steps=[step.name for step in plan.steps])
    for position, step in enumerate(plan.steps, start=1):
        done = beginning.done.get(step.name)
        if done is not None and done == len(step.statements):
            continue
        ledger.execute(
            connection,
            "plan_step" if done is None else "replan_step",
            version=plan.version,
            step=step.name,
            position=position,
            kind=str(step.kind),
            statement_digests=[statement.digest for statement in step.statements],
        )
