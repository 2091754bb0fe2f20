"""Which columns a statement overwrites that keeps the rows: what others have written there is gone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from migrator.database.identities import Identities, Table
from migrator.parsing.nodes import Node, enum, find
from migrator.parsing.statements import parse
from migrator.plan import Statement

Columns = Mapping[str, frozenset[str]]
"""By the name of a table, without its schema."""
WRITERS = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


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


def stay(columns: Collection[str], table: Table, left: Identities) -> bool:
    """Whether any of these columns was there before the way back and is there after it, under whatever name."""
    after = left.tables[table.oid].columns if table.oid in left.tables else {}
    return any(_stays(column, table.columns, after) for column in columns)


def _stays(column: str, before: Mapping[int, str], after: Mapping[int, str]) -> bool:
    numbers = {number for names in (before, after) for number, name in names.items() if name == column}
    return not numbers or any(number in before and number in after for number in numbers)
