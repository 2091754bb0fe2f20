"""Is the schema still the one that was rehearsed on?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.database import schema, schema_diff
from migrator.errors import DriftDetected
from migrator.evidence import SnapshotRecord

if TYPE_CHECKING:
    pass


def require_no_drift(now: schema.Schema, snapshot: SnapshotRecord) -> None:
    """:raises DriftDetected: with the difference. Pure."""
    if now.fingerprint == snapshot.schema_fingerprint:
        return
    lines = schema_diff.diff(schema.Schema.from_dict(snapshot.schema), now).lines()
    raise DriftDetected(
        "the schema changed since the snapshot, so what was rehearsed is not what would happen now:\n"
        + "\n".join(lines)
        + "\nfind out who did it, then run again from snapshot",
        differences=lines,
    )
