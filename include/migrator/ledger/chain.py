"""The hash chain over the events: how a link is made, and how a broken one is found. Pure.

Each event's hash covers its own columns and the hash before it. The identity row keeps the number of events and the
last hash. An owner of the database can rewrite everything, so whoever wants certainty against the owner writes the
head (`Ledger.head`) down elsewhere, in a run's log, and gives it to `migrator ledger verify --head`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

from migrator.ledger.rows import LedgerEvent

GENESIS = "sha256:" + "0" * 64
"""prev_hash of the first event, and the head of an empty chain."""


def link(
    *,
    id: int,
    at: datetime,
    kind: str,
    version: str | None,
    run_id: str,
    actor: str,
    detail_text: str,
    prev_hash: str,
) -> str:
    """The hash of one event. `detail_text` is the jsonb as PostgreSQL prints it."""
    moment = at.astimezone(timezone.utc).isoformat(timespec="microseconds")
    material = json.dumps([id, moment, kind, version, run_id, actor, detail_text, prev_hash], ensure_ascii=True)
    return "sha256:" + hashlib.sha256(material.encode()).hexdigest()


def link_of(event: LedgerEvent) -> str:
    """The hash that `event` should carry."""
    return link(
        id=event.id,
        at=event.at,
        kind=event.kind,
        version=event.version,
        run_id=event.run_id,
        actor=event.actor,
        detail_text=event.detail_text,
        prev_hash=event.prev_hash,
    )


def problems(
    events: Iterable[LedgerEvent], *, head_count: int, head_hash: str, after: tuple[int, str] = (0, GENESIS)
) -> Iterator[str]:
    """Every break of the chain, in order. The events come sorted by id; nothing is yielded for an intact chain.

    After a break it goes on from the stored values, so that one altered row is one problem and not a thousand.

    :param after: id and hash of the event before the first one.
    """
    expected_id, previous = after[0] + 1, after[1]
    for event in events:
        if event.id != expected_id:
            missing = f"{expected_id}" if event.id == expected_id + 1 else f"{expected_id} to {event.id - 1}"
            yield f"event {missing} is missing (deleted)"
        elif event.prev_hash != previous:
            yield f"event {event.id} does not follow event {event.id - 1}: one was inserted, reordered or replaced"
        if event.hash != link_of(event):
            yield f"event {event.id} ({event.kind} of {event.at.isoformat()}) was altered: its hash does not match"
        expected_id, previous = event.id + 1, event.hash
    last = expected_id - 1
    if last < head_count:
        yield f"the chain ends at event {last}, but {head_count} were written: the last ones were cut off"
    elif last > head_count:
        yield f"the chain ends at event {last}, but only {head_count} were written by the engine: rows were inserted"
    elif previous != head_hash:
        yield f"the last event's hash is not the recorded head: event {last} was replaced"
