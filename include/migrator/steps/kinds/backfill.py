"""Step kind `backfill`: one UPDATE, DELETE or INSERT ... SELECT of many rows, in batches that commit one by one.

The runbook's own loop does not do that: UPDATE has no LIMIT, and a DO block is one transaction, so nothing is committed
between its batches (https://www.postgresql.org/docs/current/plpgsql-transactions.html).

It goes by ranges of pages, and there is no way by a key: pages serve a table with any key and with none, each is read
once and in order, and nothing has to be sorted or remembered but a number. A loop by the key changes fewer rows a
second: 1 to 1.3, by a random uuid as by a number in the order of the rows (docs/measurements.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from migrator import documents
from migrator.frozen import frozen
from migrator.input.described import described
from migrator.plan import Phase, Step
from migrator.steps.contract import Written, one_phase
from migrator.steps.files import FILE_PATTERN, FILE_WANTED
from migrator.steps.names import RELATION_PATTERN, TABLE_WANTED
from migrator.wording import count

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext
    from migrator.steps.recipe import Recipe

KIND = "backfill"
SUMMARY = "changes many rows in batches, each in a transaction of its own"
ONE_BY_ONE = True
UNDONE_BY_SCRIPT = True
MOST_WORKERS = 8
MOST_QUARANTINED = 1000
"""The ledger's row names each of them, and is written with each batch."""


@frozen
class Parameters:
    file: str | None = described(
        "SQL file with one UPDATE, DELETE or INSERT ... SELECT, whose WHERE is true of the rows that still need it and"
        " of no other. Default: `<version>.sql`.",
        default=None,
        pattern=FILE_PATTERN,
        wanted=FILE_WANTED,
    )
    batch_ms: int = described(
        "How many milliseconds a batch should take: so long its rows stay locked. Its size follows.", default=25
    )
    pause_ms: int = described("How many milliseconds it rests between two batches.", default=25)
    quarantine: int = described(
        "How many rows may fail without stopping it: they are left out, the rest of the table is done, and the step"
        " fails at its end, until a person has mended them and cleared it.",
        default=0,
    )
    workers: int = described(
        "How many batches are changed at once, each by a session of its own. They are committed one after the other.",
        default=1,
    )


PARAMETERS = Parameters


@frozen
class Draft:
    table: str = described(
        "Table whose rows are changed, as SQL writes its name.", pattern=RELATION_PATTERN, wanted=TABLE_WANTED
    )
    where: str = described("True of the rows that still need it, false of one that is done: `label IS NULL`.")
    set: str | None = described("What each of them gets, as UPDATE has it: `label = lower(title)`.", default=None)
    delete: bool = described("Delete them instead.", default=False)


DRAFT: type[Any] | None = Draft


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    if not 10 <= parameters.batch_ms <= 60_000:
        yield "batch_ms", "is not between 10 milliseconds and a minute", "the usual value is 25"
    if not 0 <= parameters.pause_ms <= 600_000:
        yield "pause_ms", "is not between nothing and ten minutes", "the usual value is 25"
    if not 0 <= parameters.quarantine <= MOST_QUARANTINED:
        text = f"is not between none and {MOST_QUARANTINED} rows"
        yield "quarantine", text, "where more may fail, mend them in a step before, by their condition"
    if not 1 <= parameters.workers <= MOST_WORKERS:
        yield "workers", f"is not between 1 and {MOST_WORKERS}", "one is gentle; two are about as fast as a disk allows"


def sql(parameters: Parameters, major: int | None = None) -> str:
    return ""


def draft(given: Draft) -> str:
    if (given.set is None) is not given.delete:
        raise ValueError("needs either what the rows get (set) or that they are deleted (delete)")
    if given.delete:
        return f"DELETE FROM {given.table}\nWHERE {given.where};\n"
    return f"UPDATE {given.table}\nSET {given.set}\nWHERE {given.where};\n"


def recipe(parameters: Parameters, sql: str) -> Recipe:
    """What the rows held before is kept nowhere, so nothing undoes it by itself. Of a condition that calls a function
    nobody knows whether it stays true: that none is left is not asserted then."""
    from migrator.parsing.nodes import find
    from migrator.parsing.statements import parse
    from migrator.steps.batch_sql import batch_sql
    from migrator.steps.recipe import Recipe

    statement = parse(sql, file="").statements[0]
    none = f"SELECT NOT {batch_sql(statement).left().removeprefix('SELECT ')}"
    if "--" not in none:  # the breaks are there for a comment
        none = none.replace("\nWHERE (", " WHERE ", 1).removesuffix("\n))") + ")"
    calls = any(True for _ in find(statement.tree.where_clause, "FuncCall", "SQLValueFunction"))
    return Recipe(None, () if calls else (none,))


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    from migrator.problems import Problem
    from migrator.steps.batch_sql import refusal

    wanted = "a backfill is one UPDATE, DELETE or INSERT ... SELECT; write other statements into steps of their own"
    if not parsed.statements and not parsed.problems:
        yield Problem(parsed.file, "there is no statement in it", hint=wanted)
    for statement in parsed.statements[1:]:
        text = "a step of kind backfill has one statement, and this is another one"
        yield Problem(parsed.file, text, statement.line, statement.column, hint=wanted)
    for statement in parsed.statements[:1]:
        found = refusal(statement)
        if found:
            yield Problem(parsed.file, found[0], statement.line, statement.column, hint=found[1])


def plan(written: Written) -> Step:
    """It needs no window: what it locks, it locks for the length of a batch."""
    from migrator.steps.batch_insert import with_row_locks

    statements = tuple(map(with_row_locks, written.parsed, written.statements))
    step = Step(written.name, KIND, False, statements, dict(written.parameters))
    return one_phase(step, needs_window=False)


def describe(step: Step) -> str:
    parameters = documents.from_dict(Parameters, step.params)
    what = f"{step.statements[0].kind} in batches of {parameters.batch_ms} ms"
    if parameters.quarantine:
        what += f", leaving out up to {count(parameters.quarantine, 'row')} that fail"
    if parameters.workers > 1:
        what += f", {parameters.workers} at once"
    return f"{what}; may be interrupted and goes on where it was"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: with file and line; what earlier batches did is committed, and the retry goes on."""
    from migrator.steps import backfilling
    from migrator.steps.batch_size import Pace

    parameters = documents.from_dict(Parameters, step.params)
    pace = Pace(parameters.batch_ms / 1000, parameters.pause_ms / 1000)
    return backfilling.execute(step, phase, ctx, pace, quarantine=parameters.quarantine, workers=parameters.workers)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """A later step may have changed what the condition names: then the assertions tell."""
    return None


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    return ()


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    return ()
