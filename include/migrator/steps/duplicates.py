"""Rows that a unique index refuses, counted before it is built and after a build that failed.

A build that must fail costs hours, and leaves an index that rejects rows of the application meanwhile. Keys are values
of rows: they go where the run keeps what only some may read.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from migrator import wording
from migrator.database import held, naming, plain, withheld
from migrator.database.door import send
from migrator.database.told import words
from migrator.errors import MigratorError
from migrator.parsing.nodes import Node
from migrator.plan import Statement
from migrator.steps.context import StepContext
from migrator.steps.real_state import QUERIES, Connection, qualified, relation, tree_of

LOOK_MS = 60_000
"""A larger table is not looked through: whatever reads for long keeps VACUUM from its work."""
SAMPLES = 5


@dataclass(frozen=True)
class Duplicates:
    keys: int
    rows: int
    columns: tuple[str, ...]

    def __str__(self) -> str:
        verb = "is" if self.keys == 1 else "are"
        return (
            f"{wording.count(self.keys, 'key')} of ({', '.join(self.columns)}) {verb} there more than once, in"
            f" {wording.count(self.rows, 'row')}"
        )


def look_for(statement: Statement, ctx: StepContext, conn: Connection) -> Duplicates | None:
    """None: there are none, or nobody can say: then the build tells. Only keys of plain columns of the server's own
    types are counted, so that nothing runs here which others have made."""
    tree = tree_of(statement)
    names = [item.index_elem.name for item in tree.index_params]
    if not tree.unique or not all(names) or tree.HasField("where_clause"):
        return None
    try:
        with conn.transaction(force_rollback=True), plain.as_they_lie(conn):
            conn.execute(f"SET LOCAL statement_timeout = {LOOK_MS}; SET LOCAL lock_timeout = {held.WAIT_MS}")
            held.hold(conn, [relation(tree.relation)])
            asked = {"table": relation(tree.relation), "columns": names}
            ((known,),) = naming.ask(conn, QUERIES["plain_columns"], asked).rows
            found = _counted(conn, tree, names) if known == len(set(names)) else None
    except (MigratorError, psycopg.Error) as exc:
        if conn.closed:
            raise
        ctx.log.info("nobody has looked for rows with equal keys: %s", words(exc))
        return None
    return found


def _counted(conn: Connection, tree: Node, names: list[str]) -> Duplicates | None:
    keys = ", ".join(qualified(name) for name in names)
    filled = " AND ".join(f"{qualified(name)} IS NOT NULL" for name in names)
    condition = "true" if tree.nulls_not_distinct else filled
    source = f"SELECT {keys}, pg_catalog.count(*) AS migrator_rows FROM {relation(tree.relation)} WHERE {condition}"  # noqa: S608 - quoted
    equal = f"{source} GROUP BY {keys} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1"
    total = f"SELECT pg_catalog.count(*), pg_catalog.sum(migrator_rows) FROM ({equal}) AS equal"  # noqa: S608
    with naming.names_of_target(conn):
        ((number, rows),) = send(conn, total).fetchall()
        samples = send(conn, f"{equal} ORDER BY migrator_rows DESC LIMIT {SAMPLES}").fetchall() if number else []
    if not number:
        return None
    shown = "; ".join(f"({', '.join(map(str, key))}) in {count} rows" for *key, count in samples)
    withheld.keep(f"equal keys of {', '.join(names)}: {shown}")
    return Duplicates(int(number), int(rows), tuple(names))
