"""Which columns a statement overwrites that keeps the rows: what others have written there is gone. Pure.

A column is its number: a script may pass names on from one to another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from migrator.database.identities import Identities, Table
from migrator.parsing.nodes import Node, enum, find, name_of, strings
from migrator.parsing.statements import parse
from migrator.plan import Statement
from migrator.rehearsal import retyping

Columns = Mapping[str, frozenset[str]]
"""By the name of a table, without its schema."""
Numbers = frozenset[int]
ALL: Numbers = frozenset({0})
"""Nobody can tell which: 0 stands for each."""
WRITERS = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


class Column(NamedTuple):
    table: int
    name: str
    number: int
    type: str
    """Without its modifier."""
    modifier: int


class Moved(NamedTuple):
    """The numbers of two columns of a table."""

    source: int
    to: int


def moved(statement: Statement, columns: Collection[Column]) -> dict[int, frozenset[Moved]]:
    """By the oid of a table what an UPDATE of all its rows takes along from one column to another."""
    parsed = parse(statement.sql, file=statement.file).statements if statement.kind == "UPDATE" else ()
    found: dict[int, frozenset[Moved]] = {}
    for one in parsed:
        tree, by_table = one.tree, dict[int, dict[str, int]]()
        if name_of(tree.where_clause) or tree.from_clause or tree.HasField("with_clause"):
            continue
        for column in columns:
            by_table.setdefault(column.table, {})[column.name] = column.number
        for oid, numbers in by_table.items():
            found[oid] = frozenset(
                Moved(numbers[name], numbers[item.res_target.name])
                for item in tree.target_list
                for reference in find(item.res_target.val, "ColumnRef")
                for name in strings(reference.fields)[-1:]
                if name in numbers and item.res_target.name in numbers
            )
    return found


def overwritten(statement: Statement) -> Columns | None:
    """None: it may do more, or nobody can tell."""
    parsed = parse(statement.sql, file=statement.file).statements
    if len(parsed) != 1:
        return None
    found: dict[str, frozenset[str]] = {}
    for writer in find(parsed[0].tree, *WRITERS):
        if type(writer).__name__ in ("DeleteStmt", "MergeStmt"):
            return None
        name = str(writer.relation.relname)
        found[name] = found.get(name, frozenset()) | {*_set(writer)}
    return found


def _set(writer: Node) -> Iterator[str]:
    if type(writer).__name__ == "InsertStmt":
        clause = writer.on_conflict_clause
        items = clause.target_list if enum(clause, "action") == "ONCONFLICT_UPDATE" else ()
    else:
        items = writer.target_list
    return (str(item.res_target.name) for item in items)


def named(statement: Statement) -> list[str]:
    """The tables whose columns must be known, without their schemas."""
    types = [str(tree.relation.relname) for tree, _ in _retyping(statement)]
    return types or sorted(overwritten(statement) or () if statement.kind.startswith(("INSERT", "UPDATE")) else ())


def converted(
    statement: Statement, before: Collection[Column], now: Collection[Column], anew: Collection[int]
) -> dict[int, Numbers]:
    """By the oid of a table the columns of which ALTER ... TYPE may have cut off what they had.

    :param before: of the tables that it names and those that inherit from them. :param now: after it.
    :param anew: the tables whose rows it has written, or would have.
    """
    found: dict[int, Numbers] = {}
    types = {(column.table, column.number): column for column in now}
    for _, command in _retyping(statement):
        for old in before:
            new = types.get((old.table, old.number))
            if (
                old.table in anew
                and old.name == command.name
                and new is not None
                and not retyping.keeps(old, new, command)
            ):
                found[old.table] = found.get(old.table, frozenset()) | {old.number}
    return found


def _retyping(statement: Statement) -> Iterator[tuple[Node, Node]]:
    if statement.kind.startswith("ALTER TABLE"):
        for parsed in parse(statement.sql, file=statement.file).statements:
            for item in parsed.tree.cmds if parsed.name == "alter_table_stmt" else ():
                if enum(item.alter_table_cmd, "subtype") == "AT_AlterColumnType":
                    yield parsed.tree, item.alter_table_cmd


def stay(numbers: Collection[int], table: Table, left: Identities) -> bool:
    """Whether any of these columns was there before the way back and is there after it, under whatever name."""
    after = left.tables[table.oid].columns if table.oid in left.tables else {}
    both = table.columns.keys() & after.keys()
    return bool(both if 0 in numbers else both & {*numbers})
