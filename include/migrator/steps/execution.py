"""Executes one step, once in effect however often it is called.

`run` asks the ledger what earlier attempts did, fences what is left of them, executes, and records the failure on a
connection that the failure cannot touch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import psycopg

from migrator.database import session
from migrator.database.activity import fence
from migrator.database.told import words
from migrator.errors import (
    CommitUnknown,
    ConnectionLost,
    GateClosed,
    GivesWay,
    MigratorError,
    NeedsHuman,
    OutsideWindow,
    UsageError,
)
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import STATEMENTS_DONE, LedgerStep
from migrator.parsing.unseen import continued
from migrator.plan import GATE, Phase, Plan, Step
from migrator.run import RunContext
from migrator.steps.context import (
    StatementResult,
    StepContext,
    StepResult,
    login_of,
)
from migrator.steps.contract import end_of, phases_of, start_of
from migrator.steps.kinds import describe, kind_of
from migrator.steps.violated import with_columns


def find(plan: Plan, name: str) -> Step:
    for step in plan.steps:
        if step.name == name:
            return step
    known = ", ".join(step.name for step in plan.steps)
    raise NeedsHuman(f"the plan of {plan.version!r} has no step {name!r}; it has: {known}")


def run(step: Step, ctx: StepContext, *, gate: Callable[[Phase], None] | None = None) -> StepResult:
    """Execute one step of a migration that `ledger.begin` has registered, exactly once in effect.

    :param gate: asked before each phase after the first; it raises when the phase must not begin now.
    :raises StatementFailed: the server refused a statement; recorded in the ledger.
    :raises CommitUnknown: the connection died at COMMIT and the server did not come back; the next try resolves it.
    """
    started, ctx = time.monotonic(), replace(ctx, held=[])
    before = reconcile(step, ctx)
    if before.status == "success":
        ctx.log.info("step %s of %s is already done: nothing executed", step.name, ctx.plan.version)
        return StepResult(step.name, step.kind, "success", 0.0, (), before.attempts, reconciled=True)
    ctx.log.info("step %s of %s starts: %s", step.name, ctx.plan.version, continued(describe(step)))
    statements: tuple[StatementResult, ...] = ()
    for phase in phases_of(step):
        end = end_of(step, phase)
        if end <= before.statements_done and end < len(step.statements):
            continue  # done; the last one is begun all the same, because it tells the ledger of the step's success
        if gate is not None and start_of(step, phase) > 0:
            gate(phase)
        statements += _run_phase(step, phase, ctx)
        if end < len(step.statements):
            ctx.went_on()
    after = _row(step, ctx)
    seconds = time.monotonic() - started
    ctx.log.info("step %s of %s done in %.3f s, attempt %s", step.name, ctx.plan.version, seconds, after.attempts)
    notes = tuple(f"statement {result.statement + 1}: {result.note}" for result in statements if result.note)
    return StepResult(
        step.name, step.kind, "success", seconds, statements, after.attempts, notes=notes, held=tuple(ctx.held)
    )


def _run_phase(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    try:
        return kind_of(step).execute(step, phase, ctx)
    except CommitUnknown as exc:
        return _resolve_commit(step, phase, ctx, exc)
    except (OutsideWindow, GateClosed, GivesWay) as exc:  # no failure: the step stays as it is until it may go on
        ctx.log.info("step %s of %s stops for now: %s", step.name, ctx.plan.version, exc)
        raise
    except MigratorError as exc:
        told = with_columns(exc, ctx)
        _record_failure(step, ctx, told)
        if told is exc:
            raise
        raise told from None


def next_phase(step: Step, ctx: StepContext) -> Phase:
    """The one that `run` will begin with; of a step that is done, or not begun, the first."""
    row = next((row for row in ctx.ledger.steps(ctx.plan.version) if row.step == step.name), None)
    done = row.statements_done if row is not None and row.status != "success" else 0
    phases = phases_of(step)
    return next((phase for phase in phases if end_of(step, phase) > done), phases[-1])


def reconcile(step: Step, ctx: StepContext) -> LedgerStep:
    """The ledger's row of this step once nothing of an earlier attempt is alive any more."""
    row = _row(step, ctx)
    if row.status == "success":
        if step.kind == GATE and ctx.answered is not None:
            ctx.ledger.require_passed(ctx.plan.version, step.name)
        ctx.ledger.step_committed(ctx.plan.version, step.name, run=ctx.run)  # a crash may have come before its event
        return row
    if not row.sessions:
        return row
    with session.connect(login_of(ctx.endpoint), purpose="observe", version=ctx.plan.version) as conn:
        for pid, backend_start in row.sessions:
            if not fence(conn, pid=pid, backend_start=backend_start):
                raise ConnectionLost(
                    f"backend {pid} of an earlier attempt at step {step.name!r} does not end; it may be waiting for a"
                    " disk or a standby: look at it and try again"
                )
    return _row(step, ctx)


def settle(
    ledger: Ledger, version: str, step: str, *, statement: int, done: bool, run: RunContext, reason: str
) -> None:
    """A person has looked whether an interrupted statement took effect, and says so; the next run goes on from there.

    :param statement: counted from 1, as in messages.
    :raises UsageError: that statement of that step is not in doubt.
    """
    row = next((row for row in ledger.steps(version) if row.step == step), None)
    position = statement - 1
    if row is None or row.cursor.get("state") != "intent" or row.cursor.get("statement") != position:
        raise UsageError(f"statement {statement} of step {step!r} of {version!r} is not in doubt; look at the ledger")
    if not reason.strip():
        raise UsageError("settling needs a reason: it is the only trace of what was looked at")
    detail = {"step": step, "statement": statement, "done": done, "reason": reason}
    ledger.append_event("settled", version=version, run=run, detail=detail)
    state = "done" if done else "failed"
    count = statement if done else position
    ledger.step_progress(version, step, cursor={**row.cursor, "state": state, STATEMENTS_DONE: count})


def _row(step: Step, ctx: StepContext) -> LedgerStep:
    for row in ctx.ledger.steps(ctx.plan.version):
        if row.step == step.name:
            return row
    raise NeedsHuman(f"the ledger has no row for step {step.name!r} of {ctx.plan.version!r}; begin the migration first")


def _resolve_commit(
    step: Step, phase: Phase, ctx: StepContext, lost: CommitUnknown, *, patience_seconds: float = 60.0
) -> tuple[StatementResult, ...]:
    """The connection was lost at COMMIT. The ledger row is in that very transaction, so it knows.

    The server may be restarting; after `patience_seconds` the question is left to the next try.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            row = reconcile(step, ctx)
            break
        except (ConnectionLost, psycopg.OperationalError) as exc:
            if time.monotonic() >= deadline:
                raise lost from None
            ctx.log.info("the server does not answer yet: %s", words(exc))
            ctx.handle.sleep(0.5)
    done = row.status != "success" and row.statements_done >= end_of(step, phase)
    if done or ctx.ledger.step_committed(ctx.plan.version, step.name, run=ctx.run):
        ctx.log.warning("the connection was lost at COMMIT of step %s; the ledger says it took effect", step.name)
        return ()
    # Not executed again here: whoever fenced us may have rolled back already. The next try takes the lock anew.
    failure = ConnectionLost(
        f"the connection was lost at COMMIT of step {step.name!r}; the ledger says it did not take effect: try again"
    )
    _record_failure(step, ctx, failure)
    raise failure from lost


def _record_failure(step: Step, ctx: StepContext, error: MigratorError) -> None:
    """On the ledger's own connection, so that rolling back cannot erase it. The first error matters more than ours."""
    say = ctx.log.error if ctx.stops is None else ctx.log.info  # a rehearsal means to stop it
    say("step %s of %s failed: %s", step.name, ctx.plan.version, continued(str(error)))
    try:
        ctx.check_lock()
        ctx.ledger.step_failed(ctx.plan.version, step.name, run=ctx.run, error=error)
    except (MigratorError, psycopg.Error) as exc:
        ctx.log.error("the failure of step %s could not be recorded: %s", step.name, words(exc))
