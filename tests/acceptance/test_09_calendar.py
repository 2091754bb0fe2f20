"""Case 9: windows and freezes that need the scheduler. The arithmetic (gap and overlap of daylight saving, what fits)
is tested without it, in tests/unit/test_windows.py."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sandbox.rest import RUN_ENDED
from tests.acceptance.case import Case, Gate, wait_until
from tests.acceptance.specs import ADD_TABLE, DROP_TABLE, FILL, GATE, NUMBERS, PATIENT, Files, Spec, scenario

REVIEWED_ONCE = {"environment": "production", "reviews": {"low": 1, "medium": 1, "high": 1}}
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WINDOW_OPENS_AFTER = timedelta(seconds=150)
"""Counted from the collection of the tests: later than the start of the run, earlier than the patience of a person."""


def now() -> datetime:
    return datetime.now(timezone.utc)


def freeze(name: str, *, ends: datetime | None = None) -> dict[str, object]:
    end = ends or now() + timedelta(days=30)
    return {"name": name, "start": f"{now() - timedelta(days=1):%Y-%m-%d %H:%M}", "end": f"{end:%Y-%m-%d %H:%M:%S}"}


def scheduled(begins: datetime, *, duration: str, lead_time: str) -> dict[str, str]:
    return {"window_start": f"{begins:%Y-%m-%d %H:%M:%S} UTC", "duration": duration, "lead_time": lead_time}


def unattended() -> Spec:
    schedule = scheduled(now() + WINDOW_OPENS_AFTER, duration="1 hour", lead_time="2 hours")
    return Spec(migrations={"": Files(schedule=schedule)})


@scenario(unattended, slow=True)
def test_scheduler_runs_it_in_its_window(case: Case) -> None:
    """Nobody triggers it: the run begins by itself, waits for the window without a worker, and applies inside it."""
    opens = datetime.fromisoformat(case.files().schedule["window_start"].replace(" UTC", "+00:00"))
    run = case.only_run()
    if now() < opens - timedelta(seconds=10):
        run.until("preflight", "deferred", "success")
        if now() < opens:
            assert case.row() is None, "nothing is applied before the window"
    assert run.wait() == "success"
    case.expect_applied()
    row = case.row()
    assert row is not None
    assert row.started_at is not None
    assert row.started_at >= opens
    assert row.applied_by == "airflow"


def missed() -> Spec:
    schedule = scheduled(now() - timedelta(hours=3), duration="1 hour", lead_time="1 hour")
    return Spec(migrations={"": Files(schedule=schedule)})


@scenario(missed)
def test_window_is_over(case: Case) -> None:
    """A missed window is reported, not run late; triggered by hand it stops at preflight, until it has a new window."""
    run = case.trigger()
    assert run.wait() == "failed"
    assert "is over" in run.log("preflight")
    case.expect_not_applied()
    assert {one["dag_run_id"] for one in case.as_("admin").runs(case.dag())} == {run.run_id}, "no scheduled run"

    admin = case.as_("admin")
    report = admin.trigger("missed_windows")
    wait_until(
        lambda: admin.run_state("missed_windows", report) in RUN_ENDED,
        what="the report's end",
    )
    assert case.version() in str(admin.xcom("missed_windows", report, "report"))

    schedule = scheduled(now() - timedelta(minutes=1), duration="1 hour", lead_time="1 minute")
    case.rewrite(schedule=schedule)
    run.clear("preflight", downstream=True)
    assert run.wait() == "success"
    case.expect_applied()


@scenario(target=REVIEWED_ONCE)
def test_freeze_is_declared_while_the_review_waits(case: Case) -> None:
    run = case.trigger()
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    case.set_policy(freezes=[freeze("year-end closing")])
    run.respond(1, "alice")
    assert run.wait() == "failed"
    assert "year-end closing" in run.log("preflight")
    case.expect_not_applied()

    case.set_policy()
    run.clear("preflight", downstream=True)
    assert run.wait() == "success"
    case.expect_applied()


def frozen() -> Spec:
    hour = (now() + timedelta(hours=6)).strftime("%H:00")
    closed = {"days": EVERY_DAY, "start": hour, "duration": "1 hour"}
    return Spec(target={"windows": [closed], "freezes": [{**freeze("year-end closing"), "except_emergency": True}]})


@scenario(frozen, slow=True)
def test_freeze_and_window_with_an_emergency(case: Case) -> None:
    """Two approvers, a reason, and everybody told: then the calendar does not count, and all else does."""
    nameless = case.trigger(emergency=True)
    assert nameless.wait() == "failed"
    assert "needs a reason" in nameless.log("analyze")

    run = case.trigger(emergency=True, reason="the disk fills up")
    run.respond(1, "alice")
    assert "EMERGENCY" in run.admin.card(run.dag_id, run.run_id, "review.reviewer_1")["subject"]
    run.respond(2, "alice")
    assert run.wait() == "failed", "one person is not two"
    case.expect_not_applied()
    run.clear("review.reviewer_2", downstream=True)
    run.respond(2, "bob")
    assert run.wait() == "success"
    case.expect_applied()

    (event,) = [one for one in case.events() if one.kind == "emergency"]
    assert event.detail["reason"] == "the disk fills up"
    assert "year-end closing" in event.detail["lifted"]
    assert "emergency" in run.log("analyze"), "told when it was declared"
    assert "EMERGENCY" in run.log("outcome")


@scenario(slow=True, target=REVIEWED_ONCE)
def test_window_is_not_open_yet(case: Case) -> None:
    run = case.trigger()
    run.until("review.reviewer_1", "awaiting_input", "deferred")
    opens = (now() + timedelta(seconds=120)).replace(second=0, microsecond=0)
    case.set_policy(windows=[{"days": EVERY_DAY, "start": f"{opens:%H:%M}", "duration": "1 hour"}])
    run.respond(1, "alice")
    run.until("preflight", "deferred")
    assert case.row() is None
    assert run.wait() == "success"
    row = case.row()
    assert row is not None
    assert row.started_at is not None
    assert row.started_at >= opens
    case.expect_applied()


@scenario(
    target={"windows": [{"days": EVERY_DAY, "start": "00:00", "duration": "2 seconds"}]},
    migrations={"": Files(sql=ADD_TABLE + "SELECT pg_sleep(3);\n")},
)
def test_measured_duration_does_not_fit(case: Case) -> None:
    run = case.trigger()
    assert run.wait() == "failed"
    log = run.log("preflight")
    assert "are needed" in log
    case.expect_not_applied()


@scenario(
    migrations={
        "": Files(
            sql=ADD_TABLE + GATE,
            rollback="DROP TABLE IF EXISTS marks;\n" + DROP_TABLE,
            metadata={
                **PATIENT,
                "steps": [{"name": "first", "kind": "sql"}, {"name": "second", "kind": "sql", "file": "second.sql"}],
            },
            more={"second.sql": "CREATE TABLE marks (id bigint PRIMARY KEY);\n"},
        )
    }
)
def test_freeze_begins_between_two_steps(case: Case) -> None:
    """The running step ends, the next one is not begun, and what was applied is undone."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        case.set_policy(freezes=[freeze("incident")])
    assert run.wait() == "failed"
    states = run.states()
    assert (states["apply.first"], states["apply.second"]) == ("success", "failed")
    assert "incident" in run.log("apply.second")
    case.expect_rolled_back()


@scenario(
    slow=True,
    migrations={
        "": Files(
            sql=NUMBERS,
            rollback="DROP TABLE numbers;\n",
            metadata={
                **PATIENT,
                "steps": [
                    {"name": "make", "kind": "sql"},
                    {"name": "gate", "kind": "sql", "file": "gate.sql"},
                    {"name": "fill", "kind": "backfill", "file": "fill.sql"},
                    {"name": "publish", "kind": "sql", "file": "publish.sql"},
                ],
            },
            more={
                "gate.sql": GATE,
                "fill.sql": FILL,
                "publish.sql": "UPDATE numbers SET filler = 'published' WHERE id = 1;\n",
            },
        )
    },
)
def test_long_work_goes_on_and_its_last_step_waits_for_the_window(case: Case) -> None:
    """Without a worker, over a restart of what waits, with what is done in place."""
    run = case.trigger()
    with Gate(case) as gate:
        gate.wait_for_waiter()
        opens = (now() + timedelta(seconds=150)).replace(second=0, microsecond=0)
        case.set_policy(windows=[{"days": EVERY_DAY, "start": f"{opens:%H:%M}", "duration": "1 hour"}])
    run.until("apply.publish", "deferred")
    assert case.value("SELECT count(*) FROM numbers WHERE done") == 20000
    case.laboratory.restart_triggerer()
    row = case.row()
    assert row is not None
    assert row.status == "running"
    assert run.wait() == "success"
    case.expect_applied()
    (waited,) = [event for event in case.events() if event.kind == "waits"]
    assert "step 'publish' waits" in waited.detail["reason"]
    assert case.value("SELECT started_at FROM migrator.schema_migration_steps WHERE step = 'publish'") >= opens


def both() -> Spec:
    schedule = scheduled(now() + WINDOW_OPENS_AFTER, duration="1 hour", lead_time="2 hours")
    sql = "ALTER TABLE one ADD COLUMN more text;\n"
    return Spec(
        target=REVIEWED_ONCE,
        migrations={
            "first": Files(
                sql="CREATE TABLE one (id bigint PRIMARY KEY);\n", rollback="DROP TABLE one;\n", schedule=schedule
            ),
            "second": Files(sql=sql, rollback="ALTER TABLE one DROP COLUMN more;\n", schedule=schedule),
        },
    )


@scenario(both, slow=True)
def test_two_migrations_for_one_window(case: Case) -> None:
    """Both are reviewed before the window; in it one goes on after the other, and nobody is asked again. What they are
    called gives them versions in this order."""
    runs = {name: case.only_run(name) for name in ("first", "second")}
    for run in runs.values():
        run.until("review.reviewer_1", "awaiting_input", "deferred")
        run.respond(1, "alice")
    first, second = (case.version(name) for name in runs)
    assert {run.wait() for run in runs.values()} == {"success"}
    case.expect_applied("second", others=("first",))
    earlier, later = case.row("first"), case.row("second")
    assert earlier is not None
    assert later is not None
    assert earlier.verified_at is not None
    assert later.started_at is not None
    assert earlier.verified_at <= later.started_at
    assert f"{first} comes first in the window" in runs["second"].log("dry_run"), "rehearsed on top of it"
    reviews = case.value("SELECT count(*) FROM migrator.schema_migration_reviews")
    assert reviews == 2, f"{second} was asked about once"
