"""May the next phase of a step begin, and may long work go on: asked of the calendar, of the server and of others.

What cannot go on now, with a part of it applied, waits; so the ledger says that it does, and what it reserves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from migrator.errors import GivesWay, MigratorError, OutsideWindow, PreflightBusy, PreflightRefused
from migrator.evidence import EvidenceBundle
from migrator.gates import beside
from migrator.gates.clear_way import partly_applied
from migrator.gates.reach import Reach
from migrator.gates.window import decide_next, may_wait
from migrator.ledger.events import RESTS, WAITS
from migrator.ledger.rows import MigrationStatus
from migrator.plan import Phase, Plan, Step
from migrator.run import RunContext
from migrator.steps.context import StepContext
from migrator.steps.contract import start_of
from migrator.targets import windows
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration
    from migrator.ledger.ledger import Ledger


def reviewed_by(plan: Plan, ledger: Ledger, run: RunContext) -> datetime:
    """The moment at which the reviews must be valid: what this run has begun under valid ones goes on under them,
    although it works or waits for longer than they last. A rejection stops it at any time."""
    row = ledger.migration(plan.version)
    if row is None or row.status is not MigrationStatus.RUNNING or row.started_at is None:
        return run.clock()
    if (row.run_id, row.plan_digest) != (run.run_id, plan.digest) or not partly_applied(plan, ledger):
        return run.clock()
    return min(row.started_at, run.clock())


def may_begin(
    step: Step,
    phase: Phase,
    ctx: StepContext,
    target: Target,
    migration: Migration | None,
    evidence: EvidenceBundle,
    healthy: Callable[[], None],
) -> str | None:
    """The calendar may have closed while the task was queued, or while an earlier phase ran. Returns what an emergency
    lifts; that enough people approved it has been asked before.

    :param healthy: asks the server, and raises as below.
    :raises OutsideWindow: `begun` says whether it can wait, with a part of it applied.
    :raises PreflightBusy, PreflightRefused: preflight has asked this before the first phase; here it has to wait, too.
    """
    try:
        return _may_begin(step, phase, ctx, target, migration, evidence, healthy)
    except (OutsideWindow, PreflightBusy, PreflightRefused) as exc:
        if exc.fields.get("begun"):
            _said(step, ctx, exc, beside.reserved(ctx.plan, evidence))
        raise


def _may_begin(
    step: Step,
    phase: Phase,
    ctx: StepContext,
    target: Target,
    migration: Migration | None,
    evidence: EvidenceBundle,
    healthy: Callable[[], None],
) -> str | None:
    rows = ctx.ledger.steps(ctx.plan.version)
    begun = may_wait(ctx.plan, rows)
    decision = decide_next(ctx.plan, target, migration, evidence, rows, ctx.run.clock())
    what = f"phase {phase.name!r} of step {step.name!r}" if start_of(step, phase) > 0 else f"step {step.name!r}"
    if decision.state is not windows.WindowState.OPEN:
        if not begun:
            state, todo = "is not started", ". clear preflight with Downstream when it may run"
        else:
            state = "waits, what comes before it is applied"
            over = decision.opens_at is None
            todo = "; give it another window (`schedule` in its metadata), and it goes on there" if over else ""
        raise OutsideWindow(
            f"{what} {state}: {decision.reason}{todo}",
            opens_at=decision.opens_at,
            closes_at=decision.closes_at,
            begun=begun,
        )
    if begun and phase.needs_window:
        try:
            if other := beside.at_work(ctx.plan, ctx.ledger):
                raise PreflightBusy(f"{other} is being applied", checks=())
            healthy()
        except (PreflightBusy, PreflightRefused) as exc:
            text = f"{what} waits, what comes before it is applied: {exc}"
            raise type(exc)(text, **{**exc.fields, "begun": True}) from None
        ctx.ledger.goes_on(ctx.plan.version, run=ctx.run)
    return decision.lifted


def _said(step: Step, ctx: StepContext, waits: MigratorError, reach: Reach | None) -> None:
    """That what is begun waits is in the ledger once for each reason, not each time somebody looks."""
    detail = {"step": step.name, "reason": str(waits), "until": waits.fields.get("opens_at"), **beside.told(reach)}
    before = ctx.ledger.events(ctx.plan.version)
    if not before or (before[-1].kind, before[-1].detail.get("reason")) != (WAITS, detail["reason"]):
        ctx.ledger.rest(ctx.plan.version, run=ctx.run, kind=WAITS, detail=detail, rests=reach is not None)


def hearing(plan: Plan, evidence: EvidenceBundle) -> Callable[[str], bool]:
    """See `StepContext.hears`."""
    reach = beside.reserved(plan, evidence)
    return reach.hears if reach is not None else lambda _: True


def resting(
    step: Step, ctx: StepContext, evidence: EvidenceBundle, ask: Callable[[Phase], object]
) -> Callable[[Phase], None]:
    """What is asked between two batches. From the first time on the migration rests, as the ledger says."""
    reach = beside.reserved(ctx.plan, evidence)
    told: list[bool] = []

    def may_go_on(phase: Phase) -> None:
        ask(phase)
        if reach is not None and not told:
            detail = {"step": step.name, **beside.told(reach)}
            ctx.ledger.rest(ctx.plan.version, run=ctx.run, kind=RESTS, detail=detail)
            told.append(True)
        if ctx.lock is not None and ctx.lock.is_wanted():
            raise GivesWay("another migration has asked for the database, and goes first")

    return may_go_on
