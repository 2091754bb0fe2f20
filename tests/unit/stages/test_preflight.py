"""Preflight's judgement of the server, without one: what stops, what may pass by itself, what nobody can see."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from migrator.errors import DriftDetected, HeldByOther, PreflightBusy, PreflightRefused, ReviewMissing
from migrator.evidence import Check, ObservedLock, Verdict
from migrator.operations import health_checks as checks
from migrator.operations.health_facts import (
    Connections,
    InvalidIndex,
    OpenTransaction,
    PreparedTransaction,
    ServerFacts,
    Standby,
    Wraparound,
)
from migrator.stages.preflight import Made, PreflightReport, verdict
from tests.evidence import make_bundle, make_snapshot
from tests.factories import NOW, make_plan, plan_from_sql

ROOMY = Connections(usable=97, taken=5, taken_of_database=3, taken_of_role=2, database_limit=-1, role_limit=-1)


def facts(**over: Any) -> ServerFacts:
    """A healthy server on which nothing happens."""
    quiet = ServerFacts(
        standby=False,
        sees_all=True,
        connections=ROOMY,
        standbys=(),
        transactions=(),
        prepared=(),
        invalid_indexes=(),
        wraparound=(),
        rewrite_bytes=0,
    )
    return replace(quiet, **over)


def test_a_standby_is_no_place_for_a_migration() -> None:
    assert checks.recovery(facts()).check.verdict is Verdict.PASSED
    found = checks.recovery(facts(standby=True))
    assert (found.check.verdict, found.busy) == (Verdict.FAILED, False)


@pytest.mark.parametrize(
    "lag, expected", [(0, Verdict.PASSED), (1024, Verdict.PASSED), (1025, Verdict.FAILED), (None, Verdict.UNVERIFIED)]
)
def test_replication(lag: int | None, expected: Verdict) -> None:
    found = checks.replication(facts(standbys=(Standby("replica_1", "is streaming", lag),)), 1024)
    assert found.check.verdict is expected
    assert "replica_1" in found.check.detail
    assert found.busy is (expected is Verdict.FAILED)


def test_each_standby_that_lags_is_named() -> None:
    standbys = (
        Standby("near", "is streaming", 10),
        Standby("far", "is streaming", 5000),
        Standby("gone", "is an inactive physical slot", 6000),
        Standby("hidden", "is hidden", None),
    )
    detail = checks.replication(facts(standbys=standbys), 1024).check.detail
    assert "'far' is streaming and 4.9 kB behind" in detail
    assert "'gone' is an inactive physical slot" in detail
    assert "near" not in detail


def session(seconds: float | None, **over: Any) -> OpenTransaction:
    base = OpenTransaction(7, "app", "psql", "idle in transaction", seconds)
    return replace(base, **over)


@pytest.mark.parametrize("seconds, expected", [(299.0, Verdict.PASSED), (301.0, Verdict.FAILED)])
def test_transactions(seconds: float, expected: Verdict) -> None:
    found = checks.transactions(facts(transactions=(session(seconds),)), 300.0)
    assert found.check.verdict is expected
    assert found.busy is (expected is Verdict.FAILED)


def test_old_sessions_and_prepared_transactions_are_named() -> None:
    prepared = PreparedTransaction("order-42", "app", 7200.0)
    detail = checks.transactions(facts(transactions=(session(400.0),), prepared=(prepared,)), 300.0).check.detail
    assert "pid 7 (psql, user app, idle in transaction) since 6 minutes 40 seconds" in detail
    assert "prepared transaction 'order-42' of app, since 2 hours" in detail
    assert "ROLLBACK PREPARED" in detail


def test_hidden_sessions_are_no_proof() -> None:
    hidden = session(None, state=None)
    found = checks.transactions(facts(transactions=(hidden,), sees_all=False), 300.0)
    assert found.check.verdict is Verdict.UNVERIFIED
    assert "1 session cannot be looked into (pid 7)" in found.check.detail
    assert "pg_monitor" in found.check.detail


@pytest.mark.parametrize(
    "over, wanted, expected, busy, who",
    [
        ({}, 5, Verdict.PASSED, False, "the server"),
        ({"taken": 95}, 5, Verdict.FAILED, True, "the server"),
        ({"taken": 200}, 5, Verdict.FAILED, True, "0 of 97"),
        ({"database_limit": 5}, 5, Verdict.FAILED, True, "the database"),
        ({"role_limit": 3}, 1, Verdict.PASSED, False, "the role"),
        ({"role_limit": 3}, 2, Verdict.FAILED, True, "the role"),
        ({}, 98, Verdict.FAILED, False, "min_free_connections"),
        ({"role_limit": 3}, 4, Verdict.FAILED, False, "the role accepts 3 at all"),
    ],
)
def test_connections(over: dict[str, int], wanted: int, expected: Verdict, busy: bool, who: str) -> None:
    found = checks.connections(replace(ROOMY, **over), wanted)
    assert (found.check.verdict, found.busy) == (expected, busy)
    assert who in found.check.detail


def test_invalid_indexes_of_others_stop_and_our_own_do_not() -> None:
    left = InvalidIndex("public.t_v", "t_v", "public.t")
    assert checks.invalid_indexes((), make_plan()).check.verdict is Verdict.PASSED
    found = checks.invalid_indexes((left,), make_plan())
    assert (found.check.verdict, found.busy) == (Verdict.FAILED, False)
    assert "public.t_v on public.t" in found.check.detail
    builder = plan_from_sql("CREATE INDEX CONCURRENTLY t_v ON t (v)")
    assert checks.invalid_indexes((left,), builder).check.verdict is Verdict.PASSED
    alike = plan_from_sql("CREATE INDEX CONCURRENTLY t_v_2 ON t (v)")
    assert checks.invalid_indexes((left,), alike).check.verdict is Verdict.FAILED


def test_wraparound() -> None:
    found = checks.wraparound(facts(wraparound=(Wraparound("public.t", 99, 61.0),)))
    assert (found.check.verdict, found.busy) == (Verdict.FAILED, True)
    assert "public.t (pid 99, for 1 minute 1 second)" in found.check.detail
    assert checks.wraparound(facts(sees_all=False)).check.verdict is Verdict.UNVERIFIED


def test_disk_is_never_claimed_to_be_enough() -> None:
    found = checks.disk(facts(rewrite_bytes=3 * 1024**3), 1024)
    assert found.check.verdict is Verdict.UNVERIFIED
    assert "3 GB once more" in found.check.detail


def test_snapshot_age() -> None:
    bundle = make_bundle(make_plan())
    good = checks.snapshot_age(bundle, timedelta(minutes=10), NOW)
    assert good.check.verdict is Verdict.PASSED
    old = checks.snapshot_age(bundle, timedelta(minutes=10), NOW + timedelta(seconds=1))
    assert (old.check.verdict, old.busy) == (Verdict.FAILED, False)
    assert "clear snapshot with downstream" in old.check.detail
    gone = make_bundle(make_plan(), snapshot=make_snapshot(expires_at=NOW))
    assert "expired" in checks.snapshot_age(gone, timedelta(days=1), NOW).check.detail


def test_touched_tables_are_those_with_more_than_a_writers_lock() -> None:
    plan = plan_from_sql("ALTER TABLE t ADD COLUMN w int; UPDATE u SET v = 1;")
    touched = checks.touched_tables(plan, make_bundle(plan))
    assert any(name.endswith("t") for name in touched)
    bundle = make_bundle(plan)
    locks = (ObservedLock("public.seen", "AccessExclusiveLock"), ObservedLock("public.read", "AccessShareLock"))
    traces = tuple(replace(trace, locks=locks) for trace in bundle.dry_run.statements)
    touched = checks.touched_tables(plan, replace(bundle, dry_run=replace(bundle.dry_run, statements=traces)))
    assert "public.seen" in touched
    assert "public.read" not in touched


def made(name: str, error: Exception | None) -> Made:
    return Made(Check(name, Verdict.FAILED if error else Verdict.PASSED, str(error or "")), error)  # type: ignore[arg-type]


DRIFT = DriftDetected("the schema changed", differences=("+ table x",))
REVIEW = ReviewMissing("no review", reasons=("none",))
BUSY = PreflightBusy("transactions: old ones")
HELD = HeldByOther("run 2 has it", holder="run 2")
ILL = PreflightRefused("connections: none")


@pytest.mark.parametrize(
    "errors, expected",
    [
        ([], None),
        ([DRIFT], DriftDetected),
        ([REVIEW], ReviewMissing),
        ([BUSY], PreflightBusy),
        ([HELD], HeldByOther),
        ([ILL], PreflightRefused),
        ([BUSY, HELD], PreflightBusy),
        ([BUSY, DRIFT], DriftDetected),
        ([DRIFT, REVIEW], PreflightRefused),
        ([DRIFT, REVIEW, BUSY], PreflightRefused),
        ([ILL, BUSY], PreflightRefused),
    ],
)
def test_verdict(errors: list[Exception], expected: type[Exception] | None) -> None:
    """One lasting reason keeps its class and fields; only what may pass by itself is worth another try."""
    all_made = [made("good", None), *(made(f"check_{number}", error) for number, error in enumerate(errors))]
    report = PreflightReport("001_test", "test", tuple(one.check for one in all_made))
    error = verdict(report, all_made)
    if expected is None:
        assert error is None
        return
    assert type(error) is expected
    assert [one.name for one in error.checks] == [f"check_{number}" for number in range(len(errors))]
    for one in errors:
        assert str(one) in str(error)
    if expected is DriftDetected:
        assert error.differences == ("+ table x",)
