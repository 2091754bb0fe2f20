"""Rows of the ledger for tests that need no database."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from migrator.ledger.rows import LedgerMigration, LedgerStep, MigrationStatus, StepStatus

AT = datetime(2025, 1, 15, 2, 0, tzinfo=timezone.utc)


def migration_row(**over: Any) -> LedgerMigration:
    """A migration that run-1 has in hand."""
    fields: dict[str, Any] = {
        "version": "001_test",
        "filename": "2025/001_test.sql",
        "checksum": "sha256:1",
        "description": "a test",
        "type": "schema_addition",
        "risk": "low",
        "status": MigrationStatus.RUNNING,
        "started_at": AT,
        "applied_at": None,
        "verified_at": None,
        "failed_at": None,
        "rolled_back_at": None,
        "error_message": None,
        "duration_ms": None,
        "applied_by": "tester",
        "run_id": "run-1",
        "run_url": None,
        "engine_version": "0",
        "plan_digest": "sha256:2",
    }
    return LedgerMigration(**{**fields, **over})


def step_row(**over: Any) -> LedgerStep:
    """A step of three statements that is not begun."""
    fields: dict[str, Any] = {
        "version": "001_test",
        "step": "sql",
        "position": 1,
        "kind": "sql",
        "status": StepStatus.PENDING,
        "attempts": 0,
        "cursor": {},
        "statement_digests": ("a", "b", "c"),
        "rows_done": None,
        "rows_total": None,
        "backend_pid": None,
        "backend_start": None,
        "run_id": "run-1",
        "started_at": None,
        "finished_at": None,
        "sqlstate": None,
        "error": None,
    }
    return LedgerStep(**{**fields, **over})
