"""The migration calendar: rows for people and an iCalendar file (RFC 5545) for their calendars. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from migrator.input.walltime import zone
from migrator.targets.targets import Freeze
from migrator.targets.windows import in_zone

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration

LINE = 75
"""Octets; RFC 5545, 3.1."""


@dataclass(frozen=True)
class Entry:
    """One row. `start` None: nobody has set a date."""

    version: str
    description: str
    type: str | None
    risk: str
    owner: str
    target: str | None
    start: datetime | None
    duration: timedelta | None
    timezone: str | None
    state: str
    """scheduled, open, past or missed, unscheduled; or the ledger's status."""

    @property
    def date_text(self) -> str:
        """The start on the clocks of the zone that the author chose."""
        if self.start is None:
            return ""
        return in_zone(self.start, zone(self.timezone or "UTC"))


def entries(
    migrations: Iterable[Migration], *, now: datetime, applied: Mapping[str, str] | None = None
) -> tuple[Entry, ...]:
    """By date; what has none comes last, in the catalogue's order. `applied`: the ledger's status by version;
    None when nobody asked a ledger, and then a passed window is only "past", not "missed"."""
    found = [_entry(migration, now, applied) for migration in migrations]
    latest = datetime.max.replace(tzinfo=timezone.utc)
    return tuple(sorted(found, key=lambda entry: entry.start or latest))


def _entry(migration: Migration, now: datetime, applied: Mapping[str, str] | None) -> Entry:
    metadata = migration.metadata
    status = applied.get(metadata.version) if applied is not None else None
    schedule = metadata.schedule
    if status is not None:
        state = status
    elif schedule is None:
        state = "unscheduled"
    elif now < schedule.window_start:
        state = "scheduled"
    else:
        state = "open" if now < schedule.window_end else "past" if applied is None else "missed"
    return Entry(
        version=metadata.version,
        description=metadata.description,
        type=str(metadata.type) if metadata.type else None,
        risk=str(metadata.risk_level),
        owner=metadata.author,
        target=schedule.target if schedule else None,
        start=schedule.window_start if schedule else None,
        duration=schedule.duration if schedule else None,
        timezone=schedule.timezone if schedule else None,
        state=state,
    )


def to_ics(entries: Iterable[Entry], *, freezes: Sequence[tuple[str, Freeze]] = (), stamp: datetime) -> str:
    """The scheduled entries and the freezes (with the name of their target) as iCalendar.

    An event keeps its UID when it is moved, so that a calendar that reads the file again moves it, too.
    """
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//migrator//calendar//EN", "CALSCALE:GREGORIAN"]
    for entry in entries:
        if entry.start is None or entry.duration is None:
            continue
        details = f"{entry.description}\nRisk: {entry.risk}\nOwner: {entry.owner}\nState: {entry.state}"
        lines += _event(
            uid=f"{entry.version}@{entry.target}",
            start=entry.start,
            end=entry.start + entry.duration,
            summary=f"Migration {entry.version} on {entry.target}",
            details=details,
            stamp=stamp,
        )
    for target, freeze in freezes:
        lines += _event(
            uid=f"freeze-{_utc(freeze.start)}-{freeze.name}@{target}",
            start=freeze.start,
            end=freeze.end,
            summary=f"Freeze of {target}: {freeze.name}",
            details="No migration is applied to this target.",
            stamp=stamp,
        )
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _event(*, uid: str, start: datetime, end: datetime, summary: str, details: str, stamp: datetime) -> list[str]:
    return [
        "BEGIN:VEVENT",
        f"UID:{_escaped(uid)}",
        f"DTSTAMP:{_utc(stamp)}",
        f"DTSTART:{_utc(start)}",
        f"DTEND:{_utc(end)}",
        f"SUMMARY:{_escaped(summary)}",
        f"DESCRIPTION:{_escaped(details)}",
        "END:VEVENT",
    ]


def _utc(instant: datetime) -> str:
    return instant.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    """RFC 5545, 3.3.11."""
    for plain, escaped in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r", ""), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return text


def _folded(line: str) -> str:
    """Lines of at most 75 octets; a continuation starts with a space. Characters are never cut."""
    pieces, current, room = [], "", LINE
    for char in line:
        size = len(char.encode())
        if size > room:
            pieces.append(current)
            current, room = "", LINE - 1
        current += char
        room -= size
    return "\r\n ".join([*pieces, current])
