"""Step kind `drop_index`: one index goes while others read and write; undone by building it again as it was.

https://www.postgresql.org/docs/current/sql-dropindex.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from migrator.frozen import frozen
from migrator.input.described import described
from migrator.plan import Phase, Step
from migrator.steps import deadline
from migrator.steps.contract import Written, one_phase
from migrator.steps.names import INDEX_WANTED, RELATION_PATTERN

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext
    from migrator.steps.recipe import Recipe

KIND = "drop_index"
SUMMARY = "drops an index while others read and write, and builds it again as it was when it is rolled back"
ONE_BY_ONE = True
UNDONE_BY_SCRIPT = False


@frozen
class Parameters:
    index: str = described(
        "The index, as SQL writes its name: `public.messages_old_idx`.", pattern=RELATION_PATTERN, wanted=INDEX_WANTED
    )
    deadline: str | None = described(deadline.TEXT, default=None, pattern=deadline.PATTERN, wanted=deadline.WANTED)


PARAMETERS = Parameters
DRAFT: type[Any] | None = None


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    yield from deadline.contradictions(parameters.deadline)


def sql(parameters: Parameters, major: int | None = None) -> str:
    return f"DROP INDEX CONCURRENTLY {parameters.index};\n"


def draft(given: None) -> str:
    return ""


def recipe(parameters: Parameters, sql: str) -> Recipe:
    from migrator.parsing.build import literal_text
    from migrator.steps.names import has_schema
    from migrator.steps.recipe import Recipe

    gone = f"SELECT to_regclass({literal_text(parameters.index)}) IS NULL"
    changes = {"dropped": {"indexes": (parameters.index,)}} if has_schema(parameters.index) else None
    return Recipe(holds=(gone,), changes=changes)


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    params = {"index": written.parameters["index"], **deadline.in_plan(written.parameters.get(deadline.KEY))}
    return one_phase(Step(written.name, KIND, False, written.statements, params), needs_window=False)


def describe(step: Step) -> str:
    return f"drops {step.params['index']} without blocking anybody; may be interrupted and repeated"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: there is no such index, or something needs it: a constraint, the replica identity, the
    index of a partitioned table. Its deadline is over."""
    from migrator.steps import dropped_index

    return dropped_index.execute(step, phase, ctx)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """A later step may have made one of the name; half dropped none may be."""
    from migrator.steps import dropped_index

    return dropped_index.half_dropped(step, conn)


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    from migrator.steps import dropped_index

    return dropped_index.build_again(step, row, ctx, conn)


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    """Undone, it is there again."""
    return ()
