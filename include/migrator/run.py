"""Who is running: the identity that every stage writes beside what it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from datetime import datetime, timezone

from migrator.frozen import frozen


def system_clock() -> datetime:
    """Now, in UTC. Tests and the window calendar pass their own."""
    return datetime.now(timezone.utc)


@frozen
class RunContext:
    """One attempt of one stage. `run_id` is Airflow's run id or `cli:<uuid>`; `actor` is a person or a service."""

    run_id: str
    version: str
    target: str
    actor: str
    run_url: str | None = None
    try_number: int = 1
    reason: str = ""
    """Why it was started, in the words of the person who did; the ledger keeps it with the beginning of the run."""
    started_by: str = ""
    """The person who started the run; empty when nobody did: the scheduler began it, or there is no run."""
    clock: Callable[[], datetime] = field(default=system_clock, compare=False)
