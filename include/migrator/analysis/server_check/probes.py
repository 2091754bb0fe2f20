"""Small queries that make the server look up the names of a DDL statement, which it would do only when running it.

They are parsed, never run: a constant is cast while the query is parsed, so `'users'::regclass` needs no execution.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from migrator.parsing.build import Value, build, name_text, relation_text
from migrator.parsing.nodes import Node, commands, content, enum, name_of, strings
from migrator.parsing.statements import ParsedStatement, deparse

_ON_RELATION = {
    "index_stmt": "relation",
    "create_trig_stmt": "relation",
    "rule_stmt": "relation",
    "create_policy_stmt": "table",
    "alter_policy_stmt": "table",
    "cluster_stmt": "relation",
    "refresh_mat_view_stmt": "relation",
    "alter_seq_stmt": "sequence",
    "copy_stmt": "relation",
}
"""Statements about one relation that must exist."""
_COLUMN_COMMANDS = frozenset(
    [
        "AT_AlterColumnType",
        "AT_ColumnDefault",
        "AT_DropColumn",
        "AT_DropNotNull",
        "AT_SetNotNull",
        "AT_SetStatistics",
        "AT_SetStorage",
        "AT_SetCompression",
        "AT_DropExpression",
        "AT_SetExpression",
        "AT_AddIdentity",
        "AT_DropIdentity",
        "AT_SetOptions",
    ]
)


@dataclass(frozen=True)
class Probe:
    """A query that fails when a name is missing."""

    sql: str
    location: int | None = None
    """Where the name stands: bytes from the start of the statement, as the parser counts."""


def probes_of(statement: ParsedStatement) -> Iterator[Probe]:
    """In the order in which the server would find out."""
    name, tree = statement.name, statement.tree
    if name in _ON_RELATION:
        relation = getattr(tree, _ON_RELATION[name])
        if relation.relname and not (name == "alter_seq_stmt" and tree.missing_ok):
            yield _relation(relation)
    if name == "alter_table_stmt":
        yield from _alter_table(tree)
    elif name == "index_stmt":
        yield from _index(tree)
    elif name in ("create_stmt", "create_foreign_table_stmt"):
        yield from _create_table(tree if name == "create_stmt" else tree.base_stmt)
    elif name == "create_trig_stmt":
        yield _object("regprocedure", _dotted(strings(tree.funcname)) + "()")
        yield from (_column(tree.relation, column) for column in strings(tree.columns))
    elif name == "view_stmt":
        yield Probe(deparse(tree.query))
    elif name == "create_domain_stmt":
        yield _type(tree.type_name)
    elif name in ("truncate_stmt", "lock_stmt"):
        yield from (_relation(item.range_var) for item in tree.relations)
    elif name == "vacuum_stmt":
        yield from (_relation(item.vacuum_relation.relation) for item in tree.rels)
    elif name in ("rename_stmt", "alter_object_schema_stmt") and not tree.missing_ok:
        yield from _renamed(tree)
    elif name == "drop_stmt" and not tree.missing_ok:
        yield from _dropped(tree)
    elif name == "create_function_stmt":
        yield from _function(tree)


def _query(template: str, location: int | None = None, **values: Value) -> Probe:
    return Probe(deparse(build(template, **values)), location)


def _object(kind: str, name: str, location: int | None = None) -> Probe:
    """`kind`: one of the reg* types; `name`: as SQL writes it."""
    return _query(f"SELECT 'lit'::pg_catalog.{kind}", location, lit=name)


def _relation(relation: Node) -> Probe:
    return _object("regclass", relation_text(relation), relation.location)


def _dotted(parts: Iterable[str]) -> str:
    return ".".join(map(name_text, parts))


def _column(relation: Node, column: str, location: int | None = None) -> Probe:
    return _query("SELECT col FROM tbl", location, col=column, tbl=relation)


def _value(expression: Node, relation: Node | None = None, location: int | None = None) -> Probe:
    if relation is None:
        return _query("SELECT val", location, val=expression)
    return _query("SELECT val FROM tbl", location, val=expression, tbl=relation)


def _type(type_name: Node) -> Probe:
    return _query("SELECT NULL::typ", type_name.location, typ=type_name)


def _serial(type_name: Node) -> bool:
    """serial and its kin are no types: CREATE TABLE and ADD COLUMN write them out."""
    return strings(type_name.names)[-1:] in [
        (name,) for name in ("serial", "bigserial", "smallserial", "serial2", "serial4", "serial8")
    ]


def _alter_table(tree: Node) -> Iterator[Probe]:
    if tree.missing_ok:
        return
    kind = enum(tree, "objtype")
    if kind == "OBJECT_TYPE":
        yield _object("regtype", relation_text(tree.relation), tree.relation.location)
        return
    yield _relation(tree.relation)
    if kind in ("OBJECT_INDEX", "OBJECT_SEQUENCE"):
        return
    for command in commands(tree):
        subtype, definition = enum(command, "subtype"), getattr(command, "def")
        if subtype in _COLUMN_COMMANDS and command.name and not command.missing_ok:
            yield _column(tree.relation, command.name)
        if subtype == "AT_AddColumn":
            yield from _column_definition(definition.column_def)
        elif subtype == "AT_AlterColumnType":
            column = definition.column_def
            yield _type(column.type_name)
            if column.HasField("raw_default"):  # USING
                yield _value(column.raw_default, tree.relation)
        elif subtype == "AT_ColumnDefault" and name_of(definition):
            yield _value(definition)
        elif subtype == "AT_AddConstraint":
            yield from _constraint(definition.constraint, tree.relation)
        elif subtype in ("AT_AttachPartition", "AT_DetachPartition"):
            yield _relation(definition.partition_cmd.name)
        elif subtype in ("AT_AddInherit", "AT_DropInherit"):
            yield _relation(definition.range_var)
        elif subtype == "AT_ChangeOwner":
            yield from _role(command.newowner)


def _index(tree: Node) -> Iterator[Probe]:
    for item in (*tree.index_params, *tree.index_including_params):
        element = item.index_elem
        if element.name:
            yield _column(tree.relation, element.name)
        elif element.HasField("expr"):
            yield _value(element.expr, tree.relation)
    if tree.HasField("where_clause"):
        yield _value(tree.where_clause, tree.relation)


def _create_table(tree: Node) -> Iterator[Probe]:
    if tree.relation.schemaname:
        yield _object("regnamespace", name_text(tree.relation.schemaname), tree.relation.location)
    yield from (_relation(item.range_var) for item in tree.inh_relations)
    for item in tree.table_elts:
        kind, element = name_of(item), content(item)
        if kind == "column_def":
            yield from _column_definition(element, new_table=tree.relation)
        elif kind == "constraint" and enum(element, "contype") == "CONSTR_FOREIGN":
            yield from _referenced(element, tree.relation)
        elif kind == "table_like_clause":
            yield _relation(element.relation)


def _column_definition(column: Node, *, new_table: Node | None = None) -> Iterator[Probe]:
    if column.HasField("type_name") and not _serial(column.type_name):
        yield _type(column.type_name)
    for item in column.constraints:
        kind = enum(item.constraint, "contype")
        if kind == "CONSTR_DEFAULT":
            yield _value(item.constraint.raw_expr, location=item.constraint.location)
        elif kind == "CONSTR_FOREIGN":
            yield from _referenced(item.constraint, new_table)


def _constraint(constraint: Node, relation: Node) -> Iterator[Probe]:
    kind = enum(constraint, "contype")
    if kind == "CONSTR_CHECK" and constraint.HasField("raw_expr"):
        yield _value(constraint.raw_expr, relation)
    for column in (*strings(constraint.keys), *strings(constraint.fk_attrs)):
        yield _column(relation, column)
    if constraint.indexname:
        schema = (relation.schemaname,) if relation.schemaname else ()
        yield _object("regclass", _dotted((*schema, constraint.indexname)))
    if kind == "CONSTR_FOREIGN":
        yield from _referenced(constraint, relation)


def _referenced(constraint: Node, own: Node | None) -> Iterator[Probe]:
    table = constraint.pktable
    if own is not None and (table.schemaname, table.relname) == (own.schemaname, own.relname):
        return
    yield _relation(table)
    yield from (_column(table, column) for column in strings(constraint.pk_attrs))


def _role(role: Node) -> Iterator[Probe]:
    if role.rolename:
        yield _object("regrole", name_text(role.rolename), role.location)


def _renamed(tree: Node) -> Iterator[Probe]:
    if tree.HasField("relation"):
        yield _relation(tree.relation)
        if enum(tree, "rename_type" if hasattr(tree, "rename_type") else "object_type") == "OBJECT_COLUMN":
            yield _column(tree.relation, tree.subname)


def _dropped(tree: Node) -> Iterator[Probe]:
    kind = enum(tree, "remove_type")
    cast = {
        "OBJECT_TABLE": "regclass",
        "OBJECT_VIEW": "regclass",
        "OBJECT_MATVIEW": "regclass",
        "OBJECT_INDEX": "regclass",
        "OBJECT_SEQUENCE": "regclass",
        "OBJECT_FOREIGN_TABLE": "regclass",
        "OBJECT_SCHEMA": "regnamespace",
    }.get(kind)
    for item in tree.objects:
        if cast is not None:
            parts = strings(item.list.items) if item.HasField("list") else strings([item])
            yield _object(cast, _dotted(parts[-2:]))
        elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN") and item.HasField("type_name"):
            yield _type(item.type_name)


def _function(tree: Node) -> Iterator[Probe]:
    for item in tree.parameters:
        yield _type(item.function_parameter.arg_type)
    if tree.HasField("return_type") and strings(tree.return_type.names)[-1:] not in (("trigger",), ("event_trigger",)):
        yield _type(tree.return_type)
