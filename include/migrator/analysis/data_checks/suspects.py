"""Which rows would make an ALTER TABLE or an index fail, as conditions in SQL. Pure.

The conditions are those of the server: a NULL satisfies CHECK and, in any column, FOREIGN KEY MATCH SIMPLE
(https://www.postgresql.org/docs/current/ddl-constraints.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from migrator.parsing.build import build
from migrator.parsing.nodes import Node, commands, enum, strings
from migrator.parsing.statements import ParsedStatement, deparse

WRITERS = frozenset(["insert_stmt", "update_stmt", "delete_stmt", "merge_stmt", "truncate_stmt", "copy_stmt"])
OPAQUE = frozenset(["do_stmt", "call_stmt", "execute_stmt", "select_stmt"])
"""These may change any row."""


EQUAL, OVERLAPS = 'OPERATOR("pg_catalog".=)', 'OPERATOR("pg_catalog".&&)'


@dataclass(frozen=True)
class Suspect:
    """Rows of one table that would make one statement fail."""

    statement: int
    """Index of the statement."""
    what: str
    """For people: "email is NULL"."""
    table: str
    """As SQL, quoted."""
    where: str
    """SQL: which rows are in question. With `duplicates`: those that are compared with each other."""
    sqlstate: str
    duplicates: str = ""
    """SQL expressions, with commas: rows in question that are equal in all of them."""
    constraint: str | None = None
    """Only the catalog knows the condition: that of this constraint, which is to be validated."""
    columns: tuple[str, ...] = ()
    referenced: str | None = None
    """Only the catalog knows the condition: how `columns` compare with a key of this table, as SQL."""
    keys: tuple[str, ...] = ()
    """The columns of that key; none: its primary key."""
    also: str = ""
    """SQL: a table that will be part of `referenced`."""
    against: str = ""
    """SQL: the table whose rows decide, too: the one that is referred to."""
    overlaps: tuple[tuple[str, str], ...] = ()
    """SQL expression and operator: rows in question that exclude each other in all of them."""
    value: str = ""
    """SQL: what is computed for each row in question; the server itself tells where that fails."""
    value_type: str = ""
    """SQL: the type that `value` must fit."""
    domain: str | None = None
    """SQL, perhaps a domain: its default would be the value of each row."""
    only: bool = False
    """Rows of inheritance children and partitions are not meant."""
    period: bool = False
    """The last of `columns` is a PERIOD: what it covers, several rows of `referenced` may cover together."""
    full: bool = False
    """MATCH FULL: of `columns` all are NULL, or none."""
    ours: bool = False
    """`where` compares with the operators of a key, which an administrator has chosen."""
    unknown: str = ""
    """Why the catalog could not tell which rows are in question."""


def suspects_of(statement: ParsedStatement) -> Iterator[Suspect]:
    """Everything about the rows that exist that the statement will insist on."""
    if statement.name == "alter_table_stmt":
        yield from _alter_table(statement)
    elif statement.name == "index_stmt" and statement.tree.unique:
        tree = statement.tree
        keys = [_key(item.index_elem) for item in tree.index_params]
        conditions = [] if tree.nulls_not_distinct else [f"{key} IS NOT NULL" for key in keys]
        if tree.HasField("where_clause"):
            conditions.append(f"({expression_sql(tree.where_clause)})")
        if tree.relation.inh:  # ON ONLY a partitioned table: no partition has the index yet
            yield _duplicates(statement, table_sql(tree.relation), keys, conditions)


def written_by(statement: ParsedStatement) -> frozenset[str] | None:
    """Tables whose rows the statement changes, as in `Suspect.table`; None when that may be any."""
    if statement.name in OPAQUE:
        return None
    if statement.name == "truncate_stmt":
        return frozenset(table_sql(item.range_var) for item in statement.tree.relations)
    if statement.name in WRITERS and statement.tree.HasField("relation"):
        return frozenset([table_sql(statement.tree.relation)])
    return frozenset()


def table_sql(relation: Node) -> str:
    parts = (relation.schemaname, relation.relname)
    return ".".join(quoted(part) for part in parts if part)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def expression_sql(node: Node) -> str:
    """An expression of the statement, as SQL."""
    return deparse(build("SELECT expression", expression=node)).removeprefix("SELECT ")


def _alter_table(statement: ParsedStatement) -> Iterator[Suspect]:
    table = table_sql(statement.tree.relation)
    for command in commands(statement.tree):
        subtype = enum(command, "subtype")
        if subtype == "AT_SetNotNull":
            yield Suspect(statement.index, f"{command.name} is NULL", table, f"{quoted(command.name)} IS NULL", "23502")
        elif subtype == "AT_AddColumn":
            yield from _new_column(statement, table, getattr(command, "def").column_def)
        elif subtype == "AT_AlterColumnType":
            yield from _cast(statement, table, command)
        elif subtype == "AT_AddConstraint":
            yield from _constraint(statement, table, getattr(command, "def").constraint)
        elif subtype == "AT_ValidateConstraint":
            what = f"constraint {command.name} is not satisfied"
            yield Suspect(statement.index, what, table, "", "23514", constraint=command.name)


def _new_column(statement: ParsedStatement, table: str, column: Node) -> Iterator[Suspect]:
    """NOT NULL without a value fails as soon as there is a row; a domain may be NOT NULL, and may have a value."""
    kinds = {enum(item.constraint, "contype") for item in column.constraints}
    filled = {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"} & kinds
    names = strings(column.type_name.names)
    serial = (names[-1:] or ("",))[0].endswith(("serial", "serial2", "serial4", "serial8"))
    domain = ".".join(map(quoted, names)) if names[:1] != ("pg_catalog",) else None
    required = bool({"CONSTR_NOTNULL", "CONSTR_PRIMARY"} & kinds)
    if (required or domain) and not filled and not serial and not column.type_name.array_bounds:
        what = f"{column.colname} would have no value"
        yield Suspect(statement.index, what, table, "true" if required else "", "23502", domain=domain)


def _cast(statement: ParsedStatement, table: str, command: Node) -> Iterator[Suspect]:
    """Does each value, or what USING makes of it, fit the new type?"""
    column = getattr(command, "def").column_def
    new = deparse(build("SELECT x::typ", typ=column.type_name)).partition("::")[2]
    value = expression_sql(column.raw_default) if column.HasField("raw_default") else quoted(command.name)
    what = f"{command.name} does not fit {new}"
    only = not statement.tree.relation.inh
    yield Suspect(statement.index, what, table, "true", "22P02", value=value, value_type=new, only=only)


def _constraint(statement: ParsedStatement, table: str, constraint: Node) -> Iterator[Suspect]:
    kind = enum(constraint, "contype")
    if constraint.skip_validation or (kind in ("CONSTR_CHECK", "CONSTR_FOREIGN") and not constraint.is_enforced):
        return
    name = f" ({constraint.conname})" if constraint.conname else ""
    if kind == "CONSTR_CHECK":
        condition = f"NOT ({expression_sql(constraint.raw_expr)})"
        yield Suspect(statement.index, f"the CHECK{name} is false", table, condition, "23514")
    elif kind == "CONSTR_NOTNULL":
        for column in strings(constraint.keys):
            yield Suspect(statement.index, f"{column} is NULL", table, f"{quoted(column)} IS NULL", "23502")
    elif kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY") and not constraint.indexname:
        columns = [quoted(column) for column in strings(constraint.keys)]
        if kind == "CONSTR_PRIMARY":
            for column in strings(constraint.keys):
                yield Suspect(statement.index, f"{column} is NULL", table, f"{quoted(column)} IS NULL", "23502")
        conditions = [] if constraint.nulls_not_distinct else [f"{column} IS NOT NULL" for column in columns]
        if constraint.without_overlaps:
            pairs = [(column, EQUAL) for column in columns[:-1]]
            yield _overlaps(statement, table, (*pairs, (columns[-1], OVERLAPS)), "true")
            what = f"{strings(constraint.keys)[-1]} is empty"  # ExecWithoutOverlapsNotEmpty in execIndexing.c
            yield Suspect(statement.index, what, table, f"pg_catalog.isempty({columns[-1]})", "23514")
        else:
            yield _duplicates(statement, table, columns, conditions)
    elif kind == "CONSTR_EXCLUSION":
        items = [item.list.items for item in constraint.exclusions]
        found = tuple((_key(element.index_elem), _operator(names.list.items)) for element, names in items)
        where = expression_sql(constraint.where_clause) if constraint.HasField("where_clause") else "true"
        yield _overlaps(statement, table, found, where)
    elif kind == "CONSTR_FOREIGN":
        yield orphans(
            statement.index,
            table,
            strings(constraint.fk_attrs),
            table_sql(constraint.pktable),
            strings(constraint.pk_attrs),
            period=constraint.fk_with_period,
            full=constraint.fk_matchtype == "f",
        )


def orphans(
    statement: int,
    table: str,
    columns: tuple[str, ...],
    referenced: str,
    referenced_columns: tuple[str, ...],
    *,
    period: bool = False,
    full: bool = False,
    also: str = "",
) -> Suspect:
    """Rows that refer to nothing. `referenced_columns` empty: the primary key, whose columns the catalog knows.

    :param also: a table that will be part of `referenced`: its rows count, too.
    """
    what = f"({', '.join(columns)}) refers to no row of {referenced.replace(chr(34), '')}"
    if period:
        what = f"({', '.join(columns)}) is not covered by rows of {referenced.replace(chr(34), '')}"
    return Suspect(
        statement,
        what,
        table,
        "",
        "23503",
        columns=columns,
        referenced=referenced,
        keys=referenced_columns,
        against=referenced,
        also=also,
        period=period,
        full=full,
    )


def duplicates(statement: ParsedStatement, table: str, columns: list[str], *, nulls_equal: bool) -> Suspect:
    """Rows that a unique key of these columns, as SQL, refuses."""
    return _duplicates(
        statement, table, columns, [] if nulls_equal else [f"{column} IS NOT NULL" for column in columns]
    )


def _duplicates(statement: ParsedStatement, table: str, keys: list[str], conditions: list[str]) -> Suspect:
    listed = ", ".join(keys)
    where = " AND ".join(conditions) or "true"
    what = f"({listed.replace(chr(34), '')}) is there more than once"
    return Suspect(statement.index, what, table, where, "23505", duplicates=listed)


def _overlaps(statement: ParsedStatement, table: str, pairs: tuple[tuple[str, str], ...], where: str) -> Suspect:
    listed = ", ".join(key for key, _ in pairs).replace('"', "")
    what = f"({listed}) excludes another row"
    return Suspect(statement.index, what, table, where, "23P01", overlaps=pairs)


def _operator(names: Iterable[Node]) -> str:
    """An operator as SQL, in the schema that the statement names."""
    *schemas, operator = strings(names)
    return f"OPERATOR({'.'.join([*map(quoted, schemas), operator])})"


def _key(element: Node) -> str:
    return quoted(element.name) if element.name else f"({expression_sql(element.expr)})"
