"""The work of INSERT, UPDATE, DELETE and MERGE: rows, keys of their indexes, foreign keys and triggers of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from migrator.analysis.estimate import keys
from migrator.analysis.estimate.case import Case
from migrator.analysis.estimate.expressions import seconds_per_million
from migrator.analysis.estimate.model import Work
from migrator.analysis.estimate.selectivity import left_by
from migrator.facts.facts import TriggerFacts
from migrator.parsing.nodes import Node, find, name_of

INSERT_WAL = 26
"""Bytes of WAL for each row beside the row; as the others, measured."""
UPDATE_WAL = 100
DELETE_WAL = 56
KEY_WAL = 60
WRITERS = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
VERBS = {"insert": "adds", "update": "changes", "delete": "deletes", "merge": "merges"}
FETCH = 8
"""A row that an index points to, its page pinned for it alone, takes as long as so many in a row; measured."""
QUERIES = re.compile(r"^\s*(?:insert\s+into|update|delete\s+from|merge\s+into|select|perform|execute)\b", re.I | re.M)
"""SQL statements of a body in PL/pgSQL, one a line, as everybody writes them."""


def writes(case: Case) -> Iterator[Work]:
    """INSERT, UPDATE, DELETE, MERGE: as many rows as the planner expects, each one in every index."""
    statement = case.subject.statement
    name = case.subject.world.name(statement.tree.relation)
    costs, verb = case.costs, statement.name.partition("_")[0]
    total = sum(case.rows(one) for one in (name, *case.subject.world.leaves(name)))
    chosen = _chosen(case, name, verb, total)
    changed = chosen.rows
    if verb != "insert" and total:
        where = _part(statement.tree, "where_clause")
        looked_at = changed if chosen.by_index else total
        extra = looked_at / 1e6 * seconds_per_million(where, costs)
        yield _index_reads(case, name, changed, extra) if chosen.by_index else _reads(case, name, total, extra)
    per_row, wal, grows = {
        "insert": (costs.insert, case.width(name) + INSERT_WAL, case.width(name)),
        "delete": (costs.delete, DELETE_WAL, 0.0),
    }.get(verb, (costs.update, case.width(name) + UPDATE_WAL, case.width(name)))
    yield Work(
        f"{VERBS[verb]} {changed:,} rows of {name}",
        changed
        / 1e6
        * (per_row + sum(seconds_per_million(item, costs) for item in _list(statement.tree, "target_list")))
        + (0.0 if verb == "insert" else case.touched(name, changed) / 1e6 * costs.page_miss),
        wal_bytes=int(changed * wal),
        final_bytes=int(changed * grows),
        basis=chosen.basis,
        fills=(name, changed) if verb == "insert" else None,
    )
    if verb != "delete":
        yield from _index_entries(name, changed, case, _set_columns(statement.tree, verb))
    yield from _row_checks(name, changed, verb, case)


@dataclass(frozen=True)
class Chosen:
    """The rows that a statement changes."""

    rows: int
    basis: str
    """For people: how that is known."""
    by_index: bool = False
    """The table's other rows are not read."""


def _chosen(case: Case, name: str, verb: str, total: int) -> Chosen:
    statement, statistics = case.subject.statement, case.statistics
    planned = statistics.rows.get(statement.digest)
    basis = statistics.bases.get(statement.digest, "the planner's estimate")
    if verb == "insert":
        return _inserted(case) if planned is None else Chosen(planned, basis)
    if planned is not None:
        return Chosen(min(planned, total), basis, by_index=statement.digest in statistics.by_index)
    where, facts = _part(statement.tree, "where_clause"), case.relation(name)
    if verb == "merge" or where is None:
        return Chosen(total, "at most all rows" if verb == "merge" else "all rows")
    alone = not _list(statement.tree, "from_clause") and not _list(statement.tree, "using_clause")
    columns = {column: found for (table, column), found in statistics.columns.items() if table == name}
    left = left_by(where, facts, columns, total) if facts is not None and alone else None
    if left is None:
        return Chosen(total, "at most all rows: what the WHERE leaves is not known")
    return Chosen(min(total, max(1, round(left.fraction * total))), left.basis, left.by_index)


def _reads(case: Case, name: str, total: int, extra: float) -> Work:
    read = sum(case.read_seconds(one) for one in (name, *case.subject.world.leaves(name)))
    return Work(f"reads {total:,} rows of {name}", read + extra)


def _index_reads(case: Case, name: str, rows: int, extra: float) -> Work:
    """One way down the index, which costs what it costs to place a key, and then each row by itself."""
    down = case.costs.place * keys.digits(case.rows(name))
    seconds = (down + rows * FETCH * case.costs.scan) / 1e6 + extra
    return Work(f"finds {rows:,} rows of {name} by an index", seconds)


def _set_columns(tree: Node, verb: str) -> frozenset[str] | None:
    """The columns that an UPDATE gives new values; None: all are new."""
    return frozenset(item.res_target.name for item in _list(tree, "target_list")) if verb == "update" else None


def _index_entries(name: str, changed: int, case: Case, columns: frozenset[str] | None) -> Iterator[Work]:
    for table in (name, *case.subject.world.leaves(name)):
        for index, found in case.indexes(table):
            yield Work(
                f"puts {changed:,} keys into {index.name}",
                found.place_seconds(
                    case.costs,
                    changed=changed,
                    missing=case.missing(table),
                    replaces=columns is not None and not columns & set(index.columns),
                ),
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
    if keyed := own + others:
        yield Work(f"checks {keyed} foreign keys for each row", changed / 1e6 * case.costs.foreign_key * keyed)
    if fired := [item for item in facts.triggers if _fires(item, verb)]:
        queries = sum(_queries(item.function, case) for item in fired)
        seconds = case.costs.trigger * len(fired) + case.costs.trigger_query * queries
        ran = f", with {queries} SQL statements" if queries else ""
        yield Work(f"fires {len(fired)} triggers for each row{ran}", changed / 1e6 * seconds)


def _fires(trigger: TriggerFacts, verb: str) -> bool:
    """For each row. MERGE may do all three."""
    event = not trigger.events or verb == "merge" or verb.upper() in trigger.events
    return event and trigger.for_each_row and trigger.enabled in ("O", "A")


def _queries(function: str, case: Case) -> int:
    """SQL statements in the body of a trigger function; each counts once, in a loop or under a condition, too."""
    bodies = [item.body for item in case.subject.world.functions(tuple(function.split(".")))]
    return max((len(QUERIES.findall(body)) for body in bodies), default=0)


def _inserted(case: Case) -> Chosen:
    """Without the planner: INSERT ... VALUES has as many rows as are written there."""
    query = case.subject.statement.tree.select_stmt
    if name_of(query) != "select_stmt" or len(query.select_stmt.values_lists):
        return Chosen(max(1, len(query.select_stmt.values_lists)), "as written")
    sources = {case.subject.world.name(item) for item in find(query, "RangeVar")}
    rows = max(map(case.rows, sources), default=1)
    return Chosen(
        rows, "as many as the largest of its tables has" if sources else "one query, of which nothing is known"
    )


def _part(tree: Node, field: str) -> Node | None:
    return getattr(tree, field) if field in tree.DESCRIPTOR.fields_by_name and tree.HasField(field) else None


def _list(tree: Node, field: str) -> tuple[Node, ...]:
    return tuple(getattr(tree, field)) if field in tree.DESCRIPTOR.fields_by_name else ()
