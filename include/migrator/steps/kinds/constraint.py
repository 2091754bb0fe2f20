"""Step kind `constraint`: a constraint on a live table, in pieces of which none stops it.

What reads the rows takes no lock that blocks; what takes such a lock reads no row, and is all that needs the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from migrator.frozen import frozen
from migrator.input.described import described
from migrator.plan import Phase, Step
from migrator.steps.contract import UNDO, Written
from migrator.steps.names import NAME_PATTERN, RELATION_PATTERN, TABLE_WANTED

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile, ParsedStatement
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext
    from migrator.steps.recipe import Recipe

KIND = "constraint"
SUMMARY = "adds a constraint while others read and write"
ONE_BY_ONE = False
UNDONE_BY_SCRIPT = False


@frozen
class Parameters:
    table: str = described(
        "Table that gets it, as SQL writes its name: `public.messages`.", pattern=RELATION_PATTERN, wanted=TABLE_WANTED
    )
    constraint: str = described(
        "Name of the constraint, as SQL writes it. Before PostgreSQL 18 a NOT NULL has none: there it is that of the"
        " CHECK that proves it and goes away again.",
        pattern=NAME_PATTERN,
        wanted='is not a name: write it as SQL does, such as messages_body_check or "Odd Name"',
    )
    definition: str = described(
        "The constraint as `ALTER TABLE ... ADD CONSTRAINT` has it: `NOT NULL column`, `CHECK (expression)`,"
        " `FOREIGN KEY (columns) REFERENCES table (columns)`, `UNIQUE (columns)` or `PRIMARY KEY (columns)`."
    )


PARAMETERS = Parameters
DRAFT: type[Any] | None = None


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    from migrator.steps import constraint_sql

    if len(parameters.constraint.strip('"').encode()) > constraint_sql.MAX_BYTES:
        yield "constraint", "is longer than the 63 bytes that PostgreSQL keeps of a name", "choose a shorter one"
        return
    found = constraint_sql.wanted(parameters.table, parameters.constraint, parameters.definition)
    if isinstance(found, str):
        yield "definition", found, constraint_sql.WANTED


def sql(parameters: Parameters, major: int | None = None) -> str:
    from migrator.steps import constraint_sql

    found = constraint_sql.wanted(parameters.table, parameters.constraint, parameters.definition)
    if isinstance(found, str):  # of metadata that nobody has checked
        return f"ALTER TABLE {parameters.table} ADD CONSTRAINT {parameters.constraint}\n{parameters.definition};\n"
    return "".join(f"{text};\n" for text in constraint_sql.pieces(found, major))


def draft(given: None) -> str:
    return ""


def recipe(parameters: Parameters, sql: str) -> Recipe:
    """What else a NOT NULL or a PRIMARY KEY changes depends on the server's version and on the columns."""
    from migrator.parsing.build import literal_text, name_text
    from migrator.steps import constraint_sql
    from migrator.steps.names import has_schema
    from migrator.steps.recipe import Recipe

    found = constraint_sql.wanted(parameters.table, parameters.constraint, parameters.definition)
    if isinstance(found, str):
        raise ValueError(found)
    table = f"{literal_text(parameters.table)}::regclass"
    if found.kind == "CONSTR_NOTNULL":
        column = literal_text(found.keys[0])
        return Recipe(
            holds=(f"SELECT attnotnull FROM pg_attribute WHERE attrelid = {table} AND attname = {column}",),
            changes=None,
        )
    name = literal_text(found.name)
    valid = f"SELECT convalidated FROM pg_constraint WHERE conrelid = {table} AND conname = {name}"
    if not has_schema(parameters.table) or found.kind in constraint_sql.KEYS:
        return Recipe(holds=(valid,), changes=None)
    return Recipe(holds=(valid,), changes={"added": {"constraints": (f"{parameters.table}.{name_text(found.name)}",)}})


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    """Neighbours that need the window are one transaction: what one of them does needs the other."""
    from migrator.steps.constraint_sql import undoing

    undo = [
        {"statement": position, "sql": text} for position, item in enumerate(written.parsed) for text in undoing(item)
    ]
    phases = tuple(_phases(written.parsed))
    return Step(written.name, KIND, False, written.statements, {**written.parameters, UNDO: undo}, phases)


def _phases(parsed: Sequence[ParsedStatement]) -> Iterator[Phase]:
    names = iter(("add", "finish"))
    for locks, items in groupby(parsed, key=_locks):
        part = list(items)
        name = next(names) if locks else "check" if part[0].kind == "SELECT" else "validate"
        yield Phase(name, len(part), needs_window=locks)


def _locks(item: ParsedStatement) -> bool:
    """Whether it takes a lock that others wait for."""
    return item.transactional and item.kind != "SELECT" and "AT_ValidateConstraint" not in item.subtypes


def describe(step: Step) -> str:
    what = f"adds {step.params['constraint']} to {step.params['table']}, whose rows are read while others write"
    return f"{what}; may be interrupted and goes on where it was, and a rollback takes it away again"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: rows violate it, or the table has something else of that name; told is how many rows."""
    from migrator.steps import constraining

    return constraining.execute(step, phase, ctx)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """A later step may drop it again: then the schema tells."""
    from migrator.steps import constraining

    return constraining.missing(step, conn)


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    from migrator.steps import constraining

    return constraining.undo(step, row, ctx, conn)


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    from migrator.steps.leftovers import removals

    return removals(step.statements, conn)
