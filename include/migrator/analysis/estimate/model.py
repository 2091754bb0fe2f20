"""The values of an estimate: what is known of a server, and what a statement is expected to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from migrator.analysis.estimate.costs import Costs
from migrator.analysis.estimate.replication import Replication

MB = 1024 * 1024
DISK_READ = 16.0
"""Seconds for a million pages at 500 MB/s: what a disk of a database reads at least, one would hope."""

QUIET = 1.4
"""Up to this noise the costs count as those of a quiet server: with two processors a calculation took 1.1 times as long
as alone when they did nothing else, and mostly 1.4 to 4 times beside two or four busy loops."""
MEASURED_SPREAD, UNMEASURED_SPREAD = 2.0, 4.0


@dataclass(frozen=True)
class Profile:
    """One server: what work costs there, and the settings that change it."""

    costs: Costs = field(default_factory=Costs)
    calibrated_at: datetime | None = None
    """None: the default costs, of another machine."""
    noise: float = 1.0
    """By how much other work on the server made the measured costs uncertain; 1: it was quiet."""
    shared_buffers: int = 128 * MB
    effective_cache_size: int = 4096 * MB
    """What stays in memory, the operating system's cache included; by default as PostgreSQL assumes it."""
    maintenance_work_mem: int = 64 * MB
    parallel_workers: int = 2
    """max_parallel_maintenance_workers."""
    disk_read: float = DISK_READ
    """Seconds for a million pages from the disk."""
    disk_read_measured: bool = False
    """From the server's own statistics of its reads; otherwise an assumption."""
    wal_minimal: bool = False

    @property
    def spread(self) -> float:
        """P90 over P50: how far the costs of `tests/benchmarks/bench_estimate.py` were off in nine of ten cases."""
        if self.calibrated_at is None:
            return UNMEASURED_SPREAD
        return min(UNMEASURED_SPREAD, MEASURED_SPREAD * (self.noise if self.busy else 1.0))

    @property
    def busy(self) -> bool:
        """Others kept the server busy while its costs were measured."""
        return self.noise > QUIET

    @property
    def basis(self) -> str:
        """For people."""
        if self.calibrated_at is None:
            return "default costs"
        busy = f", on a busy server: they may be {self.noise:.1f} times too high" if self.busy else ""
        return f"costs measured at {self.calibrated_at.isoformat(timespec='seconds')}{busy}"


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
    basis: str = ""
    """Of rows that a statement changes: how their number is known."""
    fills: tuple[str, int] | None = None
    """A relation that gets new rows, and how many."""


@dataclass(frozen=True)
class Estimate:
    """What one statement is expected to cost, without waiting for locks. Bytes are disk space. None: it depends on rows
    of which nobody knows how many there are."""

    seconds_p50: float | None
    seconds_p90: float | None
    wal_bytes: int | None
    temporary_bytes: int | None
    final_bytes: int | None
    replica_lag_seconds: float | None
    """By how much the slowest standby is behind at the end."""
    hold_seconds: float | None
    """How long the statement's locks are held: until its transaction ends, with the statements that follow."""
    basis: str
    """Where the costs come from: "default costs", or "calibrated <when>"."""
    work: tuple[str, ...] = ()
    replica_lag_basis: str = ""
    """Whether standbys were seen, and what of the lag is an assumption."""
    rows: tuple[str, ...] = ()
    """How many rows are changed, and how that is known."""
    unknown: str = ""
    """Why it is not known how long it takes, and how long with a million rows."""


@dataclass(frozen=True)
class ColumnStatistics:
    """pg_stats of one column."""

    width: int
    correlation: float | None
    """1 or -1: the table is in this column's order; near 0: in none."""
    null_fraction: float = 0.0
    distinct: float = -1.0
    """n_distinct: so many values, or, negative, so many times the number of rows."""
    common: tuple[tuple[str, float], ...] = ()
    """most_common_vals as text, each with the part of the rows that have it; only where a WHERE asks."""
    bounds: tuple[str, ...] = ()
    """histogram_bounds of the other values, as text."""


@dataclass(frozen=True)
class Statistics:
    """What the planner knows beside the catalog; everything may be missing."""

    columns: Mapping[tuple[str, str], ColumnStatistics] = field(default_factory=dict)
    """By qualified relation and column."""
    rows: Mapping[str, int] = field(default_factory=dict)
    """Rows that the planner expects a data statement to change or give, by the statement's digest."""
    widths: Mapping[str, int] = field(default_factory=dict)
    """Bytes of each of these rows, by the same."""
    workers: Mapping[str, int] = field(default_factory=dict)
    """Processes that the planner wants beside the session's own, by the same."""
    bases: Mapping[str, str] = field(default_factory=dict)
    """For people: where `rows` come from, by the same."""
    by_index: frozenset[str] = frozenset()
    """Digests of UPDATE and DELETE that find their rows by an index."""


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
    hold_seconds: float | None
    """None: not known, as the estimates."""
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
    replication: Replication = field(default_factory=Replication)
