"""How far standbys fall behind: what the server knows of them, and what must be assumed."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from migrator.database import queries
from migrator.database.session import Connection

ASSUMED_RATE = 100 * 1024 * 1024
"""WAL that a standby replays in a second. An assumption: a standby that keeps up does not show how much it could."""
LEAST_BEHIND = 16 * 1024 * 1024
"""One segment of WAL. Who is behind by so much, and by `LEAST_LAG` seconds, is taken to work as fast as it can."""
LEAST_LAG = 1.0
"""A standby whose replay stands still goes on reporting its last lag, which is short as a rule and tells no rate."""


@dataclass(frozen=True)
class Standby:
    """A row of pg_stat_replication; None: this role may not see it (pg_monitor may)."""

    name: str = ""
    behind_bytes: int | None = None
    lag_seconds: float | None = None
    """replay_lag; None also when nothing was written for a while."""

    @property
    def rate(self) -> float | None:
        """Bytes a second. What came within its lag is what it is behind by, so that the one divided by the other is
        what it manages; None unless it has something to do."""
        behind, lag = self.behind_bytes or 0, self.lag_seconds or 0.0
        return behind / lag if behind >= LEAST_BEHIND and lag >= LEAST_LAG else None

    @property
    def seconds(self) -> float:
        """How long it needs to catch up with what was written until now."""
        return max(self.lag_seconds or 0.0, (self.behind_bytes or 0) / ASSUMED_RATE)


@dataclass(frozen=True)
class Replication:
    standbys: tuple[Standby, ...] | None = None
    """None: nobody asked."""

    @property
    def basis(self) -> str:
        """For people: what the lag rests on."""
        assumed = f"{ASSUMED_RATE // 1024**2} MB of replay a second are an assumption"
        if self.standbys is None:
            return assumed
        if not self.standbys:
            return f"no standby is connected; {assumed}"
        number = f"{len(self.standbys)} connected"
        if slowest := self._slowest:
            return f"{number}; {slowest.name} replays {(slowest.rate or 0) / 1024**2:.0f} MB a second now, as measured"
        if all(item.behind_bytes is None for item in self.standbys):
            return f"{number}, whose progress this role may not see (pg_monitor may); {assumed}"
        behind = max(item.behind_bytes or 0 for item in self.standbys) / 1024**2
        return f"{number}, {behind:.0f} MB behind; {assumed}"

    @property
    def _slowest(self) -> Standby | None:
        return min((item for item in self.standbys or () if item.rate), key=lambda item: item.rate or 0.0, default=None)

    @property
    def _now(self) -> float:
        return max((item.seconds for item in self.standbys or ()), default=0.0)

    def lag_seconds(self, wal_bytes: int, seconds: float) -> float:
        """At the end of a statement that takes `seconds`: what is behind now, and what it writes faster than that."""
        slowest = self._slowest
        rate = (slowest.rate if slowest is not None else None) or ASSUMED_RATE
        return self._now + max(0.0, wal_bytes / rate - seconds) if wal_bytes else 0.0


def replication_of(conn: Connection) -> Replication:
    """Standbys of this server; of a standby: those that it feeds."""
    try:
        with conn.transaction():
            rows = conn.execute(queries.load(__package__, "estimate")["standbys"]).fetchall()
    except psycopg.Error:
        return Replication()
    return Replication(
        tuple(
            Standby(
                row[0] or "a standby",
                None if row[1] is None else max(0, int(row[1])),
                None if row[2] is None else float(row[2]),
            )
            for row in rows
        )
    )
