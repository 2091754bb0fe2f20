"""Where the rows of a backfill lie, and who is writing there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.database import naming, queries
from migrator.database.activity import Blocker
from migrator.database.session import Connection
from migrator.database.vocabulary import told_name
from migrator.steps.batch_statement import BatchSql

QUERIES = queries.load(__package__, "batches")


@dataclass(frozen=True)
class Table:
    """One that holds rows: the relation itself, or one of its partitions; or all of them, of which a batch takes the
    same pages."""

    oid: int
    name: str
    """Quoted and qualified, or as the statement has it."""
    target: str
    """What a batch names, with ONLY where it is one table."""
    kind: str
    file: int
    pages: int
    rows: float
    """Of a page, as the server knows; 0: it does not."""
    together: bool = False
    """All of them."""

    def holds(self, oid: int) -> bool:
        """Whether rows of this table are found in it."""
        return self.together or oid == self.oid

    @property
    def told(self) -> str:
        """A step before may have called a child like a row."""
        return told_name(self.name)


def tables(conn: Connection, sql: BatchSql) -> list[Table]:
    """In the order in which they are done."""
    answer = naming.ask(conn, QUERIES["tables"], {**_names(sql), "written": list(sql.columns), "is_read": sql.is_read})
    found = [
        Table(row["oid"], row["name"], f"ONLY {row['name']}", row["kind"], row["file"], row["pages"], row["rows"])
        for row in answer.named
    ]
    if not sql.is_together and not any(row["together"] for row in answer.named):
        return found
    odd = [table for table in found if table.kind != "r"]
    return odd or [_together(found, sql)]


def _together(found: list[Table], sql: BatchSql) -> Table:
    return Table(
        oid=found[0].oid,
        name=sql.relation,
        target=sql.relation,
        kind="r",
        file=sum(table.file for table in found),
        pages=max(table.pages for table in found),
        rows=sum(table.rows for table in found),
        together=True,
    )


def writers(conn: Connection, sql: BatchSql) -> Mapping[str, Blocker]:
    """By their virtual transaction: which no later one has again."""
    answer = naming.ask(conn, QUERIES["writers"], _names(sql))
    return {row[0]: Blocker(*row[1:]) for row in answer.rows}


def snapshots(conn: Connection, last: int) -> Mapping[str, Blocker]:
    """Who may look by a snapshot in which a transaction of ours is not done.

    :param last: its number, without its epoch.
    """
    answer = naming.ask(conn, QUERIES["snapshots"], {"last": str(last)})
    return {row[0]: Blocker(*row[1:]) for row in answer.rows}


def key_columns(conn: Connection, oid: int) -> list[str]:
    """Of the table's primary key, quoted; empty: it has none."""
    return [row[0] for row in naming.ask(conn, QUERIES["key_columns"], {"oid": oid}).rows]


def is_unique(conn: Connection, table: str, columns: Sequence[str]) -> bool:
    """Whether no two rows of it can have the same values in these columns."""
    ((found,),) = naming.ask(conn, QUERIES["is_unique"], {"table": table, "columns": list(columns)}).rows
    return bool(found)


def deadlock_timeout_ms(conn: Connection) -> int:
    row = conn.execute(QUERIES["deadlock_timeout"]).fetchone()
    return int(row[0]) if row else 1000


def _names(sql: BatchSql) -> dict[str, Any]:
    return {"relation": sql.relation, "by_itself": sql.only}
