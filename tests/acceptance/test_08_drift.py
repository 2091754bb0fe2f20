"""Case 8: somebody changes the schema by hand while the migration waits for its review."""

from __future__ import annotations

from tests.acceptance.case import Case
from tests.acceptance.specs import REVIEWED, scenario


@scenario(target={**REVIEWED, "reviews": {"low": 1, "medium": 1, "high": 1}})
def test_ddl_between_snapshot_and_apply(case: Case) -> None:
    run = case.trigger()
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    case.query("ALTER TABLE contacts ADD COLUMN nickname text")
    run.respond(1, "alice")
    assert run.wait() == "failed"
    log = run.log("preflight")
    assert "nickname" in log
    assert case.row() is None or case.row().status != "success"  # type: ignore[union-attr]
    assert case.value("SELECT to_regclass('labels') IS NULL")

    # Taken back, the same run goes on.
    case.query("ALTER TABLE contacts DROP COLUMN nickname")
    run.clear("preflight", downstream=True)
    assert run.wait() == "success"
    case.expect_applied()
