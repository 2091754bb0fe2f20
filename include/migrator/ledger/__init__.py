"""The ledger: `schema_migrations` and its companions in the target itself."""

from __future__ import annotations

from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import (
    STATEMENTS_DONE,
    LedgerEvent,
    LedgerIdentity,
    LedgerMigration,
    LedgerReview,
    LedgerStep,
    MigrationStatus,
    StepStatus,
)

__all__ = [
    "STATEMENTS_DONE",
    "Ledger",
    "LedgerEvent",
    "LedgerIdentity",
    "LedgerMigration",
    "LedgerReview",
    "LedgerStep",
    "MigrationStatus",
    "StepStatus",
]
