"""Columns, constraints and indexes as facts, from the statements that define them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, count

from migrator.analysis.effects.expressions import check_text, mentioned, proven_not_null
from migrator.analysis.effects.names.result_names import of_index
from migrator.analysis.effects.types import types
from migrator.analysis.effects.world import World
from migrator.facts.facts import ColumnFacts, ConstraintFacts, IndexFacts
from migrator.parsing.nodes import Node, content, enum, find, name_of, relations, strings, type_parts

KINDS = {
    "CONSTR_CHECK": "c",
    "CONSTR_FOREIGN": "f",
    "CONSTR_PRIMARY": "p",
    "CONSTR_UNIQUE": "u",
    "CONSTR_EXCLUSION": "x",
    "CONSTR_NOTNULL": "n",
}
_MAX_NAME = 63


def column(definition: Node, world: World, table: str) -> ColumnFacts:
    """From a ColumnDef."""
    kinds = {enum(item.constraint, "contype"): item.constraint for item in definition.constraints}
    identity = kinds.get("CONSTR_IDENTITY")
    generated = kinds.get("CONSTR_GENERATED")
    serial = types.is_serial(definition.type_name)
    own = (own_sequence(table, definition.colname),) if serial or identity is not None else ()
    collation = strings(definition.coll_clause.collname) if definition.HasField("coll_clause") else ()
    return ColumnFacts(
        type=str(types.from_node(definition.type_name)),
        not_null=serial or identity is not None or "CONSTR_NOTNULL" in kinds or "CONSTR_PRIMARY" in kinds,
        collation=collation[-1] if collation else "",
        default="" if serial or "CONSTR_DEFAULT" in kinds else None,
        generated="" if generated is None else generated.generated_kind or "s",
        identity="" if identity is None else identity.generated_when,
        domain=world.domain(type_parts(definition.type_name)) is not None,
        sequences=own,
    )


def column_constraints(definition: Node, world: World, table: str) -> Iterator[ConstraintFacts]:
    for item in definition.constraints:
        found = constraint(item.constraint, world, table, column=definition.colname)
        if found is not None:
            yield found


def constraint(node: Node, world: World, table: str, *, column: str | None = None) -> ConstraintFacts | None:
    """From a Constraint; None for defaults and the like. Names that PostgreSQL makes up are made up alike."""
    kind = KINDS.get(enum(node, "contype"))
    if kind is None:
        return None
    columns = tuple(_key_columns(node, kind)) or ((column,) if column else ())
    proves = frozenset[str]()
    if kind == "c":
        columns = tuple(dict.fromkeys(mentioned(node.raw_expr)))
        proves = frozenset(proven_not_null(node.raw_expr))
    elif kind == "n":
        proves = frozenset(columns)
    schema, _, bare = table.rpartition(".")
    name = node.conname or node.indexname or made_up(bare, columns, kind)
    return ConstraintFacts(
        name=name,
        kind=kind,
        validated=not node.skip_validation and (kind not in "cf" or bool(node.is_enforced)),
        definition=check_text(node.raw_expr) if kind == "c" else "",
        columns=columns,
        referenced=world.name(node.pktable) if kind == "f" else None,
        index=f"{schema}.{name}" if kind in "pux" else None,
        on_delete=(node.fk_del_action or "a") if kind == "f" else "a",
        on_update=(node.fk_upd_action or "a") if kind == "f" else "a",
        enforced=kind not in "cf" or bool(node.is_enforced),
        proves=proves,
    )


def _key_columns(node: Node, kind: str) -> Iterable[str]:
    if kind == "f":
        return strings(node.fk_attrs)
    if kind == "x":
        return (item.list.items[0].index_elem.name for item in node.exclusions if item.HasField("list"))
    return strings(node.keys)


def index_name(table: str, columns: tuple[str, ...], world: World) -> str:
    """ChooseIndexName: the first that is free."""
    schema, _, bare = table.rpartition(".")
    names = (f"{schema}.{made_up(bare, columns, 'i', number)}" for number in chain([""], map(str, count(1))))
    return next(name for name in names if not world.exists(name))


def made_up(table: str, columns: tuple[str, ...], kind: str, number: str = "") -> str:
    """ChooseConstraintName, without the number that makes it unique."""
    if kind == "p":
        return _shortened(table, "", "pkey")
    label = {"c": "check", "f": "fkey", "u": "key", "x": "excl", "n": "not_null", "i": f"idx{number}"}[kind]
    if kind == "c" and len(columns) != 1:
        return _shortened(table, "", label)
    return _shortened(table, "_".join(column or "expr" for column in columns), label)


def own_sequence(table: str, column: str) -> str:
    """That of a serial or an identity."""
    schema, _, bare = table.rpartition(".")
    return f"{schema}.{_shortened(bare, column, 'seq')}"


def _shortened(table: str, columns: str, label: str) -> str:
    """makeObjectName in src/backend/commands/indexcmds.c: the longer part loses first. Counts characters."""
    room = _MAX_NAME - len(label) - 1 - (1 if columns else 0)
    while len(table) + len(columns) > room:
        if len(table) > len(columns):
            table = table[:-1]
        else:
            columns = columns[:-1]
    return "_".join(part for part in (table, columns, label) if part)


def index(stmt: Node, table: str, world: World, *, partitioned: bool) -> IndexFacts:
    """From an IndexStmt."""
    columns = tuple(item.index_elem.name for item in stmt.index_params)
    names = of_index(item.index_elem for item in stmt.index_params)
    schema = table.rpartition(".")[0]
    return IndexFacts(
        name=f"{schema}.{stmt.idxname}" if stmt.idxname else index_name(table, names, world),
        unique=bool(stmt.unique),
        valid=not (partitioned and not stmt.relation.inh),
        columns=columns,
        names=names,
        primary=bool(stmt.primary),
        collations=tuple("".join(strings(item.index_elem.collation)[-1:]) for item in stmt.index_params),
        method=stmt.access_method or "btree",
        predicate="" if stmt.HasField("where_clause") else None,
        mentions=tuple(dict.fromkeys(_mentions(stmt))),
        partitioned=partitioned,
    )


def _mentions(stmt: Node) -> Iterator[str]:
    yield from (item.index_elem.name for item in stmt.index_including_params)
    parts = [item.index_elem.expr for item in stmt.index_params if item.index_elem.HasField("expr")]
    parts += [stmt.where_clause] if stmt.HasField("where_clause") else []
    yield from (strings(ref.fields)[-1] for part in parts for ref in find(part, "ColumnRef") if strings(ref.fields))


def key_index(item: ConstraintFacts, *, partitioned: bool) -> IndexFacts | None:
    """The index that a PRIMARY KEY, UNIQUE or EXCLUDE makes."""
    if item.index is None or item.kind not in "pux":
        return None
    return IndexFacts(
        name=item.index,
        unique=item.kind in "pu",
        valid=True,
        columns=item.columns,
        constraint=True,
        primary=item.kind == "p",
        method="btree" if item.kind in "pu" else "gist",
        partitioned=partitioned,
    )


def read_relations(query: Node, world: World) -> tuple[str, ...]:
    """Relations that a query mentions."""
    return tuple(dict.fromkeys(world.name(item) for item in relations(query)))


def called_functions(query: Node, world: World) -> tuple[tuple[str, str], ...]:
    """Schema and name of somebody's functions that a query calls, as far as they are known."""
    calls = (strings(item.funcname) for item in find(query, "FuncCall"))
    return tuple(dict.fromkeys((one.schema, parts[-1]) for parts in calls for one in world.functions(parts)))


def bound_is_default(node: Node) -> bool:
    return bool(node.HasField("partbound") and node.partbound.is_default)


def bound_text(spec: Node) -> str:
    """FOR VALUES of a partition as text, which is how the catalog has it."""
    from migrator.parsing.statements import deparse, parse

    node = parse("ALTER TABLE t ATTACH PARTITION p DEFAULT", file="template").statements[0].node
    command = getattr(node.alter_table_stmt.cmds[0].alter_table_cmd, "def").partition_cmd
    command.bound.CopyFrom(spec)
    return deparse(node).partition(" PARTITION p ")[2]


def object_name(item: Node) -> tuple[str, ...]:
    """The parts of a name in the lists of DROP and COMMENT."""
    if name_of(item) == "list":
        return strings(item.list.items)
    if name_of(item) == "type_name":
        return strings(item.type_name.names)
    if name_of(item) == "object_with_args":
        return strings(item.object_with_args.objname)
    return (content(item).sval,) if name_of(item) == "string" else ()
