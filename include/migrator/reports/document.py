"""What an analysis says, as one frozen document: everything that is printed, in whatever form, is made from this.

It is the contract with other programs (`migrator schema analysis` prints its JSON Schema): fields may be added, none is
renamed or removed within one version. Lines and columns count from 1, columns in characters; ends are exclusive.
"""

from __future__ import annotations

from typing import Any, ClassVar

from migrator.frozen import frozen
from migrator.plan import PredictedLock, Severity

VERSION = 1

_DOCUMENTED: dict[str, Any] = {"use_attribute_docstrings": True}
"""Lets the JSON Schema carry the texts below the fields."""


@frozen
class Place:
    """A stretch of a file."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    file: str
    line: int
    column: int
    end_line: int
    end_column: int


@frozen
class FindingEntry:
    """What a rule has to say."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    rule: str
    """Id of the rule; stable, listed in include/migrator/analysis/rules/README.md."""
    severity: Severity
    message: str
    effect: str
    """What the rule is afraid of."""
    help: str
    """What to do instead, for people."""
    alternative_sql: str | None
    """The safe way for this very statement, as SQL that runs; may be several statements."""
    suggested_step: str | None
    """A step for the migration's metadata, beside the statement, as YAML."""
    steps: str | None
    """Steps for the migration's metadata that do all of the statement in its place, as YAML; what is in their files
    stands in comments. `migrator new --from FILE:LINE` writes them."""
    place: Place | None
    """None: the finding concerns the migration as a whole."""
    excerpt: tuple[str, ...]
    """The lines of the file from the first line of `place` on; long ones are cut."""
    source: str
    """Page of PostgreSQL's documentation; "" when there is none."""
    fingerprint: str
    """Equal for the same finding in another run, also when the lines around it moved."""
    allowed_because: str | None = None
    """Why it is allowed; an allowed finding never fails an analysis."""

    @property
    def counts(self) -> bool:
        """Whether nobody took responsibility for it."""
        return self.allowed_because is None


@frozen
class FailureEntry:
    """The statement cannot succeed."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    sqlstate: str
    """One of PostgreSQL's error codes: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    message: str


@frozen
class EstimateEntry:
    """What the statement may cost, without waiting for locks. Without a connection every number is null, because nobody
    knows the sizes."""

    seconds_p50: float | None = None
    seconds_p90: float | None = None
    hold_seconds: float | None = None
    """How long its locks are held: to the end of its transaction."""
    wal_bytes: int | None = None
    temporary_bytes: int | None = None
    """Disk space that is needed meanwhile, beside what stays."""
    final_bytes: int | None = None
    replica_lag_seconds: float | None = None
    basis: str | None = None
    """Where the costs come from."""
    work: tuple[str, ...] = ()
    """What takes the time."""
    replica_lag_basis: str | None = None
    """Whether standbys were seen, and what of the lag is an assumption."""
    rows: tuple[str, ...] = ()
    """How many rows are changed, and how that is known."""
    unknown: str = ""
    """Why the numbers are null although there is a connection: rows of a table that an earlier migration makes."""


@frozen
class WaitEntry:
    """What a lock that blocks others means for one table."""

    relation: str
    mode: str
    hold_seconds: float | None
    """Null: not known, as the estimates."""
    in_the_way: tuple[str, ...]
    """Who has a conflicting lock now: the migration waits for the end of their transactions."""
    oldest_seconds: float
    """Age of the oldest of those."""
    queries_per_second: float
    """Average since the statistics were reset; peaks are higher."""
    waiting: int
    """So many queries come while the lock is held."""
    families: tuple[str, ...]
    """The most frequent of the statements that would wait, when pg_stat_statements is there."""


@frozen
class StatementEntry:
    """One SQL statement and what it would do."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    index: int
    """Counts from 0 within its file."""
    file: str
    line: int
    column: int
    sql: str
    kind: str
    """Such as "ALTER TABLE" or "CREATE INDEX CONCURRENTLY"."""
    transactional: bool
    """Whether PostgreSQL accepts it inside a transaction block."""
    locks: tuple[PredictedLock, ...]
    """The strongest mode on each relation, schema-qualified; not those on what the same migration creates."""
    rewrites: tuple[str, ...]
    scans: tuple[str, ...]
    """Relations that are read in full."""
    waits_for_old_transactions: bool
    known: bool
    """False: it could not be looked into. Never read that as harmless."""
    fails: FailureEntry | None
    estimate: EstimateEntry
    findings: tuple[FindingEntry, ...]


@frozen
class Gap:
    """Something that was not analysed."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    file: str
    line: int
    column: int
    what: str
    why: str


@frozen
class Coverage:
    """How much was analysed. What was not is never to be read as safe."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    statements: int
    """All statements, those inside of DO blocks and called functions and of the rollback script included."""
    analysed: int
    gaps: tuple[Gap, ...]


@frozen
class Span:
    """One lock, from the statement that takes it to the last one that runs while it is held."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    file: str
    transaction: int
    """Spans of a file with the same number belong to one transaction."""
    relation: str
    mode: str
    first_line: int
    last_line: int


@frozen
class Summary:
    """The file, or all files of the migration, as a whole."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    type: str
    risk: str
    requires_downtime: bool
    reasons: tuple[str, ...]
    """Why type and risk are what they are."""
    estimated_seconds: float | None
    assumptions: tuple[str, ...]
    """What was taken for granted because there was no catalog to ask."""
    server_version: int
    """The major version of PostgreSQL that the answers are for."""
    connected: bool
    """Whether a catalog was asked."""
    coverage: Coverage
    errors: int
    warnings: int
    allowed: int
    in_one_transaction: bool
    """Whether all statements of each file run in one transaction."""


@frozen
class Analysis:
    """One SQL file, or the files of one migration."""

    __pydantic_config__: ClassVar[dict[str, Any]] = _DOCUMENTED

    name: str
    """The file's path, or the migration's version."""
    statements: tuple[StatementEntry, ...]
    findings: tuple[FindingEntry, ...]
    """Those that belong to no statement: what does not parse, what concerns the file or the migration."""
    timeline: tuple[Span, ...]
    """Which locks are held for how long, in the order in which they are taken."""
    summary: Summary
    format_version: int = VERSION
    waits: tuple[WaitEntry, ...] = ()
    """Tables whose readers or writers have to wait; without a connection nobody knows for how long."""

    @property
    def all_findings(self) -> tuple[FindingEntry, ...]:
        """In the order of the files; what concerns the whole comes last."""
        return tuple(
            sorted(
                (*(entry for statement in self.statements for entry in statement.findings), *self.findings),
                key=lambda entry: (
                    (0, entry.place.file, entry.place.line, entry.place.column) if entry.place else (1, "", 0, 0)
                ),
            )
        )
