"""When an answer is about what lies there now, although plan and evidence were made again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from migrator.evidence import Check, EvidenceBundle, ObservedLock, Verdict
from migrator.gates import reviews
from migrator.gates.asked import Asked, substance
from migrator.plan import Author, Finding, Plan, Risk, Severity, Source
from tests.evidence import make_bundle, make_snapshot
from tests.factories import NOW, make_plan, plan_from_sql
from tests.unit.gates.test_reviews import Answer, target

PLAN = make_plan(findings=(Finding("rule", Severity.WARNING, "rewrites t (about 1,200 rows, 3.5 MB)"),))
BUNDLE = make_bundle(PLAN)


def again(**over: Any) -> EvidenceBundle:
    """Rehearsed anew: other times, another snapshot, another copy."""
    plan = over.pop("plan", PLAN)
    later = make_snapshot(id="snapshot-2", taken_at=NOW, lsn="0/2", size_bytes=9, target=plan.target)
    bundle = make_bundle(plan, snapshot=later, seconds=0.9, role="copy_2", finished_at=NOW + timedelta(hours=1))
    return replace(bundle, dry_run=replace(bundle.dry_run, **over))


def answer(**over: Any) -> Answer:
    asked = Asked.of(PLAN, BUNDLE)
    assert asked.evidence is not None
    given = Answer(
        plan_digest=asked.plan, evidence_digest=asked.evidence, substance=asked.substance, seconds=asked.seconds
    )
    return replace(given, **over)


def test_the_same_once_more_is_not_asked_again() -> None:
    """Another migration came first, or a task was cleared: what would happen is what was approved."""
    other = replace(
        PLAN,
        created_at=NOW + timedelta(hours=1),
        estimated_seconds=77.0,
        ahead=(make_plan(version="000_first"),),
        findings=(replace(PLAN.findings[0], message="rewrites t (about 1,300 rows, 3.8 MB)"),),
    )
    bundle = again(plan=other)
    assert other.digest != PLAN.digest
    assert bundle.digest != BUNDLE.digest
    asked = Asked.of(other, bundle)
    assert asked.is_answered_by(answer())
    assert reviews.approvals([answer()], asked, now=NOW) != ()
    assert reviews.approvals([answer()], asked, now=NOW + timedelta(days=8)) == (), "no longer than it was given for"
    assert reviews.problems(other, asked, [answer()], target=target(1), now=NOW) == ()


def test_what_an_older_engine_has_written_is_about_the_very_documents() -> None:
    old = answer(substance=None, seconds=None)
    assert Asked.of(PLAN, BUNDLE).is_answered_by(old)
    assert not Asked.of(PLAN, again()).is_answered_by(old)
    assert not Asked(PLAN.digest, again().digest).is_answered_by(answer()), "without evidence only the documents count"


def test_a_rejection_stays_one() -> None:
    """Whoever clears a task does not get rid of it."""
    asked = Asked.of(PLAN, again())
    answers = [answer(), answer(decision="rejected")]
    assert "'ann' rejected it" in reviews.problems(PLAN, asked, answers, target=target(1), now=NOW)


def test_much_longer_is_something_else() -> None:
    given = answer(seconds=100.0)
    assert Asked.of(PLAN, again(seconds=230.0)).is_answered_by(given)
    assert not Asked.of(PLAN, again(seconds=231.0)).is_answered_by(given)


TRACE = BUNDLE.dry_run.statements[0]


@pytest.mark.parametrize(
    "change",
    [
        {"schema_diff": ("+ table public.other",)},
        {"verdict": Verdict.UNVERIFIED},
        {"checks": (Check("rollback_data", Verdict.UNVERIFIED),)},
        {"statements": (replace(TRACE, locks=(ObservedLock("public.t", "ACCESS EXCLUSIVE"),)),)},
        {"statements": (replace(TRACE, rewrites=("public.t",)),)},
        {"statements": (replace(TRACE, writes=("public.t",)),)},
        {"statements": (replace(TRACE, differences=("locks public.t, which was not predicted",)),)},
        {"rollback_statements": ()} | {"rollback_statements": (TRACE,)},
        {"irreversible": True},
        {"extra": {"privileges": ["PUBLIC may now execute f1()"]}},
        {"extra": {"surprises": ["public.t is locked"]}},
        {"extra": {"resumed": True}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_evidence_is_asked_about(change: dict[str, Any]) -> None:
    assert not Asked.of(PLAN, again(**change)).is_answered_by(answer())


@pytest.mark.parametrize(
    "plan",
    [
        plan_from_sql("CREATE TABLE other (id int)"),
        replace(PLAN, risk=Risk.HIGH),
        replace(PLAN, findings=()),
        replace(PLAN, findings=(replace(PLAN.findings[0], message="locks t (about 1,200 rows, 3.5 MB)"),)),
        replace(PLAN, findings=(replace(PLAN.findings[0], allowed_because="it is small"),)),
        replace(PLAN, emergency="now"),
        replace(PLAN, out_of_order=("009_later",)),
        replace(PLAN, without_files=("000_gone",)),
        replace(PLAN, authors=(Author("Ann", Source.STARTED, "ann", "ann@example.com"),)),
        replace(PLAN, assertions=("SELECT true",)),
        replace(PLAN, rollback_steps=()),
        replace(PLAN, lock_timeout_ms=1),
        replace(PLAN, content_digest="sha256:other"),
        replace(PLAN, target="production"),
    ],
)
def test_another_plan_is_asked_about(plan: Plan) -> None:
    assert substance(plan, again(plan=plan)) != substance(PLAN, again())
