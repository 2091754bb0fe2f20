"""Does the target still store values as it did when the snapshot was taken?"""

from __future__ import annotations

from migrator.database import meanings
from migrator.database.session import Connection
from migrator.errors import DriftDetected
from migrator.evidence import SnapshotRecord


def require_same(conn: Connection, snapshot: SnapshotRecord) -> None:
    """:raises DriftDetected: with what is set otherwise."""
    lines = meanings.changed(conn, snapshot.settings)
    if lines:
        raise DriftDetected(
            "settings changed since the snapshot, so what was rehearsed is not what would happen now:\n"
            + "\n".join(lines)
            + "\nput them back, or run again from snapshot",
            differences=lines,
        )
