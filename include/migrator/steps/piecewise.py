"""Run the statements of a step one by one, so that a crash at any point leaves a state that the next try understands.

What PostgreSQL accepts inside a transaction runs in one of its own together with its cursor, so its outcome is never
in doubt. For the rest the intent is written before and the result after, on the ledger's own connection, and the
catalog decides what an interrupted attempt did (see `real_state`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from migrator.database import session
from migrator.database.told import words
from migrator.database.vocabulary import told_name
from migrator.errors import ContentChanged, MigratorError, NeedsHuman
from migrator.ledger.rows import LedgerStep
from migrator.parsing import statements
from migrator.parsing.unseen import continued
from migrator.plan import Phase, Statement, Step
from migrator.steps import concurrent_index, partitioned_index, real_state, session_state
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.contract import end_of, start_of
from migrator.steps.gently import LEFTOVERS, gently
from migrator.steps.patience import patiently
from migrator.steps.real_state import Evidence, State
from migrator.steps.session_state import SessionState
from migrator.steps.timeouts import set_timeouts
from migrator.steps.transaction import (
    Already,
    Connection,
    backend_of,
    begin,
    commit,
    cursor_of,
    ddl_connection,
    failure,
    once,
    roll_back,
    take_back,
)
from migrator.steps.transaction import execute as send

_CALLS = re.compile(r"\bcall\b", re.IGNORECASE)


Refuse = Callable[[StatementResult], str | None]
"""Why a result is none although the server reported success."""

Remember = Callable[[Connection, Mapping[str, Any] | None], Mapping[str, Any]]
"""What the cursor keeps of how it was before the step; given what an earlier attempt has kept."""
BEFORE = "before"
"""Its key in the cursor."""


@dataclass(frozen=True)
class Asked:
    """What a kind asks of each statement."""

    refuse: Refuse | None = None
    """Of one that runs in a transaction of its own, before that commits."""
    already: Already | None = None
    """Before it runs."""


@dataclass
class Keeper:
    """Keeps what the cursor says of the session up with it."""

    state: SessionState
    step: Step
    ctx: StepContext
    conn: Connection
    before: Mapping[str, Any] | None = None
    leftovers: Collection[int] | None = None

    def restore(self, cursor: Mapping[str, Any]) -> None:
        def again(statement: Statement) -> object:
            return send(statement, self.step, self.ctx, self.conn)

        self.state = session_state.restore(self.state, cursor, self.step, self.ctx, self.conn, again)

    def seen(self, position: int) -> SessionState:
        """Whatever time-outs the statement has left."""
        local = self.conn.info.transaction_status != TransactionStatus.IDLE
        set_timeouts(self.conn, self.ctx, local=local, statement_ms=0)
        return self.state.after(self.step.statements[position], position, self.conn)

    def cursor(self, position: int, state: str, done: int, session: SessionState | None = None) -> dict[str, Any]:
        return {
            **cursor_of(self.step.statements[position], position, state, done),
            **(session or self.state).document,
            **({} if self.before is None else {BEFORE: self.before}),
            **({} if self.leftovers is None else {LEFTOVERS: sorted(self.leftovers)}),
        }


def execute(
    step: Step,
    phase: Phase,
    ctx: StepContext,
    *,
    refuse: Refuse | None = None,
    already: Already | None = None,
    remember: Remember | None = None,
) -> tuple[StatementResult, ...]:
    """Go on where the ledger's cursor stands and carry the phase to its end; after the last one the ledger says
    success.

    :param refuse: asked of each statement that runs in a transaction of its own, before that commits.
    :param already: asked before each statement.
    :param remember: asked before the first statement; it may refuse to begin.
    """
    asked = Asked(refuse, already)
    start, end = start_of(step, phase), end_of(step, phase)
    row = next(row for row in ctx.ledger.steps(ctx.plan.version) if row.step == step.name)
    done = resume_point(step, row)
    with ddl_connection(ctx) as conn:
        ctx.ledger.step_started(ctx.plan.version, step.name, run=ctx.run, backend=backend_of(conn, ctx))
        keeper = Keeper(session_state.begin(step, conn), step, ctx, conn, leftovers=row.cursor.get(LEFTOVERS))
        if remember is not None:
            keeper.before = remember(conn, row.cursor.get(BEFORE))
        if 0 < done < end:
            ctx.log.info("step %s goes on after statement %s of %s", step.name, done, len(step.statements))
            keeper.restore(row.cursor)
        results = [
            StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE)
            for statement in step.statements[start:done]
        ]
        for position in range(done, end):
            earlier = earlier_attempt(step.statements[position], position, row) if position == done else None
            results.append(_run(position, step, ctx, conn, keeper, earlier=earlier, asked=asked))
            if position + 1 < end:
                ctx.went_on()
                if ctx.meanwhile is not None and not is_alone(step.statements[position]):
                    ctx.meanwhile.look()
        ctx.handle.release()
    ctx.check_lock()
    if end < len(step.statements):
        return tuple(results)
    rows = sum(result.rows for result in results if result.rows > 0)
    ctx.ledger.step_succeeded(ctx.plan.version, step.name, run=ctx.run, last=ctx.is_last(step), rows=rows)
    return tuple(results)


def resume_point(step: Step, row: LedgerStep) -> int:
    """How many leading statements are done. Pure.

    :raises ContentChanged: one of those was edited after it was executed.
    """
    done = row.statements_done
    for position, recorded in enumerate(row.statement_digests[:done]):
        now = step.statements[position].digest if position < len(step.statements) else None
        if now != recorded:
            raise ContentChanged(
                f"statement {position + 1} of step {step.name!r} was executed and has been changed since; put it back"
                " as it was (statements after the failed one may be changed), or roll the migration back first",
                old_digest=recorded,
                new_digest=now,
                diff="",
            )
    return done


def earlier_attempt(statement: Statement, position: int, row: LedgerStep) -> str | None:
    """How an earlier attempt at this very statement ended: "intent" (unknown), "failed" (reported), or None. Pure.

    :raises NeedsHuman: the interrupted statement was another one than the plan now has in this place.
    """
    cursor = row.cursor
    if cursor.get("statement") != position or cursor.get("state") not in ("intent", "failed"):
        return None
    if cursor.get("digest") == statement.digest:
        return str(cursor["state"])
    if cursor["state"] == "failed":
        return None  # a person has seen the error and mended the statement
    raise NeedsHuman(
        f"statement {position + 1} of step {row.step!r} ({cursor.get('kind')}) was interrupted with unknown result and"
        " has been changed since; look whether it took effect, then put it back and go on, or roll the migration back",
        version=row.version,
        step=row.step,
    )


def _run(
    position: int,
    step: Step,
    ctx: StepContext,
    conn: Connection,
    keeper: Keeper,
    *,
    earlier: str | None,
    asked: Asked,
) -> StatementResult:
    statement = step.statements[position]
    ctx.handle.raise_if_cancelled()
    ctx.check_lock()
    if is_alone(statement):
        return _in_own_transaction(position, step, ctx, conn, keeper, asked)
    if earlier is None and asked.already is not None and (note := asked.already(statement, conn)) is not None:
        _record(ctx, step, keeper.cursor(position, "done", position + 1))
        return StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE, note=note)
    found = _look(statement, conn, keeper.leftovers or ()) if earlier else None
    if earlier is None:
        gentle = real_state.is_gentle_reindex(statement)
        keeper.leftovers = tuple(real_state.reindex_leftovers(statement, conn)) if gentle else None
    if found is not None:
        ctx.log.warning("statement %s of step %s, tried before: %s", position + 1, step.name, continued(found.text))
        if found.state is State.DONE:
            _record(ctx, step, keeper.cursor(position, "done", position + 1))
            return StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE, note=found.text)
        if found.state is State.UNKNOWN and earlier == "intent":
            raise NeedsHuman(_question(statement, position, step, found), version=ctx.plan.version, step=step.name)
    intent = keeper.cursor(position, "intent", position)
    _record(ctx, step, intent)
    try:
        result = _outside_transaction(statement, step, ctx, conn, found=found, cursor=intent)
    except MigratorError:
        _record_known_failure(position, step, ctx, conn, keeper)
        raise
    keeper.state = keeper.seen(position)
    _record(ctx, step, keeper.cursor(position, "done", position + 1))
    ctx.ledger.require_untouched()
    if ctx.meanwhile is not None and may_commit(statement):
        ctx.meanwhile.committed_by_itself(step.name, position + 1, ctx.hears)
    return result


def may_commit(statement: Statement) -> bool:
    """PostgreSQL starts it inside a transaction, but it fails there when it commits by itself: a procedure, or a block
    that calls one. From EXECUTE none may commit."""
    if statement.kind != "DO" or not _CALLS.search(statement.sql):
        return statement.kind == "CALL"
    node = statements.parse(statement.sql, file=statement.file).statements[0].node
    return any(name == "PLpgSQL_stmt_call" for name, _ in statements.plpgsql_items(node))


def is_alone(statement: Statement) -> bool:
    """In a transaction of its own, with the ledger's row."""
    return statement.transactional and not may_commit(statement)


def _outside_transaction(
    statement: Statement,
    step: Step,
    ctx: StepContext,
    conn: Connection,
    *,
    found: Evidence | None,
    cursor: dict[str, Any],
) -> StatementResult:
    if partitioned_index.is_partitioned(statement, conn):
        return partitioned_index.build(statement, step, ctx, conn, cursor=cursor, tried=found is not None)
    if statement.kind == concurrent_index.KIND:
        return concurrent_index.build(statement, step, ctx, conn, cursor=cursor, tried=found is not None)
    if found is not None:
        for command in found.cleanup:
            set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=0)
            ctx.log.info("%s", continued(told_name(command)))
            with session.translated(statement=statement, step=step.name):
                conn.execute(command.encode())
            if ctx.meanwhile is not None:
                ctx.meanwhile.went_on(statement.kind)
    sent = statement if found is None or found.instead is None else replace(statement, sql=found.instead)
    with ctx.ledger.kept_from_others(ctx.plan.version) if may_commit(statement) else nullcontext():
        result = send_alone(sent, step, ctx, conn, cursor=cursor)
    if found is not None and (found.cleanup or found.instead):
        note = "; ".join(filter(None, (found.text, result.note)))
        return replace(result, outcome=StatementOutcome.REPAIRED, note=note)
    return result


def send_alone(
    statement: Statement, step: Step, ctx: StepContext, conn: Connection, *, cursor: dict[str, Any] | None = None
) -> StatementResult:
    """One statement in autocommit. What works CONCURRENTLY gets no timeout: that would leave a half-made object, and it
    waits without blocking anybody. It is watched instead, and ended at the step's own deadline."""
    if statement.kind.endswith("CONCURRENTLY"):
        return gently(statement, step, ctx, conn, cursor)
    set_timeouts(conn, ctx, local=False)
    if may_commit(statement):  # what it has committed by itself must not be done twice, so nobody looks at it here
        if ctx.meanwhile is not None:
            ctx.meanwhile.require_unchanged()
        return send(statement, step, ctx, conn)

    def attempt(ctx: StepContext) -> StatementResult:
        with ctx.watching(statement, conn):
            return send(statement, step, ctx, conn)

    return patiently(attempt, step, ctx, conn, statement.locks)


def _in_own_transaction(
    position: int, step: Step, ctx: StepContext, conn: Connection, keeper: Keeper, asked: Asked
) -> StatementResult:
    """The statement and its cursor commit together: after a crash the ledger alone knows the answer.

    Of the session it says what the transaction sees; what was for the transaction only is seen, and taken out, after.
    """
    statement = step.statements[position]

    def attempt(ctx: StepContext) -> tuple[StatementResult, SessionState]:
        begin(conn, step, ctx)
        try:
            result = once(statement, step, ctx, conn, asked.already)
            if asked.refuse is not None and (reason := asked.refuse(result)):
                raise failure(reason, statement, step)
            ctx.check_lock()
            within = keeper.seen(position)
            cursor = keeper.cursor(position, "done", position + 1, within)
            take_back(conn, ctx)
        except BaseException:
            roll_back(conn)
            raise
        commit(
            conn,
            step,
            ctx,
            lambda: ctx.ledger.step_progress(ctx.plan.version, step.name, cursor=cursor, on=conn),
        )
        return result, within

    result, within = patiently(attempt, step, ctx, conn, statement.locks)
    keeper.state = keeper.seen(position)  # what is committed is not tried again, whatever comes of this
    if keeper.state.document != within.document:
        _record(ctx, step, keeper.cursor(position, "done", position + 1))
    return result


def _look(statement: Statement, conn: Connection, known: Collection[int]) -> Evidence:
    if statement.kind == concurrent_index.KIND:
        return concurrent_index.look(statement, conn)
    return real_state.look(statement, conn, known)


def _question(statement: Statement, position: int, step: Step, found: Evidence) -> str:
    return (
        f"{statement.file}:{statement.line}: {statement.kind} was interrupted and nothing tells whether it took effect:"
        f" {found.text}. look at the database, then either roll the migration back, or say what is true with"
        f' "migrator ledger settle" for step {step.name!r}, statement {position + 1}, and run the step again'
    )


def _record(ctx: StepContext, step: Step, cursor: dict[str, Any]) -> None:
    ctx.ledger.step_progress(ctx.plan.version, step.name, cursor=cursor)


def _record_known_failure(position: int, step: Step, ctx: StepContext, conn: Connection, keeper: Keeper) -> None:
    """The server said that it failed, so the next try need not wonder. Not after a cancel: that may be half-way."""
    if conn.closed or ctx.handle.cancelled:
        return
    try:
        _record(ctx, step, keeper.cursor(position, "failed", position))
    except (MigratorError, psycopg.Error) as exc:
        ctx.log.error("the ledger could not be told about the failure: %s", words(exc))
