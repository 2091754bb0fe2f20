"""Fills a column in batches of pages, each in a transaction of its own, so that no row stays locked for long.

Batches are ranges of ctid: no key is needed, and TID range scans (PostgreSQL 14 and later) read each page once. The
last UPDATE takes the few rows that moved to an earlier page meanwhile.
"""

from __future__ import annotations

from migrator.nodes import Node
from migrator.rules.alteration import Alteration
from migrator.rules.rewrite import build, literal_text, range_var, relation_text
from migrator.statements import deparse

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
        node.update_stmt.target_list[0].res_target.val.CopyFrom(value)
    return deparse(node)
