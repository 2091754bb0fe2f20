"""Reading the runbook's `public.schema_migrations`, in whatever shape it was kept by hand. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from migrator.database import withheld
from migrator.errors import UsageError
from migrator.history import own_words
from migrator.parsing.bookkeeping import is_of, version_of

GOLANG = frozenset({"version", "dirty"})
ROLLBACK = "_rollback"
"""What a row's name ends with that tells of a rollback script."""


@dataclass(frozen=True)
class LegacyRow:
    version: str
    filename: str | None
    checksum: str | None
    applied_at: datetime | None
    applied_by: str | None
    not_applied_because: str | None = None
    """Why the row does not say that the version is in the database; None when it does."""
    said_at: datetime | None = None
    """The latest time that the row names."""
    rank: int | None = None
    """Its number, where the table counts its rows."""


def read(rows: Iterable[Mapping[str, Any]]) -> tuple[LegacyRow, ...]:
    """The rows by version, oldest first. The runbook writes a version in two ways ("001_x" and "001_x.sql", from two of
    its scripts); they are one.

    :raises UsageError: the table has no column `version`.
    """
    rows = tuple(rows)
    if len(rows) == 1 and set(rows[0]) == GOLANG:
        raise UsageError(
            "public.schema_migrations looks like the one of golang-migrate, whose row stands for all versions up to its"
            " own: give --from golang-migrate, or --ignore-table and name the versions"
        )
    latest = datetime.max.replace(tzinfo=timezone.utc)
    return tuple(sorted(merged(map(_row, rows)), key=lambda row: (row.applied_at or latest, row.version)))


def merged(rows: Iterable[LegacyRow]) -> tuple[LegacyRow, ...]:
    """One row a version. Where they say different things the latest is right; where nobody knows it, none is."""
    found: dict[str, list[LegacyRow]] = {}
    for row in rows:
        found.setdefault(row.version, []).append(row)
    return tuple(map(_one, found.values()))


def _one(rows: Sequence[LegacyRow]) -> LegacyRow:
    denying = [row for row in rows if row.not_applied_because is not None]
    if len(denying) in (0, len(rows)):
        return rows[0]
    times, ranks = [row.said_at for row in rows], [row.rank for row in rows]
    for keys in (times, ranks):
        if None not in keys and len({*keys}) == len(rows):
            return max(zip(keys, rows, strict=True), key=lambda one: one[0] or 0)[1]
    why = f"one of its rows says that it is applied, and of another {denying[0].not_applied_because}"
    return replace(rows[0], not_applied_because=f"{why}; which is the later one cannot be told")


def as_catalogued(row: LegacyRow, versions: Iterable[str]) -> LegacyRow:
    """The row under the catalogue's name of its version: tables kept by hand often have the number alone."""
    known = tuple(versions)
    named = [version for version in known if is_of(row.version, version)]
    if row.version in known or not named:
        return row
    if row.version.endswith(ROLLBACK):
        row = replace(row, not_applied_because=f"its rollback is recorded as {row.version!r}")
    if len(named) == 1:
        return replace(row, version=named[0])
    return replace(row, not_applied_because=f"it may be {' or '.join(named)}; name what it is")


def _row(columns: Mapping[str, Any]) -> LegacyRow:
    if columns.get("version") is None:
        raise UsageError(
            'public.schema_migrations has no column "version" (or an empty one), so nothing can be adopted from it; '
            "name the versions on the command line"
        )
    reason = own_words.denied(columns)
    if reason is not None and columns.get("error_message"):  # the words of a server, with whatever row it failed on
        withheld.keep(f"{columns['version']}: error_message: {columns['error_message']}")
    return LegacyRow(
        version=version_of(str(columns["version"])),
        filename=_text(columns.get("filename")),
        checksum=_text(columns.get("checksum")),
        applied_at=own_words.moment(columns.get("applied_at")),
        applied_by=_text(columns.get("applied_by")),
        not_applied_because=reason,
        said_at=own_words.said_at(columns),
        rank=own_words.rank(columns),
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)
