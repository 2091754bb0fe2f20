"""What a query locks: every table that it reads, writes, or reaches through views, partitions and foreign keys.

Reading takes ACCESS SHARE, FOR UPDATE and its like ROW SHARE, writing ROW EXCLUSIVE; each on the relation, on what is
below it, and on what its view reads (AcquireRewriteLocks, expand_inherited_rtentry).
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import is_system, may, there
from migrator.analysis.effects.partitions import pruning
from migrator.analysis.effects.partitions.pruning import NO_SCOPE, Scope
from migrator.analysis.effects.rows import extremes, rewriting, writes
from migrator.analysis.effects.world import World
from migrator.facts.constants import constant_text, sequences_of
from migrator.facts.names import SEQUENCE_FUNCTIONS, SERIAL_SEQUENCE
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import RS, RX
from migrator.parsing.nodes import Node, content, enum, find, name_of, relations, strings

WRITERS = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
_CHANGES = ("insert_stmt", "update_stmt", "delete_stmt")
Frame = tuple[Node, str, frozenset[str], Scope]
"""Message, mode of its relations, the aliases that the mode is for (none: all), and what their rows have to meet."""


def query(message: Node, world: World, out: Recorder, *, planned: bool = True, scans: bool = False) -> None:
    """:param planned: False where the query is only looked at (CREATE VIEW, PREPARE): then views and partitions are not
    opened. :param scans: note what is read in full.
    """
    common = _common(message)
    everybody = frozenset[str]()
    rules: set[tuple[str, str]] = set()
    stack: list[Frame] = [(message, ACCESS_SHARE, everybody, NO_SCOPE)]
    while stack:
        node, mode, names, scope = stack.pop()
        kind = node.DESCRIPTOR.name
        if kind == "Node":
            field = node.WhichOneof("node")
            if field:
                stack.append((getattr(node, field), mode, names, scope))
            continue
        if kind == "RangeVar":
            if id(node) not in common:
                alias = node.alias.aliasname if node.HasField("alias") else node.relname
                wanted = mode if not names or alias in names else ACCESS_SHARE
                relation(node, wanted, world, out, planned=planned, scans=scans, scope=scope)
            continue
        if kind in WRITERS:
            write = writes.HANDLERS[kind] if planned else _target
            write(node, world, out)
            stack += _beside(node)
            for action in rewriting.fired(node, world, out, rules, opened):
                common |= _common(action)
                stack.append((action, ACCESS_SHARE, everybody, NO_SCOPE))
        elif kind == "SelectStmt" and scans and (asked := extremes.table_of(node, world)) is not None:
            relation(asked, ACCESS_SHARE, world, out, planned=planned)
        elif kind == "SelectStmt":
            stack += _select(node, mode, names)
        elif kind == "JoinExpr":
            stack += [(node.larg, mode, names, scope), (node.rarg, mode, names, scope)]
            stack.append((node.quals, ACCESS_SHARE, everybody, NO_SCOPE))
        elif kind == "RangeSubselect":
            inner = mode if not names or node.alias.aliasname in names else ACCESS_SHARE
            stack.append((node.subquery, inner, everybody, NO_SCOPE))
        else:
            if kind == "CommonTableExpr" and name_of(node.ctequery) in _CHANGES:
                rewriting.in_with(content(node.ctequery), world, out)
            if kind == "FuncCall" and planned and strings(node.funcname)[-1:] != ():
                _sequences(node, world, out)
            stack += [(child, ACCESS_SHARE, everybody, NO_SCOPE) for child in _children(node)]


def _common(message: Node) -> dict[int, Node]:
    """RangeVars that mean what WITH defines, by identity, which each keeps while it is held here."""
    real = {id(one): one for one in relations(message)}
    return {id(one): one for one in [*find(message, "RangeVar")] if id(one) not in real}


def _select(node: Node, mode: str, names: frozenset[str]) -> Iterator[Frame]:
    """FOR UPDATE reaches the tables and sub-queries of FROM, or those that it names."""
    everybody = frozenset[str]()
    if len(node.locking_clause):
        named = [strings_of(item.locking_clause.locked_rels) for item in node.locking_clause]
        mode, names = RS, everybody if not all(named) else frozenset(name for item in named for name in item)
    if len(node.from_clause):
        scope = pruning.scope(node.where_clause, node.from_clause)
        for item in node.from_clause:
            yield item, mode, names, scope
    for side in ("larg", "rarg"):
        if node.HasField(side):
            yield getattr(node, side), mode, names, NO_SCOPE
    for child in _children(node, without=("from_clause", "larg", "rarg", "locking_clause", "into_clause")):
        yield child, ACCESS_SHARE, everybody, NO_SCOPE


def _beside(node: Node) -> Iterator[Frame]:
    """Of INSERT, UPDATE, DELETE and MERGE: what else they read."""
    scope = writes.scope_of(node)
    if node.DESCRIPTOR.name == "MergeStmt" and any(
        enum(item.merge_when_clause, "match_kind") != "MERGE_WHEN_MATCHED" for item in node.merge_when_clauses
    ):
        scope = NO_SCOPE  # an outer join: its condition says nothing about the source
    for child in _children(node, without=("relation",)):
        joined = child.DESCRIPTOR.name == "Node" and name_of(child) in ("range_var", "join_expr")
        yield child, ACCESS_SHARE, frozenset(), scope if joined else NO_SCOPE


def strings_of(named: Node) -> tuple[str, ...]:
    return tuple(item.range_var.relname for item in named)


def _children(node: Node, without: tuple[str, ...] = ()) -> Iterator[Node]:
    for field, value in node.ListFields():
        if field.message_type is None or field.name in without:
            continue
        if field.is_repeated:
            yield from value
        else:
            yield value


def _sequences(call: Node, world: World, out: Recorder) -> None:
    """nextval() and setval() keep ALTER SEQUENCE away until the transaction ends."""
    if strings(call.funcname)[-1] not in SEQUENCE_FUNCTIONS:
        return
    named = [world.dotted((schema, name) if schema else (name,)) for schema, name in sequences_of(call)]
    for sequence in named or _serial(call, world):
        if there(sequence, world, out):
            out.lock(sequence, RX)
        if strings(call.funcname)[-1] == "currval":
            out.risk("55000", f"the session may not have taken a value of {sequence} yet")


def _serial(call: Node, world: World) -> tuple[str, ...]:
    """Of pg_get_serial_sequence('table', 'column') as the argument."""
    inner = call.args[0].func_call if len(call.args) and name_of(call.args[0]) == "func_call" else None
    if inner is None or strings(inner.funcname)[-1:] != (SERIAL_SEQUENCE,) or len(inner.args) != 2:
        return ()
    column = constant_text(inner.args[1])
    tables = [world.dotted((schema, name) if schema else (name,)) for schema, name in sequences_of(inner)]
    found = [world.column(table, column) for table in tables if column]
    return tuple(sequence for known in found if known is not None for sequence in known.sequences)


def _target(stmt: Node, world: World, out: Recorder) -> None:
    """Of a statement that is parsed, not run."""
    name = world.name(stmt.relation)
    if there(name, world, out):
        out.lock(name, RX)


def relation(
    range_var: Node,
    mode: str,
    world: World,
    out: Recorder,
    *,
    planned: bool = True,
    scans: bool = False,
    scope: Scope = NO_SCOPE,
) -> None:
    name = world.name(range_var)
    if is_system(name) or not there(name, world, out):
        return
    if planned:
        may(name, "SELECT", world, out)
    alias = range_var.alias.aliasname if range_var.HasField("alias") else range_var.relname
    opened(name, mode, world, out, only=not range_var.inh, planned=planned, scans=scans, scope=scope, alias=alias)


def opened(
    name: str,
    mode: str,
    world: World,
    out: Recorder,
    *,
    only: bool = False,
    planned: bool = True,
    scans: bool = False,
    scope: Scope = NO_SCOPE,
    alias: str = "",
) -> None:
    """A relation, what the planner keeps of that below it, and all that a view reads."""
    seen: set[str] = set()
    stack = [name]
    while stack:
        current = stack.pop()
        if current in seen or is_system(current):
            continue
        seen.add(current)
        out.lock(current, mode)
        if not planned:
            continue
        facts = world.relation(current)
        if facts is None:
            continue
        if facts.kind == "v":
            stack.extend(facts.reads)
            continue
        if current == name:
            below = () if only else pruning.left(name, alias, scope, world, out)
        else:
            below = facts.partitions
        for part in below:
            out.lock(part, mode)
        if scans:
            for part in (current, *below):
                known = world.relation(part)
                if known is None or known.kind not in "pf":
                    out.scan(part)
