"""A review counts only with the event that backs it, and an event only as a link of the chain. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timezone
from typing import Any

from migrator.ledger import chain, seals
from migrator.ledger.rows import LedgerEvent, LedgerReview

COVERED = ("plan_digest", "evidence_digest", "reviewer", "reviewer_email", "decision", "reason")


def detail_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the event says about a review: every column that a gate decides on."""
    return {**{name: given[name] for name in COVERED}, "expires_at": _moment(given["expires_at"])}


def problems(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Reviews without an event, with one that says something else, or with one that is no link of the chain."""
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
        elif not _linked(row):
            found.append(f"{who} has event {row['event_id']}, which is no link of the chain: it was inserted by hand")
    return tuple(found)


def lost(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Reviews that only their events remember."""
    return tuple(
        f"the review of {row['version']} that event {row['id']} tells of is gone: deleted by hand" for row in rows
    )


def review_of(row: Mapping[str, Any], key: bytes | None) -> LedgerReview:
    """:param key: what reviews are sealed with; None: nobody knows."""
    told = {item.name: row[item.name] for item in fields(LedgerReview) if item.name != "sealed"}
    return LedgerReview(**told, sealed=key is None or _is_sealed(row, key))


def _linked(row: Mapping[str, Any]) -> bool:
    """Whether the event has its own hash, follows the one before it, and is followed by the next one or the head."""
    if row["event_id"] > row["head_count"]:
        return False
    made = chain.link(
        id=row["event_id"],
        at=row["event_at"],
        kind="review",
        version=row["version"],
        run_id=row["event_run_id"],
        actor=row["event_actor"],
        detail_text=row["event_detail_text"],
        prev_hash=row["event_prev_hash"],
    )
    before = row["hash_before"] if row["event_id"] > 1 else chain.GENESIS
    return bool(made == row["event_hash"] == row["hash_after"] and row["event_prev_hash"] == before)


def _is_sealed(row: Mapping[str, Any], key: bytes) -> bool:
    """Its event is, at the very place where it stands, and says what the row says."""
    detail: Mapping[str, Any] | None = row["event_detail"]
    if detail is None or any(detail.get(name) != value for name, value in detail_of(row).items()):
        return False
    event = LedgerEvent(
        id=row["event_id"],
        at=row["event_at"],
        kind="review",
        version=row["version"],
        run_id=row["event_run_id"],
        actor=row["event_actor"],
        detail=detail,
        prev_hash=row["event_prev_hash"],
        hash=row["event_hash"],
    )
    return seals.is_sealed(event, key)


def _moment(value: datetime | None) -> str | None:
    """In UTC to the microsecond, as PostgreSQL keeps it: another time zone is no difference."""
    return value.astimezone(timezone.utc).isoformat(timespec="microseconds") if value is not None else None
