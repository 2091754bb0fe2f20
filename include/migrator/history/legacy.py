"""Reading the runbook's `public.schema_migrations`, in whatever shape it was kept by hand. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from migrator.database import withheld
from migrator.errors import UsageError
from migrator.parsing.bookkeeping import is_of, version_of

_TRUE = frozenset({True, "t", "true", "y", "yes", "on", "1"})
GOLANG = frozenset({"version", "dirty"})
APPLIED = frozenset({"success", "applied", "ok", "done"})


@dataclass(frozen=True)
class LegacyRow:
    version: str
    filename: str | None
    checksum: str | None
    applied_at: datetime | None
    applied_by: str | None
    not_applied_because: str | None = None
    """Why the row does not say that the version is in the database; None when it does."""


def read(rows: Iterable[Mapping[str, Any]]) -> tuple[LegacyRow, ...]:
    """The rows by version, oldest first. The runbook writes a version in two ways ("001_x" and "001_x.sql", from two of
    its scripts); they are one, and the row that says "applied" wins.

    :raises UsageError: the table has no column `version`.
    """
    found: dict[str, LegacyRow] = {}
    rows = tuple(rows)
    if len(rows) == 1 and set(rows[0]) == GOLANG:
        raise UsageError(
            "public.schema_migrations looks like the one of golang-migrate, whose row stands for all versions up to its"
            " own: give --from golang-migrate, or --ignore-table and name the versions"
        )
    for columns in rows:
        row = _row(columns)
        earlier = found.get(row.version)
        if earlier is None or (earlier.not_applied_because and not row.not_applied_because):
            found[row.version] = row
    latest = datetime.max.replace(tzinfo=timezone.utc)
    return tuple(sorted(found.values(), key=lambda row: (row.applied_at or latest, row.version)))


def as_catalogued(row: LegacyRow, versions: Iterable[str]) -> LegacyRow:
    """The row under the catalogue's name of its version: tables kept by hand often have the number alone."""
    known = tuple(versions)
    named = [version for version in known if is_of(row.version, version)]
    if row.version in known or not named:
        return row
    if len(named) == 1:
        return replace(row, version=named[0])
    return replace(row, not_applied_because=f"it may be {' or '.join(named)}; name what it is")


def _row(columns: Mapping[str, Any]) -> LegacyRow:
    if columns.get("version") is None:
        raise UsageError(
            'public.schema_migrations has no column "version" (or an empty one), so nothing can be adopted from it; '
            "name the versions on the command line"
        )
    status = columns.get("status")
    reason = None
    if columns.get("dirty") in _TRUE:
        reason = "it is marked dirty"
    elif isinstance(status, str) and status.lower() not in APPLIED:
        reason = f"its status is {status!r}"
        if columns.get("error_message"):  # the words of a server, with whatever row it failed on
            withheld.keep(f"{columns['version']}: error_message: {columns['error_message']}")
    return LegacyRow(
        version=version_of(str(columns["version"])),
        filename=_text(columns.get("filename")),
        checksum=_text(columns.get("checksum")),
        applied_at=moment(columns.get("applied_at")),
        applied_by=_text(columns.get("applied_by")),
        not_applied_because=reason,
    )


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def moment(value: Any) -> datetime | None:
    """A timestamp without time zone is taken as UTC, which is what our sessions speak."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(_padded(value.replace("Z", "+00:00")))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _padded(text: str) -> str:
    """PostgreSQL cuts trailing zeros of the fraction and of the offset; Python 3.10 wants three or six digits."""
    if re.search(r":\d\d(\.\d+)?[+-]\d\d$", text):
        text += ":00"  # of the offset
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[:digits][:6].ljust(6, '0')}{tail[digits:]}"
