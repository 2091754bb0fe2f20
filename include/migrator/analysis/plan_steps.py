"""From a migration's statements to the steps of its plan: what is one transaction and what runs one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from migrator.analysis.effects import NOTHING, Effects
from migrator.catalogue.content import kind_of_file, source_name
from migrator.parsing.statements import ParsedFile, ParsedStatement
from migrator.plan import Statement, Step
from migrator.steps.contract import Written
from migrator.steps.kinds import kind_named, sql

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
        parsed_file = files[source_name(migration, spec)]
        start = sum(len(step.statements) for step in steps)
        statements = _statements(parsed_file, effects, start, seconds)
        steps.append(
            kind_named(spec.kind).plan(Written(spec.name, parsed_file.statements, statements, spec.parameters))
        )
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
    kind = kind_named(kind_of_file(parsed))
    statements = _statements(parsed, effects, 0, seconds)
    return (kind.plan(Written(kind.KIND, parsed.statements, statements, {"transaction": transaction})),)


def rollback_steps(
    parsed: ParsedFile | None, effects: Mapping[tuple[str, int], Effects] | None = None
) -> tuple[Step, ...]:
    """The rollback script as one step; none when there is none."""
    if parsed is None or not parsed.statements:
        return ()
    return (sql.plan(Written("rollback", parsed.statements, _statements(parsed, effects, 0))),)


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
        locks=effects.locks + effects.own.locks,
        rewrites=effects.rewrites + effects.own.rewrites,
        scans=effects.scans + effects.own.scans,
        indexes_rebuilt=effects.indexes_rebuilt + effects.own.indexes_rebuilt,
        known=effects.known,
        estimated_seconds=seconds,
    )
