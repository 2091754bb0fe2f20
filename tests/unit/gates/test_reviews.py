"""Which answers count, and whether together they cover a plan. No database: the rules alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from migrator.gates import reviews
from migrator.plan import Author, Plan, Risk, Source
from migrator.targets.targets import OrderPolicy, Target
from tests.factories import NOW, make_plan

PLAN = make_plan()
EVIDENCE = "sha256:evidence"


@dataclass(frozen=True)
class Answer:
    """A row of the ledger, as far as it decides."""

    reviewer: str = "ann"
    reviewer_email: str = "ann@example.com"
    decision: str = "approved"
    plan_digest: str = PLAN.digest
    evidence_digest: str = EVIDENCE
    expires_at: datetime | None = NOW + timedelta(days=7)
    sealed: bool = True


ANN, BOB = Answer(), Answer("bob", "bob@example.com")


def target(wanted: int = 2, **over: Any) -> Target:
    people = {"ann": "ann@example.com", "bob": "bob@example.com", "author": "author@example.com"}
    base = Target("test", "production", "a", "b", reviews={risk: wanted for risk in Risk}, reviewers=people)
    return replace(base, **over)


def found(*answers: Answer, wanted: int = 2, plan: Plan = PLAN, now: datetime = NOW, **over: Any) -> str:
    return "; ".join(reviews.problems(plan, EVIDENCE, answers, target=target(wanted, **over), now=now))


def test_enough_different_people() -> None:
    assert found(ANN, BOB) == ""
    assert "1 there" in found(ANN)
    assert "1 there" in found(ANN, ANN)
    assert "1 there" in found(ANN, replace(ANN, reviewer_email="Ann+work@Example.com"))
    assert found(wanted=0) == ""


def test_what_cannot_be_undone_needs_one_more() -> None:
    forward_only = replace(PLAN, rollback_steps=())
    answers = [replace(one, plan_digest=forward_only.digest) for one in (ANN, BOB)]
    assert "3 valid approvals" in found(*answers, plan=forward_only)
    assert reviews.required(target(0), forward_only) == 0


def test_an_emergency_needs_two_whatever_the_policy_says() -> None:
    urgent = replace(PLAN, emergency="the disk fills up")
    assert urgent.digest != PLAN.digest, "an approval of the ordinary plan does not cover it"
    assert [reviews.required(target(wanted), urgent) for wanted in (0, 1, 2, 3)] == [2, 2, 2, 3]
    answers = [replace(one, plan_digest=urgent.digest) for one in (ANN, BOB)]
    assert found(*answers, plan=urgent, wanted=0) == ""
    assert "2 valid approvals by different people needed for an emergency" in found(answers[0], plan=urgent, wanted=0)
    assert "1 there" in found(ANN, answers[1], plan=urgent)


def test_what_is_out_of_order_needs_one_where_the_policy_asks() -> None:
    late = replace(PLAN, out_of_order=("002_after",))
    assert late.digest != PLAN.digest
    asks = target(0, out_of_order=OrderPolicy.ASK)
    assert reviews.required(asks, late) == 1
    assert reviews.required(asks, PLAN) == 0
    assert reviews.required(target(0, out_of_order=OrderPolicy.APPLY), late) == 0


@pytest.mark.parametrize(
    "spoiled, reason",
    [
        (replace(BOB, plan_digest="sha256:other"), "1 there"),
        (replace(BOB, evidence_digest="sha256:other"), "1 there"),
        (replace(BOB, expires_at=NOW), "'bob' expired"),
        (replace(BOB, sealed=False), "approval of 'bob' was not written with the password"),
        (replace(BOB, decision="rejected"), "'bob' rejected it"),
        (replace(BOB, decision="refused"), "1 there"),
        (replace(BOB, reviewer="eve", reviewer_email="eve@example.com"), "'eve' is not among the reviewers"),
        (replace(BOB, reviewer_email="rob@example.com"), "'bob' is not among the reviewers"),
        (Answer("author", "author@example.com"), "'author' is the author"),
    ],
)
def test_answers_that_do_not_count(spoiled: Answer, reason: str) -> None:
    assert reason in found(ANN, spoiled)


def test_whoever_became_an_author_since_does_not_count() -> None:
    started = replace(PLAN, authors=(Author("ann", Source.STARTED, "ann", "ann@example.com"),))
    answers = [replace(one, plan_digest=started.digest) for one in (ANN, BOB)]
    assert "'ann' counts as author, having started the run; that approval" in found(*answers, plan=started)


def test_a_rejection_outweighs_enough_approvals_until_it_is_taken_back() -> None:
    rejected = replace(BOB, decision="rejected")
    assert "rejected" in found(ANN, rejected, wanted=1)
    assert found(ANN, rejected, BOB, wanted=1) == ""


def test_approvals_of_something_else_are_called_so() -> None:
    other = [replace(one, plan_digest="sha256:other") for one in (ANN, BOB)]
    assert "something changed after the review" in found(*other)


@pytest.mark.parametrize(
    "responder, email, decision, earlier, expected, text",
    [
        ("ann", "ann@example.com", "approved", (), "approved", "approved the plan"),
        ("ann", "ann@example.com", "rejected", (), "rejected", "rejected"),
        ("ann", "ann@example.com", "", (), "rejected", "rejected"),
        ("eve", None, "approved", (), "refused", "not among the reviewers"),
        ("author", "author@example.com", "approved", (), "refused", "is the author"),
        ("alias", "Author+x@example.com", "approved", (), "refused", "is the author"),
        ("ann", "ann@example.com", "approved", (ANN,), "refused", "second person"),
        ("annie", "ann@example.com", "approved", (ANN,), "refused", "second person"),
        ("ann", "ann@example.com", "approved", (replace(ANN, expires_at=NOW),), "approved", ""),
        ("ann", "ann@example.com", "approved", (replace(ANN, plan_digest="sha256:other"),), "approved", ""),
        ("ann", "ann@example.com", "rejected", (ANN,), "rejected", "rejected"),
        ("bob", "bob@example.com", "approved", (ANN,), "approved", ""),
    ],
)
def test_judgement_of_one_answer(
    responder: str, email: str | None, decision: str, earlier: tuple[Answer, ...], expected: str, text: str
) -> None:
    judgement = reviews.judge(
        PLAN,
        EVIDENCE,
        responder=responder,
        email=email,
        decision=decision,
        earlier=earlier,
        now=NOW,
    )
    assert judgement.decision.value == expected
    assert text in judgement.reason
    assert judgement.accepted is (expected == "approved")
