"""Run what works CONCURRENTLY: without time-outs, watched, and with what it leaves behind when it does not end well."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import psycopg

from migrator.database import session
from migrator.database.told import words
from migrator.database.vocabulary import told_name
from migrator.errors import MigratorError
from migrator.parsing.unseen import continued
from migrator.plan import Statement, Step
from migrator.steps import concurrent_index, helpers, real_state
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.patience import patiently
from migrator.steps.progress import Watched, given_up, watching
from migrator.steps.timeouts import set_timeouts
from migrator.steps.transaction import Connection
from migrator.steps.transaction import execute as send

LEFTOVERS = "leftovers"
"""Key of the cursor: oids of what other attempts than ours at a REINDEX CONCURRENTLY had left before it."""


def gently(
    statement: Statement, step: Step, ctx: StepContext, conn: Connection, cursor: dict[str, Any] | None
) -> StatementResult:
    def attempt(ctx: StepContext) -> StatementResult:
        set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=0)
        watched = Watched()
        try:
            with ctx.watching(statement, conn), watching(statement, step, ctx, conn, cursor=cursor) as watched:
                for text in parts:
                    result = send(replace(statement, sql=text), step, ctx, conn)
                return result
        except MigratorError:
            left = _sweep_after_failure(statement, ctx, conn, cursor)
            if watched.overdue:
                raise given_up(watched, statement, step, left) from None
            raise

    parts = real_state.reindex_parts(statement, conn) if real_state.is_gentle_reindex(statement) else (statement.sql,)
    spared = (cursor or {}).get(LEFTOVERS)
    if spared is None and real_state.is_gentle_reindex(statement):
        spared = tuple(real_state.reindex_leftovers(statement, conn))
    made = helpers.interrupted(statement, conn, spared or ())
    helpers.intend(made, step, ctx)
    result = patiently(attempt, step, ctx, conn)
    helpers.whole(made, ctx)
    if not real_state.is_gentle_reindex(statement) or not (note := out_of_reach(statement, conn)):
        return result
    ctx.log.warning("%s", continued(note))
    return replace(result, note="; ".join(filter(None, (result.note, note))))


def removals_by_others(statement: Statement, conn: Connection) -> tuple[str, ...]:
    """Statements that remove the leftovers of a REINDEX which this login may not drop: of a TOAST table's index."""
    left = real_state.reindex_leftovers(statement, conn, reach=False)
    return tuple(f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in left.values())


def out_of_reach(statement: Statement, conn: Connection) -> str:
    """What a person has to do about them; "" where there are none."""
    commands = removals_by_others(statement, conn)
    if not commands:
        return ""
    return (
        f"an interrupted REINDEX has left what this login may not drop: {len(commands)} of the TOAST tables' indexes,"
        " which no query uses and writes may still pay for. let a superuser run, or the table's owner once he may use"
        f" schema pg_toast: {'; '.join(map(real_state.told_removal, commands))}"
    )


def _sweep_after_failure(
    statement: Statement, ctx: StepContext, conn: Connection, cursor: Mapping[str, Any] | None
) -> str:
    """Of a REINDEX: what it left costs every write. Returns what became of it."""
    known = (cursor or {}).get(LEFTOVERS)
    if known is None or conn.closed or ctx.handle.cancelled:
        return ""
    try:
        dropped = sweep(statement, known, ctx, conn, timeout_ms=concurrent_index.CLEANUP_TIMEOUT_MS)
    except (MigratorError, psycopg.Error) as exc:
        ctx.log.warning("what REINDEX has left stays until the next try: %s", words(exc))
        return f"what it left could not be dropped, the next try or the rollback does: {words(exc)}"
    return f"what it left is dropped: {', '.join(map(told_name, dropped))}" if dropped else ""


def sweep(
    statement: Statement, known: Collection[int], ctx: StepContext, conn: Connection, *, timeout_ms: int = 0
) -> tuple[str, ...]:
    """Drop the leftovers of a REINDEX that are not among `known`. Returns their names."""
    found = real_state.reindex_leftovers(statement, conn, reach=True)
    left = {oid: name for oid, name in found.items() if oid not in known}
    for name in left.values():
        set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=timeout_ms)
        ctx.log.warning("dropping index %s, which an interrupted REINDEX has left", continued(told_name(name)))
        with session.translated(statement=statement):
            conn.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())
        if ctx.meanwhile is not None:
            ctx.meanwhile.went_on(statement.kind)
    return tuple(left.values())
