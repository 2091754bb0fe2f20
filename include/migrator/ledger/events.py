"""Appending to the chain of events, in the transaction of the change that the event tells of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from migrator.run import RunContext

if TYPE_CHECKING:
    pass

import json
from collections.abc import Mapping
from datetime import datetime

from migrator import documents
from migrator.database.session import Connection
from migrator.errors import LedgerMissing
from migrator.ledger import chain, seals
from migrator.ledger.connection import LedgerConnection


def append(
    ledger: LedgerConnection,
    connection: Connection,
    kind: str,
    *,
    version: str | None,
    run: RunContext,
    detail: Mapping[str, Any],
    sealed: bool = False,
) -> tuple[int, datetime]:
    """Write one event and move the head; the event's id and time. Other writers wait until this transaction ends.

    :param sealed: it lets something pass, see `seals`.
    """
    heads = ledger.take_head(connection, as_json(detail))
    if not heads:
        raise LedgerMissing(f"the ledger in schema {ledger.schema!r} has lost its identity row")
    head = heads[0]
    place: dict[str, Any] = {
        "id": head["head_count"] + 1,
        "at": head["at"],
        "kind": kind,
        "version": version,
        "run_id": clean(run.run_id),
        "actor": clean(run.actor),
        "prev_hash": head["head_hash"],
    }
    text = head["detail_text"]
    if sealed and ledger.seal_key is not None:
        bare = json.loads(text)
        told = {**bare, seals.SEAL: seals.seal(ledger.seal_key, detail=bare, **place)}
        text = ledger.take_head(connection, as_json(told))[0]["detail_text"]
    event = {**place, "detail_text": text}
    event["hash"] = chain.link(**event)
    ledger.execute(connection, "insert_event", **event)
    return event["id"], event["at"]


def as_json(detail: Mapping[str, Any]) -> str:
    """JSON that jsonb accepts: no NUL, no lone surrogates."""
    return json.dumps(_clean_all(documents.to_dict(detail)), ensure_ascii=False)


def clean(text: str) -> str:
    """Text as PostgreSQL can store it: what it cannot becomes U+FFFD."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _clean_all(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_clean_all(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): _clean_all(item) for key, item in value.items()}
    return value


TAMPERED = "tampered"
"""A migration has written to the ledger by itself."""
WAITS = "waits"
"""What is begun waits: for a window, or until the server is ready for it. Its detail: step, reason, until."""
RESTS = "rests"
"""It works in batches: its schema stays as it is. Its detail: step."""
FAILED = "verify_failed"
"""The event that remembers what was not as promised, for the rollback and the outcome to say."""
COMPARED = "rollback_compared"
"""After a rollback the schema was found to be the one from before. Its detail: rehearsed, whether the rows come back by
it was seen on a copy."""
