"""What was observed, as documents: the snapshot, the proof of its restore, and the dry run on the restored copy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from migrator import documents
from migrator.documents import StrEnum


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNVERIFIED = "unverified"
    """A check that could not run. It is never counted as passed."""


class Match(StrEnum):
    """How the prediction for a statement stands beside what was observed."""

    CONFIRMED = "confirmed"
    MISMATCH = "mismatch"
    NOT_PREDICTED = "not predicted"
    """Nobody could say before it ran: DO, CALL, dynamic SQL."""
    NOT_OBSERVED = "not observed"


@dataclass(frozen=True)
class TableFingerprint:
    """Content of one table, independent of row order. `hash` is the sum of 64-bit row hashes, as text."""

    table: str
    rows: int
    hash: str


@dataclass(frozen=True)
class SnapshotRecord:
    """A restorable copy of the target and the facts of the very moment it was taken."""

    id: str
    provider: str
    location: str
    """URI of the directory that holds the dump and its manifest."""
    target: str
    database: str
    system_identifier: str
    server_version_num: int
    lsn: str
    taken_at: datetime
    """The server's clock when the exported snapshot was taken."""
    finished_at: datetime
    seconds: float
    size_bytes: int
    manifest_digest: str
    tool: str
    compression: str
    schema_fingerprint: str
    schema: Mapping[str, Any]
    """schema.Schema as a dict: the state that drift is measured against."""
    tables: tuple[TableFingerprint, ...]
    sequences: Mapping[str, int | None]
    """Positions when the snapshot was exported. Sequences are not transactional: the dump saw these or later ones."""
    expires_at: datetime | None = None
    sequences_after: Mapping[str, int | None] = field(default_factory=dict)
    """Positions after the dump, where they differ."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """By which the target stores: `meanings.TARGETS_OWN`."""
    large_objects: TableFingerprint | None = None
    """None: an older record, which does not have them."""
    session_settings: tuple[str, ...] = ()
    """Names of what ALTER DATABASE and ALTER ROLE ... SET give the migration's sessions; the values lie with the
    dump."""
    search_path: str = ""
    """The one of them that is no secret, with "$user" as the role has it."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """Of the target's server, those that the migration's texts or the schema name: see `stand_ins.of_target`."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked, with what was found."""

    name: str
    verdict: Verdict
    detail: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class RestoreEvidence:
    snapshot_id: str
    copy_database: str
    verdict: Verdict
    checks: tuple[Check, ...]
    restore_seconds: float
    """Measured recovery time of this snapshot."""
    proof_seconds: float
    tables_compared: int
    rows_compared: int
    finished_at: datetime


@dataclass(frozen=True)
class ObservedLock:
    relation: str
    mode: str


@dataclass(frozen=True)
class HeldLock:
    """A lock that kept writers waiting for at most so many seconds, until COMMIT."""

    step: str
    relation: str
    mode: str
    seconds: float


@dataclass(frozen=True)
class StatementTrace:
    """One statement as it really ran on the restored copy."""

    step: str
    statement: int
    kind: str
    sql: str
    line: int
    seconds: float
    rows: int
    wal_bytes: int
    locks: tuple[ObservedLock, ...]
    """On relations that existed before the statement's transaction."""
    rewrites: tuple[str, ...]
    scans: tuple[str, ...]
    """Read in full and not rewritten."""
    predicted_locks: tuple[ObservedLock, ...] = ()
    estimated_seconds: float | None = None
    """What analyze expected."""
    notices: tuple[str, ...] = ()
    indexes_rebuilt: tuple[str, ...] = ()
    match: Match = Match.NOT_OBSERVED
    writes: tuple[str, ...] = ()
    """Tables that were there before and of which rows were changed: a partition itself where that was predicted, else
    its root."""
    differences: tuple[str, ...] = ()
    """From the prediction, one sentence each."""
    file: str = ""

    @property
    def place(self) -> str:
        """As people find it; older documents name no file."""
        return f"{self.file}:{self.line}" if self.file else f"line {self.line}"


ROLLBACK_CHECKS = ("rollback", "rollback_schema_equal", "rollback_data", "reapply", "reapply_schema_equal")
"""In the order in which the dry run makes them."""
START = "start"
"""In `extra`: the schema from which a migration was rehearsed, where others come first in its window."""
ROLES_BEFORE = "roles_before"
"""In `extra`: of what those others have changed the owner or the rights, or made it: "table public.t"."""
ROLES_CHANGED = "roles_changed"
"""In `extra`: what the migration itself has given other owners or rights, or made: see `gates.owners`."""
HALFWAY = "rollback_halfway"
"""In `extra`: by where a failure can stop the migration (`steps.halts`), the verdict on the rollback from there, and
its reason. Absent: nobody has tried."""
TAKES = "rollback_takes_or_overwrites"
"""In `extra`: by where the migration stopped (`steps.halts`; "" after all of it), digests of the names of the tables
and schemas that the rollback drops, or of which it deletes or overwrites rows."""
LACKING = "lacking"
"""In `extra`: about each of the target's settings without which was rehearsed, one sentence."""
HELD = "held"
"""In `extra`: the strong locks that apply held on the copy; of each step, object and mode the longest (`HeldLock`)."""
TRAFFIC = "traffic"
"""In `extra`: what wrote beside a migration that lasts, in each of its parts, and which of the application's statements
failed by it (`rehearsal.traffic`); `spoiled` are checks that failed with it and passed without. Absent: the migration
does not last."""
IDLE = "idle"
"""In `extra`: whether apply left the schema and the rows as they were."""
SKIPPED = "skipped"
"""The check of what IF NOT EXISTS and IF EXISTS made a statement of: none at all. What could not be compared is told
beside the verdict."""
RIGHTS = "rights"
"""The check of what a copy lacks because roles are not on its server. It is told beside the verdict."""
NOTHING_CHANGED = "apply changed nothing: neither the schema nor a row of an older table"
NOT_COMPARABLE = frozenset({"rollback_schema_equal", "rollback_data"})
"""Of a resumed migration: what was there before its first part is not in the snapshot."""


@dataclass(frozen=True)
class RehearsedState:
    """The portable schema at one moment of the rehearsal, as it would be on the target."""

    step: str
    done: int
    """How many leading statements of the step had taken effect."""
    fingerprint: str
    code: str
    """The fingerprint of what of it may decide what runs."""
    changes: tuple[tuple[str, str, str | None, str | None], ...]
    """Since the state before: kind, name, definition (None: it is gone) and what it goes with. Left out is what may not
    be told; the fingerprints have it."""
    written: tuple[str, ...] | None = None
    """Digests of what was written to the catalog since then, put back or not; see `Meanwhile`. None: not looked at."""


@dataclass(frozen=True)
class DryRunEvidence:
    plan_digest: str
    snapshot_id: str
    verdict: Verdict
    checks: tuple[Check, ...]
    """Named: apply, data (when rows made apply fail), roles and enum_value
    (when one did), skipped (where a statement did nothing), expected_changes,
    assertions, sequences (where one was touched), predicted_writes, rollback, rollback_schema_equal, rollback_data,
    reapply, reapply_schema_equal, server, settings (where the target's database or role has some), rollback_halfway and
    rollback_from_<where it stops>."""
    statements: tuple[StatementTrace, ...]
    rollback_statements: tuple[StatementTrace, ...]
    schema_diff: tuple[str, ...]
    """Human-readable lines: `+ table public.message_analytics`, `- index ...`, `~ column ...: a -> b`."""
    fingerprint_before: str
    fingerprint_after: str
    """What verify must find in production after apply."""
    seconds: float
    """Duration of apply alone; preflight compares it with the rest of the window."""
    rollback_seconds: float | None
    wal_bytes: int
    role: str
    finished_at: datetime
    irreversible: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    states: tuple[RehearsedState, ...] = ()
    """After each step, and of a step that is committed in parts after each of those."""
    undoing: tuple[RehearsedState, ...] = ()
    """After each statement of a way back that is committed in parts."""

    @property
    def unproved(self) -> tuple[Check, ...]:
        """What the metadata promises and the copy did not prove. Who declares to have no way back promises none."""
        promised = [check for check in self.checks if not (self.irreversible and check.name in ROLLBACK_CHECKS)]
        return tuple(check for check in promised if check.verdict is Verdict.UNVERIFIED)

    @property
    def stands(self) -> bool:
        """Whether people may be asked about it: it passed; or a part of the migration is applied already, and all is
        proved that still can be. Else who has half of a migration could never go on."""
        if self.verdict is not Verdict.UNVERIFIED or not self.extra.get("resumed"):
            return self.verdict is Verdict.PASSED
        beside = (*NOT_COMPARABLE, SKIPPED, RIGHTS)
        return all(one.verdict is Verdict.PASSED or one.name in beside for one in self.checks)

    @property
    def outcome(self) -> str:
        """The verdict in words; "passed" alone stands for a proof of everything that was promised."""
        said = [f"{check.name}: {check.detail}" for check in self.unproved]
        said += [NOTHING_CHANGED] if self.idle else []
        missing = "; ".join(said)
        if self.verdict is Verdict.PASSED:
            return f"passed, but {missing}" if missing else "passed"
        return f"not all is proved, {missing}" if self.stands else self.verdict.value

    @property
    def idle(self) -> bool:
        """Whether apply left all as it was, as far as that is known."""
        return bool(self.extra.get(IDLE))

    @property
    def start(self) -> Mapping[str, Any] | None:
        """See `START`; None: the snapshot's."""
        found = self.extra.get(START)
        return found if isinstance(found, Mapping) else None


@dataclass(frozen=True)
class EvidenceBundle:
    """Everything a reviewer decides on, beside the plan."""

    snapshot: SnapshotRecord
    restore: RestoreEvidence
    dry_run: DryRunEvidence

    @property
    def digest(self) -> str:
        return documents.digest(self)
