"""Case 7: whose review does not count."""

from __future__ import annotations

from tests.acceptance.case import Case, wait_until
from tests.acceptance.specs import REVIEWED, scenario


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
