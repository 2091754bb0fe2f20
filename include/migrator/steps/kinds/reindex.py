"""Step kind `reindex`: an index, or all of a table, built anew and exchanged while others read and write.

https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from migrator.frozen import frozen
from migrator.input.described import described
from migrator.plan import Phase, Step
from migrator.steps import deadline
from migrator.steps.contract import Written, one_phase
from migrator.steps.names import INDEX_WANTED, RELATION_PATTERN, TABLE_WANTED

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext
    from migrator.steps.recipe import Recipe

KIND = "reindex"
SUMMARY = "builds an index, or all of a table, anew while others read and write"
ONE_BY_ONE = True
UNDONE_BY_SCRIPT = False


@frozen
class Parameters:
    index: str | None = described(
        "The index, as SQL writes its name; this or `table`.",
        default=None,
        pattern=RELATION_PATTERN,
        wanted=INDEX_WANTED,
    )
    table: str | None = described(
        "The table, all of whose indexes are built anew; this or `index`.",
        default=None,
        pattern=RELATION_PATTERN,
        wanted=TABLE_WANTED,
    )
    deadline: str | None = described(deadline.TEXT, default=None, pattern=deadline.PATTERN, wanted=deadline.WANTED)


PARAMETERS = Parameters
DRAFT: type[Any] | None = None


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    if (parameters.index is None) == (parameters.table is None):
        yield "index", "either this or table says what is built anew", "give one of them"
    for key in ("index", "table"):
        name = getattr(parameters, key) or ""
        if name.startswith(("pg_catalog.", '"pg_catalog".')):
            hint = "take a window and run REINDEX without it in a step of kind sql"
            yield key, "is of the system's catalog, for which there is no CONCURRENTLY", hint
    yield from deadline.contradictions(parameters.deadline)


def sql(parameters: Parameters, major: int | None = None) -> str:
    kind = "INDEX" if parameters.index is not None else "TABLE"
    return f"REINDEX {kind} CONCURRENTLY {parameters.index or parameters.table};\n"


def draft(given: None) -> str:
    return ""


def recipe(parameters: Parameters, sql: str) -> Recipe:
    from migrator.parsing.build import literal_text
    from migrator.steps.recipe import Recipe

    key = "indexrelid" if parameters.index is not None else "indrelid"
    name = literal_text(parameters.index or parameters.table or "")
    valid = f"SELECT coalesce(bool_and(indisvalid AND indisready), true) FROM pg_index WHERE {key} = {name}::regclass"
    return Recipe(holds=(valid,))


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    given = {key: written.parameters.get(key) for key in ("index", "table", deadline.KEY)}
    params = {key: value for key, value in given.items() if value is not None}
    return one_phase(Step(written.name, KIND, False, written.statements, params), needs_window=False)


def describe(step: Step) -> str:
    what = step.params.get("index") or f"the indexes of {step.params['table']}"
    return f"builds {what} anew without blocking anybody; may be interrupted and repeated"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: there is none, or CONCURRENTLY cannot do it; its deadline is over."""
    from migrator.steps import rebuilt_index

    return rebuilt_index.execute(step, phase, ctx)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """Not of what later steps have dropped."""
    from migrator.steps import rebuilt_index

    return rebuilt_index.invalid(step, conn)


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    """The index is what it was; only what an interrupted attempt has left goes."""
    from migrator.steps import rebuilt_index

    rebuilt_index.sweep(step, row, ctx, conn)
    return ()


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    """Those that this login may not drop; all others of this step are gone by `undo`."""
    from migrator.steps import gently

    return gently.removals_by_others(step.statements[0], conn)
