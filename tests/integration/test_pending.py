"""The ledger says which migrations are pending: what they make is known, and judged as what may hold rows by then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from migrator.analysis.walk.pending import CONFLICT, UNDECLARED
from migrator.catalogue.catalogue import load_catalogue
from migrator.cli import main
from migrator.database.session import Endpoint
from migrator.errors import DependencyMissing
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan, Severity
from migrator.run import RunContext
from migrator.stages import analyze
from tests.catalogue_files import write
from tests.integration.stages import apply_all, make_target, query, verify_it

RUN = RunContext(run_id="run-1", version="001_one", target="test", actor="tester")
SQL = {
    "001_items": "CREATE TABLE items (id bigint PRIMARY KEY, note varchar(20), old int);\n",
    "002_change": "ALTER TABLE items DROP COLUMN old;\nCREATE TABLE labels (id bigint PRIMARY KEY, title text);\n",
    "003_use": "CREATE INDEX i ON labels (title);\n",
}


def stage(root: Path, endpoint: Endpoint, version: str) -> Plan:
    catalogue = load_catalogue(root)
    with Ledger(endpoint) as ledger:
        return analyze.run_analyze(
            catalogue.require(version),
            target=make_target(),
            catalogue=catalogue,
            endpoint=endpoint,
            ledger=ledger,
            run=RUN,
        )


def applied(root: Path, endpoint: Endpoint, version: str) -> None:
    plan = stage(root, endpoint, version)
    apply_all(plan, endpoint)
    verify_it(plan, endpoint)


def document(root: Path, endpoint: Endpoint, what: str, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    main(["analyze", what, "--migrations", str(root), "--dsn", endpoint.conninfo, "--format", "json"])
    return json.loads(capsys.readouterr().out)


def findings(document: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    every = [*document["findings"], *(one for item in document["statements"] for one in item["findings"])]
    return {item["rule"]: (item["severity"], item["message"]) for item in every}


@pytest.mark.parametrize("as_file", [False, True])
def test_analyze_knows_what_is_pending(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str], as_file: bool
) -> None:
    root = write(tmp_path, SQL, after={"002_change": ["001_items"], "003_use": ["002_change"]})
    applied(root, database, "001_items")
    what = str(root / "2025" / "003_use" / "003_use.sql") if as_file else "003_use"
    seen = document(root, database, what, capsys)
    told = findings(seen)
    assert "may-fail" not in told
    assert UNDECLARED not in told
    assert told["create-index"][0] == "warning", "nobody knows how many rows there will be"
    assert seen["statements"][0]["scans"] == ["public.labels"]
    assert any(
        "public.labels is created by pending migration 2025/002_change" in t for t in seen["summary"]["assumptions"]
    )
    with pytest.raises(DependencyMissing):
        stage(root, database, "003_use")


def test_what_is_applied_is_read_from_the_catalog(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path, SQL, after={"002_change": ["001_items"], "003_use": ["002_change"]})
    applied(root, database, "001_items")
    applied(root, database, "002_change")
    query(database, "DROP TABLE labels")
    told = findings(document(root, database, "003_use", capsys))
    assert told["may-fail"][0] == "warning", "it is the catalog that counts, not the file"


def test_the_stage_tells_what_needs_an_undeclared_migration(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = write(tmp_path, SQL)
    applied(root, database, "001_items")
    assert findings(document(root, database, "003_use", capsys))[UNDECLARED][0] == "warning"
    (only,) = (one for one in stage(root, database, "003_use").findings if one.rule == UNDECLARED)
    assert only.severity is Severity.WARNING, "the dry run tells whether it fails, by running it"
    assert "2025/002_change" in only.message
    assert "42P01" in only.message
    assert "002_change" in only.help
    with pytest.raises(Exception, match="does not exist"):
        query(database, SQL["003_use"])


def test_a_conflict_with_a_pending_migration_is_a_warning(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The column is there now: it can be applied now, but not after the other."""
    root = write(tmp_path, {**SQL, "003_use": "ALTER TABLE items ALTER COLUMN old SET DEFAULT 1;\n"})
    applied(root, database, "001_items")
    severity, message = findings(document(root, database, "003_use", capsys))[CONFLICT]
    assert severity == "warning"
    assert "42703" in message
    assert "2025/002_change" in message
    plan = stage(root, database, "003_use")
    assert [item.severity for item in plan.findings if item.rule == CONFLICT] == [Severity.WARNING]
    assert [lock.relation for step in plan.steps for one in step.statements for lock in one.locks] == ["public.items"]
    apply_all(plan, database)
    with pytest.raises(Exception, match="does not exist"):
        query(database, SQL["002_change"] + "ALTER TABLE items ALTER COLUMN old SET DEFAULT 1;\n")


def test_a_dependency_that_drops_a_column_makes_it_fail(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = {**SQL, "003_use": "ALTER TABLE items ALTER COLUMN old SET DEFAULT 1;\n"}
    root = write(tmp_path, sql, after={"003_use": ["002_change"]})
    applied(root, database, "001_items")
    severity, message = findings(document(root, database, "003_use", capsys))["may-fail"]
    assert severity == "warning", "it is a forecast"
    assert "42703" in message


def test_plan_knows_what_is_pending(database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write(tmp_path, SQL, after={"002_change": ["001_items"], "003_use": ["002_change"]})
    applied(root, database, "001_items")
    assert main(["plan", "003_use", "--migrations", str(root), "--dsn", database.conninfo]) == 0
    assert "SHARE on public.labels" in capsys.readouterr().out


def test_locks_in_another_order_than_a_pending_migration(
    database: Endpoint, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql = {
        "001_two": "CREATE TABLE a (id int);\nCREATE TABLE b (id int);\n",
        "002_ab": "ALTER TABLE a ADD x int;\nALTER TABLE b ADD x int;\n",
        "003_ba": "ALTER TABLE b ADD y int;\nALTER TABLE a ADD y int;\n",
    }
    root = write(tmp_path, sql)
    applied(root, database, "001_two")
    severity, message = findings(document(root, database, str(root / "2025/003_ba/003_ba.sql"), capsys))["lock-order"]
    assert severity == "warning"
    assert "002_ab.sql locks public.a before public.b" in message
    applied(root, database, "002_ab")
    assert findings(document(root, database, "003_ba", capsys))["lock-order"][0] == "info"
