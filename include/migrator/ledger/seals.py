"""The seal on an event that lets something pass: a person's word, or a gate that has opened. Pure.

SQL that runs as the ledger's owner can compute each link of the chain, but no seal. It covers the whole link that the
event would be without it: its number and moment, and what comes before it. So a copy elsewhere is no word of anybody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from migrator.database import sealing
from migrator.ledger import chain
from migrator.ledger.rows import LedgerEvent

SEAL = "seal"
"""Key of an event's detail."""


def seal(
    key: bytes,
    *,
    id: int,
    at: datetime,
    kind: str,
    version: str | None,
    run_id: str,
    actor: str,
    detail: Mapping[str, Any],
    prev_hash: str,
) -> str:
    return sealing.seal(key, _link(id, at, kind, version, run_id, actor, detail, prev_hash))


def is_sealed(event: LedgerEvent, key: bytes | None) -> bool:
    """:param key: None: the connection has no secret, so nobody can tell."""
    if key is None:
        return True
    link = _link(
        event.id, event.at, event.kind, event.version, event.run_id, event.actor, event.detail, event.prev_hash
    )
    return sealing.holds(event.detail.get(SEAL), key, link)


def _link(
    id: int,
    at: datetime,
    kind: str,
    version: str | None,
    run_id: str,
    actor: str,
    detail: Mapping[str, Any],
    prev_hash: str,
) -> str:
    bare = json.dumps({name: value for name, value in detail.items() if name != SEAL}, sort_keys=True)
    return chain.link(
        id=id,
        at=at,
        kind=kind,
        version=version,
        run_id=run_id,
        actor=actor,
        detail_text=bare,
        prev_hash=prev_hash,
    )
