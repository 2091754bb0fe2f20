"""Estimate, dry run and production beside each other, kept in the ledger: so that the estimates can be judged."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from migrator.errors import MigratorError
from migrator.steps.context import StatementOutcome, StepResult

if TYPE_CHECKING:
    from migrator.evidence import EvidenceBundle
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerEvent
    from migrator.plan import Plan, Step
    from migrator.run import RunContext

LOG = logging.getLogger(__name__)

EVENT = "timed"
WORTH_SECONDS = 0.05
"""Shorter statements say nothing about the model; they are not worth an event."""


@dataclass(frozen=True)
class Timing:
    """One statement: seconds as estimated by analyze, as observed by the dry run, and as it took in production."""

    version: str
    step: str
    statement: int
    """Counted from 1, as in messages."""
    kind: str
    estimated: float | None
    rehearsed: float | None
    actual: float

    @property
    def error(self) -> float | None:
        """|log2(estimate / actual)|: 1 is twice or half as long."""
        if not self.estimated or not self.actual:
            return None
        return abs(math.log2(self.estimated / self.actual))


def timings_of(plan: Plan, step: Step, result: StepResult, evidence: EvidenceBundle | None) -> tuple[Timing, ...]:
    """Statements that were executed by this very call, and took or were to take noticeable time. Pure."""
    traces = {item.statement: item for item in evidence.dry_run.statements} if evidence is not None else {}
    planned = {item.index: item for item in step.statements}
    found = []
    for done in result.statements:
        statement, trace = planned.get(done.statement), traces.get(done.statement)
        if statement is None or done.outcome is not StatementOutcome.EXECUTED:
            continue
        times = (done.seconds, statement.estimated_seconds, trace.seconds if trace else None)
        if max(value or 0.0 for value in times) >= WORTH_SECONDS:
            estimated, rehearsed = (None if value is None else round(value, 4) for value in times[1:])
            actual = round(done.seconds, 4)
            found.append(
                Timing(plan.version, step.name, done.statement + 1, statement.kind, estimated, rehearsed, actual)
            )
    return tuple(found)


def record(ledger: Ledger, found: Iterable[Timing], *, run: RunContext) -> None:
    """Write them into the ledger. The step has taken effect, so that nothing here may fail it."""
    try:
        _record(ledger, found, run)
    except MigratorError as exc:
        LOG.warning("the ledger could not be told how long the statements took: %s", exc)


def _record(ledger: Ledger, found: Iterable[Timing], run: RunContext) -> None:
    for timing in found:
        detail: dict[str, Any] = {
            "step": timing.step,
            "statement": timing.statement,
            "kind": timing.kind,
            "estimated_seconds": timing.estimated,
            "rehearsed_seconds": timing.rehearsed,
            "seconds": timing.actual,
        }
        ledger.append_event(EVENT, version=timing.version, run=run, detail=detail)


def read(events: Iterable[LedgerEvent]) -> Iterator[Timing]:
    """Those that a ledger holds, oldest first. Pure."""
    for event in events:
        if event.kind == EVENT:
            detail = event.detail
            yield Timing(
                version=event.version or "",
                step=detail["step"],
                statement=detail["statement"],
                kind=detail["kind"],
                estimated=detail["estimated_seconds"],
                rehearsed=detail["rehearsed_seconds"],
                actual=detail["seconds"],
            )
