"""Small makers of evidence for tests: what snapshot and restore_test would say of a database that is really there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg

from migrator.database import fingerprint, schema
from migrator.database.schema import LEDGER_SCHEMA
from migrator.database.session import Endpoint
from migrator.evidence import RestoreEvidence, SnapshotRecord, Verdict
from tests.factories import NOW


def record_of(endpoint: Endpoint, *, target: str = "test", **over: Any) -> SnapshotRecord:
    """The record of a snapshot taken now of the database at `endpoint`. `over` replaces any field."""
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        now = schema.read(conn)
        fields: dict[str, Any] = {
            "id": "snapshot-1",
            "provider": "pg_dump",
            "location": "file:///tmp/snapshot-1",
            "target": target,
            "database": conn.info.dbname,
            "system_identifier": "1",
            "server_version_num": conn.info.server_version,
            "lsn": "0/0",
            "taken_at": NOW,
            "finished_at": NOW + timedelta(seconds=1),
            "seconds": 1.0,
            "size_bytes": 1,
            "manifest_digest": "sha256:0",
            "tool": "pg_dump",
            "compression": "none",
            "schema_fingerprint": now.fingerprint,
            "schema": now.to_dict(),
            "tables": fingerprint.tables(conn, exclude=(LEDGER_SCHEMA,)),
            "sequences": fingerprint.sequences(conn, exclude=(LEDGER_SCHEMA,)),
        }
    return SnapshotRecord(**{**fields, **over})


def restore_of(record: SnapshotRecord, copy_database: str, **over: Any) -> RestoreEvidence:
    """Evidence that `copy_database` is a proved restore of `record`."""
    fields: dict[str, Any] = {
        "snapshot_id": record.id,
        "copy_database": copy_database,
        "verdict": Verdict.PASSED,
        "checks": (),
        "restore_seconds": 1.0,
        "proof_seconds": 1.0,
        "tables_compared": len(record.tables),
        "rows_compared": sum(table.rows for table in record.tables),
        "finished_at": NOW,
    }
    return RestoreEvidence(**{**fields, **over})
