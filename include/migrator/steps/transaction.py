"""Run the statements of a step in one transaction, together with the ledger's row.

Both commit or neither does, so a connection lost at COMMIT is answered by reading the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql as quoting
from psycopg.pq import TransactionStatus

from migrator.database import naming, session
from migrator.database.door import send
from migrator.database.locking import with_lock_retries
from migrator.database.told import told_and_kept
from migrator.errors import Cancelled, CommitUnknown, ConnectionLost, LockNotAvailable, NeedsHuman, StatementFailed
from migrator.ledger.guard import Sealed
from migrator.ledger.rows import STATEMENTS_DONE
from migrator.parsing.unseen import continued
from migrator.plan import Phase, Statement, Step
from migrator.steps.context import QUERIES, Notice, StatementOutcome, StatementResult, StepContext, login_of
from migrator.steps.contract import end_of, start_of
from migrator.steps.holding import alone
from migrator.steps.queueing import lock_first, queueing
from migrator.steps.timeouts import timeouts

Connection = psycopg.Connection[Any]

Already = Callable[[Statement, Connection], "str | None"]
"""Why a statement need not run any more; None: it must."""

COMMITS_ITSELF = "2D000"
"""invalid_transaction_termination"""

DEFERRED = "deferred until COMMIT"
"""What a deferred constraint or trigger says of statements that the server had accepted."""


def run_in_transaction(
    step: Step,
    ctx: StepContext,
    *,
    started: Callable[[tuple[int, datetime]], None],
    finish: Callable[[Connection, int], None],
    already: Already | None = None,
) -> tuple[StatementResult, ...]:
    """One connection, as many tries as lock timeouts allow, one COMMIT.

    :param started: called once with the backend's pid and start, before anything is executed.
    :param finish: called with the open transaction and the number of rows, right before COMMIT: writes the ledger.
    :param already: asked before each statement.
    """
    locks = tuple(lock for statement in step.statements for lock in statement.locks)
    with ddl_connection(ctx) as conn, queueing(step, ctx, conn) as (queue, queued):
        started(backend_of(conn, ctx))
        _ready(conn, ctx)
        results = with_lock_retries(
            lambda: _attempt(step, queued, conn, finish, already),
            observer_endpoint=ctx.endpoint,
            pid_of=lambda: conn.info.backend_pid,
            deadline_seconds=ctx.deadline_seconds,
            log=ctx.log,
            sleep=ctx.handle.sleep,
            first=lambda: queue.wait(locks),
        )
        ctx.handle.release()
        ctx.ledger.require_untouched()  # a deferred trigger that defers another one has run at COMMIT all the same
        return results


def run_phase(
    step: Step,
    phase: Phase,
    ctx: StepContext,
    *,
    already: Already | None = None,
    told: Callable[[Connection], None] | None = None,
) -> tuple[StatementResult, ...]:
    """The statements of a phase in one transaction, together with the ledger's row, which then says that they are done;
    after the last phase, that the step is.

    :param told: called with the open transaction, right before COMMIT: registers the helper objects that it makes.
    """
    start, end = start_of(step, phase), end_of(step, phase)
    last = end == len(step.statements)

    def started(backend: tuple[int, datetime]) -> None:
        ctx.ledger.step_started(ctx.plan.version, step.name, run=ctx.run, backend=backend)

    def finish(conn: Connection, rows: int) -> None:
        version, final = ctx.plan.version, ctx.is_last(step)
        if last:
            ctx.ledger.step_succeeded(version, step.name, run=ctx.run, on=conn, last=final, rows=rows)
        else:
            cursor = cursor_of(step.statements[end - 1], end - 1, "done", end)
            ctx.ledger.step_progress(version, step.name, cursor=cursor, rows_done=rows, on=conn)
        if told is not None:
            told(conn)

    part = replace(step, statements=step.statements[start:end])
    results = run_in_transaction(part, ctx, started=started, finish=finish, already=already)
    if last:
        ctx.ledger.step_committed(ctx.plan.version, step.name, run=ctx.run)
    return results


def cursor_of(statement: Statement, position: int, state: str, done: int) -> dict[str, Any]:
    """The document that the ledger keeps for a step that is under way."""
    return {
        "statement": position,
        "state": state,
        "digest": statement.digest,
        "kind": statement.kind,
        STATEMENTS_DONE: done,
    }


def _ready(conn: Connection, ctx: StepContext) -> None:
    if ctx.meanwhile is not None:
        ctx.meanwhile.ready(conn)
        ctx.ledger.ready(conn)


@contextmanager
def ddl_connection(
    ctx: StepContext, *, lock_timeout_ms: int | None = None, statement_timeout_ms: int | None = None
) -> Iterator[Connection]:
    """The connection that changes the database; closed whatever happens, so that no lock outlives the step."""
    conn = session.connect(
        ctx.endpoint,
        purpose=ctx.purpose,
        version=ctx.plan.version,
        lock_timeout_ms=ctx.plan.lock_timeout_ms if lock_timeout_ms is None else lock_timeout_ms,
        statement_timeout_ms=ctx.plan.statement_timeout_ms if statement_timeout_ms is None else statement_timeout_ms,
    )
    try:
        yield conn
    finally:
        conn.close()


def backend_of(conn: Connection, ctx: StepContext) -> tuple[int, datetime]:
    """pid and start of the session, and from now on a cancel reaches it."""
    pid, backend_start = backend_named(conn, ctx)
    ctx.handle.watch(ctx.endpoint, pid, backend_start)
    return pid, backend_start


def backend_named(conn: Connection, ctx: StepContext) -> tuple[int, datetime]:
    """pid and start of the session. Asked from a login session: after SET ROLE, pg_stat_activity hides our own start
    from us."""
    pid = conn.info.backend_pid
    if ctx.endpoint.role is None:
        _, backend_start = session.backend_of(conn)
    else:
        with session.connect(login_of(ctx.endpoint), purpose="observe") as observer, session.translated():
            row = observer.execute(QUERIES["backend_start"], {"pid": pid}).fetchone()
        if row is None or row[0] is None:
            raise ConnectionLost(f"the server does not list our own session {pid} in pg_stat_activity")
        backend_start = row[0]
    return pid, backend_start


def _attempt(
    step: Step,
    ctx: StepContext,
    conn: Connection,
    finish: Callable[[Connection, int], None],
    already: Already | None,
) -> tuple[StatementResult, ...]:
    ctx.handle.raise_if_cancelled()
    begin(conn, step, ctx)
    try:
        results = tuple(once(statement, step, ctx, conn, already) for statement in step.statements)
        ctx.check_lock()
        take_back(conn, ctx)
    except BaseException:
        roll_back(conn)
        raise
    commit(conn, step, ctx, lambda: finish(conn, sum(result.rows for result in results if result.rows > 0)))
    return results


def once(
    statement: Statement, step: Step, ctx: StepContext, conn: Connection, already: Already | None
) -> StatementResult:
    """`execute`, where there is need to."""
    note = already(statement, conn) if already is not None else None
    if note is None:
        return execute(statement, step, ctx, conn)
    ctx.log.info("%s:%s is done already: %s", statement.file, statement.line, continued(note))
    return StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE, note=note)


def execute(statement: Statement, step: Step, ctx: StepContext, conn: Connection) -> StatementResult:
    """Send one statement through the door and collect what the server says while it runs.

    Sent alone so that an error maps to its file, line and column.
    """
    ctx.handle.raise_if_cancelled()
    status = conn.info.transaction_status
    ctx.log.info("%s:%s %s", statement.file, statement.line, continued(statement.sql))
    ctx.trace_before(step, statement, conn)
    started = time.monotonic()
    with (
        noticing(conn, ctx, statement) as notices,
        cancellable(ctx),
        _commits_explained(inside=status != TransactionStatus.IDLE),
        session.translated(statement=statement, step=step.name),
    ):
        if status == TransactionStatus.INTRANS:
            lock_first(statement, step, ctx, conn)
        with naming.names_of_target(conn):
            cursor = send(conn, statement.sql, statement=statement)
    seconds = time.monotonic() - started
    if conn.info.transaction_status != status:
        problem = f"{statement.kind} ended or began a transaction by itself; take transaction control out of the file"
        raise failure(problem, statement, step, sqlstate=COMMITS_ITSELF)
    ctx.trace_after(step, statement, conn, cursor.rowcount)
    if status == TransactionStatus.IDLE:
        ctx.held.extend(alone(statement, step.name, seconds))
    return StatementResult(
        statement=statement.index,
        kind=statement.kind,
        outcome=StatementOutcome.EXECUTED,
        seconds=seconds,
        rows=cursor.rowcount,
        notices=tuple(notices),
    )


def failure(problem: str, statement: Statement, step: Step, *, sqlstate: str | None = None) -> StatementFailed:
    """Of a statement with which the server found no fault, or which it has not seen."""
    return StatementFailed(
        f"{statement.file}:{statement.line}: {problem}",
        file=statement.file,
        line=statement.line,
        column=statement.column,
        step=step.name,
        statement=statement.index,
        sql=statement.sql,
        sqlstate=sqlstate,
    )


@contextmanager
def _commits_explained(*, inside: bool) -> Iterator[None]:
    """Of a procedure that commits nobody sees it in the file."""
    try:
        yield
    except StatementFailed as exc:
        if not inside or exc.fields.get("sqlstate") != COMMITS_ITSELF:
            raise
        raise StatementFailed(
            f"{exc}: it commits by itself, and runs in a transaction here. write transaction: false into"
            " migration-metadata.yaml, or into its step, and let a block reach it by CALL, not by EXECUTE",
            **exc.fields,
        ) from exc


def commit(conn: Connection, step: Step, ctx: StepContext, write: Callable[[], None]) -> None:
    """The ledger's rows and COMMIT, while nobody else writes there.

    :param write: writes the rows in the open transaction.
    :raises CommitUnknown: when the connection died before the server's answer.
    """
    try:
        with nullcontext() if ctx.meanwhile is None else ctx.meanwhile.committing(conn):
            with cancellable(ctx), session.translated(step=step.name):
                ctx.ledger.require_unlocked(conn)
            with ctx.ledger.turn():
                with cancellable(ctx), session.translated(step=step.name):
                    write()
                    sealed = ctx.ledger.before_commit(conn)
                commit_only(conn, step, ctx)
                _look_at_the_ledger(sealed, step, ctx)
            ctx.trace_committed(conn)
    except BaseException:
        roll_back(conn)  # what is committed stays
        raise


def _look_at_the_ledger(sealed: Sealed, step: Step, ctx: StepContext) -> None:
    """What keeps us from looking must not pass for a lock that kept the step from happening.

    :raises LedgerTampered: COMMIT has written there. :raises NeedsHuman: nobody could look.
    """
    try:
        ctx.ledger.require_only(sealed, ctx.plan.version)
    except LockNotAvailable as exc:
        raise NeedsHuman(
            f"step {step.name!r} is committed, and nobody could look at what its COMMIT wrote to the ledger: {exc}."
            " look there, put it back as it was if need be, then say so with"
            f' "migrator ledger repair {ctx.plan.version}"'
        ) from exc


def commit_only(conn: Connection, step: Step, ctx: StepContext) -> None:
    """When everything was looked at. A deferred constraint that fails here is a failure like any other."""
    try:
        with cancellable(ctx), session.translated(step=step.name, moment=DEFERRED):
            naming.before_commit(conn)
            if ctx.holding is not None:
                ctx.holding.look()
            answer = conn.execute("COMMIT").statusmessage
    except ConnectionLost as exc:
        raise CommitUnknown(f"the connection was lost at COMMIT of step {step.name!r}") from exc
    if answer != "COMMIT":
        raise StatementFailed(
            f"the server answered {answer!r} to COMMIT of step {step.name!r}: nothing was applied",
            step=step.name,
            sqlstate="25P02",
        )
    naming.committed(conn)
    if ctx.holding is not None:
        ctx.holding.ended()


def begin(conn: Connection, step: Step, ctx: StepContext) -> None:
    """Open a transaction with the plan's timeouts, in one round trip: in a string of several statements, BEGIN begins
    a transaction for those after the string as well."""
    if ctx.holding is not None:
        ctx.holding.begin()
    with session.translated(step=step.name):
        conn.execute(quoting.SQL("BEGIN; {}").format(timeouts(ctx, local=True)))


def take_back(conn: Connection, ctx: StepContext) -> None:
    """What the engine writes now, it writes as itself, whatever role, path, time zone or way of quoting the statements
    have left. For the rest of the transaction only: statements that run one by one keep their session.

    Deferred triggers and constraints come before, under the plan's timeouts and with the path that the statements have
    left: at COMMIT they would run as the engine and after the ledger was looked at. What those defer in turn runs at
    COMMIT all the same (`naming.before_commit`). What the engine then does itself no timeout of the file may end."""
    role = quoting.Identifier(ctx.endpoint.role) if ctx.endpoint.role else quoting.SQL("NONE")
    with cancellable(ctx), session.translated(moment=DEFERRED):
        conn.execute(timeouts(ctx, local=True))
        with naming.names_of_target(conn):
            conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with cancellable(ctx), session.translated():
        conn.execute(
            quoting.SQL(
                "{timeouts}; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE {role};"
                " SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL TimeZone = 'UTC';"
                " SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL row_security = on;"
                " SET LOCAL quote_all_identifiers = off"
            ).format(timeouts=timeouts(ctx, local=True, statement_ms=0), role=role)
        )
        ctx.trace_deferred(conn)


def roll_back(conn: Connection) -> None:
    """Give the locks back at once; with the connection gone the server has done so itself."""
    if conn.closed or conn.info.transaction_status == TransactionStatus.IDLE:
        return
    try:
        conn.execute("ROLLBACK")
        naming.rolled_back(conn)
    except psycopg.Error:
        conn.close()


@contextmanager
def noticing(conn: Connection, ctx: StepContext, statement: Statement) -> Iterator[list[Notice]]:
    """Collect NOTICE and WARNING messages, with the severity untranslated (PG_DIAG_SEVERITY_NONLOCALIZED), and of their
    texts what may be told."""
    notices: list[Notice] = []

    def listen(diagnostic: psycopg.errors.Diagnostic) -> None:
        told = told_and_kept(diagnostic, written=statement.sql, place=f"{statement.file}:{statement.line} ")
        notice = Notice(diagnostic.severity_nonlocalized or "NOTICE", told.text)
        notices.append(notice)
        log = ctx.log.warning if notice.severity == "WARNING" else ctx.log.info
        log("server says %s", continued(str(notice)))

    conn.add_notice_handler(listen)
    try:
        yield notices
    finally:
        conn.remove_notice_handler(listen)


@contextmanager
def cancellable(ctx: StepContext) -> Iterator[None]:
    """An error that our own cancel caused is a cancel, not a failure of the statement."""
    try:
        yield
    except Exception as exc:
        if ctx.handle.cancelled and not isinstance(exc, Cancelled):
            raise Cancelled() from exc
        raise
