"""The plan: what analyze produces and every later stage reads, frozen and JSON-able.

Apply, verify and rollback execute the plan, never the files on disk, so an edit after the review cannot
reach the database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from migrator import documents
from migrator.documents import StrEnum
from migrator.frozen import frozen


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"

    @property
    def rank(self) -> int:
        return ("low", "medium", "high").index(self.value)


class MigrationType(StrEnum):
    """The runbook's table of migration types."""

    SCHEMA_ADDITION = "schema_addition"
    SCHEMA_MODIFICATION = "schema_modification"
    SCHEMA_REMOVAL = "schema_removal"
    DATA_MIGRATION = "data_migration"
    MAJOR_UPGRADE = "major_upgrade"


class OnFailure(StrEnum):
    ROLLBACK = "rollback"
    HOLD = "hold"
    ASK = "ask"


@frozen
class PredictedLock:
    """A lock that a statement will take. `relation` is schema-qualified, `mode` as PostgreSQL's docs write it
    ("ACCESS EXCLUSIVE", section 13.3.1)."""

    relation: str
    mode: str


@frozen
class Statement:
    """One SQL statement with its place. Lines and columns count from 1, columns in characters."""

    index: int
    sql: str
    kind: str
    file: str
    line: int
    column: int
    transactional: bool
    digest: str
    """SHA-256 of the normalised statement (parse-tree fingerprint): equal for cosmetic edits."""
    locks: tuple[PredictedLock, ...] = ()
    rewrites: tuple[str, ...] = ()
    scans: tuple[str, ...] = ()
    indexes_rebuilt: tuple[str, ...] = ()
    known: bool = True
    """False: nobody can say before it runs what it does (DO, CALL)."""
    estimated_seconds: float | None = None
    """Without waiting for locks; None when there was no catalog to ask for sizes."""


@frozen
class Phase:
    """A part of a step that is executed in one go. Names differ within a step."""

    name: str
    statements: int
    """How many of the step's statements, after those of the phases before it."""
    needs_window: bool = True
    """Whether it may begin in the maintenance window only."""


@frozen
class Step:
    """One resumable unit. A transactional step is one transaction; others run statement by statement."""

    name: str
    kind: str
    """One of `migrator.steps.kinds.STEPS`."""
    transactional: bool
    statements: tuple[Statement, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    """In their order; together they have all statements. Empty: one phase."""


@frozen
class Suggestion:
    """A step that does, or completes, what a rule has found. Rules name the kind and know nothing of it;
    `migrator.steps.suggestions` checks and renders it."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    sql: str = ""
    """Of a kind that reads a file: what is in it. "": whoever wrote the statement knows."""
    undo: str | None = None
    """What a rollback script says of it, where the rule knows more than the kind; "" where another step's does it."""


@frozen
class Finding:
    """What a rule has to say about one statement."""

    rule: str
    severity: Severity
    message: str
    help: str = ""
    alternative_sql: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None
    statement: int | None = None
    suggestion: Suggestion | None = None
    """A step to add beside the statement."""
    steps: tuple[Suggestion, ...] = ()
    """Steps that together do all that the statement does, in its place."""
    allowed_because: str | None = None
    """The reason given in the metadata's `allow`; an allowed finding never fails analyze."""


GATE = "gate"
"""The kind of a step that waits, of which nothing is in the database but its row in the ledger."""
LEFT_OUT = "left-out"
"""The rule that notes, once a file, what is left out."""
MAY_FAIL = "may-fail"
"""The rule that foretells failures which no other rule explains."""


@frozen
class LeftOut:
    """A statement of a file that is not sent to the server, because the engine does it."""

    file: str
    line: int
    what: str


class Source(StrEnum):
    """How it is known that somebody is an author."""

    DECLARED = "declared"
    SEALED = "sealed"
    """Has committed the files, by the seal."""
    STARTED = "started"


@frozen
class Author:
    name: str
    """`Name <address>` of a commit, or a user of Airflow."""
    source: Source
    reviewer: str = ""
    """Which of the target's reviewers that is; empty: none, as far as anybody can tell."""
    email: str = ""
    """That reviewer's address."""


@frozen
class ActsAs:
    """By whom, and by which names, its texts are sent: as the target was configured when it was analysed. With others
    the same text is about other tables."""

    role: str | None
    """SET ROLE; None: the login."""
    search_path: str


@frozen
class Plan:
    version: str
    target: str
    environment: str
    description: str
    author: str
    type: MigrationType
    risk: Risk
    declared_risk: Risk
    requires_downtime: bool
    on_failure: OnFailure
    dependencies: tuple[str, ...]
    steps: tuple[Step, ...]
    rollback_steps: tuple[Step, ...]
    """Empty when there is no rollback script."""
    assertions: tuple[str, ...]
    """The metadata's `verify`: queries that must give exactly one row with one true value."""
    expected_changes: Mapping[str, Any] | None
    """schema_changes.yaml as read, or None."""
    lock_timeout_ms: int
    statement_timeout_ms: int
    findings: tuple[Finding, ...]
    estimated_seconds: float | None
    server_version_num: int | None
    content_digest: str
    """What the database would see: statements, rollback, steps, and the metadata that changes behaviour."""
    checksums: Mapping[str, str]
    """sha256 of the raw bytes of each file; may differ while content_digest is equal (a cosmetic edit)."""
    files: Mapping[str, str]
    """Text of each file as it was analysed, for the diff in a refusal."""
    sql_file: str
    engine_version: str
    created_at: datetime
    already_applied: bool = False
    applied_note: str | None = None
    reasons: tuple[str, ...] = ()
    """Why type and risk are what they are."""
    assumptions: tuple[str, ...] = ()
    emergency: str | None = None
    """Why it cannot wait for its window or the end of a freeze; None: it can."""
    out_of_order: tuple[str, ...] = ()
    """Higher versions that the target had when the plan was made."""
    without_files: tuple[str, ...] = ()
    """Applied versions whose files the catalogue did not have."""
    left_out: tuple[LeftOut, ...] = ()
    """The files' own BEGIN and COMMIT, and their bookkeeping in schema_migrations."""
    authors: tuple[Author, ...] = ()
    """Who counts as author beside `author`, which the metadata declares."""
    ahead: tuple[Plan, ...] = ()
    """What comes before it in the same window and is not applied yet: it is rehearsed, and applied, on top of them."""
    acts_as: ActsAs | None = None
    """None: a plan of an older engine, or of no target."""
    behind: tuple[str, ...] = ()
    """What comes after it in that window."""

    @property
    def digest(self) -> str:
        """Covers everything that a reviewer decides on; not when or by which engine the plan was made."""
        data = documents.to_dict(self)
        for volatile in ("created_at", "engine_version", "checksums", "files", "already_applied", "applied_note"):
            data.pop(volatile)
        data.pop("behind")
        data["ahead"] = [(one.version, one.content_digest) for one in self.ahead]
        for later in ("authors", "left_out", "ahead", "acts_as"):
            if not data[later]:  # so that the digests of plans hold that were made before there were any
                del data[later]
        return documents.digest(data)

    def with_findings(self, findings: tuple[Finding, ...]) -> Plan:
        return replace(self, findings=findings)


def run_folder(target: str, version: str, run_id: str) -> str:
    """Below the target's place for evidence: what a run keeps, with `plan_name` in it."""
    return f"{target}/{version}/{re.sub(r'[^A-Za-z0-9_.:+-]', '_', run_id)}"


def plan_name(digest: str) -> str:
    """Of the file in which a run keeps a plan that it may have to undo later."""
    return f"plan-{digest.rpartition(':')[2][:32]}.json"
