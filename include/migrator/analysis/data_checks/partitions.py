"""Rows in the way of a partition: of the table that is attached, and of the default partition.

A row fits a bound when the condition of get_qual_from_partbound (src/backend/partitioning/partbounds.c) is true of it:
https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-PARMS-PARTITION-OF
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.analysis.data_checks.catalogue import row
from migrator.analysis.data_checks.suspects import Suspect, duplicates, expression_sql, orphans, quoted, table_sql
from migrator.database.session import Connection
from migrator.parsing.nodes import Node, commands, enum, name_of, strings
from migrator.parsing.statements import ParsedStatement, parse

SQLSTATE = "23514"
STRATEGIES = ("<", "<=", "=", ">=", ">")
"""Of a B-tree's operator class, from 1: https://www.postgresql.org/docs/current/xindex.html#XINDEX-STRATEGIES"""


@dataclass(frozen=True)
class _Key:
    """A column or expression of a partition key, and how its operator class compares it."""

    sql: str
    type: str | None
    """What its operators take; None: any enum, array or range."""
    operators: Mapping[str, str]
    """By strategy."""

    def compared(self, operator: str, value: str) -> str:
        """Converted to the operator's own types, for which there is no other one of its name in its schema."""
        own = self.operators[str(STRATEGIES.index(operator) + 1)]
        as_type = f"::{self.type}" if self.type else ""
        return f"({self.sql}){as_type} {own} ({value}){as_type}"


def partition_suspects(conn: Connection, statement: ParsedStatement) -> Iterator[Suspect]:
    """ATTACH PARTITION, CREATE TABLE ... PARTITION OF."""
    tree = statement.tree
    if statement.name == "create_stmt" and tree.HasField("partbound") and tree.inh_relations:
        yield from _beside_default(conn, statement, table_sql(tree.inh_relations[0].range_var), tree.partbound)
    elif statement.name == "alter_table_stmt":
        for command in commands(tree):
            cmd = getattr(command, "def").partition_cmd if enum(command, "subtype") == "AT_AttachPartition" else None
            if cmd is not None and cmd.HasField("bound"):
                yield from _attached(conn, statement, table_sql(cmd.name), cmd.bound)
                yield from _beside_default(conn, statement, table_sql(tree.relation), cmd.bound)


def partitioned_named(statement: ParsedStatement) -> tuple[str, str]:
    """The partitioned table as SQL, and what is asked about it, when the catalog does not tell of it."""
    tree = statement.tree
    relation = tree.inh_relations[0].range_var if statement.name == "create_stmt" else tree.relation
    return table_sql(relation), "rows are in the way of the partition"


def _attached(conn: Connection, statement: ParsedStatement, part: str, bound: Node) -> Iterator[Suspect]:
    """Rows of the table itself that the bound, or the partitioned table's own place in a tree, does not admit."""
    parent = table_sql(statement.tree.relation)
    known = row(conn, "partitioned", name=parent)
    if known is None:
        return
    if bound.is_default:
        others = [f"({condition})" for condition in known["siblings"] if condition]
        fits = f"NOT ({' OR '.join(others)})" if others else "true"
        what = "another partition is the place"
    else:
        fits, what = _condition(known, parent, bound), "the partition's bound does not admit it"
    if known["own"]:
        fits = f"({fits}) AND ({known['own']})"
    yield Suspect(statement.index, what, part, f"({fits}) IS NOT TRUE", SQLSTATE, ours=True)
    for key in known["keys"]:  # built on the table when it has none like it
        columns = [quoted(column) for column in key["columns"]]
        yield duplicates(statement, part, columns, nulls_equal=key["nulls_equal"])
    for key in known["foreign_keys"]:
        yield orphans(
            statement.index,
            part,
            tuple(key["columns"]),
            key["referenced"],
            tuple(key["referenced_columns"]),
            period=key["period"],
            full=key["match_full"],
            also=part if key["itself"] else "",
        )


def _beside_default(conn: Connection, statement: ParsedStatement, parent: str, bound: Node) -> Iterator[Suspect]:
    """Rows of the default partition that belong to the new one."""
    known = row(conn, "partitioned", name=parent)
    if known is None or known["default_partition"] is None or bound.is_default:
        return
    fits = _condition(known, parent, bound)
    yield Suspect(
        statement.index, "the new partition is the place", known["default_partition"], fits, SQLSTATE, ours=True
    )


def _condition(known: dict[str, Any], parent: str, bound: Node) -> str:
    """SQL that is true of the rows of a partition. :param known: what the catalog says of `parent`."""
    columns = _key_columns(known["key"])  # of "RANGE (a, lower(b))"
    if bound.strategy == "h":
        literal = parent.replace("'", "''")
        relation = f"'{literal}'::pg_catalog.regclass::pg_catalog.oid"
        arguments = f"{relation}, {bound.modulus}, {bound.remainder}, {', '.join(columns)}"
        return f"pg_catalog.satisfies_hash_partition({arguments})"
    keys = [_Key(column, **one) for column, one in zip(columns, known["comparisons"], strict=True)]
    if bound.strategy == "l":
        null = any(item.a_const.isnull for item in bound.listdatums)
        values = [expression_sql(item) for item in bound.listdatums if not item.a_const.isnull]
        parts = [keys[0].compared("=", value) for value in values]
        return " OR ".join([*parts, *([f"{columns[0]} IS NULL"] if null else [])])
    filled = [f"{column} IS NOT NULL" for column in columns]
    low = _side(keys, bound.lowerdatums, full=">=", beyond={"minvalue": ">=", "maxvalue": ">"})
    high = _side(keys, bound.upperdatums, full="<", beyond={"minvalue": "<", "maxvalue": "<="})
    return " AND ".join([*filled, low, high])


def _side(keys: Sequence[_Key], datums: Sequence[Node], *, full: str, beyond: dict[str, str]) -> str:
    """One end of a range, compared as rows are: what stands after MINVALUE or MAXVALUE does not matter."""
    values: list[str] = []
    operator = full
    for item in datums:
        if name_of(item) == "column_ref" and (word := strings(item.column_ref.fields)[-1]) in beyond:
            operator = beyond[word]
            break
        values.append(expression_sql(item))
    if not values:
        return "true" if "=" in operator else "false"
    pairs = list(zip(keys, values, strict=False))
    last, value = pairs.pop()
    condition = last.compared(operator, value)
    for key, value in reversed(pairs):
        condition = f"({key.compared(operator[0], value)} OR ({key.compared('=', value)} AND {condition}))"
    return condition


def _key_columns(key: str) -> list[str]:
    (statement,) = parse(f"CREATE TABLE x () PARTITION BY {key}", file="catalog").statements
    elements = [item.partition_elem for item in statement.tree.partspec.part_params]
    return [quoted(item.name) if item.name else f"({expression_sql(item.expr)})" for item in elements]
