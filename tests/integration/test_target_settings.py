"""The rehearsal's sessions begin with what the target's database and role give the migration's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator import documents
from migrator.backups import target_settings
from migrator.backups.manifest import NAME as MANIFEST
from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import DryRunFailed, RestoreNotProven
from migrator.evidence import DryRunEvidence, SnapshotRecord, Verdict
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.stages import dry_run, restore_test, snapshot
from migrator.targets.targets import Target
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import check_of
from tests.integration.stages import apply_all, query, roll_back

ROWS = "INSERT INTO t SELECT g, 'acme' FROM generate_series(1, 3) AS g;"
SCRIPT = f"""
CREATE TABLE t (id int, tenant text); {ROWS}
CREATE SCHEMA app; CREATE TABLE app.t (id int, tenant text); INSERT INTO app.t SELECT * FROM t;
"""
RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester")


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(
        name="test",
        environment="development",
        connection="test",
        copies_connection="copies",
        storage=str(tmp_path / "snapshots"),
    )


@pytest.fixture
def source(make_database: MakeDatabase) -> Endpoint:
    return make_database("given", script=SCRIPT)


def give(superuser: str, source: Endpoint, *commands: str) -> None:
    name = str(conninfo_to_dict(source.conninfo)["dbname"])
    with psycopg.connect(superuser, autocommit=True) as conn:
        for command in commands:
            conn.execute(command.replace("DB", f'"{name}"').encode())


def rehearsed(plan: Plan, source: Endpoint, copies: Endpoint, target: Target) -> tuple[SnapshotRecord, DryRunEvidence]:
    record = snapshot.run(plan, endpoint=source, target=target, run=RUN)
    restored = restore_test.run(record, copies=copies, target=target, run=RUN)
    try:
        return record, dry_run.run(plan, record, restored, copies=copies, target=target, run=RUN)
    except DryRunFailed as failure:
        return record, failure.fields["evidence"]


CASES = {
    "database": (
        "ALTER DATABASE DB SET app.tenant = 'acme'",
        "DELETE FROM t WHERE tenant = current_setting('app.tenant', true);",
    ),
    "reset": (
        "ALTER DATABASE DB SET app.tenant = 'acme'",
        "SET app.tenant = 'other'; RESET app.tenant; DELETE FROM t WHERE tenant = current_setting('app.tenant', true);",
    ),
    "path": (
        "ALTER DATABASE DB SET search_path = app, public",
        "RESET search_path; DELETE FROM t WHERE tenant = 'acme';",
    ),
    "role_in_database": (
        "ALTER ROLE migrator IN DATABASE DB SET search_path = app, public",
        "SET search_path TO DEFAULT; DELETE FROM t WHERE tenant = 'acme';",
    ),
}


@pytest.mark.parametrize("given, sql", CASES.values(), ids=CASES)
def test_the_rehearsal_sees_what_production_would_lose(
    source: Endpoint, server_login: str, copies: Endpoint, target: Target, given: str, sql: str
) -> None:
    give(server_login, source, given)
    plan = plan_from_sql(sql, "SELECT 1;")
    record, evidence = rehearsed(plan, source, copies, target)
    assert check_of(evidence, "rollback_data").verdict is Verdict.FAILED
    name = "app.tenant" if "app.tenant" in given else "search_path"
    assert record.session_settings == (() if name == "search_path" else (name,))
    assert record.search_path == ("app, public" if name == "search_path" else "")
    assert check_of(evidence, "settings").detail == f"as on the target: {name}"
    apply_all(plan, source)
    roll_back(plan, source, force=True)
    lost = "t" if name == "app.tenant" else "app.t"
    assert query(source, f"SELECT count(*) FROM {lost}") == [(0,)], "as the rehearsal said"


def test_values_lie_with_the_dump_only(source: Endpoint, server_login: str, copies: Endpoint, target: Target) -> None:
    give(server_login, source, "ALTER DATABASE DB SET app.key = 'it''s a \\ hunter2'")
    plan = plan_from_sql(
        "CREATE TABLE seen AS SELECT 1 / (current_setting('app.key') LIKE '%_unter2')::int;",
        "DROP TABLE IF EXISTS seen;",
    )
    record, evidence = rehearsed(plan, source, copies, target)
    assert evidence.verdict is Verdict.PASSED, evidence.checks
    assert "hunter2" not in documents.canonical_json(record) + documents.canonical_json(evidence)
    (file,) = Path(target.storage).rglob(target_settings.NAME)
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"app.key": "it's a \\ hunter2"}


def test_what_no_session_may_begin_with_is_not_verified(
    source: Endpoint, server_login: str, copies: Endpoint, target: Target
) -> None:
    """Only a superuser may set them; of what is written to a log nothing depends."""
    give(
        server_login,
        source,
        "ALTER DATABASE DB SET session_replication_role = replica",
        "ALTER DATABASE DB SET log_min_duration_statement = 100",
    )
    _, evidence = rehearsed(plan_from_sql("SELECT 1;", "SELECT 1;"), source, copies, target)
    assert evidence.verdict is Verdict.UNVERIFIED
    found = check_of(evidence, "settings")
    assert "sets session_replication_role, and" in found.detail


def test_other_values_than_were_written_are_refused(
    source: Endpoint, server_login: str, copies: Endpoint, target: Target
) -> None:
    give(server_login, source, "ALTER DATABASE DB SET app.tenant = 'acme'")
    plan = plan_from_sql("SELECT 1;", "SELECT 1;")
    record = snapshot.run(plan, endpoint=source, target=target, run=RUN)
    restored = restore_test.run(record, copies=copies, target=target, run=RUN)
    (file,) = Path(target.storage).rglob(target_settings.NAME)
    file.write_text('{"app.tenant": "other"}')
    with pytest.raises(RestoreNotProven, match=target_settings.NAME):
        dry_run.run(plan, record, restored, copies=copies, target=target, run=RUN)
    (file.parent / MANIFEST).unlink()
    with pytest.raises(RestoreNotProven):
        dry_run.run(plan, record, restored, copies=copies, target=target, run=RUN)


def test_the_nearest_setting_counts(source: Endpoint, server_login: str) -> None:
    give(
        server_login,
        source,
        "ALTER DATABASE DB SET app.a = 'database'",
        "ALTER DATABASE DB SET app.b = 'database'",
        "ALTER ROLE migrator IN DATABASE DB SET app.a = 'both'",
        'CREATE SCHEMA migrator AUTHORIZATION "migrator"',
    )
    with session.connect(source, purpose="observe") as conn:
        assert target_settings.read(conn) == {"app.a": "both", "app.b": "database"}
        assert target_settings.path_of(conn) == "migrator, public"
    with session.connect(replace(source, search_path="app"), purpose="observe") as conn:
        assert target_settings.path_of(conn) == "migrator, public", "what RESET goes back to"


@pytest.fixture
def server_login(server: object, source: Endpoint) -> str:
    return server.conninfo(str(conninfo_to_dict(source.conninfo)["dbname"]))  # type: ignore[attr-defined,no-any-return]
