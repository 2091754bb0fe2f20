"""Preflight on a real server: what it lets pass, what it refuses, and how it says so."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from migrator import documents, preflight
from migrator.errors import DriftDetected, PreflightBusy, PreflightRefused, ReviewMissing
from migrator.evidence import Check, Verdict
from migrator.ledger import Ledger
from migrator.plan import Plan, Risk
from migrator.session import Endpoint
from migrator.targets import Limits, SnapshotPolicy, Target
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import make_plan
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, make_target, run_of, traces, verify_it


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
        "evidence", "ledger", "holder", "reviews", "content", "dependencies", "drift", "snapshot", "primary",
        "replication", "transactions", "connections", "invalid_indexes", "autovacuum", "disk",
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
    with psycopg.connect(database.conninfo, application_name="forgotten psql") as conn:
        conn.execute("SELECT 1")
        with pytest.raises(ReviewMissing, match="forgotten psql") as caught:
            check(plan, database, target=target)
    assert {one.name for one in caught.value.checks} == {"reviews", "transactions"}


def test_an_old_transaction_is_named_and_worth_another_try(database: Endpoint) -> None:
    target = make_target(limits=Limits(max_transaction_age_seconds=0.0, min_free_connections=1))
    with psycopg.connect(database.conninfo, application_name="forgotten psql") as conn:
        conn.execute("SELECT 1")
        with pytest.raises(
            PreflightBusy, match=rf"pid {conn.info.backend_pid} \(forgotten psql, .*idle in transaction"
        ):
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
