"""The work that a statement makes the server do, from its effects: what is read, written and sorted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from migrator.effects.world import commands
from migrator.estimate import keys
from migrator.estimate.expressions import seconds_per_million
from migrator.estimate.keys import Keys
from migrator.estimate.model import Costs, Profile, Statistics, Work
from migrator.facts import IndexFacts, RelationFacts
from migrator.nodes import Node, enum, find, name_of
from migrator.rules.model import Subject

ROW_OVERHEAD = 28
"""Bytes of a row beside its columns: header, item pointer."""
REWRITE_WAL = 34
"""Bytes of WAL for each row of a rewrite beside the row; of the others below, measured in the same way."""
INSERT_WAL = 26
UPDATE_WAL = 100
DELETE_WAL = 56
KEY_WAL = 60
DEFAULT_WIDTH = 120
"""Bytes of a row when nothing is known."""
WRITERS = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
VERBS = {"insert": "adds", "update": "changes", "delete": "deletes", "merge": "merges"}
COPIES = ("create_table_as_stmt", "refresh_mat_view_stmt")


@dataclass(frozen=True)
class Case:
    """One statement with what its work depends on."""

    subject: Subject
    profile: Profile
    statistics: Statistics

    @property
    def costs(self) -> Costs:
        return self.profile.costs

    def relation(self, name: str) -> RelationFacts | None:
        return self.subject.world.relation(name)

    def rows(self, name: str) -> int:
        """Of this very relation: a partitioned table has none of its own."""
        facts = self.relation(name)
        return 0 if facts is None or facts.kind in ("p", "v") else max(0, facts.rows)

    def heap_bytes(self, name: str) -> int:
        facts = self.relation(name)
        return 0 if facts is None else facts.bytes

    def width(self, name: str) -> float:
        """Bytes that a row takes on disk, free space included."""
        rows = self.rows(name)
        return self.heap_bytes(name) / rows if rows else DEFAULT_WIDTH

    def indexes(self, name: str) -> tuple[tuple[IndexFacts, Keys], ...]:
        facts = self.relation(name)
        if facts is None:
            return ()
        rows = self.rows(name)
        return tuple((index, keys.of_index(index, facts, rows, self.statistics)) for index in facts.indexes)

    def missing(self, name: str) -> float:
        """The part of the table and its indexes that does not fit into half of shared_buffers."""
        size = self.heap_bytes(name) + sum(item.bytes for _, item in self.indexes(name))
        return 0.0 if size == 0 else max(0.0, 1 - self.profile.shared_buffers / 2 / size)


def work_of(case: Case) -> Iterator[Work]:
    """Everything beyond the statement itself. Empty for what only changes the catalog."""
    name = case.subject.statement.name
    if name == "truncate_stmt":
        return  # new empty files, whatever the table holds
    if name in WRITERS:
        yield from _writes(case)
    elif name in COPIES:
        yield from _copies(case)
    elif name == "index_stmt":
        yield from _builds(case)
    else:
        yield from _rewrites(case)
        yield from _scans(case)


def _rewrites(case: Case) -> Iterator[Work]:
    effects = case.subject.effects
    extra = _expressions(case.subject.statement.node, case.costs)
    rewritten = set()
    unlogged = case.profile.wal_minimal or _sets_unlogged(case.subject)
    for name in effects.rewrites:
        rows = case.rows(name)
        rewritten |= {index.name for index, _ in case.indexes(name)}
        size = case.heap_bytes(name)
        yield Work(
            f"writes {rows:,} rows of {name} anew",
            rows / 1e6 * (case.costs.write + extra),
            wal_bytes=0 if unlogged else int(rows * (case.width(name) + REWRITE_WAL)),
            temporary_bytes=size,
        )
        for index, found in case.indexes(name):
            yield _build(index.name, found, case, temporary=index.bytes or found.bytes)
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
        temporary=index.bytes,
        passes=2 if case.subject.effects.waits_for_old_transactions else 1,
    )


def _build(name: str, found: Keys, case: Case, *, temporary: int = 0, final: int = 0, passes: int = 1) -> Work:
    """One index. `passes`: CONCURRENTLY reads the table twice, the second time to look for what was missed."""
    spilled = found.bytes if found.bytes > case.profile.maintenance_work_mem else 0
    again = (passes - 1) * found.rows / 1e6 * (case.costs.scan + case.costs.build)
    return Work(
        f"builds index {name} over {found.rows:,} rows",
        found.build_seconds(case.costs) + again,
        wal_bytes=0 if case.profile.wal_minimal else found.bytes,
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
    extra = _expressions(statement.node, case.costs)
    for name in case.subject.effects.scans:
        table_rows = case.rows(name)
        if not table_rows:
            continue
        rows = table_rows
        if where is not None:
            rows = min(table_rows, case.statistics.rows.get(statement.digest, table_rows))
            yield Work(f"reads {table_rows:,} rows of {name}", table_rows / 1e6 * case.costs.scan)
        found = keys.of_columns(columns, case.relation(name), rows, case.statistics, method=method)
        yield _build(stmt.idxname or f"on {name}", found, case, final=found.bytes, passes=2 if stmt.concurrent else 1)
        if extra:
            yield Work("computes the keys", table_rows / 1e6 * extra)


def _scans(case: Case) -> Iterator[Work]:
    """Every row is looked at: a constraint, NOT NULL, a foreign key, the index of a new constraint, VACUUM."""
    subject = case.subject
    extra = _expressions(subject.statement.node, case.costs)
    foreign = any(enum(item, "contype") == "CONSTR_FOREIGN" for item in find(subject.statement.node, "Constraint"))
    validates = _validates_foreign_key(case)
    for name in subject.effects.scans:
        rows = case.rows(name)
        cost = case.costs.scan + extra + (case.costs.probe if foreign or validates else 0.0)
        yield Work(f"reads {rows:,} rows of {name}", rows / 1e6 * cost)
    yield from _constraint_indexes(case)


def _constraint_indexes(case: Case) -> Iterator[Work]:
    """UNIQUE, PRIMARY KEY and EXCLUDE build an index."""
    statement = case.subject.statement
    if statement.name != "alter_table_stmt":
        return
    name = case.subject.world.name(statement.tree.relation)
    if name not in case.subject.effects.scans:
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
                yield _build(item.conname or f"on {table}", found, case, final=found.bytes)


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


def _writes(case: Case) -> Iterator[Work]:
    """INSERT, UPDATE, DELETE, MERGE: as many rows as the planner expects, each one in every index."""
    statement = case.subject.statement
    name = case.subject.world.name(statement.tree.relation)
    costs, verb = case.costs, statement.name.partition("_")[0]
    total = sum(case.rows(one) for one in (name, *case.subject.world.leaves(name)))
    changed = case.statistics.rows.get(statement.digest)
    if changed is None:
        changed = _literal_rows(statement.node) if verb == "insert" else total
    changed = changed if verb == "insert" else min(changed, total)
    if verb != "insert" and total:
        extra = _expressions(_part(statement.tree, "where_clause"), costs)
        yield Work(f"reads {total:,} rows of {name}", total / 1e6 * (costs.scan + extra))
    per_row, wal, grows = {
        "insert": (costs.insert, case.width(name) + INSERT_WAL, case.width(name)),
        "delete": (costs.delete, DELETE_WAL, 0.0),
    }.get(verb, (costs.update, case.width(name) + UPDATE_WAL, case.width(name)))
    yield Work(
        f"{VERBS[verb]} {changed:,} rows of {name}",
        changed / 1e6 * (per_row + sum(_expressions(item, costs) for item in _list(statement.tree, "target_list"))),
        wal_bytes=int(changed * wal),
        final_bytes=int(changed * grows),
    )
    if verb != "delete":
        yield from _index_entries(name, changed, case)
    yield from _row_checks(name, changed, verb, case)


def _index_entries(name: str, changed: int, case: Case) -> Iterator[Work]:
    for table in (name, *case.subject.world.leaves(name)):
        for index, found in case.indexes(table):
            yield Work(
                f"puts {changed:,} keys into {index.name}",
                found.place_seconds(case.costs, changed=changed, missing=case.missing(table)),
                wal_bytes=changed * (found.width + KEY_WAL),
                final_bytes=changed * (found.width + keys.TUPLE_OVERHEAD),
            )
        if case.indexes(table):
            return  # rows go to one partition each: the first one's indexes stand for all


def _row_checks(name: str, changed: int, verb: str, case: Case) -> Iterator[Work]:
    """Foreign keys and row triggers fire for each row."""
    facts = case.relation(name)
    if facts is None:
        return
    own = sum(item.kind == "f" for item in facts.constraints) if verb == "insert" else 0
    others = len(facts.referenced_by) if verb in ("delete", "merge") else 0
    for number, what in ((own + others, "checks {} foreign keys"), (len(facts.triggers), "fires {} triggers")):
        if number:
            yield Work(what.format(number) + " for each row", changed / 1e6 * case.costs.trigger * number)


def _copies(case: Case) -> Iterator[Work]:
    """CREATE TABLE AS, CREATE and REFRESH MATERIALIZED VIEW: the rows that the planner expects of the query."""
    statement = case.subject.statement
    rows, width = case.statistics.rows.get(statement.digest, 0), float(DEFAULT_WIDTH)
    name = "the new table"
    if statement.name == "refresh_mat_view_stmt":
        name = case.subject.world.name(statement.tree.relation)
        rows, width = case.rows(name), case.width(name)
    size = int(rows * width)
    tables = {case.subject.world.name(item) for item in find(statement.node, "RangeVar")} - {name}
    for table in sorted(tables):
        if read := case.rows(table):
            yield Work(f"reads {read:,} rows of {table}", read / 1e6 * case.costs.scan)
    yield Work(
        f"writes {rows:,} rows into {name}",
        rows / 1e6 * case.costs.write,
        wal_bytes=0 if case.profile.wal_minimal else int(rows * (width + INSERT_WAL)),
        temporary_bytes=size if statement.name == "refresh_mat_view_stmt" else 0,
        final_bytes=0 if statement.name == "refresh_mat_view_stmt" else size,
    )
    for index, found in case.indexes(name):
        yield _build(index.name, found, case, temporary=found.bytes)


def _literal_rows(node: Node) -> int:
    """INSERT ... VALUES: as many rows as are written there."""
    stmt = node.insert_stmt
    if name_of(stmt.select_stmt) == "select_stmt" and len(stmt.select_stmt.select_stmt.values_lists):
        return len(stmt.select_stmt.select_stmt.values_lists)
    return 1


def _part(tree: Node, field: str) -> Node | None:
    return getattr(tree, field) if field in tree.DESCRIPTOR.fields_by_name and tree.HasField(field) else None


def _list(tree: Node, field: str) -> tuple[Node, ...]:
    return tuple(getattr(tree, field)) if field in tree.DESCRIPTOR.fields_by_name else ()


def _expressions(node: Node | None, costs: Costs) -> float:
    return seconds_per_million(node, costs)
