"""Step kind `create_index`: one index, built concurrently, with progress for people who watch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from migrator.frozen import frozen
from migrator.input.described import described
from migrator.parsing.nodes import name_of
from migrator.plan import Phase, Step
from migrator.steps import deadline
from migrator.steps.contract import Written, one_phase
from migrator.steps.files import FILE, FILE_PATTERN, FILE_WANTED
from migrator.steps.names import COLUMN_LIST, INDEX_WANTED, NAME_PATTERN, RELATION_PATTERN, TABLE_WANTED

if TYPE_CHECKING:
    from migrator.database.session import Connection
    from migrator.ledger.rows import LedgerStep
    from migrator.parsing.statements import ParsedFile, ParsedStatement
    from migrator.problems import Problem
    from migrator.steps.context import StatementResult, StepContext
    from migrator.steps.recipe import Recipe

KIND = "create_index"
SUMMARY = "builds the index while others read and write"
ONE_BY_ONE = True
UNDONE_BY_SCRIPT = True


@frozen
class Parameters:
    file: str | None = described(FILE, default=None, pattern=FILE_PATTERN, wanted=FILE_WANTED)
    transaction: bool | None = described(
        "Only `false`, which is what happens anyway: an index is built outside a transaction.", default=None
    )
    deadline: str | None = described(deadline.TEXT, default=None, pattern=deadline.PATTERN, wanted=deadline.WANTED)


PARAMETERS = Parameters


@frozen
class Draft:
    table: str = described(
        "Table that gets the index, as SQL writes its name.", pattern=RELATION_PATTERN, wanted=TABLE_WANTED
    )
    index: str = described("Name of the index, without its schema.", pattern=NAME_PATTERN, wanted=INDEX_WANTED)
    columns: str = described("What it is of, as CREATE INDEX has it: `tenant_id, created_at DESC`.")
    unique: bool = described("No two rows may be equal in it.", default=False)
    method: str | None = described(
        "`btree`, which is the default, `gin`, `brin` or another.",
        default=None,
        pattern=NAME_PATTERN,
        wanted="is not the name of an access method",
    )
    include: str | None = described("Further columns, which it only holds.", default=None, pattern=COLUMN_LIST)
    where: str | None = described("Condition of the rows that it has.", default=None)


DRAFT: type[Any] | None = Draft


def contradictions(parameters: Parameters) -> Iterator[tuple[str, str, str | None]]:
    if parameters.transaction:
        yield "transaction", "an index is built outside a transaction", "remove the key"
    yield from deadline.contradictions(parameters.deadline)


def sql(parameters: Parameters, major: int | None = None) -> str:
    return ""


def draft(given: Draft) -> str:
    unique = "UNIQUE " if given.unique else ""
    method = f" USING {given.method}" if given.method else ""
    include = f" INCLUDE ({given.include})" if given.include else ""
    where = f"\n    WHERE {given.where}" if given.where else ""
    on = f"{given.table}{method} ({given.columns}){include}{where}"
    return f"CREATE {unique}INDEX CONCURRENTLY {given.index}\n    ON {on};\n"


def recipe(parameters: Parameters, sql: str) -> Recipe:
    """Of a partitioned table there is no DROP INDEX CONCURRENTLY: there the rule that knows it says what undoes it."""
    from migrator.parsing.build import beside, literal_text, relation_text
    from migrator.parsing.statements import parse
    from migrator.steps.recipe import Recipe

    tree = parse(sql, file="").statements[0].tree
    name = relation_text(beside(tree.relation, tree.idxname))
    valid = f"SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = {literal_text(name)}::regclass"
    changes = {"added": {"indexes": (name,)}} if tree.relation.schemaname else None
    return Recipe(f"DROP INDEX CONCURRENTLY IF EXISTS {name};\n", (valid,), changes)


def problems(parsed: ParsedFile) -> Iterator[Problem]:
    yield from ()


def plan(written: Written) -> Step:
    params = _index(written.parsed[0]) if written.parsed else {}
    params |= deadline.in_plan(written.parameters.get(deadline.KEY))
    return one_phase(Step(written.name, KIND, False, written.statements, params), needs_window=False)


def _index(item: ParsedStatement) -> dict[str, Any]:
    """What the file builds. `index` None: PostgreSQL chooses the name."""
    if name_of(item.node) != "index_stmt":
        return {}
    tree = item.tree
    return {
        "schema": tree.relation.schemaname or None,
        "table": tree.relation.relname,
        "index": tree.idxname or None,
        "unique": bool(tree.unique),
        "concurrently": bool(tree.concurrent),
        "if_not_exists": bool(tree.if_not_exists),
    }


def describe(step: Step) -> str:
    ends = f"it is given up after {step.params[deadline.KEY]}" if deadline.KEY in step.params else "no timeout ends it"
    return f"builds the index without blocking writers; may be interrupted and repeated, {ends}"


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """:raises StatementFailed: the index cannot be built; no invalid index stays behind."""
    from migrator.steps import piecewise

    return piecewise.execute(step, phase, ctx)


def verify(step: Step, conn: Connection) -> tuple[str, ...] | None:
    """An index that a later step has dropped or renamed is not looked for."""
    from migrator.database.vocabulary import told_name
    from migrator.steps import concurrent_index

    broken = tuple(f"index {told_name(name)} is not valid" for name in concurrent_index.invalid(step.statements, conn))
    return broken + concurrent_index.others(step.statements, conn)


def undo(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    return ()


def leftovers(step: Step, conn: Connection) -> tuple[str, ...]:
    from migrator.steps.leftovers import removals

    return removals(step.statements, conn)
