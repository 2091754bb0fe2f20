"""An index on a partitioned table without blocking writers: CONCURRENTLY on each partition, then put together.

https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE
"""

from __future__ import annotations

from collections.abc import Iterable

from migrator.analysis.effects import World
from migrator.analysis.rules.alteration import Alteration
from migrator.analysis.rules.names import object_name
from migrator.analysis.rules.online.steps import Steps
from migrator.facts.facts import RelationFacts
from migrator.parsing.build import build, range_var, script
from migrator.parsing.nodes import Node, assign, copy_of, strings


def on_partitions(node: Node, world: World) -> str | None:
    """CREATE INDEX on a partitioned table as migrations; None when its partitions are not known."""
    stmt = node.index_stmt
    parent = world.relation(world.name(stmt.relation))
    if parent is None or parent.kind != "p":
        return None
    name = stmt.idxname or index_name(stmt, stmt.relation.relname, _taken(parent))
    shells, builds, attachments = [_only(node, stmt.relation, name)], [], []
    names = {parent.name: name}
    for relation in parent.partitions:
        part = world.relation(relation)
        if part is None or part.parent not in names:
            return None
        if part.kind == "f":
            continue
        table = range_var(part.name)
        names[part.name] = index_name(stmt, table.relname, _taken(part))
        if part.kind == "p":
            shells.append(_only(node, table, names[part.name]))
        else:
            builds.append(_concurrently(node, table, names[part.name]))
        attachments.append(_attach(range_var(part.parent), names[part.parent], table, names[part.name]))
    return script(*([one] for one in (*shells, *builds)), attachments)


def moved_index(alteration: Alteration) -> Steps | None:
    """ALTER INDEX ... SET TABLESPACE: the index is built anew there, CONCURRENTLY (PostgreSQL 14). A table cannot."""
    if not alteration.heavy and not alteration.effects.indexes_rebuilt:
        return Steps(expand=(alteration.alone,))
    facts = alteration.facts
    table = alteration.world.relation(facts.table) if facts is not None and facts.table is not None else None
    if facts is None or facts.kind != "i" or table is None or alteration.effects.fails:
        return None
    if any(item.kind == "x" and item.index == facts.name for item in table.constraints):
        return None  # REINDEX CONCURRENTLY leaves indexes of exclusion constraints out
    node = build("REINDEX (TABLESPACE spc, CONCURRENTLY) INDEX idx", idx=alteration.relation)
    node.reindex_stmt.params[0].def_elem.arg.string.sval = alteration.command.name
    return Steps(index=(node,))


def index_name(stmt: Node, table: str, taken: Iterable[str]) -> str:
    """What PostgreSQL calls an index without a name (ChooseIndexName in indexcmds.c)."""
    params = [item.index_elem for item in (*stmt.index_params, *stmt.index_including_params)]
    columns = "_".join(item.name or _called(item.expr) for item in params)
    return object_name(table, columns, "idx", taken=frozenset(taken))


def _called(expression: Node) -> str:
    """The name of an expression (FigureIndexColname in parse_target.c): the function's, or "expr"."""
    return strings(expression.func_call.funcname)[-1] if expression.HasField("func_call") else "expr"


def _only(node: Node, relation: Node, name: str) -> Node:
    result = copy_of(node)
    assign(result.index_stmt.relation, relation)
    result.index_stmt.relation.inh = False
    result.index_stmt.concurrent = False
    result.index_stmt.idxname = name
    return result


def _concurrently(node: Node, relation: Node, name: str) -> Node:
    result = _only(node, relation, name)
    result.index_stmt.relation.inh = True
    result.index_stmt.concurrent = True
    return result


def _attach(parent: Node, parent_index: str, child: Node, child_index: str) -> Node:
    whole = copy_of(parent)
    whole.relname = parent_index
    part = copy_of(child)
    part.relname = child_index
    return build("ALTER INDEX whole ATTACH PARTITION part", whole=whole, part=part)


def _taken(table: RelationFacts) -> frozenset[str]:
    return frozenset(item.name.partition(".")[2] for item in table.indexes)
