"""From a migration's statements to the steps of its plan: what is one transaction and what runs one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from migrator.analysis.effects import NOTHING, Effects
from migrator.parsing.nodes import name_of
from migrator.parsing.statements import ParsedFile, ParsedStatement
from migrator.plan import Statement, Step, StepKind

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration


def build_steps(
    migration: Migration,
    parsed: ParsedFile | Mapping[str, ParsedFile],
    effects: Mapping[tuple[str, int], Effects] | None = None,
    seconds: Mapping[tuple[str, int], float | None] | None = None,
) -> tuple[Step, ...]:
    """The steps of a migration. `parsed`: its SQL file, or all its step files by name. `effects`, `seconds` (the
    estimates): by file and statement index.

    Without `steps:` in the metadata the file is one step: a transaction when every statement can be in one,
    `create_index` when it is a single CREATE INDEX CONCURRENTLY, else statement by statement.
    """
    main = migration.sql_path.relative_to(migration.folder).as_posix()
    files = {main: parsed} if isinstance(parsed, ParsedFile) else parsed
    wanted = migration.metadata.transaction
    if not migration.steps:
        return steps_of_file(files[main], transaction=wanted, effects=effects, seconds=seconds)
    steps: list[Step] = []
    for spec in migration.steps:
        parsed_file = files[migration.step_path(spec).relative_to(migration.folder).as_posix()]
        start = sum(len(step.statements) for step in steps)
        transaction = wanted if spec.transaction is None else spec.transaction
        statements = _statements(parsed_file, effects, start, seconds)
        steps.append(_step(spec.name, spec.kind, parsed_file.statements, statements, transaction))
    return tuple(steps)


def steps_of_file(
    parsed: ParsedFile,
    *,
    transaction: bool | None = None,
    effects: Mapping[tuple[str, int], Effects] | None = None,
    seconds: Mapping[tuple[str, int], float | None] | None = None,
) -> tuple[Step, ...]:
    """One SQL file as one step; none when it has no statement."""
    if not parsed.statements:
        return ()
    single_index = len(parsed.statements) == 1 and parsed.statements[0].kind == "CREATE INDEX CONCURRENTLY"
    kind = StepKind.CREATE_INDEX if single_index else StepKind.SQL
    return (_step(kind.value, kind, parsed.statements, _statements(parsed, effects, 0, seconds), transaction),)


def rollback_steps(
    parsed: ParsedFile | None, effects: Mapping[tuple[str, int], Effects] | None = None
) -> tuple[Step, ...]:
    """The rollback script as one step; none when there is none."""
    if parsed is None or not parsed.statements:
        return ()
    return (_step("rollback", StepKind.SQL, parsed.statements, _statements(parsed, effects, 0), None),)


def _step(
    name: str,
    kind: StepKind,
    parsed: Sequence[ParsedStatement],
    statements: tuple[Statement, ...],
    transaction: bool | None,
) -> Step:
    possible = all(statement.transactional for statement in statements)
    transactional = possible and transaction is not False and kind is StepKind.SQL
    params = index_params(parsed[0]) if kind is StepKind.CREATE_INDEX and parsed else {}
    return Step(name=name, kind=kind, transactional=transactional, statements=statements, params=params)


def _statements(
    parsed: ParsedFile,
    effects: Mapping[tuple[str, int], Effects] | None,
    start: int,
    seconds: Mapping[tuple[str, int], float | None] | None = None,
) -> tuple[Statement, ...]:
    return tuple(
        to_statement(
            item,
            file=parsed.file,
            index=start + item.index,
            effects=(effects or {}).get((parsed.file, item.index)),
            seconds=(seconds or {}).get((parsed.file, item.index)),
        )
        for item in parsed.statements
    )


def to_statement(
    item: ParsedStatement, *, file: str, index: int, effects: Effects | None, seconds: float | None = None
) -> Statement:
    effects = effects or NOTHING
    return Statement(
        index=index,
        sql=item.sql,
        kind=item.kind,
        file=file,
        line=item.line,
        column=item.column,
        transactional=item.transactional and effects.transactional,
        digest=item.digest,
        locks=effects.locks,
        rewrites=effects.rewrites,
        scans=effects.scans,
        indexes_rebuilt=effects.indexes_rebuilt,
        known=effects.known,
        estimated_seconds=seconds,
    )


def index_params(item: ParsedStatement) -> dict[str, Any]:
    """What the create_index step needs to find the index it builds. `index` None: PostgreSQL chooses the name."""
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
