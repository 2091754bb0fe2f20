"""Preflight on a real server: what it lets pass, what it refuses, and how it says so."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from migrator import documents
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.errors import (
    DriftDetected,
    HeldByOther,
    PreflightBusy,
    PreflightRefused,
    ReviewMissing,
    StatementFailed,
)
from migrator.evidence import Check, Verdict
from migrator.gates.window import decide_window
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan, Risk
from migrator.stages import preflight
from migrator.targets.targets import Limits, SnapshotPolicy, Target, WindowRule
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import NOW, make_plan, plan_from_sql
from tests.integration.conftest import MakeDatabase, database_on
from tests.integration.stages import apply_all, make_target, query, run_of, traces, verify_it
from tests.integration.test_backfill import backfill, plan_of


def check(plan: Plan, endpoint: Endpoint, *, target: Target | None = None, bundle: Any = None, **over: Any) -> Any:
    bundle = bundle or make_bundle(plan, before := read_schema(endpoint), before)
    with Ledger(endpoint) as ledger:
        return preflight.run_checks(
            plan,
            bundle,
            endpoint=endpoint,
            ledger=ledger,
            target=target or make_target(),
            migration=None,
            run=run_of(plan, **over),
        )


def named(report: Any, name: str) -> Check:
    return next(one for one in report.checks if one.name == name)


def test_everything_is_checked_and_nothing_is_written(database: Endpoint) -> None:
    report = check(make_plan(), database)
    assert not report.failed
    assert [one.name for one in report.checks] == [
        "evidence", "clock", "ledger", "holder", "reviews", "content", "dependencies", "ahead", "order", "window",
        "settings", "drift", "snapshot", "primary", "replication", "transactions", "connections", "invalid_indexes",
        "autovacuum", "disk",
    ]  # fmt: skip
    assert [one.name for one in report.unverified] == ["disk"], "the role is in pg_monitor"
    with Ledger(database) as ledger:
        assert not ledger.exists()
    assert documents.from_dict(preflight.PreflightReport, documents.to_dict(report)) == report


def test_drift_alone_keeps_its_class_and_shows_the_difference(database: Endpoint) -> None:
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before)
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("CREATE TABLE surprise (id int)")
    with pytest.raises(DriftDetected, match=r"\+ table public\.surprise") as caught:
        check(plan, database, bundle=bundle)
    assert [one.name for one in caught.value.checks] == ["drift"]


def test_all_reasons_are_told_at_once(database: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    plan = make_plan(dependencies=("000_before",))
    bundle = make_bundle(plan, before := read_schema(database), before)
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("CREATE TABLE surprise (id int)")
    target = make_target(reviews={risk: 1 for risk in Risk}, snapshot=SnapshotPolicy(max_age=timedelta(minutes=5)))
    with caplog.at_level(logging.INFO), pytest.raises(PreflightRefused) as caught:
        check(plan, database, bundle=bundle, target=target)
    assert {one.name for one in caught.value.checks} == {"reviews", "dependencies", "drift", "snapshot"}
    for word in ("000_before", "surprise", "approval", "max_age"):
        assert word in str(caught.value)
        assert word in caplog.text


def test_a_lasting_reason_beside_passing_ones_keeps_its_class(database: Endpoint) -> None:
    plan = make_plan()
    target = make_target(reviews={risk: 1 for risk in Risk}, limits=Limits(max_transaction_age_seconds=0.0))
    with psycopg.connect(database.conninfo, application_name="psql") as conn:
        conn.execute("SELECT 1")
        with pytest.raises(ReviewMissing, match="psql") as caught:
            check(plan, database, target=target)
    assert {one.name for one in caught.value.checks} == {"reviews", "transactions"}


def test_an_old_transaction_is_named_and_worth_another_try(database: Endpoint) -> None:
    target = make_target(limits=Limits(max_transaction_age_seconds=0.0, min_free_connections=1))
    with psycopg.connect(database.conninfo, application_name="psql") as conn:
        conn.execute("SELECT 1")
        with pytest.raises(PreflightBusy, match=rf"pid {conn.info.backend_pid} \(psql, .*idle in transaction"):
            check(make_plan(), database, target=target)
    check(make_plan(), database, target=target)


def test_too_few_connections(database: Endpoint) -> None:
    """What can never be had is refused at once; what is only taken now is worth another try."""
    with pytest.raises(PreflightRefused, match="100000 free connections are asked for"):
        check(make_plan(), database, target=make_target(limits=Limits(min_free_connections=100_000)))
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        name = conn.info.dbname
        conn.execute(f'ALTER DATABASE "{name}" CONNECTION LIMIT 3'.encode())
        with pytest.raises(PreflightBusy, match="connections of the database are free"):
            check(make_plan(), database, target=make_target(limits=Limits(min_free_connections=3)))


def test_an_applied_migration_needs_no_checks(database: Endpoint, make_database: MakeDatabase) -> None:
    plan = make_plan()
    bundle = rehearse(plan, database, make_database("twin"))
    apply_all(plan, database, bundle)
    verify_it(plan, database, bundle)
    before = traces(database)
    impossible = make_target(limits=Limits(min_free_connections=100_000))
    report = check(plan, database, bundle=bundle, target=impossible, run_id="run-2")
    assert report.already_applied
    assert [one.verdict for one in report.checks] == [Verdict.PASSED]
    assert traces(database) == before


def test_a_prepared_transaction_is_named(own_server: Server) -> None:
    """It holds its locks without a session, so nobody would find it in pg_stat_activity."""
    with psycopg.connect(own_server.conninfo(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET max_prepared_transactions = 2")
    own_server.stop()
    own_server.start()
    database = database_on(own_server, "prepared", script="CREATE TABLE t (id int)")
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'order-42'")
    target = make_target(limits=Limits(max_transaction_age_seconds=0.0))
    with pytest.raises(PreflightBusy, match="prepared transaction 'order-42' of migrator"):
        check(make_plan(), database, target=target)


def test_a_slot_without_its_standby_lags(own_server: Server) -> None:
    database = database_on(own_server, "slots")
    target = make_target(limits=Limits(max_replication_lag_bytes=1000, min_free_connections=1))
    with psycopg.connect(own_server.conninfo(), autocommit=True) as conn:
        conn.execute("SET synchronous_commit = on")  # else what is committed may be written half a second later
        conn.execute("SELECT pg_create_physical_replication_slot('standby_1', true)")
        report = check(make_plan(), database)
        assert "standby_1" in named(report, "replication").detail, "within the limit it is told all the same"
        conn.execute("CREATE TABLE noise AS SELECT generate_series(1, 1000)")
        with pytest.raises(PreflightBusy, match="'standby_1' is an inactive physical slot"):
            check(make_plan(), database, target=target)


def test_a_standby_is_refused(own_server: Server) -> None:
    """Asked of a server in recovery: nothing else of it matters."""
    database = database_on(own_server, "primary")
    plan = make_plan()
    bundle = make_bundle(plan, before := read_schema(database), before)
    (own_server.data_dir / "standby.signal").touch(mode=0o666)
    own_server.stop()
    own_server.start()
    with pytest.raises(PreflightRefused, match="this server is a standby and read-only"):
        check(plan, database, bundle=bundle)


def test_sessions_that_nobody_may_see(own_server: Server) -> None:
    """Without pg_monitor it goes on, and says what it could not see and which grant would change that."""
    database = database_on(own_server, "blind")
    with psycopg.connect(own_server.conninfo(), autocommit=True) as conn:
        conn.execute("REVOKE pg_monitor FROM migrator")
        with psycopg.connect(own_server.conninfo("blind")) as other:
            other.execute("SELECT 1")
            report = check(make_plan(), database)
            in_batches = check(plan_of(backfill("UPDATE t SET b = 1 WHERE b IS NULL")), database)
    assert [one.name for one in report.unverified] == ["transactions", "autovacuum", "disk"]
    assert "grant pg_monitor" in named(report, "transactions").detail
    assert [one.name for one in in_batches.unverified] == ["transactions", "autovacuum", "disk", "throttle"]
    assert "will not see the lag of standbys" in named(in_batches, "throttle").detail


def test_an_invalid_index_on_a_touched_table(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1)")
        conn.execute("CREATE TABLE u (id int)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
    touching = plan_from_sql("ALTER TABLE public.t ADD COLUMN v int")
    with pytest.raises(PreflightRefused, match=r"t_id on (public\.)?t"):
        check(touching, database)
    check(plan_from_sql("ALTER TABLE public.u ADD COLUMN v int"), database)
    check(plan_from_sql("DROP INDEX CONCURRENTLY public.t_id"), database)


def test_another_run_holds_the_database(database: Endpoint) -> None:
    apply_all(make_plan(version="000_other"), database)
    with pytest.raises(HeldByOther, match="migration 000_other holds this database: run run-1 by tester"):
        check(make_plan(), database, run_id="run-2")


def test_going_on_after_a_failure_is_no_drift(database: Endpoint, make_database: MakeDatabase) -> None:
    """Cleared in the middle: a part is applied, so the schema cannot be the snapshot's."""
    plan = plan_from_sql("CREATE TABLE a (id int); VACUUM zero; UPDATE zero SET x = 1 / x;")
    query(database, "CREATE TABLE zero (x int); INSERT INTO zero VALUES (0)")
    bundle = rehearse(plan, database, make_database("twin", script="CREATE TABLE zero (x int)"))
    with pytest.raises(StatementFailed):
        apply_all(plan, database, bundle)
    report = check(plan, database, bundle=bundle)
    assert "apply goes on from there" in named(report, "drift").detail


def test_window_with_the_safety_factor() -> None:
    """Pure: half as much again as on the restored copy must fit."""
    target = make_target(windows=(WindowRule(days=("wed",), start="01:00", duration=timedelta(minutes=90)),))
    fits = decide_window(make_plan(), target, None, 20 * 60.0, NOW)
    assert (fits.state, fits.closes_at) == ("open", NOW + timedelta(minutes=30))
    late = decide_window(make_plan(), target, None, 20 * 60.0 + 1, NOW)
    assert late.state == "wait"
    assert "are needed" in late.reason
