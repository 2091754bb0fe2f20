"""SQL that runs as the ledger's owner, whenever it runs, can write a review that fits into the chain.

But it does not know the password of the connection."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.errors import ReviewMissing, ReviewRefused
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.ledger.review_backing import review_of
from migrator.plan import Plan
from migrator.stages import review
from tests.evidence import make_bundle, read_schema
from tests.factories import NOW, make_plan
from tests.integration.ledger import later
from tests.integration.ledger.history import behind_its_back, problems_of
from tests.integration.stages import apply_all, make_target, query, run_of
from tests.integration.test_apply import REVIEWED

TARGET = make_target(**REVIEWED)


class BySql(Ledger):
    seal_key = None


def answer(
    plan: Plan, bundle: EvidenceBundle, endpoint: Endpoint, who: str, said: str = "approved", by: type[Ledger] = Ledger
) -> None:
    about = {"target": TARGET, "responder": who, "decision": said, "comment": "", "now": NOW, "run": run_of(plan)}
    with by(endpoint) as ledger:
        ledger.install()
        review.record(ledger, plan, bundle.digest, **about)


@pytest.fixture
def asked(database: Endpoint) -> tuple[Plan, EvidenceBundle]:
    plan = make_plan()
    before = read_schema(database)
    return plan, make_bundle(plan, before, before)


def test_approvals_that_sql_has_written(database: Endpoint, asked: tuple[Plan, EvidenceBundle]) -> None:
    plan, bundle = asked
    for who in ("ann", "bob"):
        answer(plan, bundle, database, who, by=BySql)
    assert problems_of(database) == ()
    with pytest.raises(ReviewMissing, match=r"0 there; the approval of 'ann' was not written with the password"):
        apply_all(plan, database, bundle, target=TARGET)
    for who in ("ann", "bob"):
        answer(plan, bundle, database, who)
    apply_all(plan, database, bundle, target=TARGET)


def test_an_approval_that_sql_has_written_does_not_hide_a_rejection(
    database: Endpoint, asked: tuple[Plan, EvidenceBundle]
) -> None:
    plan, bundle = asked
    other = {**REVIEWED["reviewers"], "cyn": "cyn@example.com"}
    target = make_target(reviews=REVIEWED["reviews"], reviewers=other)
    with pytest.raises(ReviewRefused, match="rejected"):
        answer(plan, bundle, database, "ann", "rejected")
    answer(plan, bundle, database, "ann", by=BySql)
    with pytest.raises(ReviewMissing, match="'ann' rejected it"):
        apply_all(plan, database, bundle, target=target)


REPLAYS = """
INSERT INTO migrator.schema_migration_reviews (version, plan_digest, evidence_digest, reviewer, reviewer_email,
    decision, reason, decided_at, expires_at, run_id, event_id)
SELECT r.version, r.plan_digest, r.evidence_digest, r.reviewer, r.reviewer_email, r.decision, r.reason,
    clock_timestamp(), r.expires_at, r.run_id, public.link('review', e.version, e.run_id, e.actor, e.detail)
FROM migrator.schema_migration_reviews AS r INNER JOIN migrator.schema_migration_events AS e ON e.id = r.event_id
WHERE r.reviewer = 'bob' AND r.decision = 'approved';
"""
AGAIN = """
CREATE TEMP TABLE was AS
SELECT * FROM migrator.schema_migration_reviews WHERE reviewer = 'bob' AND decision = 'approved';
DELETE FROM migrator.schema_migration_reviews WHERE id IN (SELECT id FROM was);
ALTER TABLE was DROP COLUMN id;
INSERT INTO migrator.schema_migration_reviews (version, plan_digest, evidence_digest, reviewer, reviewer_email,
    decision, reason, decided_at, expires_at, run_id, event_id) SELECT * FROM was;
"""


@pytest.mark.parametrize("by_hand", [False, True], ids=["as another event", "as another row"])
def test_an_approval_that_is_written_again_does_not_hide_a_rejection(
    by_hand: bool, database: Endpoint, superuser: str, asked: tuple[Plan, EvidenceBundle]
) -> None:
    """Its seal holds for the place in the chain at which its writer has put it, and the chain tells what came later."""
    plan, _ = asked
    query(database, later.script(REPLAYS))
    before = read_schema(database)
    bundle = make_bundle(plan, before, before)
    for who in ("ann", "bob"):
        answer(plan, bundle, database, who)
    with pytest.raises(ReviewRefused, match="rejected"):
        answer(plan, bundle, database, "bob", "rejected")
    if by_hand:
        with behind_its_back(superuser, "migrator.schema_migration_reviews") as conn:
            conn.execute(AGAIN.encode())
    else:
        later.autovacuum(superuser)
    assert problems_of(database) == ()
    with pytest.raises(ReviewMissing, match="'bob' rejected it"):
        apply_all(plan, database, bundle, target=TARGET)


@pytest.mark.parametrize("column", ["reviewer_email", "evidence_digest", "expires_at"])
def test_a_seal_holds_for_what_it_was_made_for(
    column: str, superuser: str, database: Endpoint, asked: tuple[Plan, EvidenceBundle]
) -> None:
    plan, bundle = asked
    answer(plan, bundle, database, "ann")
    with behind_its_back(superuser, "migrator.schema_migration_reviews") as conn:
        value = "expires_at + interval '1 year'" if column == "expires_at" else f"{column} || 'x'"
        conn.execute(f"UPDATE migrator.schema_migration_reviews SET {column} = {value}".encode())
    ((detail,),) = query(
        database, "SELECT detail ->> 'seal' FROM migrator.schema_migration_events WHERE kind = 'review'"
    )
    assert len(detail) == 64
    with Ledger(database) as ledger:
        rows = ledger.read("reviews", version=plan.version, plan_digest=None)
        assert not review_of(rows[0], ledger.seal_key).sealed
