"""Stands at a gate between two steps: until a person has answered its question, or until its condition holds.

Nothing is held meanwhile, neither a session nor a lock: whoever finds the gate shut says so in the ledger, raises
`GateClosed` and comes back later. The ledger has since when and until when it waits, by the database's clock, so
neither a new attempt nor a restart begins the time anew; a gate that has failed and is tried again does.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from migrator.database import condition, session
from migrator.database.activity import Blocker
from migrator.database.condition import Found
from migrator.errors import GateClosed, GateExpired, GateRefused, LockNotAvailable, StatementFailed
from migrator.input.durations import format_duration, parse_duration
from migrator.ledger.rows import WAITING, LedgerStep, StepStatus
from migrator.parsing.unseen import one_line, visible
from migrator.plan import Plan, Step
from migrator.steps.context import StatementOutcome, StatementResult, StepContext, StepResult
from migrator.steps.transaction import Connection, backend_of, cancellable, ddl_connection, failure

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

EVERY = "1 minute"
WRITERS_SECONDS = 10.0
"""A longer transaction is waited for until the next look, without a worker."""
LOOK_SECONDS = 0.1
PATIENCE_MS = 100
"""Of a condition that is looked at by what was reviewed: while it waits for a lock that its text does not show, what it
runs could be exchanged."""
TOO_LONG = "57014"
"""query_canceled, by statement_timeout: no answer is none yet."""


@dataclass(frozen=True)
class Wait:
    """By the database's clock, in UTC."""

    since: datetime
    until: datetime

    @classmethod
    def begin(cls, step: Step, now: datetime) -> Wait:
        return cls(now, now + parse_duration(str(step.params["expires"])))

    @classmethod
    def of(cls, row: LedgerStep) -> Wait | None:
        """What the ledger has of an attempt that goes on; None: it begins anew."""
        told = row.cursor.get(WAITING)
        if row.status is not StepStatus.RUNNING or not isinstance(told, Mapping):
            return None
        return cls(datetime.fromisoformat(told["since"]), datetime.fromisoformat(told["until"]))

    def document(self, step: Step) -> dict[str, Any]:
        return {"reason": reason(step, self), "since": self.since.isoformat(), "until": self.until.isoformat()}


def asks(step: Step) -> str | None:
    """The question of a gate at which a person is asked, on one line."""
    question = step.params.get("question")
    return None if question is None else visible(" ".join(str(question).split()))


def waited_for(step: Step) -> str:
    """In words."""
    question = asks(step)
    return f'an answer to "{question}"' if question is not None else f"{one_line(step.statements[0].sql)} to be true"


def reason(step: Step, wait: Wait) -> str:
    return f"for {waited_for(step)}, until {wait.until:%Y-%m-%d %H:%M:%S %Z}"


def told(plan: Plan, results: Iterable[StepResult]) -> str:
    """What a rehearsal has found at the gates, to be put behind a sentence; empty without a gate. Pure."""
    notes = {result.step: note.partition(": ")[2] for result in results for note in result.notes}
    gates = [step for step in plan.steps if asks(step) is not None or "expires" in step.params]
    found = [(step.name, f"would ask: {asks(step)}" if asks(step) else notes.get(step.name, "")) for step in gates]
    return "".join(f"; gate {name!r}: {note}" for name, note in found)


def expired(rows: Iterable[LedgerStep]) -> str | None:
    """The gate whose time was up, if that is what stopped the migration. Pure."""
    for row in rows:
        told = row.cursor.get(WAITING)
        if row.status is StepStatus.FAILED and isinstance(told, Mapping) and told.get("expired"):
            return row.step
    return None


def is_waiting(step: Step, ctx: StepContext) -> bool:
    """Whether this very run stands at the gate already, so that a look needs no turn."""
    row = ctx.ledger.migration(ctx.plan.version) if ctx.ledger.exists() else None
    held = (ctx.run.run_id, ctx.plan.digest, "running")
    if row is None or (row.run_id, row.plan_digest, row.status.value) != held:
        return False
    return Wait.of(_row(step, ctx)) is not None


def look_again(step: Step, ctx: StepContext) -> None:
    """Without the migration's lock, which others may hold for hours. Nothing is written.

    :raises GateClosed: still. It returns when the gate opens, or its time is up: that is told with the lock held.
    """
    wait = Wait.of(_row(step, ctx))
    if wait is None:
        return
    verdict = _verdict(step, ctx, wait)
    if verdict.opens or verdict.refusal or ctx.ledger.server_time() >= wait.until:
        return
    raise _closed(step, wait, ctx.ledger, verdict.note)


def execute(step: Step, ctx: StepContext) -> tuple[StatementResult, ...]:
    """Pass, with the ledger saying so. On a copy nothing is waited for.

    :raises GateClosed: not yet. :raises GateRefused: a person has said no. :raises GateExpired: nobody has come in
    time, or the condition has not. :raises StatementFailed: the condition is none.
    """
    if ctx.answered is None:
        return _rehearse(step, ctx)
    version = ctx.plan.version
    wait = Wait.of(_row(step, ctx))
    if wait is None:
        ctx.ledger.step_started(version, step.name, run=ctx.run, backend=None)
        wait = Wait.begin(step, ctx.ledger.server_time())
        ctx.ledger.step_progress(version, step.name, cursor={WAITING: wait.document(step)})
    began = time.monotonic()
    verdict = _verdict(step, ctx, wait)
    if verdict.refusal:
        raise GateRefused(verdict.refusal)
    if not verdict.opens:
        if ctx.ledger.server_time() < wait.until:
            raise _closed(step, wait, ctx.ledger, verdict.note)
        ctx.ledger.step_progress(version, step.name, cursor={WAITING: {**wait.document(step), "expired": True}})
        raise GateExpired(_given_up(step, wait, verdict.note))
    ctx.log.info("gate %s of %s opens: %s", step.name, version, verdict.note)
    return _passed(step, ctx, verdict.note, time.monotonic() - began)


@dataclass(frozen=True)
class _Verdict:
    opens: bool
    note: str = ""
    """What was found."""
    refusal: str = ""
    """A person's no."""


def _verdict(step: Step, ctx: StepContext, wait: Wait) -> _Verdict:
    question = asks(step)
    if question is None:
        return _of_condition(step, ctx)
    answer = ctx.answered(step, wait.since) if ctx.answered is not None else None
    if answer is None:
        return _Verdict(False)
    said = f": {one_line(answer.comment)}" if answer.comment else ""
    if not answer.yes:
        refusal = f"{answer.person!r} said no at gate {step.name!r}, asked {question!r}{said}"
        return _Verdict(False, refusal=refusal)
    return _Verdict(True, f"{answer.person!r} said yes at {answer.at:%Y-%m-%d %H:%M:%S %Z}{said}")


def _of_condition(step: Step, ctx: StepContext) -> _Verdict:
    with ddl_connection(ctx) as conn:
        backend_of(conn, ctx)
        try:
            found = _ask(step, ctx, conn)
            if found.value is True:
                if still := _wait_for(found.writing, step, ctx, conn):
                    names = "; ".join(map(str, still))
                    return _Verdict(False, f"it is true, but nobody knows what those write who have begun: {names}")
                found = _ask(step, ctx, conn)
        except StatementFailed as exc:
            if exc.fields.get("sqlstate") != TOO_LONG:
                raise
            ctx.log.warning("%s", exc)
            return _Verdict(False, "it gave no answer in time")
        except LockNotAvailable as exc:
            return _Verdict(False, str(exc))
        finally:
            ctx.handle.release()
    return _Verdict(found.value is True, f"it is {found.shown}")


def _wait_for(writing: Mapping[str, Blocker], step: Step, ctx: StepContext, conn: Connection) -> tuple[Blocker, ...]:
    """Until all have ended who were writing what the condition reads when it was true: it is asked again then, and sees
    what they wrote. Who has begun since has begun when it was true. Gives those that are still there when it has waited
    long enough; no lock and no snapshot is held meanwhile."""
    began, said = time.monotonic(), False
    while still := condition.still_there(conn, writing) if writing else ():
        if time.monotonic() - began > min(WRITERS_SECONDS, ctx.deadline_seconds):
            break
        if not said:
            said = True
            ctx.log.info("gate %s waits for what others are writing: %s", step.name, "; ".join(map(str, still)))
        ctx.handle.sleep(LOOK_SECONDS)
    return still


def _ask(step: Step, ctx: StepContext, conn: Connection) -> Found:
    """:raises StatementFailed: with file and line; also when it gives no boolean."""
    (statement,) = step.statements

    @contextmanager
    def traced() -> Iterator[None]:
        ctx.trace_before(step, statement, conn)
        yield
        ctx.trace_after(step, statement, conn, 1)

    with cancellable(ctx), session.translated(statement=statement, step=step.name):
        timeout = ctx.plan.statement_timeout_ms
        found = condition.ask(
            conn,
            statement.sql,
            timeout_ms=timeout,
            statement=statement,
            around=traced,
            unchanged=ctx.require_unchanged if ctx.meanwhile is not None else None,
            patience_ms=PATIENCE_MS if ctx.meanwhile is not None else None,
        )
    if found.problem:
        raise failure(f"the condition of gate {step.name!r} {found.problem}", statement, step)
    return found


def _rehearse(step: Step, ctx: StepContext) -> tuple[StatementResult, ...]:
    began, question = time.monotonic(), asks(step)
    with ddl_connection(ctx) as conn:
        backend = backend_of(conn, ctx)
        ctx.ledger.step_started(ctx.plan.version, step.name, run=ctx.run, backend=backend)
        if question is not None:
            note = f"would ask: {question}"
        else:
            found = _ask(step, ctx, conn)
            note = f"its condition is {found.shown} here" + ("" if found.value else ", which it may be on a copy")
        ctx.handle.release()
    ctx.check_lock()
    ctx.log.info("gate %s of %s is passed over: %s", step.name, ctx.plan.version, note)
    return _passed(step, ctx, note, time.monotonic() - began)


def _passed(step: Step, ctx: StepContext, note: str, took: float) -> tuple[StatementResult, ...]:
    ctx.ledger.step_succeeded(ctx.plan.version, step.name, run=ctx.run, last=ctx.is_last(step))
    return tuple(
        StatementResult(statement.index, statement.kind, StatementOutcome.EXECUTED, took, note=note)
        for statement in step.statements
    )


def _closed(step: Step, wait: Wait, ledger: Ledger, note: str) -> GateClosed:
    every = parse_duration(str(step.params.get("every") or EVERY))
    found = f" ({note})" if note else ""
    return GateClosed(
        f"step {step.name!r} waits {reason(step, wait)}",
        step=step.name,
        question=asks(step),
        note=found,
        since=wait.since,
        until=wait.until,
        again=min(ledger.server_time() + every, wait.until),
    )


def _given_up(step: Step, wait: Wait, note: str) -> str:
    length = format_duration(timedelta(seconds=round((wait.until - wait.since).total_seconds())))
    found = f" ({note})" if note else ""
    return (
        f"gate {step.name!r} has waited {length} for {waited_for(step)}{found}. what is applied stays as it is: clear"
        f" the apply task of {step.name!r} with Downstream, and it waits anew"
    )


def _row(step: Step, ctx: StepContext) -> LedgerStep:
    return next(row for row in ctx.ledger.steps(ctx.plan.version) if row.step == step.name)
