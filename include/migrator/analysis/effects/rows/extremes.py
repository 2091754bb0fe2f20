"""SELECT max(column) and min(column): one look into an index, not all rows (preprocess_minmax_aggregates in
src/backend/optimizer/plan/planagg.c). The planner reads a small table in full all the same."""

from __future__ import annotations

from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, enum, name_of, strings

MANY_ROWS = 10_000
"""From here on no planner prefers to read them all."""
_PLAIN = frozenset({"target_list", "from_clause", "limit_option", "op"})


def table_of(select: Node, world: World) -> Node | None:
    """The RangeVar of the one table that such a query asks an index of; None: it is another query."""
    if {field.name for field, _ in select.ListFields()} - _PLAIN or enum(select, "op") != "SETOP_NONE":
        return None
    if len(select.target_list) != 1 or len(select.from_clause) != 1 or name_of(select.from_clause[0]) != "range_var":
        return None
    relation, column = select.from_clause[0].range_var, _column(select.target_list[0].res_target.val)
    facts = world.relation(world.name(relation))
    if column is None or facts is None or facts.kind not in "rm" or facts.rows < MANY_ROWS or facts.children:
        return None
    fit = any(
        index.valid and index.method == "btree" and index.predicate is None and index.columns[:1] == (column,)
        for index in facts.indexes
    )
    return relation if fit else None


def _column(value: Node) -> str | None:
    if name_of(value) != "func_call":
        return None
    call = value.func_call
    if strings(call.funcname)[-1:] not in (("max",), ("min",)) or len(call.args) != 1 or call.agg_distinct:
        return None
    if {field.name for field, _ in call.ListFields()} - {"funcname", "args", "funcformat", "location"}:
        return None
    named = strings(call.args[0].column_ref.fields) if name_of(call.args[0]) == "column_ref" else ()
    return named[-1] if named else None
