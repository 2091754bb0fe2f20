"""Reading the ledgers of other tools, to go on where they stopped.

Their versions are matched with the catalogue's by number and name. What does not match exactly one migration is told
and not adopted: a version that is taken for applied and is not would be lost, and the other way round applied twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from psycopg import sql as pgsql
from psycopg.rows import class_row

from migrator.database import plain, queries, session
from migrator.database.session import Connection
from migrator.errors import UsageError
from migrator.history.legacy import LegacyRow
from migrator.history.own_words import moment


@dataclass(frozen=True)
class Tool:
    name: str
    table: str
    up_to: bool = False
    """It keeps one number, up to which everything is applied."""
    parts: bool = False
    """Several of its rows may make up one version, which is applied when all of them are."""
    heads: bool = False
    """It keeps the newest revision only; what that depends on is applied as well."""

    @property
    def query(self) -> str:
        return self.name.replace("-", "_")


TOOLS = (
    Tool("flyway", "flyway_schema_history"),
    Tool("liquibase", "databasechangelog", parts=True),
    Tool("alembic", "alembic_version", heads=True),
    Tool("golang-migrate", "schema_migrations", up_to=True),
    Tool("rails", "schema_migrations"),
)


HALF_DOWN = (
    "the version before it is dirty, as one is that was interrupted on its way down from here: look what is there"
)
UNTOLD = "nobody can tell whether it is older or new: name what is applied"
FIRST_DAY = 1970_01_01
_CHANGESET = re.compile(
    r"""^\s*--[ \t]*changeset[ \t]+("[^"\n]+"|[^:\n]+):[ \t]*("[^"\n]+"|\S+)""", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class ForeignRow:
    version: str
    name: str | None
    applied_at: str | None
    applied_by: str | None
    not_applied_because: str | None
    up_to: bool = False
    """It stands for every version up to its own."""


def find(name: str) -> Tool:
    return next(tool for tool in TOOLS if tool.name == name)


def read(connection: Connection, tool: Tool) -> tuple[ForeignRow, ...]:
    """
    :raises UsageError: the tool's table is not on the search path, is none, or has another shape.
    """
    with session.translated():
        found = plain.table(connection, tool.table)
    if found is None:
        raise UsageError(f"there is no table {tool.table!r} of {tool.name} on the search path of this connection")
    query = pgsql.SQL(queries.load(__package__, "foreign_ledgers")[tool.query])
    try:
        with (
            session.translated(),
            plain.as_they_lie(connection),
            connection.cursor(row_factory=class_row(ForeignRow)) as cursor,
        ):
            table, rows = plain.rows_of(connection, found)
            return tuple(cursor.execute(query.format(table=table), {"rows": rows}).fetchall())
    except Exception as exc:
        if getattr(exc, "fields", {}).get("sqlstate") == "42703":
            raise UsageError(f"table {tool.table!r} is not one of {tool.name}: {exc}") from None
        raise


def matched(
    rows: Sequence[ForeignRow],
    versions: Sequence[str],
    tool: Tool,
    *,
    before: Callable[[str], tuple[str, ...]],
    parts_of: Callable[[str], Collection[str]] = lambda _: (),
) -> tuple[LegacyRow, ...]:
    """The catalogue's versions that the tool has applied; for what cannot be matched, a row that says why. Pure.

    :param before: what must be applied before a version: its dependencies, directly or not.
    :param parts_of: what of a version's file must be applied for it to be: "author:id" of each changeset.
    """
    if tool.up_to:
        return tuple(row for one in rows for row in _up_to(one, versions))
    found: dict[str, LegacyRow] = {}
    baselines = {one: tuple(_up_to(one, versions)) for one in rows if one.up_to}
    rows = [one for one in rows if not baselines.get(one)]
    for row in (_one(one, versions, tool) for one in rows):
        if not (tool.parts and row.version in found and found[row.version].not_applied_because):
            found[row.version] = row
    if tool.parts:
        found = {version: _whole(row, rows, parts_of(version)) for version, row in found.items()}
    for reached in baselines.values():
        for row in reached:
            found.setdefault(row.version, row)
    if tool.heads:
        for head in [row for row in found.values() if row.not_applied_because is None]:
            for version in before(head.version):
                found.setdefault(version, LegacyRow(version, None, None, None, None))
    return tuple(found.values())


def _whole(row: LegacyRow, rows: Sequence[ForeignRow], parts: Collection[str]) -> LegacyRow:
    """Not applied when a part of its file is missing."""
    there = {
        f"{one.applied_by}:{one.version}" for one in rows if one.name and PurePosixPath(one.name).stem == row.version
    }
    missing = sorted({*parts} - there)
    if row.not_applied_because is not None or not missing:
        return row
    return replace(row, not_applied_because=f"changeset {', '.join(missing)} of its file is not in the table")


def changesets(sql: str) -> tuple[str, ...]:
    """ "author:id" of each, as Liquibase's formatted SQL has them. Pure."""
    return tuple(f"{_bare(author)}:{_bare(name)}" for author, name in _CHANGESET.findall(sql))


def _bare(name: str) -> str:
    return name.strip().strip('"')


def _up_to(row: ForeignRow, known: Sequence[str]) -> Iterable[LegacyRow]:
    """What the row stands for, as far as its own version tells how the tool counts."""
    last = _number(row.version)
    if last is None:
        return
    is_known = any(_number(version) == last for version in known)
    for version in known:
        number = _number(version)
        if number is None or number > last:
            continue
        reason: str | None
        if not is_known:
            reason = f"the catalogue does not have {row.version}, at which the tool stands, so {UNTOLD}"
        elif _is_time(number) != _is_time(last):
            reason = f"it is not numbered as {row.version} is, at which the tool stands, so {UNTOLD}"
        else:
            reason = row.not_applied_because if number == last or row.up_to else None
        yield LegacyRow(version, None, None, None, None, reason)
    if row.not_applied_because and not row.up_to:
        above = [version for version in known if (_number(version) or 0) > last]
        for version in sorted(above, key=lambda one: _number(one) or 0)[:1]:
            yield LegacyRow(version, None, None, None, None, HALF_DOWN)


def _is_time(number: int) -> bool:
    """Of a day or a second, rather than one that counts."""
    return number >= FIRST_DAY


def _one(row: ForeignRow, known: Sequence[str], tool: Tool) -> LegacyRow:
    candidates = [version for version in known if _is(version, row, tool)]
    if len(candidates) == 1:
        return LegacyRow(candidates[0], None, None, moment(row.applied_at), row.applied_by, row.not_applied_because)
    why = (
        f"it may be {' or '.join(candidates)}"
        if candidates
        else "no migration of the catalogue has its number and name"
    )
    return LegacyRow(row.version, None, None, None, None, row.not_applied_because or f"{why}; name what it is")


def _is(version: str, row: ForeignRow, tool: Tool) -> bool:
    """Whether the catalogue's `version` is what the tool calls by this row."""
    if version == row.version:
        return True
    if tool.name == "liquibase":
        return row.name is not None and PurePosixPath(row.name).stem == version
    number = _number(row.version)
    if number is None or number != _number(version):
        return False
    return row.name is None or _words(row.name) == _words(re.sub(r"^[0-9]+", "", version))


def _number(version: str) -> int | None:
    """Of "001_initial" and of "1"; None of "1.2", "a1b2" or "1a2b"."""
    digits = re.match(r"[0-9]+(?![0-9A-Za-z.])", version)
    return int(digits[0]) if digits and "." not in version else None


def _words(text: str) -> str:
    """Flyway's description is its file's name with blanks."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
