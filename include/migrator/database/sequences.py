"""Where each sequence stands, which columns it feeds, and the largest value that such a column has.

A position is data that no row shows and no transaction takes back. It is read from the sequence itself: the function
pg_sequence_last_value() gives NULL for one that was set with `is_called` false, as RESTART does (nextval in
src/backend/commands/sequence.c gives `last_value` itself then). But that function takes the sequence by its oid and
locks it until the transaction ends. So it comes first, or a sequence could be a table by the time when it is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql as pgsql
from psycopg.rows import dict_row

from migrator.database import held, plain, queries
from migrator.errors import TransientError

TYPES: Mapping[str, int] = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
"""The largest value of each."""


@dataclass(frozen=True)
class Position:
    """A sequence, and what it will do when it is asked next."""

    oid: int
    """Another one: it was made anew."""
    name: str
    place: tuple[str, str]
    """Schema and name as they are, not quoted."""
    type: str
    increment: int
    minimum: int
    maximum: int
    cycles: bool
    last_value: int
    is_called: bool

    @property
    def next_value(self) -> int | None:
        """None: it is used up, nextval() fails."""
        following = self.last_value + self.increment if self.is_called else self.last_value
        if self.minimum <= following <= self.maximum:
            return following
        if not self.cycles:
            return None
        return self.minimum if self.increment > 0 else self.maximum


@dataclass(frozen=True)
class Feed:
    """A column that takes its values from a sequence."""

    sequence: str
    table: str
    column: str
    quoted: str
    """The column's name as a statement has it."""
    type: str
    place: tuple[str, str]
    """Schema and name of the table as they are, not quoted."""
    partitioned: bool
    hidden: str | None
    """Why nobody reads the column."""
    indexed: bool
    """Its largest value is a matter of one look."""
    bytes: int
    parts: frozenset[str]
    """The table and all below it."""

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.sequence, self.table, self.column)


@dataclass(frozen=True)
class Sequences:
    positions: Mapping[str, Position]
    feeds: tuple[Feed, ...]
    unreadable: tuple[str, ...] = ()


def read(conn: psycopg.Connection[Any], *, exclude: Collection[str] = ()) -> Sequences:
    """All sequences that `conn` sees, those of the schemas in `exclude` left out."""
    texts = queries.load(__package__, "sequences")
    with plain.as_they_lie(conn):
        locked = [oid for oid, _ in conn.execute(texts["locked"]).fetchall()]
        values = {"exclude": list(exclude), "locked": locked}
        known = conn.cursor(row_factory=dict_row).execute(texts["sequences"], values).fetchall()
        fed = conn.cursor(row_factory=dict_row).execute(texts["feeds"], {"exclude": list(exclude)}).fetchall()
        readable = [row for row in known if row["readable"]]
        with conn.pipeline():
            cursors = [
                conn.execute(
                    pgsql.SQL("select last_value, is_called from {}").format(
                        pgsql.Identifier(row["nspname"], row["relname"])
                    )
                )
                for row in readable
            ]
        places = [cursor.fetchone() or (0, False) for cursor in cursors]
    positions = {
        row["name"]: Position(
            row["oid"],
            row["name"],
            (row["nspname"], row["relname"]),
            row["type"],
            row["increment"],
            row["minimum"],
            row["maximum"],
            row["cycles"],
            int(last_value),
            bool(is_called),
        )
        for row, (last_value, is_called) in zip(readable, places, strict=True)
    }
    return Sequences(positions, tuple(map(_feed, fed)), tuple(row["name"] for row in known if not row["readable"]))


def again(conn: psycopg.Connection[Any], position: Position) -> Position:
    """The same sequence where it stands now. Read after the column, so that values which others take meanwhile are not
    counted against it.

    :raises TransientError: it has another name by now.
    """
    query = pgsql.SQL("select last_value, is_called from {}").format(pgsql.Identifier(*position.place))
    with plain.as_they_lie(conn):
        conn.execute("select pg_catalog.pg_sequence_last_value(%s)", (position.oid,))
        (name,) = conn.execute("select %s::oid::regclass::text", (position.oid,)).fetchone() or ("",)
        if name != position.name:
            raise TransientError(f"sequence {position.name} is {name} by now")
        last_value, is_called = conn.execute(query).fetchone() or (position.last_value, position.is_called)
    return replace(position, last_value=int(last_value), is_called=bool(is_called))


def farthest(conn: psycopg.Connection[Any], feed: Feed, increment: int) -> int | None:
    """The value of the column that the sequence has to be beyond: the largest one, or the smallest when it counts down.

    min() and max() of integers are the server's own, and so is every operator class of a B-tree: none but a superuser
    makes one. None: the column has no value.

    :param feed: one that is not `hidden`.
    :raises Refused: to look would run what the table's owner has made.
    """
    text = "select pg_catalog.{function}(t.{column}) from {only}{table} as t"
    query = pgsql.SQL(text).format(
        function=pgsql.SQL("max" if increment > 0 else "min"),
        column=pgsql.Identifier(feed.column),
        only=pgsql.SQL("" if feed.partitioned else "only "),
        table=pgsql.Identifier(*feed.place),
    )
    row = _of_table(conn, feed, query)
    return None if row is None or row[0] is None else int(row[0])


def is_taken(conn: psycopg.Connection[Any], feed: Feed, position: Position) -> bool:
    """Whether a sequence that counts in larger steps will meet a value of the column: those between belong to others,
    as where two servers share the numbers."""
    text = (
        "select exists (select from {only}{table} as t where t.{column} {beyond} {next}::int8"
        " and (t.{column}::numeric - {next}::numeric) % {step}::numeric = 0)"
    )
    query = pgsql.SQL(text).format(
        only=pgsql.SQL("" if feed.partitioned else "only "),
        table=pgsql.Identifier(*feed.place),
        column=pgsql.Identifier(feed.column),
        beyond=pgsql.SQL(">=" if position.increment > 0 else "<="),
        next=pgsql.Literal(position.next_value),
        step=pgsql.Literal(position.increment),
    )
    row = _of_table(conn, feed, query)
    return row is not None and bool(row[0])


def _of_table(conn: psycopg.Connection[Any], feed: Feed, query: pgsql.Composed) -> tuple[Any, ...] | None:
    with plain.as_they_lie(conn):
        held.hold(conn, [feed.table])
        row: tuple[Any, ...] | None = conn.execute(query).fetchone()
        return row


def _feed(row: Mapping[str, Any]) -> Feed:
    return Feed(
        sequence=row["sequence"],
        table=row["table_name"],
        column=row["attname"],
        quoted=row["quoted"],
        type=row["type"],
        place=(row["nspname"], row["relname"]),
        partitioned=row["partitioned"],
        hidden=row["hidden"],
        indexed=row["indexed"],
        bytes=row["bytes"] or 0,
        parts=frozenset(row["parts"] or ()),
    )
