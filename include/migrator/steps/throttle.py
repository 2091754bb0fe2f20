"""How softly a long step must tread: what the signs of the server's load mean for the next batch. Pure.

`signals` asks the server, `brake` waits. Two answers of a server slow a step down (`SLOW`: the pause doubles, a batch
becomes half as long) or hold it (`STOP`: nothing is begun until the sign is gone). It gets faster again by small steps,
and only after several good looks (additive increase, multiplicative decrease, as TCP does).
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from migrator.documents import StrEnum
from migrator.plan import Step
from migrator.wording import count, seconds, size

LONGEST_PAUSE = 60.0
SHORTEST_BATCH = 0.01
GOOD_IN_A_ROW = 3
"""So many looks without a sign before it gets faster: one good moment says little."""
RELEASE = 0.8
"""What has stopped the step lets it go at this part of the limit, so that it does not flutter around it."""

BLOCKED_SECONDS = 0.05
DEAD_RATIO, DEAD_ROWS = 1.5, 100_000
"""The step itself leaves one dead row for each that it updates: more of them mean that VACUUM does not follow."""
PROBES = 5
SLOW_PROBE_RATIO, SLOW_PROBE_SECONDS = 10.0, 0.05


@dataclass(frozen=True)
class Limits:
    """Of the target's policy. Bytes are of WAL."""

    replication_lag_bytes: int
    replay_lag_seconds: float
    archive_backlog: int
    """Segments of WAL that wait for the archiver."""
    transaction_age_seconds: float
    free_connections: int
    wal_bytes_a_second: int | None = None


def is_throttled(step: Step) -> bool:
    """Whether it works in batches, between which it looks at the signs."""
    return "batch_ms" in step.params


class Level(StrEnum):
    SLOW = "slow"
    STOP = "stop"


@dataclass(frozen=True)
class Sign:
    level: Level
    name: str
    """Under which the waiting is counted."""
    text: str


@dataclass(frozen=True)
class Standby:
    name: str
    lag_bytes: int | None
    """Not replayed yet, by the WAL position of now; None: hidden from the role."""
    lag_seconds: float | None = None
    """By replay_lag; None: hidden, or nothing to replay."""


@dataclass(frozen=True)
class Slot:
    name: str
    active: bool
    wal_status: str | None
    retained: int | None
    """Bytes of WAL kept for it."""


@dataclass(frozen=True)
class Reading:
    """What the server said at one look."""

    at: float
    """time.monotonic()"""
    took: float
    """Seconds that the question took: the latency probe."""
    wal: int
    """Position, in bytes."""
    standbys: tuple[Standby, ...] = ()
    slots: tuple[Slot, ...] = ()
    slot_keep_bytes: int | None = None
    """max_slot_wal_keep_size; None: without end."""
    archive_failing: bool = False
    """The last try to archive has failed."""
    archive_ready: int | None = None
    """Segments that wait; None: not asked, or hidden."""
    requested_checkpoints: int = 0
    """Since the server counts."""
    blocked: int = 0
    """Sessions that wait for ours."""
    blocked_seconds: float = 0.0
    """How long the first of them has."""
    dead_rows: int = 0
    live_rows: int = 0
    wraparound: bool = False
    """A VACUUM to prevent wraparound works on the very table."""
    snapshot_seconds: float = 0.0
    """Age of the oldest transaction whose snapshot keeps dead rows from being removed."""
    free_connections: int | None = None


@dataclass(frozen=True)
class Sample:
    """A reading, and what differs from those before it."""

    reading: Reading
    forced_checkpoints: int = 0
    wal_bytes_a_second: float = 0.0
    probe: float = 0.0
    """Median of the last few."""
    best_probe: float = 0.0


@dataclass
class History:
    """Turns readings into samples."""

    probes: deque[float] = field(default_factory=lambda: deque(maxlen=PROBES))
    best: float = float("inf")
    last: Reading | None = None
    rate: float = 0.0

    def add(self, reading: Reading) -> Sample:
        last, self.last = self.last, reading
        self.probes.append(reading.took)
        self.best = min(self.best, reading.took)
        forced = 0
        if last is not None and reading.at > last.at:
            now = (reading.wal - last.wal) / (reading.at - last.at)
            self.rate = now if not self.rate else 0.7 * self.rate + 0.3 * now
            forced = max(0, reading.requested_checkpoints - last.requested_checkpoints)
        return Sample(reading, forced, self.rate, statistics.median(self.probes), self.best)


def judge(sample: Sample, limits: Limits, *, stopped: frozenset[str] = frozenset()) -> tuple[Sign, ...]:
    """The signs of a sample, those that stop first.

    :param stopped: names of signs that hold the step now.
    """
    found = [
        *_standbys(sample.reading, limits, stopped),
        *_slots(sample.reading, limits, stopped),
        *_archive(sample.reading, limits, stopped),
        *_load(sample, limits),
        *_table(sample.reading, limits),
    ]
    return tuple(sorted(found, key=lambda sign: sign.level is not Level.STOP))


def _standbys(reading: Reading, limits: Limits, stopped: frozenset[str]) -> Iterator[Sign]:
    name = "replication lag"
    for one in reading.standbys:
        if one.lag_bytes is not None:
            level = _level(name, one.lag_bytes, limits.replication_lag_bytes, stopped)
            if level is not None:
                limit = size(limits.replication_lag_bytes)
                yield Sign(level, name, f"standby {one.name!r} is {size(one.lag_bytes)} behind (limit {limit})")
        if one.lag_seconds is not None:
            level = _level(name, one.lag_seconds, limits.replay_lag_seconds, stopped)
            if level is not None:
                limit = seconds(limits.replay_lag_seconds)
                yield Sign(level, name, f"standby {one.name!r} is {seconds(one.lag_seconds)} behind (limit {limit})")


def _slots(reading: Reading, limits: Limits, stopped: frozenset[str]) -> Iterator[Sign]:
    """A slot that nobody reads is a standby that is away. Where lags are hidden, all slots tell how far behind readers
    are."""
    name = "slots"
    hidden = any(one.lag_bytes is None for one in reading.standbys)
    for one in reading.slots:
        kept = one.retained or 0
        if one.wal_status in ("extended", "unreserved", "lost"):
            what = "has lost WAL that it needed" if one.wal_status == "lost" else f"keeps {size(kept)} of WAL"
            text = f"slot {one.name!r} {what} (wal_status {one.wal_status}): look at its reader, or drop the slot"
            yield Sign(Level.STOP, name, text)
            continue
        if hidden or not one.active:
            level = _level(name, kept, limits.replication_lag_bytes, stopped)
            if level is not None:
                who = "slot" if one.active else "inactive slot"
                limit = size(limits.replication_lag_bytes)
                yield Sign(level, name, f"{who} {one.name!r} keeps {size(kept)} of WAL (limit {limit})")
        if reading.slot_keep_bytes and kept > reading.slot_keep_bytes / 2:
            limit = size(reading.slot_keep_bytes)
            yield Sign(
                Level.SLOW, name, f"slot {one.name!r} keeps {size(kept)} of WAL, max_slot_wal_keep_size is {limit}"
            )


def _archive(reading: Reading, limits: Limits, stopped: frozenset[str]) -> Iterator[Sign]:
    name = "archive"
    if reading.archive_failing:
        yield Sign(Level.STOP, name, "the last try to archive WAL has failed, so it piles up: see pg_stat_archiver")
    waiting = reading.archive_ready or 0
    level = _level(name, waiting, limits.archive_backlog, stopped)
    if level is not None:
        yield Sign(
            level, name, f"{count(waiting, 'segment')} of WAL wait for the archiver (limit {limits.archive_backlog})"
        )


def _load(sample: Sample, limits: Limits) -> Iterator[Sign]:
    reading = sample.reading
    if reading.blocked and reading.blocked_seconds > BLOCKED_SECONDS:
        waiting = seconds(reading.blocked_seconds)
        yield Sign(Level.SLOW, "blocked sessions", f"{count(reading.blocked, 'session')} waited {waiting} for a batch")
    if sample.forced_checkpoints:
        text = "a checkpoint was requested before its time, which much WAL does: see max_wal_size"
        yield Sign(Level.SLOW, "checkpoints", text)
    if limits.wal_bytes_a_second is not None and sample.wal_bytes_a_second > limits.wal_bytes_a_second:
        rate, limit = size(sample.wal_bytes_a_second), size(limits.wal_bytes_a_second)
        yield Sign(Level.SLOW, "WAL rate", f"the server writes {rate} of WAL a second (limit {limit})")
    if sample.probe > SLOW_PROBE_SECONDS and sample.probe > SLOW_PROBE_RATIO * sample.best_probe:
        now, best = seconds(sample.probe), seconds(sample.best_probe)
        yield Sign(Level.SLOW, "latency", f"a small query takes {now}, at best it took {best}")
    free = reading.free_connections
    if free is not None and free < limits.free_connections:
        text = f"{count(free, 'connection')} free, {limits.free_connections} are to be (min_free_connections)"
        yield Sign(Level.SLOW, "connections", text)


def _table(reading: Reading, limits: Limits) -> Iterator[Sign]:
    if reading.wraparound:
        yield Sign(Level.STOP, "vacuum", "the table is vacuumed to prevent wraparound, which must not be kept waiting")
    if reading.dead_rows > DEAD_ROWS and reading.dead_rows > DEAD_RATIO * reading.live_rows:
        text = f"{count(reading.dead_rows, 'dead row')} beside {reading.live_rows:,}: VACUUM does not follow"
        yield Sign(Level.SLOW, "dead rows", text)
    if reading.snapshot_seconds > limits.transaction_age_seconds:
        age = seconds(reading.snapshot_seconds)
        text = f"a transaction has been open for {age}, and keeps dead rows from being removed"
        yield Sign(Level.SLOW, "old snapshot", text)


def _level(name: str, value: float, limit: float, stopped: frozenset[str]) -> Level | None:
    """Above the limit it stops, from half of it on it slows down."""
    if value > limit * (RELEASE if name in stopped else 1.0):
        return Level.STOP
    return Level.SLOW if value > limit / 2 else None


MOMENTARY = frozenset({"blocked sessions", "checkpoints"})
"""Signs that a batch leaves, and a look after it does not show any more."""


def decide(new: Sequence[Sample], limits: Limits, *, stopped: frozenset[str] = frozenset()) -> tuple[Sign, ...]:
    """Of all samples since the last decision, at least one: the newest counts, and of those before it what was seen of
    a batch."""
    now = judge(new[-1], limits, stopped=stopped)
    known = {sign.name for sign in now}
    earlier = [sign for sample in new[:-1] for sign in judge(sample, limits) if sign.name in MOMENTARY - known]
    return (*now, *{sign.name: sign for sign in earlier}.values())


@dataclass
class Rhythm:
    """How long a batch should take and the pause after it, in seconds: as the step or a person says, and as the signs
    allow."""

    longest: float
    """Of a batch, as it was asked for."""
    least: float
    """The pause that was asked for."""
    batch: float = 0.0
    pause: float = 0.0
    good: int = 0

    def __post_init__(self) -> None:
        self.batch, self.pause = self.longest, self.least

    def asked(self, longest: float, least: float) -> bool:
        """Somebody asks for another rhythm while it runs; whether it is one. Slowed down it stays so."""
        if (longest, least) == (self.longest, self.least):
            return False
        slowed = self.slowed
        self.longest, self.least = longest, least
        self.batch = min(self.batch, longest) if slowed else longest
        self.pause = max(self.pause, least) if slowed else least
        return True

    @property
    def slowed(self) -> bool:
        return self.pause > self.least or self.batch < self.longest

    def worse(self) -> None:
        self.good = 0
        self.pause = max(self.least, min(LONGEST_PAUSE, max(1.0, 2 * self.pause)))
        self.batch = max(min(SHORTEST_BATCH, self.longest), self.batch / 2)

    def better(self) -> None:
        self.good += 1
        if self.good < GOOD_IN_A_ROW:
            return
        self.pause = max(self.least, 0.8 * self.pause)
        if self.pause < 0.01:
            self.pause = self.least
        self.batch = min(self.longest, self.batch + self.longest / 10)
