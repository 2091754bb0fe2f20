"""Writes that change nothing, on the rows of a table: what stands for the application during a rehearsal.

What such a write does without the migration is tried first, in a transaction that is taken back. A trigger of the
application may refuse it, write elsewhere, or leave another row than was there; then it is left out, or always taken
back: what is compared later must not be its doing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg.rows import kwargs_row

from migrator.database import naming, queries
from migrator.database.session import Connection
from migrator.database.told import words

QUERIES = queries.load(__package__, "traffic")

UPDATE, REPLACE = "UPDATE", "DELETE and INSERT"
OPERATIONS = (UPDATE, REPLACE)
KEYS = 20
"""Rows of a table that are written: from both ends, and from anywhere."""
TAKEN_BACK = "taken back each time: "


@dataclass(frozen=True)
class Column:
    name: str
    always: bool
    """GENERATED ALWAYS AS IDENTITY: no UPDATE may name it."""
    computed: bool
    """An INSERT that leaves it out calls something."""


@dataclass(frozen=True)
class Exercised:
    """A table, and what may be written to it."""

    oid: int
    name: str
    """Quoted."""
    plain: str
    """Not quoted, as predictions have it."""
    key: tuple[str, ...]
    hindrance: str | None
    """Why nothing is written."""
    kept: str | None
    """Why nothing is deleted and inserted again."""
    triggers: bool
    family: tuple[int, ...]
    """Itself and its partitions."""
    referencing: tuple[int, ...]
    columns: tuple[Column, ...] = ()
    """As the application knows them: before the migration."""
    keys: tuple[tuple[str, ...], ...] = ()
    """Of rows, never told."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Of an operation: why it is left out, or taken back each time."""

    @property
    def operations(self) -> tuple[str, ...]:
        return tuple(one for one in OPERATIONS if one not in self.notes or self.notes[one].startswith(TAKEN_BACK))

    def is_kept(self, operation: str) -> bool:
        """Whether it is committed."""
        return operation not in self.notes

    def update(self) -> str:
        """All columns that the application knows, to themselves, as its mapper would."""
        free = [one.name for one in self.columns if not one.always]
        names = [_sent(name) for name in free if name not in self.key] or [_sent(name) for name in free]
        sets = ", ".join(f"{name} = {name}" for name in names)
        return f"UPDATE {_sent(self.name)} SET {sets} WHERE {self._where}"  # noqa: S608 - quoted

    def replacement(self, columns: Sequence[Column]) -> str:
        """In one statement, so that the rows never pass through here."""
        table, names = _sent(self.name), ", ".join(_sent(one.name) for one in columns)
        return (
            f"WITH old AS (DELETE FROM {table} WHERE {self._where} RETURNING {names})"  # noqa: S608
            f" INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE SELECT {names} FROM old"
        )

    @property
    def content(self) -> str:
        return f"SELECT pg_catalog.md5(t::text) FROM {_sent(self.name)} AS t WHERE {self._where}"  # noqa: S608

    @property
    def _where(self) -> str:
        return " AND ".join(f"{_sent(name)} = %s" for name in self.key)


def _sent(name: str) -> str:
    """Beside parameters."""
    return name.replace("%", "%%")


def columns_of(conn: Connection, oid: int) -> tuple[Column, ...]:
    with conn.cursor(row_factory=kwargs_row(Column)) as cursor:
        return tuple(cursor.execute(QUERIES["columns"], {"oid": oid}).fetchall())


def run(conn: Connection, text: str, key: Sequence[str]) -> int:
    """The rows that it has written; with the target's path, which the application's triggers may need."""
    with naming.names_of_target(conn):
        return conn.execute(text.encode(), key).rowcount


def find(conn: Connection, names: Collection[str]) -> tuple[Exercised, ...]:
    """The tables of these names, with what may be written to each; what was tried is taken back."""
    with conn.cursor(row_factory=kwargs_row(_exercised)) as cursor:
        found = cursor.execute(QUERIES["tables"], {"names": sorted(names)}).fetchall()
    return tuple(_tried(conn, table) for table in found)


def _exercised(**row: Any) -> Exercised:
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in row.items()}
    return Exercised(**values)


def _tried(conn: Connection, table: Exercised) -> Exercised:
    if table.hindrance is not None:
        return replace(table, notes=dict.fromkeys(OPERATIONS, table.hindrance))
    table = replace(table, columns=columns_of(conn, table.oid), keys=_keys(conn, table))
    if not table.keys:
        return replace(table, notes=dict.fromkeys(OPERATIONS, "has no rows"))
    notes = {REPLACE: table.kept} if table.kept is not None else {}
    with _numbers_kept(conn, table) as moved:
        for operation in OPERATIONS:
            if operation not in notes:
                good, note = _try(conn, table, operation)
                table = replace(table, keys=good or table.keys)
                if moved():
                    note = "its triggers take numbers of a sequence, which nobody gives back"
                if note:
                    notes[operation] = note
    return replace(table, notes=notes)


def _try(conn: Connection, table: Exercised, operation: str) -> tuple[tuple[tuple[str, ...], ...], str]:
    """The keys of which it can be done, and what is to be said of it."""
    text = table.update() if operation == UPDATE else table.replacement(table.columns)
    good, refused, changed = list[tuple[str, ...]](), "", False
    conn.execute("BEGIN")
    try:
        known = set(conn.execute(QUERIES["written"]).fetchall())
        for key in table.keys:
            conn.execute("SAVEPOINT one")
            try:
                before = conn.execute(table.content.encode(), key).fetchall()
                run(conn, text, key)
                conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
                changed = changed or before != conn.execute(table.content.encode(), key).fetchall()
                good.append(key)
            except psycopg.Error as exc:
                refused = f"the database refuses it without the migration, too: {words(exc)} ({exc.sqlstate})"
            conn.execute("ROLLBACK TO one")
        written = set(conn.execute(QUERIES["written"]).fetchall()) - known
        others = sorted(plain for oid, plain, _ in written if oid not in table.family)
    finally:
        conn.execute("ROLLBACK")
    if not good:
        return (), refused
    if others:
        return tuple(good), f"{TAKEN_BACK}its triggers write to {', '.join(others)}"
    return tuple(good), f"{TAKEN_BACK}its triggers leave another row" if changed else ""


def _keys(conn: Connection, table: Exercised) -> tuple[tuple[str, ...], ...]:
    columns = ", ".join(f"{name}::text" for name in table.key)
    order, back = ", ".join(table.key), ", ".join(f"{name} DESC" for name in table.key)
    ends = f"(SELECT {columns} FROM {table.name} ORDER BY {{}} LIMIT {KEYS // 4})"  # noqa: S608
    anywhere = f"(SELECT {columns} FROM {table.name} TABLESAMPLE SYSTEM (1) LIMIT {KEYS // 2})"  # noqa: S608
    query = f"{ends.format(order)} UNION {ends.format(back)} UNION {anywhere}"
    return tuple(conn.execute(query.encode()).fetchall())


@contextmanager
def _numbers_kept(conn: Connection, table: Exercised) -> Iterator[Any]:
    """What a trigger takes of a sequence stays taken: it is put back where only triggers can have taken it."""
    names = [name for (name,) in conn.execute(QUERIES["sequences"]).fetchall()] if table.triggers else []

    def positions() -> dict[str, tuple[int, bool]]:
        if not names:
            return {}
        place = [f"SELECT {number}, last_value, is_called FROM {name}" for number, name in enumerate(names)]  # noqa: S608
        found = conn.execute(" UNION ALL ".join(place).encode()).fetchall()
        return {names[number]: (last, called) for number, last, called in found}

    before = positions()

    def moved() -> bool:
        now = positions()
        changed = [name for name in now if now[name] != before[name]]
        for name in changed:
            conn.execute("SELECT pg_catalog.setval(%s::regclass, %s, %s)", (name, *before[name]))
        return bool(changed)

    yield moved
