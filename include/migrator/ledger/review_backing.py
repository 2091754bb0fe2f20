"""A review counts only with the event that backs it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

from migrator.ledger.rows import LedgerReview

COVERED = ("plan_digest", "evidence_digest", "reviewer", "reviewer_email", "decision", "reason")


def detail_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the event says about a review: every column that a gate decides on."""
    return {**{name: fields[name] for name in COVERED}, "expires_at": _moment(fields["expires_at"])}


def problems(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Reviews without an event, or with one that says something else."""
    found: list[str] = []
    for row in rows:
        backing = row["event_detail"]
        who = f"review {row['id']} of {row['version']} by {row['reviewer']}"
        if backing is None:
            found.append(f"{who} has no event in the chain: it was inserted by hand")
            continue
        differing = [name for name, value in detail_of(row).items() if backing.get(name) != value]
        if differing:
            found.append(f"{who} differs from its event {row['event_id']} in {', '.join(differing)}: it was altered")
    return tuple(found)


def review_of(row: Mapping[str, Any]) -> LedgerReview:
    return LedgerReview(**{name: value for name, value in row.items() if name != "event_detail"})


def _moment(value: datetime | None) -> str | None:
    """In UTC to the microsecond, as PostgreSQL keeps it: another time zone is no difference."""
    return value.astimezone(timezone.utc).isoformat(timespec="microseconds") if value is not None else None
