"""Undo what a run really applied. A teardown: it asks the ledger only, never what Airflow believes.

First the backends that the ledger remembers are fenced (a worker that is thought dead may still execute), then the lock
is taken, then the decision is made from the rows as they are now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from migrator.database import schema, session
from migrator.database.activity import fence
from migrator.database.idle import Idle
from migrator.database.schema import Schema
from migrator.database.session import Endpoint
from migrator.database.vocabulary import only_known, vocabulary
from migrator.errors import (
    Cancelled,
    CommitUnknown,
    ConnectionLost,
    DriftDetected,
    HeldByOther,
    MigratorError,
    NeedsHuman,
    RollbackFailed,
    TransientError,
)
from migrator.gates import set_back, settings, undone, way_back
from migrator.gates.clear_way import has_content
from migrator.gates.drift import Start, foreign_code, without_others
from migrator.ledger.events import COMPARED
from migrator.ledger.events import FAILED as VERIFY_FAILED
from migrator.ledger.rows import LedgerMigration, MigrationStatus, StepStatus
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.steps import as_found, helpers, newer_rows, undo
from migrator.steps.attempt import Attempt
from migrator.steps.context import StatementResult, StepContext, StepHandle, login_of
from migrator.steps.meanwhile import Meanwhile
from migrator.steps.undo_decision import Action, Decision, decide

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger
    from migrator.steps.tracing import Tracer, Watch

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class RollbackReport:
    version: str
    action: Action
    reason: str
    seconds: float = 0.0
    statements: tuple[StatementResult, ...] = ()
    schema_equal: bool | None = None
    """Whether the schema is the one from before; None when that was not compared."""
    differences: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    """Statements that remove what interrupted attempts have left behind."""
    lost: tuple[str, ...] = ()
    """Rows that others had written since, and that it has deleted or changed: a person has said so."""
    set_back: tuple[str, ...] = ()
    """Sequences that give numbers again which are taken."""


def run(
    plan: Plan,
    *,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    force: bool = False,
    start: Start | None = None,
    deadline_seconds: float = 600.0,
    ends_idle: Idle | None = None,
    handle: StepHandle | None = None,
    tracer: Tracer | None = None,
    watch: Watch | None = None,
    log: logging.Logger = LOG,
) -> RollbackReport:
    """Bring the database back to where it was, if this run changed it.

    :param watch: of a rehearsal.
    :param ends_idle: which sessions it ends that hold what it needs.
    :param start: what the dry run went by; without it nothing is undone unless a person asks for it, and nothing is
        compared then.
    :raises RollbackFailed: the script failed; recorded, and not to be retried.
    :raises TransientError: a lock or the connection; the rollback may be tried again.
    """
    started = time.monotonic()
    decide_now = _decider(plan, ledger, run, force)
    decision = decide_now()
    log.info("rollback of %s: %s (%s)", plan.version, decision.action, decision.reason)
    if _is_final(decision):
        return RollbackReport(plan.version, decision.action, decision.reason)
    if force and tracer is None:
        settings.require_as_planned(plan, endpoint, then="undo it by hand by the names that it had")
    fence_all(plan, endpoint, ledger)
    attempt = Attempt(
        plan, endpoint, ledger, run, "rollback", deadline_seconds, handle or StepHandle(), tracer=tracer, log=log
    )
    with only_known(plan, start.snapshot if start is not None else None), attempt.locked() as ctx:
        ctx = replace(ctx, watch=watch, ends_idle=ends_idle)
        fence_all(plan, endpoint, ledger)
        decision = decide_now()
        if decision.action is not Action.ROLLED_BACK:
            _close(plan, ledger, run, decision)
            return RollbackReport(plan.version, decision.action, decision.reason, time.monotonic() - started)
        as_found.clear_half_made(ctx)
        with ExitStack() as stack:
            if tracer is None:  # on a copy nobody else is
                known = partial(_require_known, ctx, None if force else start)
                ctx = replace(ctx, meanwhile=stack.enter_context(Meanwhile(endpoint, known)))
            newer = newer_rows.look(ctx, _takes(ctx, start)) if force and tracer is None else newer_rows.NOTHING
            if not force and (reason := _why_not(ctx, start)):
                decision = _held(decision, reason, ledger.migration(plan.version), plan)
                _close(plan, ledger, run, decision)
                return RollbackReport(plan.version, decision.action, decision.reason, time.monotonic() - started)
            before = set_back.read(endpoint, ledger.schema, log=log) if tracer is None else None
            beside = tracer is None and any(row.version != plan.version for row in ledger.all_running())
            schema_before = _schema(ctx, None) if beside else None
            statements = _undo(ctx, decision)
            _tell_others(ctx, schema_before)
            lost = newer_rows.lost(ctx, newer)
        helpers.settle(ctx)
        _tell("rollback_lost", "the rollback has deleted, or changed, rows that others had written since", lost, ctx)
        stuck = set_back.problems(before, endpoint, ledger.schema, log=log)
        _tell("rollback_set_back", "the rollback has set sequences back", stuck, ctx)
        report = RollbackReport(
            plan.version, Action.ROLLED_BACK, decision.reason, statements=statements, lost=lost, set_back=stuck
        )
        report = replace(report, leftovers=undo.leftovers(ctx))
        for command in report.leftovers:
            log.warning("an interrupted attempt has left something behind; remove it with: %s", command)
        if start is not None:
            report = _compare(report, start, ctx, rehearsed=not force)
    report = replace(report, seconds=time.monotonic() - started)
    log.info("rollback of %s done in %.3f s", plan.version, report.seconds)
    return report


def _why_not(ctx: StepContext, start: Start | None) -> str:
    """Why nobody has rehearsed what the script would do; empty: somebody has."""
    if start is None:
        return way_back.NOT_KEPT
    if ctx.tracer is None and (told := settings.otherwise(ctx.plan, ctx.endpoint)):
        return f"{told}. put it back in targets.yaml, then clear rollback with Downstream"
    rows = ctx.ledger.steps(ctx.plan.version)
    if reason := way_back.unrehearsed(start, ctx.plan, rows):
        return reason
    if foreign := _foreign(ctx, start):
        return (
            "somebody has changed what the rollback may run, so it is not run as it was rehearsed:\n"
            + "\n".join(foreign)
            + "\nfind out who did it, take it back, then clear rollback with Downstream"
        )
    if not undo.needs_script(rows):
        return ""
    taken = _takes(ctx, start)
    if taken is None:
        return "the dry run was made by an older engine, and has not noted of which tables the rollback changes rows"
    return newer_rows.reason(newer_rows.look(ctx, taken))


def _takes(ctx: StepContext, start: Start | None) -> Collection[str] | None:
    """See `way_back.takes`; None: it may take rows anywhere."""
    return None if start is None else way_back.takes(start, ctx.plan, ctx.ledger.steps(ctx.plan.version))


def _foreign(ctx: StepContext, start: Start) -> tuple[str, ...]:
    """What the script would run and nobody has rehearsed."""
    rows = ctx.ledger.steps(ctx.plan.version)
    in_part = undo.may_be_done_in_part(ctx, rows)
    now = _without_undone(ctx, start)
    return foreign_code(now, ctx.plan, start, rows, path=ctx.endpoint.search_path, undone_in_part=in_part)


def _schema(ctx: StepContext, role: str | None) -> Schema:
    with session.connect(ctx.endpoint, purpose="observe", version=ctx.plan.version) as conn:
        return schema.read(conn, exclude=(ctx.ledger.schema,), role=role)


def _without_undone(ctx: StepContext, start: Start) -> Schema:
    """As if those who have rested beside it had undone nothing."""
    events = ctx.ledger.iterate_events(kinds=undone.KINDS)
    return undone.without_undone(_schema(ctx, start.schema.role), ctx.plan, start, events)


def _tell_others(ctx: StepContext, before: Schema | None) -> None:
    """Those that are not finished were rehearsed beside what is undone now."""
    if before is not None:
        detail = {undone.CHANGES: undone.told(before, _schema(ctx, None))}
        ctx.ledger.append_event(undone.UNDONE, version=ctx.plan.version, run=ctx.run, detail=detail)


def _require_known(ctx: StepContext, start: Start | None) -> None:
    """:raises DriftDetected: somebody has changed what the rest of the script would run."""
    if start is not None and (foreign := _foreign(ctx, start)):
        raise DriftDetected(
            "somebody has changed what the rollback may run:\n" + "\n".join(foreign), differences=foreign
        )


def _tell(kind: str, what: str, found: Sequence[str], ctx: StepContext) -> None:
    if found:
        ctx.log.warning("%s: %s", what, "; ".join(found))
        ctx.ledger.append_event(kind, version=ctx.plan.version, run=ctx.run, detail={"told": list(found)})


def _held(decision: Decision, reason: str, row: LedgerMigration | None, plan: Plan) -> Decision:
    return replace(
        decision,
        close=row is not None and row.status is MigrationStatus.RUNNING,
        action=Action.HELD,
        reason=f'{reason}; or, if it is meant: "migrator rollback {plan.version} --target {plan.target} --reason ..."',
    )


def _decider(plan: Plan, ledger: Ledger, run: RunContext, force: bool) -> Callable[[], Decision]:
    def decide_now() -> Decision:
        row = ledger.migration(plan.version) if ledger.exists() else None
        return decide(
            row,
            ledger.steps(plan.version) if row is not None else (),
            run_id=run.run_id,
            on_failure=plan.on_failure,
            has_script=bool(plan.rollback_steps),
            force=force,
            same_content=row is None or has_content(row, plan),
        )

    return decide_now


def _is_final(decision: Decision) -> bool:
    """Nothing to wait for: the answer does not change while somebody else works, and nothing is written."""
    return decision.action in (Action.NOTHING, Action.KEPT_VERIFIED) and not decision.close


def fence_all(plan: Plan, endpoint: Endpoint, ledger: Ledger) -> None:
    """End every session that the ledger remembers as executing this migration, forwards or backwards."""
    backends: set[tuple[int, datetime]] = {
        one for step in ledger.steps(plan.version) if step.status is not StepStatus.SUCCESS for one in step.sessions
    }
    for event in ledger.events(plan.version):
        if event.kind == undo.STARTED:
            backends.add((int(event.detail["backend_pid"]), datetime.fromisoformat(event.detail["backend_start"])))
    if not backends:
        return
    with session.connect(login_of(endpoint), purpose="observe", version=plan.version) as conn:
        for pid, backend_start in sorted(backends):
            if not fence(conn, pid=pid, backend_start=backend_start):
                raise ConnectionLost(
                    f"backend {pid}, which executed {plan.version!r}, does not end; it may be waiting for a disk or a"
                    " standby: look at it and try again"
                )


def cause(ledger: Ledger, version: str, run: RunContext) -> str:
    """Why this run failed, by the ledger: the error of its last step, or what verify found. Empty when nobody wrote it
    down, as when somebody marked the run failed."""
    for event in reversed(ledger.events(version)):
        if event.run_id == run.run_id and event.kind == "step_failed":
            return f"step {event.detail.get('step')}: {event.detail.get('error')}"
        if event.run_id == run.run_id and event.kind == VERIFY_FAILED:
            return "; ".join(f"verify: {problem}" for problem in event.detail.get("problems", ()))
    return ""


def _close(plan: Plan, ledger: Ledger, run: RunContext, decision: Decision) -> None:
    if decision.action is Action.HELD:
        ledger.append_event("held", version=plan.version, run=run, detail={"reason": decision.reason})
    if decision.close:
        reason = cause(ledger, plan.version, run) or decision.reason
        ledger.mark_failed(plan.version, run=run, error_message=reason)


def _undo(ctx: StepContext, decision: Decision) -> tuple[StatementResult, ...]:
    version = ctx.plan.version
    try:
        return undo.execute(ctx, reason=cause(ctx.ledger, version, ctx.run) or decision.reason)
    except CommitUnknown as exc:
        return _resolve(ctx, exc)
    except (TransientError, HeldByOther, Cancelled):
        raise
    except DriftDetected as exc:  # the next try looks at what is there then
        raise TransientError(f"the rollback is not done, and is to be tried again: {exc}") from exc
    except MigratorError as exc:
        row = ctx.ledger.migration(version)
        if row is not None and row.status is MigrationStatus.ROLLED_BACK:
            raise  # it is done: what was found after its COMMIT is for a person
        ctx.log.error("rollback of %s failed: %s", version, exc)
        ctx.ledger.mark_rollback_failed(version, run=ctx.run, error_message=str(exc))
        raise RollbackFailed(
            f"the rollback of {version!r} failed: {exc}. the database is between two states and other migrations are"
            " kept out. look at it, put it in order by hand or with the snapshot, then say what is true with"
            f' "migrator ledger repair {version}"; nothing is retried by itself',
            **{key: exc.fields.get(key) for key in ("sqlstate", "file", "line", "column", "statement")},
        ) from exc


def _resolve(ctx: StepContext, lost: CommitUnknown) -> tuple[StatementResult, ...]:
    """COMMIT without an answer: the ledger's row was in that transaction. A server that is down is asked later."""
    fence_all(ctx.plan, ctx.endpoint, ctx.ledger)
    row = ctx.ledger.migration(ctx.plan.version)
    if row is None:
        raise NeedsHuman(f"the ledger has lost the row of {ctx.plan.version!r}") from lost
    if row.status is MigrationStatus.ROLLED_BACK:
        ctx.log.warning("the connection was lost at COMMIT of the rollback; the ledger says it took effect")
        return ()
    raise ConnectionLost(
        "the connection was lost at COMMIT of the rollback, which did not take effect: try again"
    ) from lost


def _compare(report: RollbackReport, start: Start, ctx: StepContext, *, rehearsed: bool) -> RollbackReport:
    """The schema must be the very one from before. A difference is reported, not hidden: the data is undone all the
    same.

    :param rehearsed: the rows were seen to come back, from where the migration stopped and by what lies there now.
    """
    now = without_others(_without_undone(ctx, start), ctx.plan, start)
    if start.is_there(now):
        ctx.ledger.append_event(COMPARED, version=ctx.plan.version, run=ctx.run, detail={"rehearsed": rehearsed})
        return replace(report, schema_equal=True)
    known = vocabulary(ctx.plan, start.snapshot)
    differences = known.lines_and_rest(start.changes(now), "what the rollback left in the schema")
    detail = {"differences": list(differences)}
    ctx.ledger.append_event("rollback_differs", version=ctx.plan.version, run=ctx.run, detail=detail)
    ctx.log.warning("after the rollback the schema differs from the one before:\n%s", "\n".join(differences))
    return replace(report, schema_equal=False, differences=differences)
