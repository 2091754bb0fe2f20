"""Policies for the role that executes: it has another name on the copy, and is the same to the migration."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.database.session import Endpoint
from migrator.errors import VerifyFailed
from migrator.evidence import Verdict
from tests.integration.stages import apply_all, query, verify_it
from tests.integration.test_one_window import Case

TABLE = "CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t ENABLE ROW LEVEL SECURITY;"
WORDS = ("CURRENT_USER", "CURRENT_ROLE", "SESSION_USER", "pg_monitor, CURRENT_USER, pg_read_all_stats")


@pytest.fixture
def case(database: Endpoint, copies: Endpoint, tmp_path: Path) -> Case:
    return Case(tmp_path / "migrations", database, copies, tmp_path / "snapshots")


def write(case: Case, version: str, sql: str, back: str, more: str = "") -> None:
    folder = case.migrations / "2025" / version
    folder.mkdir(parents=True)
    (folder / "migration-metadata.yaml").write_text(
        f"version: {version}\ndescription: a test\nauthor: author@example.com\nrisk_level: high\n"
        f"estimated_duration: 1 minute\nrollback_available: true\n{more}"
    )
    (folder / f"{version}.sql").write_text(sql)
    (folder / f"{version}_rollback.sql").write_text(back)


@pytest.mark.parametrize("to", WORDS)
def test_a_policy_for_the_role_that_executes_is_the_rehearsed_one(case: Case, to: str) -> None:
    write(case, "001_policy", f"{TABLE} CREATE POLICY p ON t TO {to} USING (id > 0);", "DROP TABLE t;")
    plan, bundle = case.rehearsed("001_policy")
    assert bundle.dry_run.verdict is Verdict.PASSED
    (line,) = [line for line in bundle.dry_run.schema_diff if "policy" in line]
    assert "CURRENT_USER" in line
    case.done(plan, bundle)


@pytest.mark.parametrize(
    "rehearsed, applied",
    [
        ("CURRENT_USER", "pg_monitor"),
        ("pg_monitor", "CURRENT_USER"),
        ("pg_monitor", "pg_read_all_stats"),
        ("CURRENT_USER", "CURRENT_USER, pg_monitor"),
        ("CURRENT_USER", "PUBLIC"),
    ],
)
def test_a_policy_for_another_role_is_not(case: Case, rehearsed: str, applied: str) -> None:
    write(case, "001_policy", f"{TABLE} CREATE POLICY p ON t TO {rehearsed};", "DROP TABLE t;")
    plan, bundle = case.rehearsed("001_policy")
    apply_all(plan, case.database, bundle)
    query(case.database, f"ALTER POLICY p ON public.t TO {applied}")
    with pytest.raises(VerifyFailed, match=r"not rehearsed: \+ policy public\.t\.p"):
        verify_it(plan, case.database, bundle)


@pytest.mark.thorough
def test_what_runs_between_two_steps_is_the_rehearsed_policy(case: Case) -> None:
    steps = "steps:\n  - {name: one, kind: sql, file: 001_policy.sql}\n  - {name: two, kind: sql, file: two.sql}\n"
    write(case, "001_policy", f"{TABLE} CREATE POLICY p ON t TO CURRENT_USER;", "DROP TABLE t;", steps)
    (case.migrations / "2025" / "001_policy" / "two.sql").write_text("ALTER POLICY p ON t USING (id > 1);")
    case.done(*case.rehearsed("001_policy"))


def test_a_policy_of_an_earlier_migration_is_restored_and_changed(case: Case) -> None:
    """The target's role stands there by its name, which the copy's role does not have."""
    query(case.copies, "CREATE ROLE migrator")
    write(case, "001_policy", f"{TABLE} CREATE POLICY p ON t TO CURRENT_USER USING (id > 0);", "DROP TABLE t;")
    case.done(*case.rehearsed("001_policy"))
    back = "ALTER POLICY p ON t USING (id > 0);"
    write(case, "002_changed", "ALTER POLICY p ON t USING (id > 1);", back, "dependencies: [001_policy]\n")
    plan, bundle = case.rehearsed("002_changed")
    case.done(plan, bundle)
