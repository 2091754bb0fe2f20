"""What a step has held in production, beside its dry run and its budget; kept in the ledger."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from migrator.errors import MigratorError
from migrator.evidence import HELD, HeldLock
from migrator.plan import Plan
from migrator.steps.holding import longest
from migrator.steps.lock_budget import budgets_of

if TYPE_CHECKING:
    from migrator.evidence import EvidenceBundle
    from migrator.ledger.ledger import Ledger
    from migrator.run import RunContext

LOG = logging.getLogger(__name__)

EVENT = "locks_held"
"""Its detail: step, and as held what `compared` gives."""


def rehearsed(extra: Mapping[str, Any]) -> tuple[HeldLock, ...]:
    """What the evidence of a dry run says; nothing of an older one. Pure."""
    return tuple(HeldLock(*row) for row in extra.get(HELD, ()))


def compared(plan: Plan, held: Iterable[HeldLock], before: Iterable[HeldLock]) -> Iterator[dict[str, Any]]:
    """Each hold beside the longest of the dry run and the step's budget, in seconds; None: not held there, no bound.
    Pure."""
    seconds = {(one.step, one.relation, one.mode): one.seconds for one in longest(before)}
    bounds: dict[str, float | None] = {}
    for budget in budgets_of(plan):
        old = bounds.get(budget.step, 0.0)
        bounds[budget.step] = None if old is None or budget.seconds is None else max(old, budget.seconds)
    for one in longest(held):
        yield {
            "relation": one.relation,
            "mode": one.mode,
            "seconds": one.seconds,
            "rehearsed_seconds": seconds.get((one.step, one.relation, one.mode)),
            "budget_seconds": bounds.get(one.step),
        }


def record(
    ledger: Ledger,
    plan: Plan,
    step: str,
    held: tuple[HeldLock, ...],
    evidence: EvidenceBundle | None,
    *,
    run: RunContext,
) -> None:
    """Write it into the ledger. The step has taken effect, so that nothing here may fail it."""
    if not held:
        return
    before = rehearsed(evidence.dry_run.extra) if evidence is not None else ()
    detail = {"step": step, "held": list(compared(plan, held, before))}
    try:
        ledger.append_event(EVENT, version=plan.version, run=run, detail=detail)
    except MigratorError as exc:
        LOG.warning("the ledger could not be told which locks were held: %s", exc)
