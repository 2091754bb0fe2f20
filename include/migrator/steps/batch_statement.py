"""What the batches of one statement send: the statement itself, as it was written, for a range of pages.

A range is one of ctid: no key is needed, and a TID range scan reads each page once (PostgreSQL 14 and later,
https://www.postgresql.org/docs/14/release-14.html). What the author has written stands in each batch as it was written;
only the table's name is that of the very partition where that makes no difference, and the condition has the range
beside it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from migrator.frozen import frozen
from migrator.parsing.build import name_text
from migrator.parsing.nodes import Node

KEY_LENGTH = 1000
"""Of what is kept of a row that has no key."""


def qualified_name(relation: Node) -> str:
    """Of a RangeVar, as it is written, for to_regclass()."""
    return ".".join(name_text(part) for part in (relation.schemaname, relation.relname) if part)


class Place(NamedTuple):
    """Of a row: its table's oid, and its ctid."""

    table: int
    page: int
    item: int

    @classmethod
    def of(cls, table: int, tid: str) -> Place:
        page, item = tid.strip("()").split(",")
        return cls(table, int(page), int(item))

    @property
    def tid(self) -> str:
        return f"({self.page},{self.item})"


@frozen
class BatchSql:
    """Parts of the statement, as they are written; a comment may end each of them."""

    verb: str
    relation: str
    """The name as it is written, for to_regclass()."""
    only: bool
    """Without partitions and children."""
    alias: str
    """Quoted as need be: what the statement calls the table."""
    aliased: bool
    """By a name that it gives it."""
    middle: str
    """SET and what follows, or USING, up to WHERE."""
    others: str
    """The other tables that it reads, with their keyword, for a query that looks for the rows that are left."""
    condition: str
    again: bool
    """Whether a row that it has changed must not meet the condition any more: a deleted one is gone."""

    columns: tuple[str, ...]
    """Those that SET names."""
    locks_first: bool
    """Whether it reads anything beside the row. A row that somebody else has just changed the server looks at again,
    in the middle of the statement, and at nothing else: it would be put together with what is no longer there."""
    is_together: bool
    """Whether the statement is always one for all partitions: a row of one may have its columns in another order."""
    reads: tuple[str, ...]
    """Relations beside the one that is written, as they are named, for to_regclass()."""
    calls: tuple[tuple[str, str], ...]
    """Functions, each with its schema, or nothing before it."""
    sees: tuple[str, ...] = ()
    """Columns of other rows of its table, by their names."""

    def batch(self, table: str, first: int, end: int, more: str = "") -> str:
        """Pages `first` to before `end` of `table`, as FROM writes it. One row: how many rows it has changed, and how
        many of them still meet the condition.

        :param more: a further condition: see `these` and `without`.
        """
        returning = f"({self.condition}\n)" if self.again else "false"
        change = f"{self.verb} {self._named(table)} {self.middle}\nWHERE {self._within(first, end)}{more}"
        counts = "pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE again)"
        return f"WITH batch AS ({change} RETURNING {returning} AS again) SELECT {counts} FROM batch"  # noqa: S608

    def locked(self, table: str, first: int, end: int, more: str = "") -> str:
        """Locks the rows of the batch, so that the batch, which begins to look only then, waits for none of them, and
        sees all that belongs to them as it is. One row: a list of table and ctid of each, or NULL; and 0."""
        rows = f"FROM {self._from(table)}\nWHERE {self._within(first, end)}{more}\nFOR {self.lock} OF {self.alias}"
        batch = f"WITH batch AS (SELECT {self._pair} AS place {rows})"
        return f"{batch} SELECT pg_catalog.jsonb_agg(DISTINCT place), 0 FROM batch"  # noqa: S608

    @property
    def lock(self) -> str:
        return "NO KEY UPDATE" if self.again else "UPDATE"

    def trials(self, table: str, locks_first: bool) -> tuple[str, ...]:
        """Of a batch that nobody executes: the server says whether it could be."""
        texts = [self.locked(table, 0, 1)] if locks_first else []
        return tuple(f"EXPLAIN (FORMAT JSON) {text}" for text in (*texts, self.batch(table, 0, 1)))

    def found(self, table: str, first: int, end: int, most: int, more: str = "") -> str:
        """One row: the places of the first and the last row within these pages that meet the condition, and how many
        do, of the first so many. Places are NULL where none does."""
        rows = f"FROM {self._from(table)}\nWHERE {self._within(first, end)}{more}"
        places = f"SELECT {self.alias}.ctid AS place {rows}\nORDER BY 1 LIMIT {most}"
        low, high, number = "pg_catalog.min(place)", "pg_catalog.max(place)", "pg_catalog.count(*)"
        text = "::pg_catalog.text"
        return f"SELECT ARRAY[{low}{text}, {high}{text}, {number}{text}] FROM ({places}) AS found"  # noqa: S608

    def rows(self, table: str, page: int, more: str = "") -> str:
        """One row: a list of table and ctid of each row of this page that meets the condition, or NULL."""
        found = f"pg_catalog.jsonb_agg(DISTINCT {self._pair})"
        where = f"{self._within(page, page + 1)}{more}"
        return f"SELECT {found} FROM {self._from(table)}\nWHERE {where}"  # noqa: S608

    def key(self, table: str, row: Place, columns: Sequence[str]) -> str:
        """One row: these columns of a row as text, or all of it."""
        named = [f"{self.alias}.{column}" for column in columns]
        key = f"ROW({', '.join(named)})" if named else f"{self.alias}.*"
        place = f"true{self.these([row])}"
        whole = f"SELECT ({key})::pg_catalog.text AS key FROM {self._named(table)} WHERE {place}"  # noqa: S608
        return f"SELECT pg_catalog.min(pg_catalog.left(found.key, {KEY_LENGTH})) FROM ({whole}) AS found"  # noqa: S608

    def these(self, rows: Sequence[Place]) -> str:
        """A condition that keeps to these rows, to be put after others."""
        return f" AND ({self._places(rows)})"

    def without(self, rows: Sequence[Place]) -> str:
        """One that leaves them out."""
        return f" AND NOT ({self._places(rows)})" if rows else ""

    def left(self, more: str = "") -> str:
        """One row: whether any row still meets the condition."""
        return f"SELECT EXISTS (SELECT {self._all()}{more})"

    def count(self) -> str:
        """One row: how many rows the statement itself would change now, however many partners each has."""
        row = f"DISTINCT {self.alias}.tableoid, {self.alias}.ctid" if self.others else ""
        return f"SELECT pg_catalog.count(*) FROM (SELECT {row} {self._all()}) AS found"  # noqa: S608

    def still(self, table: str, first: int, end: int, more: str = "") -> str:
        """Asked in the transaction of a batch, where its own answer cannot tell. One row like its own. Empty: there is
        no need to ask."""
        return ""

    @property
    def written(self) -> str:
        """The table, for to_regclass()."""
        return self.relation

    @property
    def writes_only(self) -> bool:
        """Not its children."""
        return self.only

    @property
    def is_read(self) -> bool:
        """Whether the rows that it goes through stay as they are."""
        return False

    @property
    def is_whole(self) -> bool:
        """Whether it inserts each row that it makes, or fails."""
        return False

    @property
    def given(self) -> tuple[str, ...]:
        """Where the columns of `unique` are copied from, one by one; empty: they are not just copied."""
        return ()

    def repeated(self, types: Sequence[str]) -> str:
        """One row: whether the statement would insert two rows with the same values in the columns of `unique`, which
        have these types."""
        raise NotImplementedError

    @property
    def unique(self) -> tuple[str, tuple[str, ...]] | None:
        """A table, for to_regclass(), that must not have two rows with the same values in these columns."""
        return None

    @property
    def _pair(self) -> str:
        """Where a row lies."""
        pair = f"{self.alias}.tableoid::pg_catalog.int8, {self.alias}.ctid::pg_catalog.text"
        return f"pg_catalog.jsonb_build_array({pair})"

    def _all(self) -> str:
        table = f"ONLY {self.relation}" if self.only else self.relation
        return f"FROM {self._from(table)}\nWHERE ({self.condition}\n)"

    def _from(self, table: str) -> str:
        return f"{self._named(table)}{self.others}"

    def _named(self, table: str) -> str:
        """As it is written where it is the table that is written: columns may be named with its schema."""
        written = not self.aliased and table.removeprefix("ONLY ") == self.relation
        return table if written else f"{table} AS {self.alias}"

    def _places(self, rows: Sequence[Place]) -> str:
        parts = []
        for table, group in itertools.groupby(sorted(rows), lambda row: row.table):
            tids = ", ".join(f"'{row.tid}'" for row in group)
            is_there = f"{self.alias}.ctid OPERATOR(pg_catalog.=) ANY (ARRAY[{tids}]::pg_catalog.tid[])"
            parts.append(f"{self.alias}.tableoid OPERATOR(pg_catalog.=) '{table}'::pg_catalog.oid AND {is_there}")
        return " OR ".join(f"({part})" for part in parts)

    def _within(self, first: int, end: int) -> str:
        return (
            f"({self.condition}\n)"
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.>=) '({first},0)'::pg_catalog.tid"
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.<) '({end},0)'::pg_catalog.tid"
        )
