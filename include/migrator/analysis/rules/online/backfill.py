"""Fills a column in batches of pages, each in a transaction of its own, so that no row stays locked for long.

Batches are ranges of ctid: no key is needed, and TID range scans (PostgreSQL 14 and later) read each page once. The
last UPDATE takes the few rows that moved to an earlier page meanwhile.
"""

from __future__ import annotations

from migrator.analysis.effects import World
from migrator.analysis.effects.types.volatility import volatile_functions
from migrator.analysis.rules.alteration import Alteration
from migrator.parsing.build import build, literal_text, range_var, relation_text
from migrator.parsing.nodes import Node, assign, content, copy_of, find, name_of, strings
from migrator.parsing.statements import deparse

PAGES = 500
"""8 kB each: some ten thousand rows of a hundred bytes."""

BODY = """
<<batch>>
DECLARE
  page bigint := 0;
BEGIN
  WHILE page * current_setting('block_size')::bigint < pg_relation_size({relation}) LOOP
    {batch};
    COMMIT;
    page := page + {pages};
  END LOOP;
  {rest};
END
"""
WITHOUT_EQUALITY = ("json", "xml", "point", "polygon")
ROWS = "UPDATE tbl SET col = DEFAULT WHERE cond"
RANGE = (
    f"SELECT ctid >= format('(%s,0)', batch.page)::tid AND ctid < format('(%s,0)', batch.page + {PAGES})::tid AND cond"
)


def fill(alteration: Alteration, column: str, value: Node | None = None, where: Node | None = None) -> tuple[Node, ...]:
    """A DO block for the table, or for each of its partitions.

    :param value: an expression; None is the column's default. :param where: the rows to take; None is those where
    the column is NULL.
    """
    condition = where if where is not None else expression("SELECT col IS NULL", col=column)
    relations = [alteration.relation]
    if alteration.facts is not None and alteration.is_partitioned:
        leaves = (alteration.world.relation(name) for name in alteration.facts.partitions)
        relations = [range_var(leaf.name) for leaf in leaves if leaf is not None and leaf.kind == "r"]
    return tuple(_block(relation, column, value, condition) for relation in relations)


def expression(template: str, **values: Node | str) -> Node:
    """The expression of a `SELECT expression`."""
    return build(template, **values).select_stmt.target_list[0].res_target.val


def _block(relation: Node, column: str, value: Node | None, condition: Node) -> Node:
    block = build("DO 'body'")
    block.do_stmt.args[0].def_elem.arg.string.sval = BODY.format(
        relation=literal_text(relation_text(relation)),
        batch=_update(relation, column, value, expression(RANGE, cond=condition)),
        rest=_update(relation, column, value, condition),
        pages=PAGES,
    )
    return block


def _update(relation: Node, column: str, value: Node | None, condition: Node) -> str:
    node = build(ROWS, tbl=relation, col=column, cond=condition)
    if value is not None:
        assign(node.update_stmt.target_list[0].res_target.val, value)
    return deparse(node)


def in_batches(node: Node, world: World) -> tuple[Node, ...] | None:
    """UPDATE or DELETE of all rows as a DO block for the table, or for each of its partitions.

    None where running twice over a row would not end in the same: values that depend on the columns that they change,
    volatile functions, subqueries, other tables, RETURNING.
    """
    stmt = content(node)
    if stmt.HasField("with_clause") or len(stmt.returning_clause.exprs if stmt.HasField("returning_clause") else ()):
        return None
    update = name_of(node) == "update_stmt"
    if len(stmt.from_clause if update else stmt.using_clause):
        return None
    unchanged = still_old(stmt, world) if update else None
    if update and unchanged is None:
        return None
    facts = world.relation(world.name(stmt.relation))
    relations = [stmt.relation]
    if facts is not None and facts.kind == "p":
        leaves = (world.relation(name) for name in facts.partitions)
        relations = [range_var(leaf.name) for leaf in leaves if leaf is not None and leaf.kind == "r"]
    return tuple(_batches(node, relation, unchanged) for relation in relations)


def still_old(stmt: Node, world: World) -> Node | None:
    """The rows that do not have the new values yet."""
    table = world.name(stmt.relation)
    targets = {item.res_target.name for item in stmt.target_list}
    tests = []
    for item in stmt.target_list:
        target = item.res_target
        known = world.column(table, target.name)
        used = {strings(column.fields)[-1:] for column in find(target.val, "ColumnRef")}
        if len(target.indirection) or any(True for _ in find(target.val, "SubLink", "MultiAssignRef", "SetToDefault")):
            return None
        if used & {(name,) for name in targets} or any(volatile_functions(target.val, world)):
            return None
        if known is not None and known.type in WITHOUT_EQUALITY:
            return None
        tests.append(expression("SELECT col IS DISTINCT FROM val", col=target.name, val=target.val))
    result = tests[0]
    for test in tests[1:]:
        result = expression("SELECT a OR b", a=result, b=test)
    return result


def _batches(node: Node, relation: Node, unchanged: Node | None) -> Node:
    batch, rest = copy_of(node), copy_of(node)
    for one in (batch, rest):
        assign(content(one).relation, relation)
    true = expression("SELECT true")
    condition = unchanged if unchanged is not None else true
    assign(content(batch).where_clause, expression(RANGE, cond=condition))
    assign(content(rest).where_clause, condition)
    block = build("DO 'body'")
    block.do_stmt.args[0].def_elem.arg.string.sval = BODY.format(
        relation=literal_text(relation_text(relation)),
        batch=deparse(batch),
        rest=deparse(rest) if unchanged is not None else "NULL",
        pages=PAGES,
    )
    return block
