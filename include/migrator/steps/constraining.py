"""Carry out, look at and undo the pieces of a constraint (`constraint_sql`).

Every piece commits together with the ledger's cursor, or, where it is an index, is found again in the catalog; so a
kill between two of them, or within one, leaves what the next attempt or the rollback understands.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace

from migrator.database.vocabulary import told_name
from migrator.ledger.rows import LedgerStep, StepStatus
from migrator.parsing.nodes import enum
from migrator.plan import Phase, Statement, Step
from migrator.steps import helpers, patience, piecewise, standing, transaction
from migrator.steps.constraint_sql import LIMIT
from migrator.steps.context import StatementResult, StepContext
from migrator.steps.contract import UNDO, end_of, start_of
from migrator.steps.real_state import Connection, relation, tree_of
from migrator.wording import count

KEPT = "constraint_kept"
"""The event that remembers what was there before the step, for the rollback to keep."""


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """Go on where the ledger's cursor stands."""
    already = functools.partial(_already, step=step, ctx=ctx)
    if phase.needs_window:
        told = functools.partial(_register, step, phase, ctx)
        return transaction.run_phase(step, phase, ctx, already=already, told=told)
    refuse = functools.partial(_violated, step)
    return piecewise.execute(step, phase, ctx, refuse=refuse, already=already)


def _register(step: Step, phase: Phase, ctx: StepContext, conn: Connection) -> None:
    """The CHECK that proves a NOT NULL, from where it is added to where it is dropped again."""
    version, kept = ctx.plan.version, _kept(step, ctx)
    positions = range(start_of(step, phase), end_of(step, phase))
    for statement, command in standing.commands(step):
        position, subtype = step.statements.index(statement), enum(command, "subtype")
        if position not in positions or position in kept:
            continue
        table = helpers.table_named(relation(tree_of(statement).relation), conn)
        if table is None:
            continue
        added = subtype == "AT_AddConstraint"
        name = getattr(command, "def").constraint.conname if added else command.name
        helper = helpers.constraint_of(*table, name, conn)
        if added and name in standing.dropped(step):
            ctx.ledger.unregister((helper,), version=version, on=conn)  # one of an earlier attempt, which is gone
            ctx.ledger.register((helper,), version=version, step=step.name, run=ctx.run, on=conn)
        elif subtype == "AT_DropConstraint":
            ctx.ledger.unregister((helper,), version=version, on=conn)


def _already(statement: Statement, conn: Connection, *, step: Step, ctx: StepContext) -> str | None:
    note = _stays(statement, step, ctx) or standing.already(statement, step, conn)
    if note is not None:
        detail = {"step": step.name, "statement": step.statements.index(statement), "found": note}
        ctx.ledger.append_event(KEPT, version=ctx.plan.version, run=ctx.run, detail=detail)
    return note


def _stays(statement: Statement, step: Step, ctx: StepContext) -> str | None:
    """A CHECK that proves a NOT NULL is dropped after it, but not one that was there before the step."""
    names = {one: constraint.conname for one, constraint in standing.adds(step)}
    command = dict(standing.commands(step)).get(statement)
    if command is None or enum(command, "subtype") != "AT_DropConstraint":
        return None
    kept = _kept(step, ctx)
    if not any(name == command.name and step.statements.index(one) in kept for one, name in names.items()):
        return None
    return f"constraint {told_name(command.name)} was there before, and stays"


def _violated(step: Step, result: StatementResult) -> str | None:
    """Of the queries that count the rows which violate it. What these rows hold is not asked and not told."""
    if result.kind != "SELECT" or result.rows <= 0:
        return None
    query = next(one.sql for one in step.statements if one.index == result.statement)
    definition, table = step.params["definition"], step.params["table"]
    key = definition.split()[0].upper() in ("UNIQUE", "PRIMARY") and "GROUP BY" in query
    noun = "value" if key else "row"
    many = f"{LIMIT} or more {noun}s" if result.rows >= LIMIT else count(result.rows, noun)
    what = f"{many} of {table} {'violates' if result.rows == 1 else 'violate'} {definition}"
    if key:
        what += " by occurring more than once"
    found = query.replace("SELECT FROM", "SELECT * FROM", 1) if not key else query.replace("SELECT", "SELECT *", 1)
    return f"{what}. nothing is changed yet: mend them, then try again. this finds them: {found}"


def missing(step: Step, conn: Connection) -> tuple[str, ...]:
    """What is not there, or not valid, although the step is done."""
    return tuple(_missing(step, conn))


def _missing(step: Step, conn: Connection) -> Iterator[str]:
    columns = standing.proving(step)
    for statement, constraint in standing.adds(step):
        table, name = relation(tree_of(statement).relation), constraint.conname
        if name in columns:
            if not standing.is_not_null(table, columns[name], conn):
                yield f"column {told_name(columns[name])} of {told_name(table)} may be NULL"
            continue
        found = standing.found(table, name, conn)
        if found is None or not found.validated:
            yield f"constraint {told_name(name)} of {told_name(table)} is {'not valid' if found else 'not there'}"


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    """The last statement first, each of those that took effect or may have; what was there before stays."""
    kept = _kept(step, ctx)
    results: list[StatementResult] = []
    for position in reversed(range(_reached(step, row))):
        if position in kept:
            continue
        for text in _texts(step, position, kept):
            kind = "DROP INDEX CONCURRENTLY" if text.startswith("DROP INDEX") else "ALTER TABLE"
            statement = replace(step.statements[position], sql=text, kind=kind)
            send = patience.in_transaction if kind == "ALTER TABLE" else piecewise.send_alone
            results.append(send(statement, step, ctx, conn))
            if kind != "ALTER TABLE" and ctx.meanwhile is not None:
                ctx.meanwhile.begin_anew()
    return tuple(results)


def _reached(step: Step, row: LedgerStep) -> int:
    """How many leading statements may have taken effect: an index that was interrupted counts."""
    if row.status is StepStatus.SUCCESS:
        return len(step.statements)
    begun = row.cursor.get("state") in ("intent", "failed") and row.cursor.get("statement") == row.statements_done
    return row.statements_done + (1 if begun else 0)


def _kept(step: Step, ctx: StepContext) -> set[int]:
    """Positions of the statements whose effect was there before."""
    kept: set[int] = set()
    for event in ctx.ledger.events(ctx.plan.version):
        if event.kind == "rolled_back":
            kept.clear()
        elif event.kind == KEPT and event.detail["step"] == step.name:
            kept.add(int(event.detail["statement"]))
    return kept


def _texts(step: Step, position: int, kept: set[int]) -> Iterator[str]:
    """What a constraint was that this step has only validated, it gets back: NOT VALID."""
    back = [(item["statement"], item["sql"]) for item in step.params[UNDO]]
    yield from (text for place, text in back if place == position)
    named = {statement: command.name for statement, command in standing.commands(step) if command.name}
    name = named.get(step.statements[position])
    for statement, constraint in standing.adds(step):
        place = step.statements.index(statement)
        if place in kept and place < position and constraint.conname == name:
            yield from (text for other, text in back if other == place)
            yield statement.sql
