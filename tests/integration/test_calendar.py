"""Work that takes longer than a window: what of it waits, for what, and that it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.errors import OutsideWindow, PreflightBusy, ReviewMissing, ReviewRefused
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan, Risk, Step
from migrator.stages import apply, review
from migrator.steps import batch_size, batches
from migrator.steps.batch_progress import Progress
from migrator.steps.batches import Work
from migrator.targets.targets import Freeze, Limits, Target, WindowRule
from tests.evidence import rehearse
from tests.factories import NOW, plan_from_sql, to_steps
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, query, roll_back, row_of, run_of, verify_it
from tests.integration.test_backfill import backfill

ROWS = 4_000
TABLE = f"CREATE TABLE t (id int, a int); INSERT INTO t SELECT g, g FROM generate_series(1, {ROWS}) AS g;"
WINDOW = WindowRule(days=("wed",), start="02:00", duration=timedelta(hours=1))
IN_WINDOW, TOMORROW = NOW, NOW + timedelta(days=1)
NEXT = NOW + timedelta(days=7)
WINDOWS = make_target(windows=(WINDOW,))


def sql_step(sql: str, name: str, start: int) -> Step:
    (step,) = plan_from_sql(sql).steps
    _, statements = to_steps(sql, f"{name}.sql", start=start)
    made = tuple(replace(one, locks=old.locks) for one, old in zip(statements, step.statements, strict=True))
    return replace(step, name=name, statements=made)


@pytest.fixture
def plan() -> Plan:
    back = "ALTER TABLE t DROP COLUMN IF EXISTS b"
    return replace(
        plan_from_sql("SELECT 1", back),
        steps=(
            sql_step("ALTER TABLE t ADD COLUMN b int", "add", 0),
            backfill("UPDATE t SET b = a * 2 WHERE b IS NULL", start=1),
            sql_step("ALTER TABLE t ALTER COLUMN b SET NOT NULL", "publish", 2),
        ),
    )


@pytest.fixture
def bundle(plan: Plan, database: Endpoint, make_database: MakeDatabase) -> EvidenceBundle:
    query(database, TABLE)
    return rehearse(plan, database, make_database("twin", script=TABLE))


def at(moment: datetime | Callable[[], datetime], plan: Plan) -> Any:
    return run_of(plan, clock=moment if callable(moment) else lambda: moment)


def waits(plan: Plan, database: Endpoint) -> list[Any]:
    with Ledger(database) as ledger:
        assert not ledger.verify_chain()
        return [event.detail for event in ledger.events(plan.version) if event.kind == "waits"]


@contextmanager
def open_transaction(database: Endpoint) -> Iterator[None]:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("SELECT 1")
        yield


def filled(database: Endpoint) -> int:
    ((count,),) = query(database, "SELECT count(*) FROM t WHERE b = a * 2")
    return int(count)


def test_the_last_step_waits_for_the_next_window(database: Endpoint, plan: Plan, bundle: EvidenceBundle) -> None:
    moments = iter([IN_WINDOW] * 3)
    run = at(lambda: next(moments, TOMORROW), plan)
    with pytest.raises(OutsideWindow, match="step 'publish' waits, what comes before it is applied") as caught:
        apply_all(plan, database, bundle, target=WINDOWS, run=run)
    assert (caught.value.fields["begun"], caught.value.fields["opens_at"]) == (True, NEXT)
    assert filled(database) == ROWS, "long work needs no window"
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running"
    with pytest.raises(OutsideWindow):
        apply_all(plan, database, bundle, target=WINDOWS, run=at(TOMORROW, plan))
    (said,) = waits(plan, database)
    assert (said["step"], said["until"]) == ("publish", NEXT.isoformat())
    apply_all(plan, database, bundle, target=WINDOWS, run=at(NEXT, plan))
    verify_it(plan, database, bundle)


def test_a_freeze_stops_long_work_between_two_batches(
    database: Endpoint, plan: Plan, bundle: EvidenceBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_size, "FIRST_PAGES", 2)
    monkeypatch.setattr(batch_size, "MOST_PAGES", 2)
    monkeypatch.setattr(batches, "LOOK_SECONDS", 0.0)
    freeze = Freeze("incident", TOMORROW, TOMORROW + timedelta(days=2))
    target, now, real = make_target(freezes=(freeze,)), [NOW], Work._batch

    def third(work: Work, table: Any, then: Progress, first: int) -> Progress:
        if first >= 4:
            now[0] = TOMORROW
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", third)
    with pytest.raises(OutsideWindow, match=r"step 'fill' waits.*frozen: incident") as caught:
        apply_all(plan, database, bundle, target=target, run=at(lambda: now[0], plan))
    assert caught.value.fields["opens_at"] == freeze.end
    done = filled(database)
    assert 0 < done < ROWS
    steps = dict(query(database, "SELECT step, status FROM migrator.schema_migration_steps"))
    assert steps == {"add": "success", "fill": "running", "publish": "pending"}, "it has not failed"
    assert not query(database, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'migration%'")
    apply_all(plan, database, bundle, target=target, run=at(freeze.end, plan))
    verify_it(plan, database, bundle)
    assert filled(database) == ROWS


@pytest.mark.parametrize("now, target", [(NEXT, WINDOWS), (TOMORROW, WINDOWS)], ids=["in the window", "outside of it"])
def test_another_run_goes_on_with_what_one_has_left(
    database: Endpoint, plan: Plan, bundle: EvidenceBundle, now: datetime, target: Target
) -> None:
    moments = iter([IN_WINDOW] * 3)
    with pytest.raises(OutsideWindow):
        apply_all(plan, database, bundle, target=target, run=at(lambda: next(moments, TOMORROW), plan))
    with Ledger(database) as ledger:
        ledger.mark_failed(plan.version, run=run_of(plan), error_message="its run is gone")
    again = replace(at(now, plan), run_id="run-2")
    if now == TOMORROW:
        with pytest.raises(OutsideWindow, match="waits, what comes before it is applied"):
            apply_all(plan, database, bundle, target=target, run=again)
        again = replace(at(NEXT, plan), run_id="run-2")
    apply_all(plan, database, bundle, target=target, run=again)
    verify_it(plan, database, bundle, run_id="run-2")


def test_what_waits_can_be_undone(database: Endpoint, plan: Plan, bundle: EvidenceBundle) -> None:
    moments = iter([IN_WINDOW] * 3)
    with pytest.raises(OutsideWindow):
        apply_all(plan, database, bundle, target=WINDOWS, run=at(lambda: next(moments, TOMORROW), plan))
    report = roll_back(plan, database, bundle)
    assert (report.action, report.schema_equal) == ("rolled_back", True)


def test_the_server_is_looked_at_again(database: Endpoint, plan: Plan, bundle: EvidenceBundle) -> None:
    """Preflight has asked days ago."""
    moments = iter([IN_WINDOW] * 3)
    with pytest.raises(OutsideWindow):
        apply_all(plan, database, bundle, target=WINDOWS, run=at(lambda: next(moments, TOMORROW), plan))
    crowded = replace(WINDOWS, limits=Limits(min_free_connections=1, max_transaction_age_seconds=-1.0))
    words = r"step 'publish' waits.*transactions: open for"
    with open_transaction(database), pytest.raises(PreflightBusy, match=words) as caught:
        apply_all(plan, database, bundle, target=crowded, run=at(NEXT, plan))
    assert caught.value.fields["begun"]
    assert [one["step"] for one in waits(plan, database)] == ["publish", "publish"]
    apply_all(plan, database, bundle, target=WINDOWS, run=at(NEXT, plan))
    verify_it(plan, database, bundle)


def test_reviews_last_as_long_as_what_was_begun_under_them(
    database: Endpoint, plan: Plan, bundle: EvidenceBundle
) -> None:
    """When it was begun is the server's time, so all times here are real ones."""
    begun = datetime.now(timezone.utc)
    late = begun + timedelta(days=9)
    target = make_target(reviews={risk: 1 for risk in Risk}, reviewers={"ann": "ann@example.com"})

    def answered(said: str) -> None:
        with Ledger(database) as ledger:
            ledger.install()
            given: dict[str, Any] = {"target": target, "responder": "ann", "comment": "", "now": begun}
            review.record(ledger, plan, bundle.digest, decision=said, run=run_of(plan), **given)

    answered("approved")
    with pytest.raises(ReviewMissing, match="expired"):
        apply_all(plan, database, bundle, target=target, run=at(late, plan))
    for step in plan.steps[:2]:
        with Ledger(database) as ledger:
            given: dict[str, Any] = {"endpoint": database, "ledger": ledger, "target": target, "evidence": bundle}
            apply.run_step(plan, step.name, run=at(begun, plan), **given)
    with pytest.raises(ReviewRefused):
        answered("rejected")
    with pytest.raises(ReviewMissing, match="'ann' rejected it"):
        apply_all(plan, database, bundle, target=target, run=at(late, plan))
    answered("approved")
    apply_all(plan, database, bundle, target=target, run=at(late, plan))
    verify_it(plan, database, bundle)
