"""Case 5: runs that want the same database at the same time. Also scenarios C 19 to 21 of managers.md 3.2."""

from __future__ import annotations

from tests.acceptance.case import Case, Holder, wait_until
from tests.acceptance.specs import Files, scenario
from tests.acceptance.test_04_killed import BUILD, BUILD_ROLLBACK, wait_for_build

WRITES = "SELECT count(*) FROM migrator.schema_migration_events WHERE kind = 'begin'"


@scenario()
def test_two_runs_of_one_migration(case: Case) -> None:
    first, second = case.trigger(), case.trigger(user="carol")
    assert {first.wait(), second.wait()} == {"success"}
    case.expect_applied()
    assert case.value(WRITES) == 1, "one of them applied it, the other had nothing to do"
    skipped = [run for run in (first, second) if run.states()[case.step()] == "skipped"]
    assert len(skipped) == 1


@scenario(
    migrations={
        "index": Files(sql=BUILD, rollback=BUILD_ROLLBACK),
        "table": Files(),
    }
)
def test_two_migrations_one_builds_an_index(case: Case) -> None:
    """The second waits for the lock without a snapshot, so the build of the first can end. What the second rehearsed is
    stale by then: it stops before it has done anything, and passes once it is rehearsed again."""
    with Holder(case, "LOCK TABLE messages IN ROW EXCLUSIVE MODE"):
        index, table = case.trigger("index"), case.trigger("table")
        wait_for_build(case)
        table.until(case.step("table"), "running")
        wait_until(
            lambda: any("lock" in row[1] and case.version("table") in row[1] for row in case.backends()),
            timeout_seconds=60,
            what=lambda: f"the second to ask for the lock: {case.backends()}",
            every=0.1,
        )
        row = case.row("table")
        assert row is None, "one applies at a time"
    assert index.wait() == "success"
    case_row = case.row("index")
    assert case_row is not None
    assert case_row.status == "success"
    if table.wait() != "success":
        assert "messages_by_direction" in table.log(case.step("table"))
        table.clear("snapshot", downstream=True)
        assert table.wait() == "success"
    case.expect_applied("table", others=("index",))
