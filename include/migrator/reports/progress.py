"""How far the steps of one migration are, and what they wait for, as its ledger tells. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from migrator.frozen import frozen
from migrator.ledger.controls import Control
from migrator.ledger.rows import QUARANTINED, WAITING, LedgerStep, StepStatus
from migrator.steps.kinds import gate
from migrator.wording import count, seconds


@frozen
class StepProgress:
    """One step. None: nobody knows."""

    step: str
    kind: str
    status: str
    """Of the ledger; of a running step also `paused`, `throttled` (it waits until the server may be loaded again),
    `slowed`, or `waits` (at a gate)."""
    percent: float | None = None
    rows_done: int | None = None
    rows_total: int | None = None
    """As estimated."""
    rate: float | None = None
    """Rows a second, of this attempt."""
    left_seconds: float | None = None
    reason: str = ""
    """Why it is paused, throttled or slowed, or what it waits for."""
    since: datetime | None = None
    left_out: int = 0
    """Rows that fail: see `steps.quarantine`."""

    def __str__(self) -> str:
        parts = [f"{self.step}: {self.status}"]
        if self.percent is not None:
            parts.append(f"{self.percent:.0f} %")
        if self.rows_done is not None:
            of = f" of about {self.rows_total:,}" if self.rows_total else ""
            parts.append(f"{count(self.rows_done, 'row')}{of}")
        if self.rate is not None:
            parts.append(f"{self.rate:,.0f} a second")
        if self.left_seconds is not None:
            parts.append(f"{seconds(self.left_seconds)} left")
        if self.left_out:
            parts.append(f"{count(self.left_out, 'row')} left out")
        since = f" since {self.since:%Y-%m-%d %H:%M:%S}" if self.since is not None else ""
        return ", ".join(parts) + (f"; {self.reason}{since}" if self.reason else "")


def progress_of(rows: Sequence[LedgerStep], control: Control) -> tuple[StepProgress, ...]:
    """In the order of the plan."""
    return tuple(_of(row, control) for row in rows)


def _of(row: LedgerStep, control: Control) -> StepProgress:
    running = row.status is StepStatus.RUNNING
    status, reason, since = str(row.status), "", None
    throttled, slowed = row.cursor.get(WAITING), row.cursor.get("slowed")
    if row.kind == gate.KIND and running and throttled:
        status, reason, since = "waits", str(throttled["reason"]), _time(throttled)
    elif control.paused is not None and running:
        status, reason, since = "paused", f"by {control.paused.by}: {control.paused.reason}", control.paused.at
    elif running and throttled:
        status, reason, since = "throttled", str(throttled["reason"]), _time(throttled)
    elif running and slowed:
        status, reason, since = "slowed", str(slowed["reason"]), _time(slowed)
    done, total = row.cursor.get("pages_done"), row.cursor.get("pages_total")
    percent = 100.0 * done / total if done is not None and total else _share(row)
    if row.status is StepStatus.SUCCESS:
        percent = 100.0
    return StepProgress(
        step=row.step,
        kind=row.kind,
        status=status,
        percent=percent,
        rows_done=row.rows_done,
        rows_total=row.rows_total,
        rate=row.cursor.get("rate") if running else None,
        left_seconds=row.cursor.get("left_seconds") if running and status in ("running", "slowed") else None,
        reason=reason,
        since=since,
        left_out=0 if row.status is StepStatus.SUCCESS else sum(map(len, row.cursor.get(QUARANTINED, {}).values())),
    )


def _share(row: LedgerStep) -> float | None:
    """Of a step that counts rows: an index build."""
    if not row.rows_total or row.rows_done is None or row.status is not StepStatus.RUNNING:
        return None
    return min(100.0, 100.0 * row.rows_done / row.rows_total)


def _time(told: dict[str, str]) -> datetime:
    return datetime.fromisoformat(told["since"])
