"""Case 7: whose review does not count."""

from __future__ import annotations

from migrator.documents import from_dict
from migrator.evidence import DryRunEvidence, EvidenceBundle, RestoreEvidence, SnapshotRecord
from migrator.plan import Plan
from tests.acceptance.case import Case, Run, wait_until
from tests.acceptance.specs import ADD_TABLE, REVIEWED, scenario

EVIDENCE = ("analyze", "snapshot", "restore_test", "dry_run")
OTHER = ADD_TABLE.replace("name text", "title text")
"""What the files say before they are edited into what the case declares."""


def reviews(case: Case) -> list[tuple[str, str]]:
    return case.query("SELECT reviewer, decision FROM migrator.schema_migration_reviews ORDER BY id")


@scenario(target=REVIEWED)
def test_author_reviews_own_change(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "dave")
    assert run.wait() == "failed"
    assert "author" in run.log("review.reviewer_1")
    assert reviews(case) == [("dave", "refused")]
    case.expect_not_applied()


@scenario(target=REVIEWED)
def test_whoever_starts_the_run_reviews_it(case: Case) -> None:
    run = case.trigger(user="alice")
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    card = run.card(1)
    assert "alice (started the run; reviewer alice)" in card
    assert "dave@wakala.com (declared in the metadata)" in card
    run.respond(1, "alice")
    assert run.wait() == "failed"
    assert "'alice' counts as author, having started the run" in run.log("review.reviewer_1")
    assert reviews(case) == [("alice", "refused")]
    case.expect_not_applied()


@scenario(target={**REVIEWED, "authors": "required"})
def test_a_target_that_wants_to_know_who_committed(case: Case) -> None:
    run = case.trigger()
    assert run.wait() == "failed"
    assert "migrator seal" in run.log("analyze")
    case.expect_not_applied()


@scenario(target=REVIEWED)
def test_same_person_twice(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice")
    run.respond(2, "alice")
    assert run.wait() == "failed"
    assert "second person" in run.log("review.reviewer_2")
    assert reviews(case) == [("alice", "approved"), ("alice", "refused")]
    case.expect_not_applied()


@scenario(slow=True, target={**REVIEWED, "review_ttl": "15 seconds"})
def test_expired_review(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice")
    run.until("review.reviewer_2", "awaiting_input", "deferred")
    wait_until(
        lambda: bool(case.value("SELECT bool_or(expires_at < now()) FROM migrator.schema_migration_reviews")),
        what="the review to expire",
    )
    run.respond(2, "bob")
    assert run.wait() == "failed"
    assert "expired" in run.log("preflight")
    case.expect_not_applied()


def edited_while_it_waits(case: Case, run: Run, reviewer: int) -> None:
    """Somebody edits the SQL and has it analysed and rehearsed again, without asking anybody again."""
    run.until(f"review.reviewer_{reviewer}", "awaiting_input", "deferred")
    case.rewrite()
    cleared = run.clear(*EVIDENCE)
    assert set(EVIDENCE) <= set(cleared)
    assert not [task for task in cleared if task.startswith("review.")]
    run.until("analyze", "success", after=1)
    run.until("dry_run", "success", after=1)


@scenario(slow=True, target=REVIEWED)
def test_answer_to_a_card_that_is_out_of_date(case: Case) -> None:
    case.rewrite(sql=OTHER)
    run = case.trigger()
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    before = run.card(1)
    shown = digests(run)
    assert all(digest in before for digest in shown)
    edited_while_it_waits(case, run, 1)
    found = digests(run)
    assert not set(shown) & set(found), "another plan and other evidence"

    run.respond(1, "alice", comment="adds a title")
    run.until("review.reviewer_1", "awaiting_input", "deferred", after=1)
    assert reviews(case) == []
    (refused,) = [event for event in case.events() if event.kind == "refused"]
    assert refused.actor == "alice"
    assert refused.detail["shown"] == {"plan": shown[0], "evidence": shown[1]}
    assert refused.detail["found"] == {"plan": found[0], "evidence": found[1]}

    after = run.card(1)
    assert "Asked again" in after
    assert "Asked again" not in before
    assert all(digest in after for digest in (*shown, *found)), "what was answered, and what is asked now"
    assert "name text" in after
    assert "title text" not in after
    run.respond(1, "alice")
    run.respond(2, "bob")
    assert run.wait() == "success"
    assert reviews(case) == [("alice", "approved"), ("bob", "approved")]
    case.expect_applied()


@scenario(slow=True, target=REVIEWED)
def test_second_answer_to_a_card_that_is_out_of_date(case: Case) -> None:
    """The first reviewer has approved what is gone by then, too, and has to be asked again by clearing."""
    case.rewrite(sql=OTHER)
    run = case.trigger()
    run.respond(1, "alice")
    edited_while_it_waits(case, run, 2)
    run.respond(2, "bob")
    assert run.wait() == "failed"
    assert "clear review.reviewer_1 with downstream" in run.log("review.reviewer_2")
    assert reviews(case) == [("alice", "approved")]
    case.expect_not_applied()
    run.clear("review.reviewer_1", downstream=True)
    run.until("review.reviewer_1", "awaiting_input", "deferred", after=1)
    card = run.card(1)
    assert all(digest in card for digest in digests(run)), "Airflow by itself shows the first card for ever"
    assert "title text" not in card
    run.respond(1, "alice")
    run.respond(2, "bob")
    assert run.wait() == "success"
    case.expect_applied()


@scenario(slow=True, target=REVIEWED)
def test_evidence_of_another_plan_is_not_shown(case: Case) -> None:
    case.rewrite(sql=OTHER)
    run = case.trigger()
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    case.rewrite()
    run.clear("analyze")
    run.until("analyze", "success", after=1)
    run.respond(1, "alice")
    assert run.wait() == "failed"
    assert "the dry run was of another plan" in run.log("review.reviewer_1")
    assert reviews(case) == []
    case.expect_not_applied()


@scenario(target=REVIEWED)
def test_answered_in_the_second_in_which_it_is_asked(case: Case) -> None:
    """Airflow may take a task that is resumed that early for dead: the answer is lost, and the question asked again."""
    run = case.trigger()
    for reviewer, who in ((1, "alice"), (2, "bob")):
        task = f"review.reviewer_{reviewer}"
        asked = run.until(task, "awaiting_input", every=0.02)
        case.as_(who).respond(run.dag_id, run.run_id, task, "Approve", {"comment": None})
        after = int(asked["try_number"])
        # Once is as fast as a program can be; a second loss would only be bad luck again.
        if run.until(task, "success", "failed", "up_for_retry")["state"] == "up_for_retry":
            run.until(task, "awaiting_input", "success", after=after)
            if run.states()[task] == "awaiting_input":
                run.respond(reviewer, who)
    assert run.wait() == "success"
    assert reviews(case) == [("alice", "approved"), ("bob", "approved")]
    case.expect_applied()


@scenario(target=REVIEWED)
def test_nothing_is_prefilled_in_what_people_sign(case: Case) -> None:
    run = case.trigger(reason="release 4.2", comment="looks good to me")
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    asked = run.admin.card(run.dag_id, run.run_id, "review.reviewer_1")["params"]
    assert {name: param["value"] for name, param in asked.items()} == {"comment": None}
    run.respond(1, "alice")
    run.respond(2, "bob", comment="small")
    assert run.wait() == "success"
    reasons = [row[0] for row in case.query("SELECT reason FROM migrator.schema_migration_reviews ORDER BY id")]
    assert reasons[1] == "small"
    assert "release" not in reasons[0]


def digests(run: Run) -> tuple[str, str]:
    """Of the plan and the evidence that lie there now."""
    plan = from_dict(Plan, run.document("analyze"))
    bundle = EvidenceBundle(
        from_dict(SnapshotRecord, run.document("snapshot")),
        from_dict(RestoreEvidence, run.document("restore_test")),
        from_dict(DryRunEvidence, run.document("dry_run")),
    )
    return plan.digest, bundle.digest
