"""Who may review, which answers count, and whether what is about to run is covered by them.

Airflow asks the people, but its task states prove nothing: whoever may edit task instances can mark a review as
success. The ledger's rows are the fact, and apply calls `require` itself, inside the lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

from migrator.documents import StrEnum
from migrator.errors import ReviewMissing
from migrator.gates import emergency
from migrator.gates.authors import WORDS, authorship, everyone, person
from migrator.plan import Finding, Plan, Severity
from migrator.steps.kinds import irreversible
from migrator.targets.targets import OrderPolicy, Target

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger
    from migrator.ledger.rows import LedgerEvent


TOO_FEW = "too-few-reviewers"


class Answer(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    REFUSED = "refused"
    """The answer does not count; it is kept for the record."""


R = TypeVar("R", bound="Review")


class Review(Protocol):
    """The part of a ledger row that decides."""

    @property
    def plan_digest(self) -> str: ...
    @property
    def evidence_digest(self) -> str: ...
    @property
    def reviewer(self) -> str: ...
    @property
    def reviewer_email(self) -> str: ...
    @property
    def decision(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def sealed(self) -> bool: ...


@dataclass(frozen=True)
class Judgement:
    """Whether one answer counts, and why."""

    decision: Answer
    reason: str

    @property
    def accepted(self) -> bool:
        return self.decision is Answer.APPROVED


def required(target: Target, plan: Plan) -> int:
    """How many different people must approve.

    What cannot be undone needs one more, where reviews are wanted at all. An emergency needs two, and what is out of
    order (where the policy says ask) or finds files gone needs one, whatever else the target wants.
    """
    wanted = target.reviews.get(plan.risk, 0)
    if irreversible(plan) and wanted:
        wanted += 1
    if plan.emergency is not None:
        wanted = max(wanted, emergency.REVIEWS)
    asks = plan.out_of_order and target.out_of_order is OrderPolicy.ASK
    if asks or plan.without_files:
        wanted = max(wanted, 1)
    return wanted


def judge(
    plan: Plan,
    bundle_digest: str,
    *,
    responder: str,
    email: str | None,
    decision: str,
    earlier: Iterable[Review],
    now: datetime,
) -> Judgement:
    """Decide whether an answer counts. Pure.

    :param email: the responder's address in the target's list of reviewers; None when the list does not have them.
    :param earlier: what the ledger has for this version; answers about another plan or evidence do not matter.
    """
    refused = not_one_of(plan, responder, email)
    if email is None or refused:
        return Judgement(Answer.REFUSED, refused)
    if decision != Answer.APPROVED:
        return Judgement(Answer.REJECTED, f"{responder!r} rejected the migration")
    for review in approvals(earlier, plan.digest, bundle_digest, now=now):
        if _same_person(review, responder, email):
            return Judgement(Answer.REFUSED, f"{responder!r} has approved this already; a second person is needed")
    return Judgement(Answer.APPROVED, f"{responder!r} approved the plan and its evidence")


def not_one_of(plan: Plan, responder: str, email: str | None) -> str:
    """Why this person may decide nothing about the plan; empty: they may. Pure.

    :param email: see `judge`.
    """
    if email is None:
        return f"{responder!r} is not among the reviewers of target {plan.target!r}"
    words = authorship(plan, responder, email)
    return f"{responder!r} {words}; another person has to review" if words else ""


def current(reviews: Iterable[R], plan_digest: str, evidence_digest: str) -> tuple[R, ...]:
    """The last word of each person about this very plan and evidence; reviews come oldest first. An approval that who
    knows the connection's password did not write is nobody's word."""
    last: dict[str, R] = {}
    for review in reviews:
        if (review.plan_digest, review.evidence_digest) != (plan_digest, evidence_digest):
            continue
        if review.decision == Answer.APPROVED and not review.sealed:
            continue
        if review.decision in (Answer.APPROVED, Answer.REJECTED):
            last[person(review.reviewer_email)] = review
    return tuple(last.values())


def too_few(target: Target, plan: Plan, may_approve: int) -> Finding | None:
    """Said before anything is copied: with these authors nobody could finish the reviews. Pure."""
    wanted = required(target, plan)
    if may_approve >= wanted:
        return None
    who = "; ".join(f"{one.name} {WORDS[one.source]}" for one in everyone(plan.author, plan.authors))
    return Finding(
        TOO_FEW,
        Severity.WARNING,
        f"{wanted} approvals are needed, of the reviewers of {target.name!r} only {may_approve} may give one: {who}",
        "let somebody else start the run, or name more reviewers",
    )


def approvals(reviews: Iterable[R], plan_digest: str, evidence_digest: str, *, now: datetime) -> tuple[R, ...]:
    """Those of `current` that approve and have not expired."""
    return tuple(
        review
        for review in current(reviews, plan_digest, evidence_digest)
        if review.decision == Answer.APPROVED and not _expired(review, now)
    )


def problems(
    plan: Plan, evidence_digest: str, reviews: Iterable[Review], *, target: Target, now: datetime
) -> tuple[str, ...]:
    """Why the reviews do not cover this plan and evidence; empty when they do. Pure.

    Judged anew each time: a reviewer who has left the target's list since does not count any more.
    """
    wanted = required(target, plan)
    if wanted == 0:
        return ()
    everything = tuple(reviews)
    found: list[str] = []
    approvers: set[str] = set()
    for review in current(everything, plan.digest, evidence_digest):
        who = review.reviewer
        listed = target.reviewers.get(who)
        if review.decision == Answer.REJECTED:
            found.append(f"{who!r} rejected it")
        elif _expired(review, now):
            found.append(f"the approval of {who!r} expired at {review.expires_at:%Y-%m-%d %H:%M %Z}")
        elif listed is None or person(listed) != person(review.reviewer_email):
            found.append(f"{who!r} is not among the reviewers of target {target.name!r} any more")
        elif words := authorship(plan, who, review.reviewer_email):
            found.append(f"{who!r} {words}; that approval does not count")
        else:
            approvers.add(person(review.reviewer_email))
    rejected = any(line.endswith("rejected it") for line in found)
    if len(approvers) >= wanted and not rejected:
        return ()
    for review in everything:
        about = (review.plan_digest, review.evidence_digest) == (plan.digest, evidence_digest)
        if about and review.decision == Answer.APPROVED and not review.sealed:
            found.append(
                f"the approval of {review.reviewer!r} was not written with the password that this connection has now:"
                " the password was changed since, or somebody has forged it; it does not count"
            )
    if not found and any(review.decision == Answer.APPROVED for review in everything):
        found.append("the approvals on record are for another plan or evidence: something changed after the review")
    people = "approval" if wanted == 1 else "approvals by different people"
    what = "an emergency" if plan.emergency is not None else f"risk {plan.risk.value!r}"
    need = f"{wanted} valid {people} needed for {what} on {target.name!r}, {len(approvers)} there"
    return (need, *found)


def require(ledger: Ledger, plan: Plan, evidence_digest: str | None, target: Target, now: datetime) -> None:
    """Stop unless the ledger holds enough valid reviews of this very plan and evidence.

    :raises ReviewMissing: with every reason.
    """
    if required(target, plan) == 0:
        return
    if evidence_digest is None:
        raise ReviewMissing(
            f"target {target.name!r} wants reviews of {plan.version!r}, and there is no evidence that anybody could"
            " have reviewed; run the whole pipeline",
            reasons=("no evidence",),
        )
    reviews = ledger.reviews(plan.version) if ledger.exists() else ()
    reasons = problems(plan, evidence_digest, reviews, target=target, now=now)
    if reasons:
        raise ReviewMissing(
            f"{plan.version!r} is not covered by reviews: {'; '.join(reasons)}. clear the review tasks with Downstream",
            reasons=reasons,
        )


def _expired(review: Review, now: datetime) -> bool:
    return review.expires_at is not None and review.expires_at <= now


def _same_person(review: Review, responder: str, email: str) -> bool:
    return person(review.reviewer_email) == person(email) or person(review.reviewer) == person(responder)


def applied_by(events: Iterable[LedgerEvent]) -> frozenset[str]:
    """The evidence by which it was begun or gone on with, of the last beginning alone. Pure; events come oldest
    first."""
    from migrator.ledger.states import EVIDENCE

    found: set[str] = set()
    for event in events:
        if event.kind == "begin":
            found.clear()
        if event.kind in ("begin", "evidence") and EVIDENCE in event.detail:
            found.add(str(event.detail[EVIDENCE]))
    return frozenset(found)


def seen(evidence_digest: str, plan: Plan, ledger: Ledger) -> bool:
    """Whether it is what the migration was applied by; where the ledger does not tell that, whether the approvals of
    this plan, if there are any, were given on this evidence."""
    if applied := applied_by(ledger.events(plan.version)):
        return evidence_digest in applied
    approvals = {
        review.evidence_digest
        for review in ledger.reviews(plan.version, plan_digest=plan.digest)
        if review.decision == Answer.APPROVED
    }
    return not approvals or evidence_digest in approvals
