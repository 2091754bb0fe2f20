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

HELPERS = "helpers"
"""Key of a step's cursor: pid and start of the sessions that change batches beside the step's own."""

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
    def sessions(self) -> tuple[tuple[int, datetime], ...]:
        """pid and start of all that execute it, or did."""
        own = [(self.backend_pid, self.backend_start)] if self.backend_pid and self.backend_start else []
        helpers = [(int(pid), datetime.fromisoformat(start)) for pid, start in self.cursor.get(HELPERS, ())]
        return (*own, *helpers)

    @property
    def statements_done(self) -> int:
        """How many leading statements took effect in the database."""
        if self.status is StepStatus.SUCCESS:
            return len(self.statement_digests)
        if self.status in (StepStatus.PENDING, StepStatus.ROLLED_BACK):
            return 0
        return min(int(self.cursor.get(STATEMENTS_DONE, 0)), len(self.statement_digests))


class ObjectClass(StrEnum):
    INDEX = "index"
    """Being built or dropped: a helper as long as it is not valid."""
    INDEX_COPIES = "index_copies"
    """The `_ccnew` and `_ccold` of the index of that name, which REINDEX CONCURRENTLY makes."""
    CONSTRAINT = "constraint"
    TRIGGER = "trigger"
    FUNCTION = "function"
    """Without arguments, as those of triggers."""
    TABLE = "table"
    SLOT = "slot"
    """Of replication; it has no schema."""


@dataclass(frozen=True)
class Helper:
    """What the engine makes in a target on the way, and what an interrupted statement leaves half-made. Names are not
    quoted."""

    kind: ObjectClass
    schema: str
    """Of its table, where it has one. Empty: it has no schema."""
    name: str
    table: str = ""
    """Of an index, a constraint or a trigger."""
    needed: bool = False
    """Whether the next attempt goes on with it; else it makes it anew, so that it may go once nobody works on it."""
    spared: tuple[int, ...] = ()
    """Of INDEX_COPIES: oids of those that others had left before. Of a constraint: its own oid, which another
    one that gets its name later does not have."""


@dataclass(frozen=True)
class LedgerObject:
    """A helper as the registry has it."""

    id: int
    helper: Helper
    version: str
    step: str
    run_id: str
    made_at: datetime
    disabled_at: datetime | None = None
    """Of a trigger: since when no new transaction runs it. A step that goes on with it begins anew then."""
    gone_at: datetime | None = None
    """Since when it is known not to be there, or to be whole."""


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
