"""Step kind `sql`: the statements of a file, in one transaction where PostgreSQL allows it, else one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from migrator.frozen import frozen
from migrator.input.described import described
from migrator.plan import Phase, Step
from migrator.steps.contract import Written, one_phase
from migrator.steps.files import FILE, FILE_PATTERN, FILE_WANTED

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext

KIND = "sql"
SUMMARY = "executes the file"
ONE_BY_ONE = False
UNDONE_BY_SCRIPT = True


@frozen
class Parameters:
    file: str | None = described(FILE, default=None, pattern=FILE_PATTERN, wanted=FILE_WANTED)
    transaction: bool | None = described(
        "`true`: all statements in one transaction; `false`: one by one. Default: what they allow.", default=None
    )


PARAMETERS = Parameters


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    yield from ()


def sql(parameters: Parameters, major: int | None = None) -> str:
    return ""


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    possible = all(statement.transactional for statement in written.statements)
    wanted = written.parameters.get("transaction")
    return one_phase(Step(written.name, KIND, possible and wanted is not False, written.statements))


def describe(step: Step) -> str:
    count = f"{len(step.statements)} statement{'' if len(step.statements) == 1 else 's'}"
    if step.transactional:
        return f"{count} in one transaction, together with the ledger's row"
    return f"{count} one by one, each with its intent and its result in the ledger"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: with file, line and column. :raises NeedsHuman: an interrupted statement of a kind whose
    effect cannot be read from the catalog.
    """
    from migrator.steps import piecewise, transaction

    return transaction.run_phase(step, phase, ctx) if step.transactional else piecewise.execute(step, phase, ctx)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """The schema, the expected changes and the assertions tell; not so of an index that was there already."""
    from migrator.steps import concurrent_index

    made = [statement for statement in step.statements if concurrent_index.may_skip(statement)]
    return concurrent_index.others(made, conn) if made else None


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    return ()


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    from migrator.steps.leftovers import removals

    return removals(step.statements, conn)
