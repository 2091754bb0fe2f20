"""review: a person's answer to the card, judged and written down.

Airflow asks the people; which answers count, and what must be there before apply, is in `gates/reviews.py`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from migrator.errors import ReviewRefused
from migrator.gates.reviews import Answer, Judgement, judge
from migrator.plan import Plan
from migrator.reports.review_card import card, covered
from migrator.run import RunContext
from migrator.targets.targets import Target

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

__all__ = ["card", "covered", "record"]


def record(
    ledger: Ledger,
    plan: Plan,
    evidence_digest: str,
    *,
    target: Target,
    responder: str,
    decision: str,
    comment: str,
    now: datetime,
    run: RunContext,
) -> Judgement:
    """Judge one answer, write it down whatever it is, and let only a valid approval pass.

    :param decision: "approved" or anything else, which rejects.
    :param now: by the database's clock: it decides how long the answer holds.
    :raises ReviewRefused: rejected, or the answer does not count.
    """
    email = target.reviewers.get(responder)
    judgement = judge(
        plan,
        evidence_digest,
        responder=responder,
        email=email,
        decision=decision,
        earlier=ledger.reviews(plan.version, plan_digest=plan.digest),
        now=now,
    )
    ledger.record_review(
        version=plan.version,
        plan_digest=plan.digest,
        evidence_digest=evidence_digest,
        reviewer=responder,
        reviewer_email=email or "",
        decision=judgement.decision.value,
        reason=comment or judgement.reason,
        expires_at=now + target.review_ttl,
        run=run,
    )
    if not judgement.accepted:
        text = judgement.reason + (f": {comment}" if comment and judgement.decision is Answer.REJECTED else "")
        raise ReviewRefused(text, decision=judgement.decision.value, reviewer=responder)
    return judgement
