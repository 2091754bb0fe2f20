"""May the target be changed now, and does the migration fit into what is left of the window?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import TYPE_CHECKING

from migrator.evidence import EvidenceBundle
from migrator.ledger.rows import LedgerStep, StepStatus, took_effect
from migrator.plan import Phase, Plan, Step
from migrator.steps.contract import end_of, lasts, phases_of, start_of
from migrator.targets import windows
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.catalogue.metadata import Schedule
    from migrator.catalogue.migration import Migration


SAFETY_FACTOR = 1.5
"""Production may be this much slower than the restored copy; measured durations are multiplied by it."""


@dataclass(frozen=True)
class Stretch:
    """The phases that come next and are alike in whether they need the window: those that do must fit into one window
    together."""

    needs_window: bool
    seconds: float
    """What they took on the restored copy."""


def next_stretch(plan: Plan, evidence: EvidenceBundle, rows: Sequence[LedgerStep]) -> Stretch:
    """What is to be done after what the ledger has as done. Pure.

    :param rows: the ledger's, of the plan's steps.
    """
    left = list(_left(plan, rows))
    if not left:
        return Stretch(False, 0.0)
    needs_window = left[0][1].needs_window
    together = list(takewhile(lambda one: one[1].needs_window is needs_window, left))
    if len(together) == sum(len(phases_of(step)) for step in plan.steps):
        return Stretch(needs_window, evidence.dry_run.seconds)
    indexes = {(step.name, number) for step, phase in together for number in _indexes(step, phase)}
    traces = evidence.dry_run.statements
    return Stretch(needs_window, sum(one.seconds for one in traces if (one.step, one.statement) in indexes))


def may_wait(plan: Plan, rows: Sequence[LedgerStep]) -> bool:
    """Whether what is left of it may wait for another window, or for the end of a freeze, with a part applied: it has
    work that takes longer than a window, and a part is there. Anything else is applied in one window, or undone. Pure.

    :param rows: the ledger's, of the plan's steps.
    """
    return lasts(plan) and any(took_effect(row) for row in rows)


def _left(plan: Plan, rows: Sequence[LedgerStep]) -> Iterator[tuple[Step, Phase]]:
    found = {row.step: row for row in rows}
    for step in plan.steps:
        row = found.get(step.name)
        done = row.statements_done if row is not None else 0
        is_done = row is not None and row.status is StepStatus.SUCCESS
        for phase in phases_of(step):  # a gate at which a person is asked has no statement
            if not is_done and (end_of(step, phase) > done or not step.statements):
                yield step, phase


def _indexes(step: Step, phase: Phase) -> list[int]:
    return [one.index for one in step.statements[start_of(step, phase) : end_of(step, phase)]]


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


def decide_next(
    plan: Plan,
    target: Target,
    migration: Migration | None,
    evidence: EvidenceBundle,
    rows: Sequence[LedgerStep],
    now: datetime,
) -> windows.WindowDecision:
    """May what comes next begin now? Pure.

    What needs no window may begin at any time outside a freeze; the first of all waits for the migration's own window
    all the same, because somebody has said when it is to begin. What is begun may go on after that window: in the
    target's windows.

    :param rows: the ledger's, of the plan's steps.
    """
    following = next_stretch(plan, evidence, rows)
    begun = any(took_effect(row) for row in rows)
    own = own_schedule(migration, target)
    if following.needs_window:
        if begun and own is not None and own.window_end <= now and target.windows:
            migration = None
        return decide_window(plan, target, migration, following.seconds, now)
    schedule = None if begun else own
    return windows.decide(now, schedule=schedule, freezes=target.freezes, emergency=plan.emergency is not None)
