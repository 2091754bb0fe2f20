"""Somebody edits a target's `search_path` or `role` once its migration was analysed: the names mean other tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from migrator import cli, documents
from migrator.database.session import Endpoint
from migrator.errors import DriftDetected
from migrator.evidence import EvidenceBundle
from migrator.ledger.ledger import Ledger
from migrator.plan import ActsAs, Plan, plan_name
from migrator.stages import dry_run, preflight
from migrator.steps.undo_decision import Action
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, make_target, query, roll_back, run_of, verify_it

BASE = """
CREATE SCHEMA a; CREATE SCHEMA b;
CREATE TABLE a.u (id int PRIMARY KEY, v int); CREATE TABLE b.u (id int PRIMARY KEY, v int);
INSERT INTO a.u VALUES (1, 1); INSERT INTO b.u VALUES (1, 1);
CREATE TABLE b.t (id int); INSERT INTO b.t SELECT generate_series(1, 100);
"""
PLANNED, EDITED = "a, public", "b, public"
AS_PLANNED = ActsAs(role=None, search_path=PLANNED)
TEXTS = {
    "update": ("UPDATE u SET v = 2 WHERE id = 1", "UPDATE u SET v = 1 WHERE id = 1"),
    "delete": ("DELETE FROM u WHERE id = 1", "INSERT INTO u VALUES (1, 1)"),
    "table": ("CREATE TABLE t (id int)", "DROP TABLE IF EXISTS t"),
}
OF_B = "SELECT (SELECT count(*) FROM b.t), (SELECT array_agg(u.v) FROM b.u)"
UNTOUCHED = [(100, [1])]
TOLD = "search_path is 'b, public' and was 'a, public'"


def plan_of(name: str) -> Plan:
    up, down = TEXTS[name]
    return plan_from_sql(up, down, acts_as=AS_PLANNED)


@pytest.fixture
def real(make_database: Callable[..., Endpoint]) -> Endpoint:
    return replace(make_database("real", script=BASE), search_path=PLANNED)


@pytest.fixture
def rehearsed(make_database: Callable[..., Endpoint], real: Endpoint) -> Callable[[Plan], EvidenceBundle]:
    twin = make_database("twin", script=BASE)
    by_names = make_conninfo(twin.conninfo, options="-c search_path=a,public")
    return lambda plan: rehearse(plan, real, replace(twin, conninfo=by_names, search_path=PLANNED))


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("what", [{"search_path": EDITED}, {"role": "pg_monitor"}])
def test_nothing_is_applied_by_other_names_or_rights(real: Endpoint, name: str, what: dict[str, str]) -> None:
    with pytest.raises(DriftDetected, match=r"is configured otherwise than when '001_test' was analysed and reviewed"):
        apply_all(plan_of(name), replace(real, **what))
    assert query(real, OF_B) == UNTOUCHED


def test_names_are_compared_not_how_they_are_written(real: Endpoint) -> None:
    assert apply_all(plan_of("update"), replace(real, search_path='"a",public'))


def test_preflight_tells_it(real: Endpoint, rehearsed: Callable[[Plan], EvidenceBundle]) -> None:
    plan = plan_of("update")
    bundle, other = rehearsed(plan), replace(real, search_path=EDITED)
    with Ledger(other) as ledger, pytest.raises(DriftDetected, match=TOLD):
        preflight.run_checks(
            plan, bundle, endpoint=other, ledger=ledger, target=make_target(), migration=None, run=run_of(plan)
        )


def test_it_is_rehearsed_by_its_names(copies: Endpoint, rehearsed: Callable[[Plan], EvidenceBundle]) -> None:
    """By a role of the copy's own."""
    plan = plan_of("update")
    bundle, other = rehearsed(plan), replace(copies, search_path=EDITED, role="copier")
    with pytest.raises(DriftDetected, match=f"reviewed: {TOLD}. its"):
        dry_run.run(plan, bundle.snapshot, bundle.restore, copies=other, run=run_of(plan))


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_not_verified_by_other_names(
    real: Endpoint, rehearsed: Callable[[Plan], EvidenceBundle], name: str
) -> None:
    plan = plan_of(name)
    bundle = rehearsed(plan)
    apply_all(plan, real, bundle)
    with pytest.raises(DriftDetected, match=TOLD):
        verify_it(plan, replace(real, search_path=EDITED), bundle)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("force", [False, True])
def test_it_is_not_undone_by_other_names(
    real: Endpoint, rehearsed: Callable[[Plan], EvidenceBundle], name: str, force: bool
) -> None:
    plan = plan_of(name)
    bundle = rehearsed(plan)
    apply_all(plan, real, bundle)
    other = replace(real, search_path=EDITED)
    if force:
        with pytest.raises(DriftDetected, match=TOLD):
            roll_back(plan, other, bundle, force=True)
    else:
        report = roll_back(plan, other, bundle)
        assert (report.action, TOLD in report.reason) == (Action.HELD, True)
    assert query(real, OF_B) == UNTOUCHED


def by_hand(plan: Plan, database: Endpoint, folder: Path, *more: str) -> int:
    path = folder / plan_name(plan.digest)
    path.write_text(documents.canonical_json(plan))
    words = ["rollback", "001_test", "--dsn", database.conninfo, "--plan", str(path), "--reason", "x", "--actor", "ann"]
    return cli.main([*words, *more])


@pytest.mark.parametrize("name", TEXTS)
def test_by_hand_the_plan_says_by_which_names(real: Endpoint, tmp_path: Path, name: str) -> None:
    plan = plan_of(name)
    apply_all(plan, real)
    assert by_hand(plan, real, tmp_path) == 0
    assert query(real, OF_B) == UNTOUCHED
    assert query(real, "SELECT to_regclass('a.t')::text, (SELECT v FROM a.u WHERE id = 1)") == [(None, 1)]


def test_by_hand_an_older_plan_wants_the_target(
    real: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = replace(plan_of("table"), acts_as=None)
    apply_all(plan, real)
    assert by_hand(plan, real, tmp_path) == 2
    assert "by which search_path, and by which role" in capsys.readouterr().err
    assert query(real, OF_B) == UNTOUCHED


def test_by_hand_the_target_is_the_plans(real: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, targets = plan_of("table"), tmp_path / "targets.yaml"
    targets.write_text(
        "targets:\n"
        '  test: {environment: development, connection: test, copies_connection: copies, search_path: "a, public"}\n'
        '  other: {environment: development, connection: other, copies_connection: copies, search_path: "b, public"}\n'
    )
    apply_all(plan, real)
    assert by_hand(plan, real, tmp_path, "--targets", str(targets), "--target", "other") == 2
    assert "is a plan for target 'test', not for 'other'" in capsys.readouterr().err
    assert query(real, OF_B) == UNTOUCHED
    assert by_hand(plan, real, tmp_path, "--targets", str(targets), "--target", "test") == 0
