"""Apply one step of a plan to the target: every gate once more inside the lock, then the step itself.

Nothing that Airflow believes is trusted here. Whoever may edit task instances can mark a review as success, and between
two tasks files, reviews, the schema and the calendar may have changed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from migrator import steps
from migrator.catalogue import content
from migrator.database import schema, schema_diff, session
from migrator.database.locking import migration_lock
from migrator.database.session import Endpoint
from migrator.errors import DependencyMissing, DriftDetected, NeedsHuman, OutsideWindow, Refused
from migrator.evidence import EvidenceBundle, SnapshotRecord, Verdict
from migrator.gates import emergency
from migrator.history import out_of_order
from migrator.ledger.rows import LedgerMigration, LedgerStep, MigrationStatus, StepStatus
from migrator.plan import Plan, Step
from migrator.run import RunContext
from migrator.stages import review, rollback
from migrator.steps import timings
from migrator.steps.context import StepContext, StepHandle, StepResult
from migrator.targets import windows
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration
    from migrator.ledger import Ledger

LOG = logging.getLogger(__name__)

LEFT_BEHIND = frozenset({MigrationStatus.FAILED, MigrationStatus.ROLLBACK_FAILED})
"""Statuses in which something of a migration may be in the database although nobody works on it."""

SAFETY_FACTOR = 1.5
"""Production may be this much slower than the restored copy; measured durations are multiplied by it."""


def run_step(
    plan: Plan,
    step_name: str,
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    target: Target,
    evidence_digest: str | None = None,
    evidence: EvidenceBundle | None = None,
    migration: Migration | None = None,
    deadline_seconds: float = 600.0,
    handle: StepHandle | None = None,
    log: logging.Logger = LOG,
) -> StepResult:
    """Execute the step `step_name`, exactly once in effect however often it is called.

    :param evidence: with it the schema is compared with the snapshot's before the first step.
    :param evidence_digest: what the reviewers decided on; taken from `evidence` when that is given.
    :param migration: with it the files on disk are compared with the plan.
    :param deadline_seconds: for the migration lock, and again for all waiting for locks of tables.
    :raises Refused: a gate said no; nothing was executed. :raises StatementFailed: recorded in the ledger.
    """
    step = steps.find(plan, step_name)
    _require_match(plan, target, run, evidence, evidence_digest)
    row = ledger.migration(plan.version) if ledger.exists() else None
    if is_applied(plan, row):
        log.info("%s is applied and verified on %s: nothing to do", plan.version, target.name)
        return StepResult(step.name, step.kind, "success", 0.0, (), 0, reconciled=True)
    handle = handle or StepHandle()
    with migration_lock(endpoint, run=run, deadline_seconds=deadline_seconds, sleep=handle.sleep) as lock:
        ctx = StepContext(
            endpoint=endpoint,
            ledger=ledger,
            plan=plan,
            run=run,
            lock=lock,
            handle=handle,
            log=log,
            deadline_seconds=deadline_seconds,
        )
        if not ledger.exists():
            ledger.install()
        ledger.check()
        rows = ledger.migrations()
        if not _is_done(step, plan, rows, ledger, run):
            digest = evidence.digest if evidence is not None else evidence_digest
            above = _gates(step, ctx, rows, target=target, evidence_digest=digest, migration=migration)
            if evidence is not None:
                lifted = _window(step, ctx, target, migration, evidence)
                _drift(step, ctx, evidence)
                if lifted is not None:
                    log.warning("emergency (%s): this does not count: %s", plan.emergency, lifted)
                    emergency.record(ledger, plan, run=run, step=step.name, lifted=lifted)
            if above:
                log.warning("%s is out of order: %s applied already", plan.version, ", ".join(above))
                out_of_order.record(ledger, plan, above, target=target, run=run)
            begin(plan, ledger=ledger, run=run, rows=rows)
        result = steps.run(step, ctx)
        timings.record(ledger, timings.timings_of(plan, step, result, evidence), run=run)
        return result


def begin(plan: Plan, *, ledger: Ledger, run: RunContext, rows: Sequence[LedgerMigration] | None = None) -> None:
    """Take the database for this plan and run; a second time it writes nothing. Called with the lock held.

    :param rows: what the ledger holds, when it was read since the lock was taken.
    :raises HeldByOther: another migration, or another run, is between its steps.
    :raises NeedsHuman: an earlier migration was left half applied.
    """
    require_clear_way(plan, ledger.migrations() if rows is None else rows, ledger)
    ledger.begin(plan, run=run)


def require_clear_way(plan: Plan, rows: Sequence[LedgerMigration], ledger: Ledger) -> None:
    """:raises NeedsHuman: an earlier migration was left half applied."""
    for other in rows:
        if other.version == plan.version or other.status not in LEFT_BEHIND:
            continue
        reason = in_the_way(other, ledger.steps(other.version))
        if reason is not None:
            raise NeedsHuman(reason, version=other.version)


def in_the_way(row: LedgerMigration, its_steps: Sequence[LedgerStep]) -> str | None:
    """Why no other migration may run on top of this one, or None. Pure."""
    if row.status is MigrationStatus.ROLLBACK_FAILED:
        return (
            f"the rollback of {row.version!r} failed, so the schema is between two states; put it in order and say what"
            f' is true with "migrator ledger repair {row.version}"'
        )
    if row.status is MigrationStatus.FAILED and any(rollback.took_effect(step) for step in its_steps):
        return (
            f"{row.version!r} failed and part of it is still applied; finish it or roll it back first, or say what is"
            f' true with "migrator ledger repair {row.version}"'
        )
    return None


def missing_dependencies(plan: Plan, rows: Sequence[LedgerMigration]) -> tuple[str, ...]:
    """Dependencies that are not applied and verified (or adopted by a baseline). Pure."""
    there = {row.version for row in rows if row.status is MigrationStatus.SUCCESS}
    return tuple(version for version in plan.dependencies if version not in there)


def require_dependencies(plan: Plan, rows: Sequence[LedgerMigration], target: Target) -> None:
    """:raises DependencyMissing: names all of them. Pure."""
    missing = missing_dependencies(plan, rows)
    if missing:
        raise DependencyMissing(
            f"{plan.version!r} needs {', '.join(map(repr, missing))}, which the ledger of {target.name!r} does not have"
            " as applied and verified; apply them first",
            missing=missing,
        )


def partly_applied(plan: Plan, ledger: Ledger) -> bool:
    """Whether anything of this migration may be in the database: then its schema is no longer the snapshot's."""
    return any(rollback.took_effect(item) for item in ledger.steps(plan.version))


def require_no_drift(now: schema.Schema, snapshot: SnapshotRecord) -> None:
    """:raises DriftDetected: with the difference. Pure."""
    if now.fingerprint == snapshot.schema_fingerprint:
        return
    lines = schema_diff.diff(schema.Schema.from_dict(snapshot.schema), now).lines()
    raise DriftDetected(
        "the schema changed since the snapshot, so what was rehearsed is not what would happen now:\n"
        + "\n".join(lines)
        + "\nfind out who did it, then run again from snapshot",
        differences=lines,
    )


def evidence_problems(plan: Plan, evidence: EvidenceBundle) -> tuple[str, ...]:
    """Why this evidence does not belong to this plan, or does not prove what it should. Pure."""
    snapshot, restore, dry_run = evidence.snapshot, evidence.restore, evidence.dry_run
    found: list[str] = []
    if dry_run.plan_digest != plan.digest:
        found.append("the dry run was of another plan")
    if snapshot.target != plan.target:
        found.append(f"the snapshot is of target {snapshot.target!r}, the plan is for {plan.target!r}")
    if {restore.snapshot_id, dry_run.snapshot_id} != {snapshot.id}:
        found.append("snapshot, restore test and dry run do not belong together")
    for name, verdict in (("restore test", restore.verdict), ("dry run", dry_run.verdict)):
        if verdict is not Verdict.PASSED:
            found.append(f"the {name} is {verdict.value}")
    return tuple(found)


def remaining_seconds(step: Step, plan: Plan, evidence: EvidenceBundle) -> float:
    """How long this step and those after it took on the restored copy, with the safety factor. Pure."""
    names = [item.name for item in plan.steps]
    left = set(names[names.index(step.name) :])
    if len(left) == len(names):
        return evidence.dry_run.seconds * SAFETY_FACTOR
    return sum(trace.seconds for trace in evidence.dry_run.statements if trace.step in left) * SAFETY_FACTOR


def _require_match(
    plan: Plan, target: Target, run: RunContext, evidence: EvidenceBundle | None, evidence_digest: str | None
) -> None:
    if (plan.target, plan.version) != (target.name, run.version):
        raise Refused(
            f"the plan is of {plan.version!r} for target {plan.target!r}; it cannot be applied as {run.version!r} to"
            f" {target.name!r}"
        )
    if evidence is None:
        return
    problems = list(evidence_problems(plan, evidence))
    if evidence_digest is not None and evidence_digest != evidence.digest:
        problems.append("its digest is another one than the reviewers saw")
    if problems:
        raise Refused(f"the evidence does not support this plan: {'; '.join(problems)}. run it again from snapshot")


def is_applied(plan: Plan, row: LedgerMigration | None) -> bool:
    """Applied and verified with this very content. Pure."""
    return row is not None and row.status is MigrationStatus.SUCCESS and row.checksum == plan.content_digest


def _is_done(step: Step, plan: Plan, rows: Sequence[LedgerMigration], ledger: Ledger, run: RunContext) -> bool:
    """A retry of a step that this run has done executes nothing, so no gate may fail it."""
    row = next((row for row in rows if row.version == plan.version), None)
    if row is None or row.status is not MigrationStatus.RUNNING:
        return False
    if (row.run_id, row.plan_digest) != (run.run_id, plan.digest):
        return False
    return any(item.step == step.name and item.status is StepStatus.SUCCESS for item in ledger.steps(plan.version))


def _gates(
    step: Step,
    ctx: StepContext,
    rows: Sequence[LedgerMigration],
    *,
    target: Target,
    evidence_digest: str | None,
    migration: Migration | None,
) -> tuple[str, ...]:
    """Returns the higher versions that are there, where the policy lets this one pass all the same."""
    plan, ledger = ctx.plan, ctx.ledger
    if migration is not None:
        for note in content.check_disk(plan, migration):
            ctx.log.warning("%s", note)
    review.require(ledger, plan, evidence_digest, target, ctx.run.clock())
    require_dependencies(plan, rows, target)
    above = out_of_order.require(plan, rows, target)
    states = {item.step: item.status for item in ledger.steps(plan.version)}
    before = [item.name for item in plan.steps[: [one.name for one in plan.steps].index(step.name)]]
    undone = [name for name in before if states.get(name) is not StepStatus.SUCCESS]
    if undone:
        raise NeedsHuman(
            f"step {step.name!r} comes after {', '.join(map(repr, undone))}, which the ledger does not have as done;"
            f" clear {undone[0]!r} with Downstream"
        )
    return above


def _window(
    step: Step,
    ctx: StepContext,
    target: Target,
    migration: Migration | None,
    evidence: EvidenceBundle,
) -> str | None:
    """The calendar may have closed while the task was queued. Returns what an emergency lifts; that enough people
    approved it has been asked before."""
    schedule = migration.metadata.schedule if migration is not None else None
    decision = windows.decide(
        ctx.run.clock(),
        schedule=schedule if schedule is not None and schedule.target == target.name else None,
        windows=target.windows,
        freezes=target.freezes,
        needed_seconds=remaining_seconds(step, ctx.plan, evidence),
        emergency=ctx.plan.emergency is not None,
    )
    if decision.state is not windows.WindowState.OPEN:
        raise OutsideWindow(
            f"step {step.name!r} is not started: {decision.reason}. clear preflight with Downstream when it may run",
            opens_at=decision.opens_at,
            closes_at=decision.closes_at,
        )
    return decision.lifted


def _drift(step: Step, ctx: StepContext, evidence: EvidenceBundle) -> None:
    """Before anything of the migration is in the database its schema must be the one that was rehearsed on."""
    if step.name != ctx.plan.steps[0].name:
        return
    if partly_applied(ctx.plan, ctx.ledger):
        return
    with session.connect(ctx.endpoint, purpose="observe", version=ctx.plan.version) as conn:
        now = schema.read(conn, exclude=(ctx.ledger.schema,))
    require_no_drift(now, evidence.snapshot)
