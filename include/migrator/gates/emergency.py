"""Emergency: somebody declares, with a reason, that a migration cannot wait for its window or the end of a freeze.

It lifts the calendar and nothing else: reviews, digests, drift and the lock are as always. The reason is part of the
plan, so those who approve decide on the emergency itself, and an approval of the ordinary plan does not cover it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import Refused

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger
    from migrator.plan import Plan
    from migrator.run import RunContext
    from migrator.targets.targets import Target

REVIEWS = 2
"""So many different people must approve, whatever the target's policy says."""
EVENT = "emergency"
LIFTS = "the maintenance windows and every freeze that allows it; never reviews, digests, drift or the lock"


def declare(target: Target, reason: str, *, approvers: int) -> str:
    """The reason as it goes into the plan. Pure.

    :param approvers: how many people may approve: the target's reviewers without the author.
    :raises Refused: no reason, or nobody who could approve it.
    """
    text = " ".join(reason.split())
    if not text:
        raise Refused("an emergency needs a reason: fill in the form's field 'Reason', then trigger again")
    if approvers < REVIEWS:
        raise Refused(
            f"an emergency needs {REVIEWS} reviewers beside the author, and targets.yaml names {approvers} for"
            f" {target.name!r}; name more"
        )
    return text


def record(ledger: Ledger, plan: Plan, *, run: RunContext, step: str, lifted: str) -> None:
    """Once a run: what did not count, and why. Called under the lock, when the reviews have been found valid."""
    if any(event.kind == EVENT and event.run_id == run.run_id for event in ledger.events(plan.version)):
        return
    detail = {"reason": plan.emergency, "lifted": lifted, "step": step, "plan_digest": plan.digest}
    ledger.append_event(EVENT, version=plan.version, run=run, detail=detail)
