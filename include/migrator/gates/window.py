"""May the target be changed now, and does the migration fit into what is left of the window?"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from migrator.plan import Plan
from migrator.targets import windows
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.metadata import Schedule
    from migrator.catalogue.migration import Migration


SAFETY_FACTOR = 1.5
"""Production may be this much slower than the restored copy; measured durations are multiplied by it."""


def own_schedule(migration: Migration | None, target: Target) -> Schedule | None:
    """The window that the migration has for itself; it counts only on the target that it names."""
    schedule = migration.metadata.schedule if migration is not None else None
    return schedule if schedule is not None and schedule.target == target.name else None


def decide_window(
    plan: Plan, target: Target, migration: Migration | None, seconds: float, now: datetime
) -> windows.WindowDecision:
    """May the migration start now, and does it fit into what is left of the window? Pure.

    :param seconds: what is left to do took on the restored copy; `SAFETY_FACTOR` is put on it here.
    """
    return windows.decide(
        now,
        schedule=own_schedule(migration, target),
        windows=target.windows,
        freezes=target.freezes,
        needed_seconds=seconds * SAFETY_FACTOR,
        emergency=plan.emergency is not None,
    )
