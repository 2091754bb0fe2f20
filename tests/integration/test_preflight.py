"""Preflight on a real server: what it lets pass, what it refuses, and how it says so."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from migrator import apply, documents, preflight, verify
from migrator.errors import DriftDetected, PreflightBusy, PreflightRefused, ReviewMissing
from migrator.evidence import Check, Verdict
from migrator.ledger import Ledger
from migrator.plan import Plan, Risk
from migrator.run import RunContext
from migrator.session import Endpoint
from migrator.targets import Limits, SnapshotPolicy, Target
from tests.evidence import make_bundle, read_schema, rehearse
from tests.factories import NOW, make_plan
from tests.integration.conftest import MakeDatabase

BASE = "CREATE TABLE parent (id bigint PRIMARY KEY, name text);"


def run_of(plan: Plan, run_id: str = "run-1", **over: Any) -> RunContext:
    return replace(
        RunContext(run_id=run_id, version=plan.version, target=plan.target, actor="tester", clock=lambda: NOW), **over
    )


def make_target(**over: Any) -> Target:
    target = Target(
        name="test",
        environment="development",
        connection="test",
        copies_connection="copies",
        reviews={risk: 0 for risk in Risk},
        limits=Limits(min_free_connections=1),
    )
    return replace(target, **over)


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
    with Ledger(database) as ledger:
        common: dict[str, Any] = {"endpoint": database, "ledger": ledger, "run": run_of(plan)}
        apply.run_step(plan, plan.steps[0].name, target=make_target(), evidence=bundle, **common)
        verify.run(plan, bundle, **common)
        before = ledger.head()
    impossible = make_target(limits=Limits(min_free_connections=100_000))
    report = check(plan, database, bundle=bundle, target=impossible, run_id="run-2")
    assert report.already_applied
    assert [one.verdict for one in report.checks] == [Verdict.PASSED]
    with Ledger(database) as ledger:
        assert ledger.head() == before
