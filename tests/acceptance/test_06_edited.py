"""Case 6: the files change between review and apply."""

from __future__ import annotations

from tests.acceptance.case import Case
from tests.acceptance.specs import REVIEWED, Files, scenario


@scenario(target=REVIEWED)
def test_sql_edited_after_review(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice")
    run.until("review.reviewer_2", "awaiting_input", "deferred")
    script = case.folder() / f"{case.version()}.sql"
    script.write_text(script.read_text().replace("name text", "title text"))
    run.respond(2, "bob")
    assert run.wait() == "failed"
    log = run.log("preflight")
    assert log.count("sha256:") >= 2, "old and new digest"
    assert "-    name text NOT NULL" in log
    assert "+    title text NOT NULL" in log
    case.expect_not_applied()


@scenario(slow=True, target=REVIEWED)
def test_yaml_edited_after_review(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice")
    run.until("review.reviewer_2", "awaiting_input", "deferred")
    metadata = case.folder() / "migration-metadata.yaml"
    metadata.write_text(metadata.read_text() + "verify:\n  - SELECT true\n")
    run.respond(2, "bob")
    assert run.wait() == "failed"
    assert "SELECT true" in run.log("preflight")
    case.expect_not_applied()

    # c21: clearing the checks does not make the reviews fit; a new analysis wants new reviews.
    run.clear("preflight", downstream=True)
    assert run.wait() == "failed"
    case.expect_not_applied()
    run.clear("analyze", downstream=True)
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    run.respond(1, "alice")
    run.respond(2, "bob")
    assert run.wait() == "success"
    case.expect_applied()


@scenario(target=REVIEWED, migrations={"": Files()})
def test_cosmetic_edit_after_review(case: Case) -> None:
    run = case.trigger()
    run.respond(1, "alice")
    run.until("review.reviewer_2", "awaiting_input", "deferred")
    script = case.folder() / f"{case.version()}.sql"
    script.write_bytes(b"-- labels of messages\r\n" + script.read_bytes().replace(b"\n", b"  \r\n"))
    run.respond(2, "bob")
    assert run.wait() == "success"
    assert "cosmetic" in run.log(case.step()) + run.log("preflight")
    case.expect_applied()
