"""Apply one step of a plan to the target: every gate once more inside the lock, then the step itself.

Nothing that Airflow believes is trusted here. Whoever may edit task instances can mark a review as success, and between
two tasks files, reviews, the schema and the calendar may have changed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from migrator.catalogue import content
from migrator.database import schema, session
from migrator.database.idle import Idle
from migrator.database.schema import Schema
from migrator.database.session import Endpoint
from migrator.database.vocabulary import only_known
from migrator.errors import GateClosed, GivesWay, NeedsHuman, Refused
from migrator.evidence import EvidenceBundle
from migrator.gates import ahead, answers, beside, clock, emergency, origin, reviews, settings
from migrator.gates.clear_way import (
    applied_already,
    require_clear_way,
    require_dependencies,
    require_free,
)
from migrator.gates.drift import Start, require_as_rehearsed, require_no_drift, require_same_code
from migrator.gates.evidence import evidence_problems
from migrator.gates.going_on import GoingOn, reviewed_by
from migrator.gates.undone import KINDS, without_undone
from migrator.history import out_of_order
from migrator.ledger import resume, states
from migrator.ledger.rows import LedgerMigration, MigrationStatus, StepStatus, took_effect
from migrator.operations import health
from migrator.plan import Phase, Plan, Step
from migrator.run import RunContext
from migrator.steps import execution, gating, held_locks, throttle, timings
from migrator.steps.answer import Answer
from migrator.steps.attempt import Attempt
from migrator.steps.context import StepContext, StepHandle, StepResult
from migrator.steps.kinds import gate
from migrator.steps.meanwhile import Meanwhile
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.ledger.ledger import Ledger

LOG = logging.getLogger(__name__)

GIVE_WAY_SECONDS = 5.0
"""Long enough for whoever has asked for the lock to take it."""


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
    catalogue: Catalogue | None = None,
    deadline_seconds: float = 600.0,
    handle: StepHandle | None = None,
    log: logging.Logger = LOG,
) -> StepResult:
    """Execute the step `step_name`, exactly once in effect however often it is called.

    :param evidence: with it the schema is compared with the snapshot's before the first step.
    :param evidence_digest: what the reviewers decided on; taken from `evidence` when that is given.
    :param migration: with it the files on disk are compared with the plan.
    :param catalogue: with it and `migration`, whether what comes first in the window is still to come.
    :param deadline_seconds: for the migration lock, and again for all waiting for locks of tables.
    :raises Refused: a gate said no; nothing was executed. :raises StatementFailed: recorded in the ledger.
    :raises GateClosed: the step is a gate between two others, and does not open yet.
    """
    step = execution.find(plan, step_name)
    _require_match(plan, target, run, evidence, evidence_digest)
    settings.require_as_planned(plan, endpoint)
    if applied_already(plan, ledger):
        log.info("%s is applied and verified on %s: nothing to do", plan.version, target.name)
        return StepResult(step.name, step.kind, "success", 0.0, (), 0, reconciled=True)
    attempt = Attempt(
        plan, endpoint, ledger, run, deadline_seconds=deadline_seconds, handle=handle or StepHandle(), log=log
    )
    attempt = replace(attempt, asks=partial(_may_ask, plan, evidence, ledger, run))
    if step.kind == gate.KIND:
        _look_at_gate(step, attempt, target, evidence, evidence_digest)
    once = partial(
        _try,
        step,
        target=target,
        evidence=evidence,
        evidence_digest=evidence_digest,
        migration=migration,
        catalogue=catalogue,
    )
    while True:
        try:
            return once(attempt)
        except GivesWay as exc:
            log.info("step %s rests: %s", step.name, exc)
            attempt.handle.sleep(GIVE_WAY_SECONDS)
            attempt = replace(attempt, patience_seconds=math.inf)


def _try(
    step: Step,
    attempt: Attempt,
    *,
    target: Target,
    evidence: EvidenceBundle | None,
    evidence_digest: str | None,
    migration: Migration | None,
    catalogue: Catalogue | None,
) -> StepResult:
    """:raises GivesWay: somebody has asked for the lock, between two batches."""
    plan, ledger, run, log = attempt.plan, attempt.ledger, attempt.run, attempt.log
    with ExitStack() as stack:
        ctx = stack.enter_context(attempt.locked())
        if not ledger.exists():
            ledger.install()
        ledger.check()
        ledger.require_intact()
        ctx = stack.enter_context(_watching(ctx, evidence))
        ctx = replace(ctx, limits=_limits(target), ends_idle=ends_idle(target))
        rows = ledger.migrations()
        digest = evidence.digest if evidence is not None else evidence_digest
        before = Start.of(evidence.snapshot).schema if evidence is not None else None

        calendar = None
        if evidence is not None:
            healthy = partial(health.require, plan, evidence, ctx.endpoint, target.limits)
            calendar = GoingOn(step, ctx, target, migration, evidence, healthy)
            ctx = replace(ctx, may_go_on=calendar.may_go_on, hears=calendar.hears)
        ctx = replace(ctx, answered=partial(_answered, ctx, target))

        def may_begin(phase: Phase) -> str | None:
            return calendar.may_begin(phase) if calendar is not None else None

        def between(phase: Phase) -> None:
            """What may have changed while the phase before it ran."""
            reviews.require(ledger, plan, digest, target, reviewed_by(plan, ledger, run))
            _tell_lifted(may_begin(phase), step, ctx)

        others = beside.beside(plan, evidence, ledger, run.run_id)
        if not _is_done(step, plan, rows, ledger, run):
            above = _gates(
                step, ctx, rows, target=target, evidence_digest=digest, migration=migration, catalogue=catalogue
            )
            lifted = may_begin(execution.next_phase(step, ctx))
            if evidence is not None:
                require_free(plan, ledger, run.run_id, others)  # what another migration is doing is no drift
                _drift(step, ctx, evidence)
            _tell_lifted(lifted, step, ctx)
            if above:
                log.warning("%s is out of order: %s applied already", plan.version, ", ".join(above))
                out_of_order.record(ledger, plan, above, target=target, run=run)
            begin(plan, ledger=ledger, run=run, rows=rows, others=others, evidence_digest=digest)
        with only_known(plan, before) if before is not None else nullcontext():
            try:
                result = execution.run(step, ctx, gate=between)
            except GateClosed as exc:
                if calendar is not None:
                    calendar.says(exc)
                raise
        timings.record(ledger, timings.timings_of(plan, step, result, evidence), run=run)
        held_locks.record(ledger, plan, step.name, result.held, evidence, run=run)
        return result


def _look_at_gate(
    step: Step,
    attempt: Attempt,
    target: Target,
    evidence: EvidenceBundle | None,
    evidence_digest: str | None,
) -> None:
    """What this run waits for already is looked at without its turn: others beside it need not make way for a look.

    :raises GateClosed: still. :raises Refused: what apply asks before any step does not hold any more.
    """
    plan, ledger, run = attempt.plan, attempt.ledger, attempt.run
    ctx = StepContext(attempt.endpoint, ledger, plan, run, handle=attempt.handle, log=attempt.log)
    if not gating.is_waiting(step, ctx):
        return
    ledger.check()
    ledger.require_intact()
    digest = evidence.digest if evidence is not None else evidence_digest
    reviews.require(ledger, plan, digest, target, reviewed_by(plan, ledger, run))
    before = Start.of(evidence.snapshot).schema if evidence is not None else None
    with ExitStack() as stack:
        ctx = stack.enter_context(_watching(ctx, evidence))
        if evidence is not None:
            _drift(step, ctx, evidence)
            reach = beside.reserved(plan, evidence)
            ctx = replace(ctx, hears=reach.hears if reach is not None else ctx.hears)
        if before is not None:
            stack.enter_context(only_known(plan, before))
        gating.look_again(step, replace(ctx, answered=partial(_answered, ctx, target)))


def _answered(ctx: StepContext, target: Target, step: Step, since: datetime) -> Answer | None:
    events = tuple(ctx.ledger.iterate_events(ctx.plan.version, answers.KINDS))
    about = partial(answers.given, plan=ctx.plan, step=step, run_id=ctx.run.run_id, since=since, target=target)
    answer = about(one for one in events if one.kind != answers.EVENT or ctx.ledger.is_sealed(one))
    whoevers = about(events)
    if whoevers is not None and whoevers != answer:
        ctx.log.warning(
            "the answer of %r at gate %s was not written with the password that this connection has now: the password"
            " was changed since, or somebody has forged it; it does not count, and the question stays open",
            whoevers.person,
            step.name,
        )
    return answer


def _may_ask(plan: Plan, evidence: EvidenceBundle | None, ledger: Ledger, run: RunContext) -> bool:
    """Whether whoever holds the database may let this migration go first: nobody rests in vain."""
    rows = ledger.all_running() if ledger.exists() else ()
    if not rows or _is_begun(plan, rows, run):
        return True
    return bool(beside.beside(plan, evidence, ledger, run.run_id))


def begin(
    plan: Plan,
    *,
    ledger: Ledger,
    run: RunContext,
    rows: Sequence[LedgerMigration] | None = None,
    others: Collection[str] = (),
    evidence_digest: str | None = None,
) -> None:
    """Take the database for this plan and run; a second time it writes nothing. Called with the lock held.

    :param rows: what the ledger holds, when it was read since the lock was taken.
    :param others: versions that rest, and beside which it may begin.
    :param evidence_digest: what the gates have gone by; verify and rollback go by nothing else.
    :raises HeldByOther: another migration, or another run, is between its steps.
    :raises NeedsHuman: an earlier migration was left half applied.
    """
    require_clear_way(plan, ledger.migrations() if rows is None else rows, ledger)
    ledger.begin(plan, run=run, beside=others, evidence_digest=evidence_digest)
    if evidence_digest is not None and evidence_digest not in reviews.applied_by(ledger.events(plan.version)):
        detail = {states.EVIDENCE: evidence_digest}
        ledger.append_event("evidence", version=plan.version, run=run, detail=detail)


def _limits(target: Target) -> throttle.Limits:
    limits = target.limits
    return throttle.Limits(
        replication_lag_bytes=limits.max_replication_lag_bytes,
        replay_lag_seconds=limits.max_replay_lag_seconds,
        archive_backlog=limits.max_archive_backlog,
        transaction_age_seconds=limits.max_transaction_age_seconds,
        free_connections=limits.min_free_connections,
        wal_bytes_a_second=limits.max_wal_rate_bytes,
    )


def ends_idle(target: Target) -> Idle | None:
    """Which sessions the steps of a migration, and of its rollback, may end."""
    policy = target.idle_in_transaction
    return None if policy is None else Idle(policy.end_after.total_seconds(), policy.roles)


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


def _is_begun(plan: Plan, rows: Sequence[LedgerMigration], run: RunContext) -> bool:
    """By this very run. What is higher has begun beside it, then."""
    wanted = (plan.version, MigrationStatus.RUNNING, run.run_id)
    return any((row.version, row.status, row.run_id) == wanted for row in rows)


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
    catalogue: Catalogue | None,
) -> tuple[str, ...]:
    """Returns the higher versions that are there, where the policy lets this one pass all the same."""
    plan, ledger = ctx.plan, ctx.ledger
    clock.require(ledger)
    if migration is not None:
        for note in content.check_disk(plan, migration):
            ctx.log.warning("%s", note)
        origin.require(plan, migration)
    reviews.require(ledger, plan, evidence_digest, target, reviewed_by(plan, ledger, ctx.run))
    ahead.require_turn(plan, ledger, target=target, now=ctx.run.clock(), migration=migration, catalogue=catalogue)
    require_dependencies(plan, rows, target)
    above = () if _is_begun(plan, rows, ctx.run) else out_of_order.require(plan, rows, target)
    statuses = {item.step: item.status for item in ledger.steps(plan.version)}
    stand = resume.gates_stand(ledger.migration(plan.version), plan, ctx.run.run_id)
    before = plan.steps[: [one.name for one in plan.steps].index(step.name)]
    undone = [
        item.name
        for item in before
        if statuses.get(item.name) is not StepStatus.SUCCESS or (item.kind == gate.KIND and not stand)
    ]
    if not undone:
        ledger.require_passed(plan.version, *(item.name for item in before if item.kind == gate.KIND))
    else:
        raise NeedsHuman(
            f"step {step.name!r} comes after {', '.join(map(repr, undone))}, which the ledger does not have as done;"
            f" clear the apply task of {undone[0]!r} with Downstream"
        )
    return above


def _tell_lifted(lifted: str | None, step: Step, ctx: StepContext) -> None:
    if lifted is not None:
        ctx.log.warning("emergency (%s): this does not count: %s", ctx.plan.emergency, lifted)
        emergency.record(ctx.ledger, ctx.plan, run=ctx.run, step=step.name, lifted=lifted)


@contextmanager
def _watching(ctx: StepContext, evidence: EvidenceBundle | None) -> Iterator[StepContext]:
    """With evidence somebody has rehearsed what is about to run."""
    if evidence is None:
        yield ctx
        return
    written = {(state.step, state.done): state.written for state in evidence.dry_run.states}
    with Meanwhile(
        ctx.endpoint, partial(_same_code, ctx, evidence), lambda step, done: written.get((step, done))
    ) as meanwhile:
        yield replace(ctx, meanwhile=meanwhile)


def _same_code(ctx: StepContext, evidence: EvidenceBundle) -> None:
    rows = ctx.ledger.steps(ctx.plan.version)
    require_same_code(_schema(ctx, evidence), ctx.plan, evidence, rows, path=ctx.endpoint.search_path)


def _schema(ctx: StepContext, evidence: EvidenceBundle) -> Schema:
    """As if those who have rested beside it had undone nothing."""
    start = Start.of(evidence.snapshot, evidence.dry_run)
    with session.connect(ctx.endpoint, purpose="observe", version=ctx.plan.version) as conn:
        session.require_usual(conn, ctx.endpoint)
        settings.require_same(conn, evidence.snapshot)
        now = schema.read(conn, exclude=(ctx.ledger.schema,), role=start.schema.role)
    return without_undone(now, ctx.plan, start, ctx.ledger.iterate_events(kinds=KINDS))


def _drift(step: Step, ctx: StepContext, evidence: EvidenceBundle) -> None:
    """Before anything of the migration is in the database its schema must be the one that was rehearsed on; before a
    later step it must be what it was there after the step before."""
    position = [one.name for one in ctx.plan.steps].index(step.name)
    rows = ctx.ledger.steps(ctx.plan.version)
    done = {item.step for item in rows if took_effect(item)}
    now = _schema(ctx, evidence)
    if done != {one.name for one in ctx.plan.steps[:position]}:  # a part of this very step is there
        require_same_code(now, ctx.plan, evidence, rows, path=ctx.endpoint.search_path)
    elif position:
        require_as_rehearsed(now, ctx.plan, evidence, ctx.plan.steps[position - 1].name)
    else:
        require_no_drift(now, ctx.plan, evidence, ctx.ledger.events)
