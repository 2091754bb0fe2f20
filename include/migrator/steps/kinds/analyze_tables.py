"""Step kind `analyze_tables`: fresh statistics for the planner after a change, one table after the other.

A column whose type was changed has no statistics until ANALYZE or autovacuum comes by (RemoveStatistics in
src/backend/commands/tablecmds.c), nor has a table that was just filled. ANALYZE takes SHARE UPDATE EXCLUSIVE: others
read and write meanwhile. https://www.postgresql.org/docs/current/sql-analyze.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from migrator import documents
from migrator.frozen import frozen
from migrator.input.described import described
from migrator.plan import Phase, Step
from migrator.steps.contract import Written, one_phase
from migrator.steps.names import RELATION_PATTERN, TABLE_WANTED

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext
    from migrator.steps.recipe import Recipe

KIND = "analyze_tables"
SUMMARY = "collects the planner's statistics of its tables while others read and write"
ONE_BY_ONE = True
UNDONE_BY_SCRIPT = False

SIZE_PATTERN = r"[1-9][0-9]*(kB|MB|GB)"


@frozen
class Parameters:
    tables: tuple[str, ...] = described(
        "Tables to analyze, in this order, as SQL writes their names: `public.messages`.",
        pattern=RELATION_PATTERN,
        wanted=TABLE_WANTED,
    )
    skip_locked: bool = described(
        "`true`: pass by a table that somebody else is changing, instead of waiting for it.", default=False
    )
    buffer_usage_limit: str | None = described(
        "How much of shared buffers it may use, such as `2MB` (PostgreSQL 16 and later). Default: the server's.",
        default=None,
        pattern=SIZE_PATTERN,
        wanted="is not a size such as 2MB",
    )


PARAMETERS = Parameters
DRAFT: type[Any] | None = None


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    if not parameters.tables:
        yield "tables", "names no table", "name at least one"
    for position, table in enumerate(parameters.tables):
        if table in parameters.tables[:position]:
            yield "tables", f"names {table} twice", None


def sql(parameters: Parameters, major: int | None = None) -> str:
    """A statement for each table, so that a failure or a kill costs one of them."""
    options = ["SKIP_LOCKED"] if parameters.skip_locked else []
    if parameters.buffer_usage_limit:
        options.append(f"BUFFER_USAGE_LIMIT '{parameters.buffer_usage_limit}'")
    shown = f"({', '.join(options)}) " if options else ""
    return "".join(f"ANALYZE {shown}{table};\n" for table in parameters.tables)


def draft(given: None) -> str:
    return ""


def recipe(parameters: Parameters, sql: str) -> Recipe:
    """Of a table that was skipped because others changed it nothing holds."""
    from migrator.parsing.build import literal_text
    from migrator.steps.recipe import Recipe

    tables = ", ".join(f"{literal_text(table)}::regclass" for table in parameters.tables)
    known = f"SELECT bool_and(reltuples >= 0) FROM pg_class WHERE oid IN ({tables})"
    return Recipe(holds=() if parameters.skip_locked else (known,))


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    """It may run when the window is over: nobody waits for it."""
    step = Step(written.name, KIND, False, written.statements, dict(written.parameters))
    return one_phase(step, needs_window=False)


def describe(step: Step) -> str:
    return f"analyzes {', '.join(_tables(step))}; may be interrupted and repeated"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: there is no such table, or the server skips it because it is another role's."""
    from migrator.steps import piecewise

    patient = not documents.from_dict(Parameters, step.params).skip_locked
    return piecewise.execute(step, phase, ctx, refuse=_skipped if patient else None)


def _skipped(result: StatementResult) -> str | None:
    """To whom may not analyze a table, or one of its partitions, the server answers with a warning and success
    (vacuum_is_permitted_for_relation in src/backend/commands/vacuum.c)."""
    said = [notice.message for notice in result.notices if notice.severity == "WARNING"]
    return f"nothing was analyzed: {'; '.join(said)}" if said else None


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """pg_class.reltuples is -1 until the first ANALYZE or VACUUM (14 and later)."""
    from migrator.database import naming, queries, session

    with session.translated():
        query = queries.load(__package__, KIND)["never_analyzed"]
        rows = naming.ask(conn, query, {"tables": list(_tables(step))}).rows
    return tuple(f"{name} has no statistics" if there else f"there is no table {name}" for name, there in rows)


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    """Statistics describe the rows that are there; the next ANALYZE replaces them."""
    return ()


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    return ()


def _tables(step: Step) -> tuple[str, ...]:
    return documents.from_dict(Parameters, step.params).tables
