"""Which phases must fit into a window together, and when what is begun may go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from migrator.catalogue.metadata import Schedule
from migrator.catalogue.migration import Migration
from migrator.evidence import EvidenceBundle
from migrator.gates.window import decide_next, may_wait, next_stretch
from migrator.ledger.rows import LedgerStep, StepStatus
from migrator.plan import Phase, Plan
from migrator.targets.targets import Freeze, Target, WindowRule
from tests.evidence import make_bundle
from tests.factories import NOW, make_metadata, make_plan, plan_from_sql
from tests.unit.ledger_rows import step_row

SQL = "CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TABLE c (id int); CREATE TABLE d (id int);"
SECONDS = (1.0, 20.0, 300.0, 4000.0)
LONG = WindowRule(days=("wed",), start="01:00", duration=timedelta(minutes=90))
LATER = WindowRule(days=("thu",), start="01:00", duration=timedelta(hours=2))


def long_work() -> Plan:
    """`first` in the window, `fill` at any time, `last` in two phases of which the first needs no window."""
    plan = plan_from_sql(SQL)
    (step,) = plan.steps
    a, b, c, d = step.statements
    first = replace(step, name="first", statements=(a,), phases=(Phase("run", 1),))
    fill = replace(step, name="fill", statements=(b,), phases=(Phase("run", 1, needs_window=False),))
    phases = (Phase("validate", 1, needs_window=False), Phase("publish", 1))
    return replace(plan, steps=(first, fill, replace(step, name="last", statements=(c, d), phases=phases)))


def evidence(plan: Plan) -> EvidenceBundle:
    bundle = make_bundle(plan, seconds=sum(SECONDS))
    traces = tuple(replace(trace, seconds=SECONDS[trace.statement]) for trace in bundle.dry_run.statements)
    return replace(bundle, dry_run=replace(bundle.dry_run, statements=traces))


def done(plan: Plan, *names: str, **counts: int) -> tuple[LedgerStep, ...]:
    rows = []
    for step in plan.steps:
        digests = tuple(one.digest for one in step.statements)
        if step.name in names:
            rows.append(step_row(step=step.name, status=StepStatus.SUCCESS, statement_digests=digests))
        elif step.name in counts:
            cursor = {"statement": counts[step.name], "statements_done": counts[step.name]}
            rows.append(step_row(step=step.name, status=StepStatus.RUNNING, cursor=cursor, statement_digests=digests))
    return tuple(rows)


@pytest.mark.parametrize(
    "names, counts, expected",
    [
        ((), {}, (True, 1.0)),
        (("first",), {}, (False, 320.0)),
        (("first", "fill"), {}, (False, 300.0)),
        (("first", "fill"), {"last": 1}, (True, 4000.0)),
        (("first", "fill", "last"), {}, (False, 0.0)),
    ],
)
def test_what_must_fit_into_a_window_together(
    names: tuple[str, ...], counts: dict[str, int], expected: tuple[bool, float]
) -> None:
    plan = long_work()
    found = next_stretch(plan, evidence(plan), done(plan, *names, **counts))
    assert (found.needs_window, found.seconds) == expected


def test_a_plan_that_needs_the_window_throughout_is_measured_as_a_whole() -> None:
    plan = make_plan()
    assert next_stretch(plan, make_bundle(plan, seconds=7.0), ()).seconds == 7.0


def state(plan: Plan, rows: tuple[LedgerStep, ...], now: datetime = NOW, **over: Any) -> tuple[str, datetime | None]:
    migration = None
    if "schedule" in over:
        migration = Migration(Path("/m"), "m", make_metadata(schedule=over.pop("schedule")), Path("/m/m.sql"))
    target = replace(Target("test", "development", "a", "b"), **over)
    found = decide_next(plan, target, migration, evidence(plan), rows, now)
    return found.state.value, found.opens_at


def test_what_needs_no_window_runs_at_any_time_outside_a_freeze() -> None:
    plan = long_work()
    rows = done(plan, "first")
    assert state(plan, rows, windows=(LATER,))[0] == "open"
    freeze = Freeze("release week", NOW - timedelta(days=1), NOW + timedelta(days=1))
    assert state(plan, rows, freezes=(freeze,)) == ("frozen", NOW + timedelta(days=1))
    assert state(plan, done(plan, "first", "fill", last=1), windows=(LATER,))[0] == "wait"


def test_days_of_work_do_not_have_to_fit_into_a_window() -> None:
    plan = long_work()
    assert state(plan, (), windows=(LONG,))[0] == "open", "the second that needs it does"
    assert state(plan, done(plan, "first", "fill", last=1), windows=(LONG,))[0] == "does_not_fit"


def test_its_own_window_says_when_it_begins_and_the_targets_windows_when_it_goes_on() -> None:
    plan = long_work()
    tomorrow = Schedule("test", NOW + timedelta(days=1), timedelta(hours=2), timedelta(hours=1))
    fill_first = replace(plan, steps=plan.steps[1:])
    assert state(fill_first, (), schedule=tomorrow) == ("wait", tomorrow.window_start)
    assert state(fill_first, (), now=tomorrow.window_start, schedule=tomorrow)[0] == "open"
    after = tomorrow.window_start + timedelta(days=3)
    assert state(plan, done(plan, "first"), now=after, schedule=tomorrow)[0] == "open", "long work goes on"
    waits = done(plan, "first", "fill", last=1)
    wide = replace(LATER, duration=timedelta(hours=3))
    assert state(plan, waits, now=after, schedule=tomorrow, windows=(wide,))[0] == "wait"
    assert state(plan, waits, now=after, schedule=tomorrow) == ("over", None), "nobody has said when"


def test_only_long_work_waits_with_a_part_applied() -> None:
    plan, short = long_work(), make_plan()
    assert may_wait(plan, done(plan, "first"))
    assert not may_wait(plan, ())
    assert not may_wait(short, done(short, short.steps[0].name))
