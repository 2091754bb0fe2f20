"""How far a migration is, for `migrator status VERSION`: once, or until its end (bars on a terminal, else lines)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from migrator.cli.output import Output
from migrator.errors import UsageError
from migrator.reports.progress import StepProgress, progress_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerMigration

LOOK_SECONDS = 1.0
LINE_SECONDS = 10.0
"""Without a terminal nobody looks all the time; a change is told at once."""
Shown = tuple["LedgerMigration", tuple[StepProgress, ...]]


def read(ledger: Ledger, version: str) -> Shown:
    """:raises UsageError: the ledger has no such migration."""
    row = ledger.migration(version) if ledger.exists() else None
    if row is None:
        raise UsageError(f"the ledger has no migration {version!r}; see `migrator status`")
    return row, progress_of(ledger.steps(version), ledger.control(version))


def show(ledger: Ledger, version: str, out: Output) -> int:
    """Exit code 1 when it has failed."""
    row, steps = read(ledger, version)
    out.document({"version": version, "status": row.status, "steps": list(steps)})
    out.line(f"{version}: {row.status}")
    for step in steps:
        out.line(f"  {step}")
    return _code(row)


def watch(ledger: Ledger, version: str, out: Output, *, sleep: Callable[[float], None] = time.sleep) -> int:
    """Until it runs no more. Ctrl-C ends the looking on, not the migration."""
    if out.json:
        raise UsageError("--watch shows text; leave it out to get one JSON document")
    return _bars(ledger, version, out, sleep) if out.is_terminal else _lines(ledger, version, out, sleep)


def _lines(ledger: Ledger, version: str, out: Output, sleep: Callable[[float], None]) -> int:
    said: dict[str, tuple[str, str, float]] = {}
    while True:
        row, steps = read(ledger, version)
        for step in steps:
            now, (status, reason, at) = time.monotonic(), said.get(step.step, ("", "", 0.0))
            moves = step.percent is not None and step.status != "success"
            if step.status != status or step.reason != reason or (moves and now - at >= LINE_SECONDS):
                said[step.step] = (step.status, step.reason, now)
                out.line(str(step))
                out.stdout.flush()
        if row.status != "running":
            out.line(f"{version}: {row.status}")
            return _code(row)
        sleep(LOOK_SECONDS)


def _bars(ledger: Ledger, version: str, out: Output, sleep: Callable[[float], None]) -> int:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=Console(file=out.stdout, highlight=False)) as bars:
        while True:
            row, steps = read(ledger, version)
            for step in steps:
                _draw(bars, step)
            if row.status != "running":
                break
            sleep(LOOK_SECONDS)
    out.line(f"{version}: {row.status}")
    return _code(row)


def _draw(bars: Progress, step: StepProgress) -> None:
    from rich.markup import escape

    known = {task.description: task.id for task in bars.tasks}
    name = escape(step.step)
    told = str(step).partition(": ")[2]
    if name not in known:
        known[name] = bars.add_task(name, total=100.0, told="")
    bars.update(known[name], completed=step.percent or 0.0, told=escape(told))


def _code(row: LedgerMigration) -> int:
    return 1 if row.status in ("failed", "rollback_failed") else 0
