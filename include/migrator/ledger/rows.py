"""The rows of the ledger as values. Times are the server's, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from migrator.documents import StrEnum

if TYPE_CHECKING:
    pass

from collections.abc import Mapping
from dataclasses import field
from typing import Any

STATEMENTS_DONE = "statements_done"
"""Key of a step's cursor: how many statements of a non-transactional step have been done, counted from its first."""

QUARANTINED = "quarantined"
"""Key of a step's cursor: by the oid of their table, the places of rows that fail and are left out."""

WAITING = "waiting"
"""Key of a step's cursor: why it begins no further batch now. It says nothing about what is done."""


class MigrationStatus(StrEnum):
    RUNNING = "running"
    """From begin until verified: also while applied but not yet verified."""
    SUCCESS = "success"
    """Applied and verified (or adopted by a baseline: then `verified_at` is None)."""
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


class StepStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True)
class LedgerMigration:
    version: str
    filename: str
    checksum: str | None
    """The plan's content_digest; None for an adopted version whose files are unknown."""
    description: str
    type: str | None
    risk: str | None
    status: MigrationStatus
    started_at: datetime | None
    applied_at: datetime | None
    verified_at: datetime | None
    failed_at: datetime | None
    rolled_back_at: datetime | None
    error_message: str | None
    duration_ms: int | None
    applied_by: str
    run_id: str
    run_url: str | None
    engine_version: str
    plan_digest: str | None
    rests: bool = False
    """While it runs: it works in batches, or waits, and its schema stays as it is."""


@dataclass(frozen=True)
class LedgerStep:
    version: str
    step: str
    position: int
    kind: str
    status: StepStatus
    attempts: int
    cursor: Mapping[str, Any]
    statement_digests: tuple[str, ...]
    rows_done: int | None
    rows_total: int | None
    backend_pid: int | None
    backend_start: datetime | None
    run_id: str | None
    started_at: datetime | None
    finished_at: datetime | None
    sqlstate: str | None
    error: str | None

    @property
    def touched(self) -> bool:
        """Whether something of this step is, or may be, in the database. A transactional step that failed left
        nothing."""
        if self.status in (StepStatus.PENDING, StepStatus.ROLLED_BACK):
            return False
        return self.status is StepStatus.SUCCESS or any(key != WAITING for key in self.cursor)

    @property
    def statements_done(self) -> int:
        """How many leading statements took effect in the database."""
        if self.status is StepStatus.SUCCESS:
            return len(self.statement_digests)
        if self.status in (StepStatus.PENDING, StepStatus.ROLLED_BACK):
            return 0
        return min(int(self.cursor.get(STATEMENTS_DONE, 0)), len(self.statement_digests))


@dataclass(frozen=True)
class LedgerReview:
    id: int
    version: str
    plan_digest: str
    evidence_digest: str
    reviewer: str
    reviewer_email: str
    decision: str
    """approved, rejected, or refused (an answer that does not count, kept for the record)."""
    reason: str
    decided_at: datetime
    expires_at: datetime | None
    run_id: str
    event_id: int
    sealed: bool = True
    """Written by who knows the password of the connection that reads it; where that has none, nobody can tell."""


@dataclass(frozen=True)
class LedgerEvent:
    id: int
    at: datetime
    kind: str
    version: str | None
    run_id: str
    actor: str
    detail: Mapping[str, Any]
    prev_hash: str
    hash: str
    detail_text: str = field(repr=False, default="")
    """The detail as PostgreSQL prints it: what the hash covers, free of number formats of other languages."""


@dataclass(frozen=True)
class LedgerIdentity:
    """Which database wrote this ledger, and where its chain ends."""

    schema_version: int
    engine_version: str
    system_identifier: str
    database_oid: int
    database_name: str
    timeline: str | None
    head_count: int
    head_hash: str
    created_at: datetime


def took_effect(step: LedgerStep) -> bool:
    """Whether anything of the step may be in the database. A transaction that did not commit leaves nothing; a
    statement outside one may have left something even when it failed."""
    if step.status is StepStatus.SUCCESS:
        return True
    if step.status in (StepStatus.PENDING, StepStatus.ROLLED_BACK):
        return False
    return step.statements_done > 0 or "statement" in step.cursor
