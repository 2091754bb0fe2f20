"""`migrator rollback` on a real server: what it undoes, and what it refuses in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator import cli, documents
from migrator.database.session import Endpoint
from migrator.errors import StatementFailed
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan, plan_name
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.stages import apply_all, outcome_of, query, row_of, verify_it

TARGETS = """\
targets:
  test:
    environment: development
    connection: test
    copies_connection: copies
    evidence: {evidence}
"""
DROP = "DROP TABLE IF EXISTS a;"


@pytest.fixture
def half(database: Endpoint) -> Plan:
    plan = plan_from_sql("CREATE TABLE a (id int); VACUUM; SELECT nonsense;", DROP)
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    return plan


def keep(plan: Plan, folder: Path, run_id: str = "run-1") -> Path:
    path = folder / "test" / plan.version / run_id / plan_name(plan.digest)
    path.parent.mkdir(parents=True)
    path.write_text(documents.canonical_json(plan))
    return path


def migrator(endpoint: Endpoint, tmp_path: Path, *arguments: str) -> int:
    targets = tmp_path / "targets.yaml"
    targets.write_text(TARGETS.format(evidence=tmp_path / "evidence"))
    reach = ("--targets", str(targets), "--target", "test", "--dsn", endpoint.conninfo)
    return cli.main(["rollback", "001_test", *reach, "--reason", "it hung", "--actor", "carol", *arguments])


def test_what_is_half_applied_is_undone(database: Endpoint, half: Plan, tmp_path: Path) -> None:
    keep(half, tmp_path / "evidence")
    assert migrator(database, tmp_path) == 0
    row = row_of(half, database)
    assert row is not None
    assert row.status == "rolled_back"
    assert query(database, "SELECT to_regclass('a')") == [(None,)]
    with Ledger(database) as ledger:
        (event,) = [event for event in ledger.events() if event.kind == "rollback_by_hand"]
        assert (event.actor, event.detail["reason"]) == ("carol", "it hung")
        assert ledger.verify_chain() == ()


def test_by_hand_it_is_compared_with_the_evidence_beside_the_plan(
    database: Endpoint, make_database: MakeDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, "CREATE TABLE old (id int)")
    twin = make_database("twin", script="CREATE TABLE old (id int)")
    plan = plan_from_sql("CREATE TABLE a (id int); CREATE TABLE b (id int);", DROP)
    bundle = rehearse(plan, database, twin)
    apply_all(plan, database, bundle)
    folder = keep(plan, tmp_path / "evidence").parent
    for stage in ("snapshot", "restore", "dry_run"):
        name = "restore_test" if stage == "restore" else stage
        (folder / f"{name}.json").write_text(documents.canonical_json(getattr(bundle, stage)))
    query(database, "INSERT INTO a VALUES (1)")
    assert migrator(database, tmp_path) == 0
    said = capsys.readouterr().out
    assert "the schema differs from the one before: + table public.b" in said
    assert "1 row of public.a" in said
    assert "NOT as before" in outcome_of(plan, database).text


def test_what_nobody_has_compared_is_told_so(
    database: Endpoint, half: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was applied without evidence, or that is gone."""
    query(database, "ALTER TABLE a RENAME TO b")
    keep(half, tmp_path / "evidence")
    assert migrator(database, tmp_path) == 0
    assert "nobody has compared the database" in capsys.readouterr().out
    told = outcome_of(half, database).text
    assert "nobody has compared the database" in told
    assert "is as before" not in told


def test_the_plan_must_be_the_ledgers(
    database: Endpoint, half: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert migrator(database, tmp_path) == 3
    assert "--plan FILE" in capsys.readouterr().err
    other = keep(plan_from_sql("CREATE TABLE b (id int);", "DROP TABLE a;"), tmp_path / "elsewhere")
    assert migrator(database, tmp_path, "--plan", str(other)) == 1
    assert "is not the plan" in capsys.readouterr().err
    assert query(database, "SELECT to_regclass('a')") != [(None,)]


def test_verified_is_undone_only_when_that_is_said(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_from_sql("CREATE TABLE a (id int);", DROP)
    apply_all(plan, database)
    verify_it(plan, database)
    keep(plan, tmp_path / "evidence")
    assert migrator(database, tmp_path) == 2
    assert "--verified" in capsys.readouterr().err
    assert migrator(database, tmp_path, "--verified") == 0
    assert query(database, "SELECT to_regclass('a')") == [(None,)]


def test_what_came_after_it_stands_in_the_way(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, later = plan_from_sql("CREATE TABLE a (id int);", DROP), plan_from_sql("SELECT 1;", version="002_next")
    for one in (plan, later):
        apply_all(one, database)
        verify_it(one, database)
    keep(plan, tmp_path / "evidence")
    assert migrator(database, tmp_path, "--verified") == 1
    assert "002_next was applied after" in capsys.readouterr().err


def test_nobody_knows_the_version(database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert migrator(database, tmp_path) == 2
    assert "has no migration '001_test'" in capsys.readouterr().err
