"""The work that a statement makes the server do, from its effects: what is read, written and sorted."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.estimate import keys
from migrator.analysis.estimate.case import DEFAULT_WIDTH, Case
from migrator.analysis.estimate.expressions import seconds_per_million
from migrator.analysis.estimate.keys import Keys
from migrator.analysis.estimate.model import Work
from migrator.analysis.estimate.writing import INSERT_WAL, WRITERS, writes
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import commands, enum, find

ROW_OVERHEAD = 28
"""Bytes of a row beside its columns: header, item pointer."""
REWRITE_WAL = 34
"""Bytes of WAL for each row of a rewrite beside the row, measured."""
LEADER_BUSY = 0.3
"""The part of its time that the leader of a parallel query spends on each worker."""
COPIES = ("create_table_as_stmt", "refresh_mat_view_stmt")


def work_of(case: Case) -> Iterator[Work]:
    """Everything beyond the statement itself. Empty for what only changes the catalog."""
    name = case.subject.statement.name
    if name == "truncate_stmt":
        return  # new empty files, whatever the table holds
    if name in WRITERS:
        yield from writes(case)
    elif name in COPIES:
        yield from _copies(case)
    elif name == "index_stmt":
        yield from _builds(case)
    else:
        yield from _rewrites(case)
        yield from _scans(case)


def _rewrites(case: Case) -> Iterator[Work]:
    effects = case.subject.effects
    extra = seconds_per_million(case.subject.statement.node, case.costs)
    rewritten = set()
    unlogged = case.profile.wal_minimal or _sets_unlogged(case.subject)
    for name in effects.rewrites:
        rows = case.rows(name)
        rewritten |= {index.name for index, _ in case.indexes(name)}
        size = case.heap_bytes(name)
        yield Work(
            f"writes {rows:,} rows of {name} anew",
            case.missing_seconds(name) + case.write_seconds(rows, size, logged=not unlogged) + rows / 1e6 * extra,
            wal_bytes=0 if unlogged else int(rows * (case.width(name) + REWRITE_WAL)),
            temporary_bytes=size,
        )
        for index, found in case.indexes(name):
            yield _build(index.name, found, case, name, temporary=index.bytes or found.bytes, logged=not unlogged)
    for index_name in effects.indexes_rebuilt:
        if index_name not in rewritten:
            yield from _rebuild(index_name, case)


def _sets_unlogged(subject: Subject) -> bool:
    stmt = subject.statement
    return stmt.name == "alter_table_stmt" and any(
        enum(command, "subtype") == "AT_SetUnLogged" for command in commands(stmt.tree)
    )


def _rebuild(index_name: str, case: Case) -> Iterator[Work]:
    found = case.subject.world.index_of(index_name)
    if found is None:
        return
    table, index = found
    rows = case.rows(table.name)
    yield _build(
        index_name,
        keys.of_index(index, table, rows, case.statistics),
        case,
        table.name,
        temporary=index.bytes,
        passes=2 if case.subject.effects.waits_for_old_transactions else 1,
    )


def _build(
    name: str,
    found: Keys,
    case: Case,
    table: str,
    *,
    temporary: int = 0,
    final: int = 0,
    passes: int = 1,
    computing: float = 0.0,
    logged: bool = True,
) -> Work:
    """One index. `passes`: CONCURRENTLY reads the table twice, the second time to look for what was missed."""
    spilled = found.bytes if found.bytes > case.profile.maintenance_work_mem else 0
    again = (passes - 1) * found.rows / 1e6 * (case.costs.scan + case.costs.build)
    return Work(
        f"builds index {name} over {found.rows:,} rows",
        found.build_seconds(case.profile, pages=case.pages(table), computing=computing)
        + case.missing_seconds(table) * passes
        + again,
        wal_bytes=found.bytes if logged and not case.profile.wal_minimal else 0,
        temporary_bytes=temporary + spilled,
        final_bytes=final,
    )


def _builds(case: Case) -> Iterator[Work]:
    """CREATE INDEX: over each table that its effects say is read."""
    statement = case.subject.statement
    stmt = statement.tree
    columns = tuple(item.index_elem.name for item in stmt.index_params)
    method = stmt.access_method or "btree"
    where = stmt.where_clause if stmt.HasField("where_clause") else None
    extra = seconds_per_million(statement.node, case.costs)
    for name in case.subject.effects.scans or _filled_here(case):
        table_rows = case.rows(name)
        if not table_rows:
            continue
        rows = table_rows
        if where is not None:
            rows = min(table_rows, case.statistics.rows.get(statement.digest, table_rows))
            yield Work(f"reads {table_rows:,} rows of {name}", case.read_seconds(name))
        found = keys.of_columns(columns, case.relation(name), rows, case.statistics, method=method)
        yield _build(
            stmt.idxname or f"on {name}",
            found,
            case,
            name,
            final=found.bytes,
            passes=2 if stmt.concurrent else 1,
            computing=extra * table_rows / max(1, rows),
        )


def _filled_here(case: Case) -> tuple[str, ...]:
    """The statement's own table, which the migration has made and filled: effects are about others' tables."""
    name = case.subject.world.name(case.subject.statement.tree.relation)
    return (name,) if case.given.get(name) else ()


def _scans(case: Case) -> Iterator[Work]:
    """Every row is looked at: a constraint, NOT NULL, a foreign key, the index of a new constraint, VACUUM."""
    subject = case.subject
    extra = seconds_per_million(subject.statement.node, case.costs)
    foreign = any(enum(item, "contype") == "CONSTR_FOREIGN" for item in find(subject.statement.node, "Constraint"))
    validates = _validates_foreign_key(case)
    for name in subject.effects.scans:
        rows = case.rows(name)
        each = extra + (case.costs.probe if foreign or validates else 0.0)
        yield Work(f"reads {rows:,} rows of {name}", case.read_seconds(name) + rows / 1e6 * each)
    yield from _constraint_indexes(case)


def _constraint_indexes(case: Case) -> Iterator[Work]:
    """UNIQUE, PRIMARY KEY and EXCLUDE build an index."""
    statement = case.subject.statement
    if statement.name != "alter_table_stmt":
        return
    name = case.subject.world.name(statement.tree.relation)
    if name not in case.subject.effects.scans and not _filled_here(case):
        return
    for item in find(statement.node, "Constraint"):
        kind = enum(item, "contype")
        if kind not in ("CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_EXCLUSION") or item.indexname:
            continue
        columns = tuple(node.string.sval for node in item.keys if node.HasField("string"))
        method = (item.access_method or "gist") if kind == "CONSTR_EXCLUSION" else "btree"
        for table in (name, *case.subject.world.leaves(name)):
            if rows := case.rows(table):
                found = keys.of_columns(columns, case.relation(table), rows, case.statistics, method=method)
                yield _build(item.conname or f"on {table}", found, case, table, final=found.bytes)


def _validates_foreign_key(case: Case) -> bool:
    statement, world = case.subject.statement, case.subject.world
    if statement.name != "alter_table_stmt":
        return False
    table = world.name(statement.tree.relation)
    for command in commands(statement.tree):
        if enum(command, "subtype") == "AT_ValidateConstraint":
            known = world.constraint(table, command.name)
            if known is not None and known.kind == "f":
                return True
    return False


def _copies(case: Case) -> Iterator[Work]:
    """CREATE TABLE AS, CREATE and REFRESH MATERIALIZED VIEW: the rows that the planner expects of the query."""
    statement = case.subject.statement
    rows = case.statistics.rows.get(statement.digest, 0)
    width = case.statistics.widths.get(statement.digest, DEFAULT_WIDTH - ROW_OVERHEAD) + float(ROW_OVERHEAD)
    into = statement.tree.into.rel if statement.name == "create_table_as_stmt" else statement.tree.relation
    made, name = case.subject.world.name(into), "the new table"
    if statement.name == "refresh_mat_view_stmt":
        name = case.subject.world.name(statement.tree.relation)
        rows, width = case.rows(name), case.width(name)
    size = int(rows * width)
    tables = {case.subject.world.name(item) for item in find(statement.node, "RangeVar")} - {name, made}
    if statement.name == "create_table_as_stmt" and statement.digest not in case.statistics.rows:
        rows = max(map(case.rows, tables), default=0)  # one of them is not there yet, so that it could not be planned
    each = case.costs.group if any(item.group_clause for item in find(statement.node, "SelectStmt")) else 0.0
    if len(tables) > 1:
        each += case.costs.probe
    each += seconds_per_million(statement.node, case.costs)
    processes = _processes(case.statistics.workers.get(statement.digest, 0))
    for table in sorted(tables):
        if read := case.rows(table):
            yield Work(f"reads {read:,} rows of {table}", (case.read_seconds(table) + read / 1e6 * each) / processes)
    yield Work(
        f"writes {rows:,} rows into {name}",
        case.write_seconds(rows, size),
        wal_bytes=0 if case.profile.wal_minimal else int(rows * (width + INSERT_WAL)),
        temporary_bytes=size if statement.name == "refresh_mat_view_stmt" else 0,
        final_bytes=0 if statement.name == "refresh_mat_view_stmt" else size,
        fills=(made, rows),
    )
    for index, found in case.indexes(name):
        yield _build(index.name, found, case, name, temporary=found.bytes)


def _processes(workers: int) -> float:
    """Who does the work: the workers, and the leader as far as they leave it time, as the planner counts
    (get_parallel_divisor)."""
    return workers + max(0.0, 1 - LEADER_BUSY * workers)
