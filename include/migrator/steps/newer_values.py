"""Values that others have written into columns which a rollback drops, where the tables and their rows stay.

Which columns those are, the rehearsal has seen. A row that others have written has lost nothing where such a column is
NULL, or has its default as long as that is a constant: nobody has to have written it there. Whether somebody else or
the migration has written another value no row tells.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from psycopg import sql as quoting

from migrator import documents
from migrator.database import plain, queries, session
from migrator.database.vocabulary import told_name
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, content, name_of, strings
from migrator.parsing.statements import parse

QUERIES = queries.load(__package__, "newer_values")


def digest(table: str, column: str) -> str:
    """In the evidence, beside those of tables. :param table: quoted, with its schema."""
    return documents.digest(f"{table}.column {column}")


@frozen
class Values:
    """Of one table."""

    condition: quoting.Composable
    """Of a row `t` of it."""
    names: tuple[str, ...]
    numbers: frozenset[int]

    @property
    def told(self) -> str:
        return f" (column{'s' if len(self.names) > 1 else ''} {', '.join(map(told_name, self.names))})"


def dropped(
    conn: session.Connection, tables: Mapping[int, Collection[str]], taken: Collection[str]
) -> dict[int, Values]:
    """By the oid of the table, where any column of it is dropped.

    :param tables: the names that each has, and those of which it is a part. :param taken: as the rehearsal has noted.
    """
    with plain.as_they_lie(conn):
        rows = conn.execute(QUERIES["columns"], {"tables": list(tables)}).fetchall()
    wanted, found = {*taken}, dict[int, Values]()
    for oid, number, name, default, of_type, numbered, is_plain in rows:
        if wanted.isdisjoint(digest(part, name) for part in tables[oid]):
            continue
        condition = _written(name, default if is_plain and not numbered and is_constant(default, of_type) else None)
        old = found.get(oid)
        found[oid] = Values(
            condition if old is None else quoting.SQL("{} or {}").format(old.condition, condition),
            (*(old.names if old is not None else ()), name),
            (old.numbers if old is not None else frozenset()) | {number},
        )
    return found


def gone(conn: session.Connection, values: Mapping[int, Values]) -> set[int]:
    """The tables that lack any of these columns now."""
    rows = conn.execute(QUERIES["left"], {"tables": list(values)}).fetchall()
    left = {(oid, number) for oid, number in rows}
    return {oid for oid, one in values.items() if any((oid, number) not in left for number in one.numbers)}


def _written(name: str, default: str | None) -> quoting.Composable:
    """Types' own operators and casts are not called: others may have made them."""
    column = quoting.SQL("t.{}").format(quoting.Identifier(name))
    filled = quoting.SQL("({} is distinct from null").format(column)
    if default is None:
        return quoting.SQL("{})").format(filled)
    return quoting.SQL(
        "{} and pg_catalog.format('%s', {}) operator(pg_catalog.<>) pg_catalog.format('%s', {}))"
    ).format(filled, column, quoting.SQL(default))


def is_constant(expression: str | None, of_type: str) -> bool:
    """Whether it is the same each time, and runs nothing but what reads a literal of the server's types, or of this
    one. Pure."""
    if expression is None:
        return False
    parsed = parse(f"SELECT {expression.removesuffix(f'::{of_type}')}", file="default").statements
    if len(parsed) != 1 or parsed[0].name != "select_stmt" or len(parsed[0].tree.target_list) != 1:
        return False
    return _constant(parsed[0].tree.target_list[0].res_target.val)


def _constant(node: Node) -> bool:
    kind = name_of(node)
    if kind == "type_cast":
        cast = content(node)
        return strings(cast.type_name.names)[:-1] in ((), ("pg_catalog",)) and _constant(cast.arg)
    if kind == "a_array_expr":
        return all(map(_constant, content(node).elements))
    return kind == "a_const"
