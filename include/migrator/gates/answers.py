"""Who may answer the question of a gate, and which answer counts: the people who may review, and nobody else.

As with reviews, Airflow asks and the ledger decides: whoever marks the task as success has answered nothing. An answer
is bound to the plan, the run, and to this asking of the question; it is judged when it is given and again when it is
used.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from migrator.errors import ReviewRefused
from migrator.gates.authors import person
from migrator.gates.reviews import not_one_of
from migrator.parsing.unseen import visible
from migrator.plan import Finding, Plan, Severity, Step
from migrator.steps import gating
from migrator.steps.answer import Answer
from migrator.steps.kinds import gate
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerEvent
    from migrator.run import RunContext

EVENT = "gate_answered"
BEGINS = "step_started"
"""Whatever was said before it was said to another asking, whatever the step's row has."""
KINDS = (EVENT, BEGINS)
"""Of the events that are looked at."""
YES, NO, REFUSED = "yes", "no", "refused"
UNANSWERABLE = "gate-unanswerable"


def nobody_may(target: Target, plan: Plan, may_answer: int) -> Finding | None:
    """Said before anything is copied. Pure. :param may_answer: reviewers of the target who are no authors."""
    asking = [step for step in plan.steps if step.kind == gate.KIND and gating.asks(step) is not None]
    if may_answer or not asking:
        return None
    return Finding(
        UNANSWERABLE,
        Severity.ERROR,
        f"gate {asking[0].name!r} asks a person, and none of the reviewers of {target.name!r} may answer: they are its"
        " authors, or there are none",
        "name reviewers of the target in targets.yaml, or let somebody else start the run",
        file="migration-metadata.yaml",
    )


def record(
    ledger: Ledger,
    plan: Plan,
    evidence_digest: str | None,
    step: Step,
    *,
    target: Target,
    responder: str,
    yes: bool,
    comment: str,
    since: datetime,
    run: RunContext,
    stale: str = "",
) -> None:
    """Write an answer down, whatever it is.

    :param since: when this question was asked, as the card has it.
    :param stale: why it answers something else.
    :raises ReviewRefused: it does not count, and the question stays open.
    """
    email = target.reviewers.get(responder)
    refused = stale or not_one_of(plan, responder, email)
    detail = {
        "step": step.name,
        "question": gating.asks(step),
        "decision": REFUSED if refused else YES if yes else NO,
        "comment": visible(" ".join((refused or comment).split())),
        "email": email or "",
        "plan_digest": plan.digest,
        "evidence_digest": evidence_digest,
        "asked": since.isoformat(),
    }
    ledger.append_event(EVENT, version=plan.version, run=run, detail=detail, sealed=True)
    if refused:
        raise ReviewRefused(refused, decision=REFUSED, reviewer=responder)


def given(
    events: Iterable[LedgerEvent], plan: Plan, step: Step, *, run_id: str, since: datetime, target: Target
) -> Answer | None:
    """The last answer to this asking of the question that counts now. Pure.

    :param events: oldest first, of answers sealed ones alone.
    """
    found = None
    for event in events:
        told = event.detail
        if event.kind == BEGINS and told.get("step") == step.name:
            found = None
        if (event.kind, event.run_id, told.get("step")) != (EVENT, run_id, step.name):
            continue
        if (told.get("plan_digest"), told.get("asked")) != (plan.digest, since.isoformat()):
            continue
        listed = target.reviewers.get(event.actor)
        same = listed is not None and person(listed) == person(str(told.get("email")))
        if told.get("decision") in (YES, NO) and same and not not_one_of(plan, event.actor, listed):
            found = Answer(event.actor, told["decision"] == YES, str(told.get("comment") or ""), event.at)
    return found
