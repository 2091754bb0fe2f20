"""Case 5: runs that want the same database at the same time. Also scenarios C 19 to 21 of managers.md 3.2."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from migrator.database.locking import migration_lock
from migrator.run import RunContext
from tests.acceptance.case import Case, Holder
from tests.acceptance.specs import Files, scenario
from tests.acceptance.test_04_killed import BUILD, BUILD_ROLLBACK, wait_for_build

REVIEWED_ONCE = {"environment": "production", "reviews": {"low": 1, "medium": 1, "high": 1}}
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
    slow=True,
    target=REVIEWED_ONCE,
    migrations={
        "index": Files(sql=BUILD, rollback=BUILD_ROLLBACK),
        "table": Files(),
    },
)
def test_one_waits_while_the_other_builds_an_index(case: Case) -> None:
    """A second runner that waits for the lock holds no snapshot, so the build can end. The second migration stops
    before it has done anything, because what it rehearsed is stale, and passes once it is rehearsed again."""
    index, table = case.trigger("index"), case.trigger("table")
    for run in (index, table):
        run.until("review.reviewer_1", "awaiting_input", "deferred")
    with ThreadPoolExecutor(1) as pool:
        with Holder(case, "LOCK TABLE messages IN ROW EXCLUSIVE MODE"):
            index.respond(1, "alice")
            wait_for_build(case)
            second = pool.submit(take_lock, case)
            table.respond(1, "alice")
            assert table.wait() == "failed"
            assert case.row("table") is None, "one applies at a time"
            assert "holds this database" in table.log("preflight")
            assert not second.done()
        assert index.wait() == "success"
        assert case.version("index")[:30] in second.result(timeout=60)
    table.clear("snapshot", downstream=True)
    table.respond(1, "alice")
    assert table.wait() == "success"
    case.expect_applied("table", others=("index",))


def take_lock(case: Case) -> str:
    """What a second runner does. Returns whom it had to wait for."""
    holders: list[str] = []
    run = RunContext(run_id="second runner", version=case.version("table"), target=case.target, actor="acceptance")
    with migration_lock(case.endpoint, run=run, deadline_seconds=240, on_wait=lambda held: holders.append(str(held))):
        return holders[0]


@scenario(
    slow=True,
    target=REVIEWED_ONCE,
    migrations={
        "one": Files(sql="CREATE TABLE one (id bigint PRIMARY KEY);\n", rollback="DROP TABLE one;\n"),
        "two": Files(sql="CREATE TABLE two (id bigint PRIMARY KEY);\n", rollback="DROP TABLE two;\n"),
    },
)
def test_two_migrations_at_the_same_moment(case: Case) -> None:
    runs = {name: case.trigger(name) for name in ("one", "two")}
    for run in runs.values():
        run.until("review.reviewer_1", "awaiting_input", "deferred")
    for run in runs.values():
        run.respond(1, "alice")
    ended = {name: run.wait() for name, run in runs.items()}
    assert "success" in ended.values()
    for name, state in ended.items():
        if state != "success":
            runs[name].clear("snapshot", downstream=True)
            runs[name].respond(1, "alice")
            assert runs[name].wait() == "success"
    first, second = sorted(runs, key=lambda name: case.row(name).started_at)  # type: ignore[union-attr,arg-type,return-value]
    case.expect_applied(second, others=(first,))
    earlier, later = case.row(first), case.row(second)
    assert earlier is not None
    assert later is not None
    assert earlier.verified_at is not None
    assert later.started_at is not None
    assert earlier.verified_at <= later.started_at, "one after the other"
