"""The values of an estimate: what a unit of work costs on one server, and what a statement is expected to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

MB = 1024 * 1024


@dataclass(frozen=True)
class Costs:
    """Seconds for a million rows, unless the name says otherwise. The defaults were measured with PostgreSQL 16 on a
    warm machine with two cores and rows of 150 bytes; `calibrate.measure` replaces them by those of another server."""

    statement: float = 0.003
    """Seconds of any statement: parsing, catalog changes, the round trip."""
    scan: float = 0.07
    operator: float = 0.03
    """One more comparison or cheap function for each row."""
    pattern: float = 0.4
    """A regular expression, LIKE with a leading wildcard, or a text function for each row."""
    call: float = 1.0
    """A function of which nothing is known for each row."""
    random_bytes: float = 3.5
    """gen_random_uuid() for each row: the kernel is asked every time."""
    write: float = 0.55
    """Form a row and write it into a new file with its WAL."""
    insert: float = 1.1
    update: float = 2.0
    delete: float = 0.6
    build: float = 0.2
    """Read a row and write its key into a new index."""
    compare_ordered: float = 0.004
    """Sorting, for each binary digit of the number of rows: keys that are in the table's order already."""
    compare: float = 0.015
    """The same for numbers, times and uuids in no order."""
    compare_text: float = 0.1
    """The same for text, whose comparison asks the collation."""
    place_ordered: float = 0.02
    """Insert a key into an existing index, for each binary digit of the number of rows; three classes as above."""
    place: float = 0.15
    place_text: float = 0.36
    hash_build: float = 1.2
    token: float = 6.0
    """GIN, GiST and the like, for each row."""
    page_read: float = 8.0
    """A million pages that are not in shared_buffers, from the operating system's cache."""
    probe: float = 0.12
    """Look up a row in a hashed table: a foreign key's check of all rows."""
    trigger: float = 5.0
    """Fire a row trigger or check one foreign key of a changed row."""


@dataclass(frozen=True)
class Profile:
    """One server: what work costs there, and the settings that change it."""

    costs: Costs = field(default_factory=Costs)
    calibrated_at: datetime | None = None
    """None: the default costs, of another machine."""
    shared_buffers: int = 128 * MB
    maintenance_work_mem: int = 64 * MB
    wal_minimal: bool = False

    @property
    def spread(self) -> float:
        """P90 over P50: how far the costs of `tests/benchmarks/bench_estimate.py` were off in nine of ten cases."""
        return 4.0 if self.calibrated_at is None else 2.0


@dataclass(frozen=True)
class Work:
    """One thing that the server does for a statement."""

    what: str
    """For people: "reads 1,000,000 rows of public.messages"."""
    seconds: float
    wal_bytes: int = 0
    temporary_bytes: int = 0
    """Needed until the end of the statement or its transaction, beside what stays."""
    final_bytes: int = 0
    """What stays: a new index, dead rows."""


@dataclass(frozen=True)
class Estimate:
    """What one statement is expected to cost, without waiting for locks. Bytes are disk space."""

    seconds_p50: float
    seconds_p90: float
    wal_bytes: int
    temporary_bytes: int
    final_bytes: int
    replica_lag_seconds: float
    """By how much a standby is behind at the end, if it replays `REPLAY_BYTES` a second."""
    hold_seconds: float
    """How long the statement's locks are held: until its transaction ends, with the statements that follow."""
    basis: str
    """Where the costs come from: "default costs", or "calibrated <when>"."""
    work: tuple[str, ...] = ()


@dataclass(frozen=True)
class ColumnStatistics:
    """pg_stats of one column."""

    width: int
    correlation: float | None
    """1 or -1: the table is in this column's order; near 0: in none."""
    null_fraction: float = 0.0
    distinct: float = -1.0
    """n_distinct: so many values, or, negative, so many times the number of rows."""


@dataclass(frozen=True)
class Statistics:
    """What the planner knows beside the catalog; everything may be missing."""

    columns: Mapping[tuple[str, str], ColumnStatistics] = field(default_factory=dict)
    """By qualified relation and column."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows that the planner expects a data statement to change or give, by the statement's digest."""


@dataclass(frozen=True)
class Holder:
    """A session, or a prepared transaction, that has a lock on a table now."""

    who: str
    mode: str
    seconds: float
    """Age of its transaction."""


@dataclass(frozen=True)
class Family:
    """A statement of the application, as pg_stat_statements has it: without values."""

    query: str
    calls_per_second: float
    mean_ms: float


@dataclass(frozen=True)
class Traffic:
    """What goes on at one table. Averages since the statistics were reset; peaks are higher."""

    reads: float = 0.0
    """Scans a second."""
    writes: float = 0.0
    """Changed rows a second."""
    holders: tuple[Holder, ...] = ()
    families: tuple[Family, ...] = ()


@dataclass(frozen=True)
class LockWait:
    """What a lock that blocks others means for one table."""

    relation: str
    mode: str
    hold_seconds: float
    in_the_way: tuple[str, ...] = ()
    """Who has a conflicting lock now: the migration waits for the end of their transactions."""
    oldest_seconds: float = 0.0
    """Age of the oldest of those."""
    queries_per_second: float = 0.0
    waiting: int = 0
    """So many queries come while the lock is held."""
    families: tuple[str, ...] = ()
    """The most frequent of the statements that would wait, when pg_stat_statements is there."""


@dataclass(frozen=True)
class Basis:
    """Everything that an estimate rests on, beside the catalog's facts."""

    profile: Profile = field(default_factory=Profile)
    statistics: Statistics = field(default_factory=Statistics)
    traffic: Mapping[str, Traffic] = field(default_factory=dict)
    """By qualified relation."""
