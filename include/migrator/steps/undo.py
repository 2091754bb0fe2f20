"""Undo a plan: first the steps whose kinds undo themselves, the last one first, then the plan's rollback script.

The script runs in one transaction with the ledger's row where PostgreSQL allows it. It is written so that it can meet a
half-applied migration (`IF EXISTS`), so an interrupted rollback starts over; a kind's `undo` can be repeated as well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from migrator.database import session, withheld
from migrator.errors import MigratorError
from migrator.ledger.rows import LedgerStep, took_effect
from migrator.plan import Statement, Step
from migrator.steps import concurrent_index, patience, piecewise, real_state
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.kinds import kind_named, kind_of
from migrator.steps.real_state import State, told_removal
from migrator.steps.transaction import Connection, backend_of, ddl_connection, run_in_transaction

STARTED = "rollback_started"
"""The event that remembers the backend, so that a later attempt can fence it."""
APPLYING = ("step_started", "step_succeeded")
"""After these no earlier way back is under way."""


def execute(ctx: StepContext, *, reason: str) -> tuple[StatementResult, ...]:
    """Undo what took effect; when this returns, the ledger says rolled back.

    :raises StatementFailed: the script failed. Inside a transaction nothing of it has happened then.
    """
    rows = {row.step: row for row in ctx.ledger.steps(ctx.plan.version)}
    steps = ctx.plan.rollback_steps if needs_script(tuple(rows.values())) else ()

    def started(backend: tuple[int, datetime]) -> None:
        detail = {"backend_pid": backend[0], "backend_start": backend[1].isoformat(), "reason": reason}
        ctx.ledger.append_event(STARTED, version=ctx.plan.version, run=ctx.run, detail=detail)
        ctx.ledger.watch(ctx.plan.version)

    undoing = _undone_by_kinds(rows, ctx)
    own = _by_kinds(undoing, ctx, started)
    if all(step.transactional for step in steps):
        whole = Step("rollback", "sql", True, tuple(item for step in steps for item in step.statements))

        def finish(conn: Connection, rows: int) -> None:
            ctx.ledger.mark_rolled_back(ctx.plan.version, run=ctx.run, reason=reason, on=conn)

        return own + run_in_transaction(whole, ctx, started=started, finish=finish)
    results = list(own)
    with ddl_connection(ctx) as conn:
        started(backend_of(conn, ctx))
        for step in steps:
            for statement in step.statements:
                results.append(_undo_one(statement, step, ctx, conn))
                ctx.went_on()
        ctx.handle.release()
    ctx.check_lock()
    ctx.ledger.mark_rolled_back(ctx.plan.version, run=ctx.run, reason=reason)
    return tuple(results)


def _undone_by_kinds(rows: Mapping[str, LedgerStep], ctx: StepContext) -> list[tuple[Step, LedgerStep]]:
    """The last one first."""
    done = [(step, rows[step.name]) for step in reversed(ctx.plan.steps) if step.name in rows]
    return [(step, row) for step, row in done if took_effect(row) and not kind_of(step).UNDONE_BY_SCRIPT]


def _by_kinds(
    own: Sequence[tuple[Step, LedgerStep]], ctx: StepContext, started: Callable[[tuple[int, datetime]], None]
) -> tuple[StatementResult, ...]:
    """What the kinds of the steps undo themselves, on a connection that the ledger knows: a later attempt fences it."""
    if not own:
        return ()
    results: list[StatementResult] = []
    with ddl_connection(ctx) as conn:
        started(backend_of(conn, ctx))
        for step, row in own:
            ctx.check_lock()
            if ctx.meanwhile is not None:
                ctx.meanwhile.require_unchanged()
            results += kind_of(step).undo(step, row, ctx, conn)
            if ctx.meanwhile is not None:
                ctx.meanwhile.begin_anew()
        ctx.handle.release()
    return tuple(results)


def needs_script(rows: Sequence[LedgerStep]) -> bool:
    """Whether anything took effect that only the rollback script can undo. Pure."""
    return any(took_effect(row) and kind_named(row.kind).UNDONE_BY_SCRIPT for row in rows)


def may_be_done_in_part(ctx: StepContext, rows: Sequence[LedgerStep]) -> bool:
    """Whether an earlier try at undoing what is applied may have left a part of its work."""
    steps = ctx.plan.rollback_steps if needs_script(rows) else ()
    if all(step.transactional for step in steps) and not _undone_by_kinds({row.step: row for row in rows}, ctx):
        return False
    events = ctx.ledger.events(ctx.plan.version)
    return next((one.kind == STARTED for one in reversed(events) if one.kind in (STARTED, *APPLYING)), False)


def leftovers(ctx: StepContext) -> tuple[str, ...]:
    """Statements that remove what interrupted attempts have left behind although all is undone, as they may be told.
    That nobody can look does not undo the rollback: it is told, and the rest goes on."""
    try:
        with (
            session.connect(ctx.endpoint, purpose="observe", version=ctx.plan.version) as conn,
            session.translated(),
        ):
            found = [command for step in ctx.plan.steps for command in kind_of(step).leftovers(step, conn)]
    except MigratorError as exc:
        ctx.log.warning("nobody could look for what interrupted attempts have left behind: %s", exc)
        return ()
    told = tuple(dict.fromkeys(map(told_removal, found)))
    if list(told) != found:
        withheld.keep("what interrupted attempts have left behind goes with:\n" + "\n".join(found))
    return told


def _undo_one(statement: Statement, step: Step, ctx: StepContext, conn: Connection) -> StatementResult:
    ctx.check_lock()
    if statement.kind == "DROP INDEX CONCURRENTLY":
        # What an interrupted build or an earlier attempt at this rollback left may be nothing at all.
        found = real_state.look(statement, conn)
        if found.state is State.DONE:
            return StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE, note=found.text)
    if piecewise.is_alone(statement):
        return patience.in_transaction(statement, step, ctx, conn)
    if statement.kind == concurrent_index.KIND:
        result = concurrent_index.build(statement, step, ctx, conn, cursor=None)
    else:
        result = piecewise.send_alone(statement, step, ctx, conn)
    if ctx.meanwhile is not None:
        ctx.meanwhile.begin_anew()
    return result
