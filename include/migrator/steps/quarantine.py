"""Rows for which a batch fails: it is halved until they are alone, and all others of it are done.

By default the step then fails, with how many they are and why. With a quarantine so many of them are left out, the rest
of the table is done, and the step fails at its end: it never passes for done while a row needs it. What a person has
mended meanwhile is done by the next attempt, which begins with these rows.

A row is named by its place. Whoever updates it moves it: then it is found again, by the next round. Whatever else lies
at that place by then waits until the end of the attempt, where each of these places is tried once more. A round that
has changed nothing, and in which rows fail, is the last: they move as fast as they are found. Keys are values of rows:
they go where the run keeps what only some may read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from migrator.database import withheld
from migrator.errors import StatementFailed
from migrator.ledger.rows import QUARANTINED
from migrator.plan import Statement
from migrator.steps.batch_statement import BatchSql, Place
from migrator.steps.batch_tables import Table

TOLD = 20
"""So many rows more than may be left out are looked for, then the step fails at once."""
OF_ROWS = ("21", "22", "23", "27", "38", "39", "44", "54", "P0")
"""Classes of PostgreSQL's Appendix A that depend on what a row holds: cardinality, data, integrity, what a trigger has
changed, routines in other languages, views and policies, limits (a key too long for its index), PL/pgSQL."""
NO_RIGHT = "42501"
"""Also of a row that a policy does not let in."""


def is_of_rows(error: StatementFailed) -> bool:
    """Whether fewer rows may do better: RAISE may take any SQLSTATE, and one of its own is told as none."""
    state = error.fields.get("sqlstate")
    if state is None:
        return "where" in error.fields
    return state[:2] in OF_ROWS or state == NO_RIGHT


@dataclass
class Quarantine:
    """:param change: does one batch of these rows, committed together with the cursor.
    :param mark: commits the cursor alone. :param tables: where rows lie now.
    :param key_columns: quoted, of a table's primary key; empty: it has none.
    """

    statement: Statement
    sql: BatchSql
    most: int
    ask: Callable[[str], Any]
    change: Callable[[Table, Sequence[Place]], None]
    mark: Callable[[], None]
    tables: Callable[[], Sequence[Table]]
    key_columns: Callable[[int], Sequence[str]]
    rows: dict[Place, StatementFailed | None] = field(default_factory=dict)
    """Left out, and why; None: an earlier attempt knew."""
    over: dict[Place, StatementFailed] = field(default_factory=dict)
    """More than may be left out: the next attempt begins with them."""
    seen: dict[tuple[int, str], StatementFailed] = field(default_factory=dict)
    """All that has failed in this round, by table and key, so that a row that moves is one; without a key by place."""
    end: int = 0
    """Of the range of pages that is known to fail, as far as it is not done yet."""

    @property
    def cursor(self) -> dict[str, Any]:
        found: dict[str, list[list[int]]] = {}
        for row in sorted((*self.rows, *self.over)):
            found.setdefault(str(row.table), []).append([row.page, row.item])
        return {QUARANTINED: found} if found else {}

    def begin(self) -> None:
        """With what an earlier attempt has left. :raises StatementFailed: too many of them fail still."""
        self.again()
        for row in [*self.rows][self.most :]:
            if (error := self.rows.pop(row)) is not None:
                self.over[row] = error
        self.require_few()

    def load(self, cursor: Any) -> None:
        for table, places in cursor.get(QUARANTINED, {}).items():
            self.rows |= {Place(int(table), page, item): None for page, item in places}

    def without(self, first: int | None = None, end: int | None = None) -> str:
        """A condition that leaves them out, of these pages or of all."""
        return self.sql.without(
            [row for row in sorted(self.rows) if first is None or end is None or first <= row.page < end]
        )

    def pages(self, page: int, pages: int) -> int:
        """How many a batch may take from `page` on: of a range that has failed the half."""
        known = self.end - page
        return pages if known <= 0 else min(pages, max(1, (known + 1) // 2))

    def failed(self, end: int) -> None:
        self.end = end

    def page(self, table: Table, page: int) -> None:
        """All rows of a page that has failed, but for those that fail."""
        found = self.ask(self.sql.rows(table.target, page, self.without(page, page + 1))) or ()
        rows = sorted(Place.of(oid, tid) for oid, tid in found)
        parts = [part for part in _halves(rows) if part]
        while parts and len(self.over) < TOLD:
            part = parts.pop()
            error = self._try(table, part)
            if error is None:
                continue
            if len(part) > 1:
                parts += _halves(part)
            else:
                self._add(table, part[0], error)

    def again(self) -> None:
        """Those that are left out once more, one by one: they may be mended, or gone from there."""
        tables = self.tables() if self.rows else ()
        for row in sorted(self.rows):
            table = next((one for one in tables if one.holds(row.table)), None)
            self.rows.pop(row)
            error = None if table is None else self._try(table, [row])
            if error is not None and table is not None:
                self.rows[row] = error
                self._keep(table, row, error)

    def require_few(self, page: int | None = None) -> None:
        """:param page: where it goes on; None: nowhere. :raises StatementFailed: more fail than may be left out."""
        if self.over and (page is None or page >= self.end or len(self.over) >= TOLD):
            self.mark()
            raise self.refused()

    def refused(self, *, moved: bool = False) -> StatementFailed:
        """:param moved: they do not stay where they are found, so none of their places says how many they are."""
        if moved:
            self.again()
        places = self.seen.values() if moved else (*self.over.values(), *self.rows.values())
        errors = [error for error in places if error is not None]
        first = errors[0]
        told = _counted(errors)
        if moved:
            what = "they are left out, and somebody goes on changing them, which moves them; a whole round has found no"
            what += " other row to change. mend them, then clear the step"
        elif not self.over:
            what = "they are left out, and all others are done. mend them, then clear the step: it does these alone"
        else:
            most = f", and quarantine: {self.most} takes no more" if self.most else ""
            what = f"the others of their batch are done{most}. mend them, and look for more like them; then try again"
        where = "their keys are with the server's own words"
        return StatementFailed(f"{first}; rows that fail: {told}; {what}; {where}", **first.fields)

    def besides(self) -> str:
        """What fails in this round or is left out still, for who tells why the step does not end."""
        self.again()
        return f". rows that fail besides: {_counted([*self.seen.values()])}" if self.seen else ""

    def _try(self, table: Table, rows: Sequence[Place]) -> StatementFailed | None:
        try:
            self.change(table, rows)
        except StatementFailed as exc:
            if not is_of_rows(exc):
                raise
            return exc
        return None

    def _add(self, table: Table, row: Place, error: StatementFailed) -> None:
        self._keep(table, row, error)
        if self.most and not self.over and len(self.rows) >= self.most:
            self.again()
        if len(self.rows) >= self.most:
            self.over[row] = error
            return
        self.rows[row] = error
        self.mark()

    def _keep(self, table: Table, row: Place, error: StatementFailed) -> None:
        """A key, or the whole row where it has none."""
        columns = self.key_columns(row.table)
        try:
            key = self.ask(self.sql.key(table.target, row, columns))
        except StatementFailed:
            key = None
        self.seen[row.table, str(key) if columns and key else row.tid] = error
        name = f" ({', '.join(columns)}) =" if columns else ""
        withheld.keep(f"{self.statement.file}:{self.statement.line}: row{name} {key} at {row.tid}: {_reason(error)}")


def _halves(rows: Sequence[Place]) -> list[Sequence[Place]]:
    """The second one first: the last of a list is taken next."""
    middle = (len(rows) + 1) // 2
    return [rows[middle:], rows[:middle]]


def _counted(errors: Sequence[StatementFailed]) -> str:
    return ", ".join(f"{number} ({reason})" for reason, number in Counter(map(_reason, errors)).items())


def _reason(error: StatementFailed) -> str:
    constraint, state = error.fields.get("constraint"), error.fields.get("sqlstate")
    return f"constraint {constraint}" if constraint else f"SQLSTATE {state}" if state else "a SQLSTATE of its own"
