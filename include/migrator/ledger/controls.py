"""What a person has asked of a migration while it runs: events of the chain, of which the newest count. Pure.

They hold for the version until it is verified or rolled back, whatever process executes it: a retry, a Clear and the
run after a killed one obey them as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from migrator.ledger.rows import LedgerEvent

PAUSE, RESUME, TUNE = "pause", "resume", "tune"
ENDS = ("verified", "rolled_back")
"""Events after which it begins anew."""
KINDS = (PAUSE, RESUME, TUNE, *ENDS)
BATCH_MS, PAUSE_MS = "batch_ms", "pause_ms"


@dataclass(frozen=True)
class Asked:
    """By whom, since when and why."""

    by: str
    at: datetime
    reason: str

    def __str__(self) -> str:
        return f"by {self.by} at {self.at:%Y-%m-%d %H:%M:%S %Z}: {self.reason}"


@dataclass(frozen=True)
class Control:
    """`batch_ms` and `pause_ms` are milliseconds; None: as the step says."""

    paused: Asked | None = None
    batch_ms: int | None = None
    pause_ms: int | None = None
    tuned: Asked | None = None


def control_of(events: Iterable[LedgerEvent]) -> Control:
    """:param events: of one version, oldest first; those of other kinds are passed over."""
    found = Control()
    for event in events:
        asked = Asked(event.actor, event.at, str(event.detail.get("reason", "")))
        if event.kind in ENDS:
            found = Control()
        elif event.kind == PAUSE:
            found = replace(found, paused=asked)
        elif event.kind == RESUME:
            found = replace(found, paused=None)
        elif event.kind == TUNE:
            batch, pause = event.detail.get(BATCH_MS), event.detail.get(PAUSE_MS)
            found = replace(
                found,
                batch_ms=found.batch_ms if batch is None else int(batch),
                pause_ms=found.pause_ms if pause is None else int(pause),
                tuned=asked,
            )
    return found
