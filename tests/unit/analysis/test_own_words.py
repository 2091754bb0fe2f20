"""What files say of themselves against what the metadata says."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.analysis.own_words import HEADER_RULE, VERSION_RULE
from migrator.catalogue.catalogue import load_catalogue
from migrator.plan import LEFT_OUT, Finding, Plan, Severity
from migrator.stages.analyze import analyze
from tests.catalogue_files import write

VERSION = "002_next"
DO = "DO $$ BEGIN IF {} (SELECT 1 FROM schema_migrations WHERE version = '{}') THEN RAISE 'x'; END IF; END $$;"


def plan_of(tmp_path: Path, sql: str, rollback: str = "DROP TABLE t;") -> Plan:
    first = {"001_first": "CREATE TABLE a (id bigint PRIMARY KEY);"}
    root = write(tmp_path, first | {VERSION: sql}, after={VERSION: ["001_first"]}, rollback=rollback)
    return analyze(load_catalogue(root).require(VERSION))


def of(plan: Plan, rule: str) -> list[Finding]:
    return [one for one in plan.findings if one.rule == rule]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO schema_migrations (version) VALUES ('001_first');",
        "INSERT INTO schema_migrations (version) VALUES ('002_next'), ('003_later');",
        "DELETE FROM schema_migrations;",
        "UPDATE schema_migrations SET version = '003_later' WHERE version = '002_next';",
        DO.format("EXISTS", "003_later"),
        DO.format("NOT EXISTS", "000_unknown"),
    ],
)
def test_a_row_of_another_version_is_an_error(tmp_path: Path, sql: str) -> None:
    plan = plan_of(tmp_path, f"CREATE TABLE t (id bigint PRIMARY KEY);\n{sql}")
    (found,) = of(plan, VERSION_RULE)
    assert (found.severity, found.file, found.line) == (Severity.ERROR, f"{VERSION}.sql", 2)
    assert found.help
    assert len(plan.steps[0].statements) == 1


def test_in_the_rollback_script_too(tmp_path: Path) -> None:
    undo = "DROP TABLE t;\nDELETE FROM schema_migrations WHERE version = '001_first';"
    (found,) = of(plan_of(tmp_path, "CREATE TABLE t (id bigint PRIMARY KEY);", undo), VERSION_RULE)
    assert (found.file, found.line) == (f"{VERSION}_rollback.sql", 2)


def test_a_check_for_a_dependency_is_none(tmp_path: Path) -> None:
    sql = DO.format("NOT EXISTS", "001_first") + "CREATE TABLE t (id bigint PRIMARY KEY);"
    assert of(plan_of(tmp_path, sql), VERSION_RULE) == []


def test_what_is_left_out_is_told_once_a_file_and_is_in_no_step(tmp_path: Path) -> None:
    record = "INSERT INTO schema_migrations (version) VALUES ('002_next');"
    sql = f"BEGIN;\n{DO.format('EXISTS', VERSION)}\nCREATE TABLE t (id bigint PRIMARY KEY);\n{record}\nCOMMIT;"
    undo = "BEGIN;\nDROP TABLE t;\nDELETE FROM schema_migrations WHERE version = '002_next';\nEND;"
    plan = plan_of(tmp_path, sql, undo)
    assert [(one.severity, one.file, one.line) for one in of(plan, LEFT_OUT)] == [
        (Severity.INFO, "002_next.sql", 1),
        (Severity.INFO, "002_next_rollback.sql", 1),
    ]
    assert [(one.file, one.line, one.what) for one in plan.left_out] == [
        ("002_next.sql", 1, "BEGIN"),
        ("002_next.sql", 2, "DO that checks schema_migrations"),
        ("002_next.sql", 4, "INSERT INTO schema_migrations"),
        ("002_next.sql", 5, "COMMIT"),
        ("002_next_rollback.sql", 1, "BEGIN"),
        ("002_next_rollback.sql", 3, "DELETE FROM schema_migrations"),
        ("002_next_rollback.sql", 4, "COMMIT"),
    ]
    assert [item.kind for step in (*plan.steps, *plan.rollback_steps) for item in step.statements] == [
        "CREATE TABLE",
        "DROP TABLE",
    ]
    assert [one for one in plan.findings if one.severity is Severity.ERROR] == []


def test_a_file_of_bookkeeping_alone_does_nothing(tmp_path: Path) -> None:
    record = "INSERT INTO schema_migrations (version) VALUES ('002_next');"
    errors = [
        one.message for one in of(plan_of(tmp_path, f"BEGIN; {record} COMMIT;", "BEGIN; COMMIT;"), "nothing-to-do")
    ]
    assert errors == [
        "has nothing but what is left out",
        "has nothing but what is left out, so it undoes nothing, but rollback_available is true",
    ]


@pytest.mark.parametrize(
    "header, key",
    [
        ("-- Migration: 001_first", "Migration"),
        ("/* Version: 003\n */", "Version"),
        ("-- Author: somebody@example.com", "Author"),
        ("-- Description: another thing", "Description"),
        ("-- Risk Level: low", "Risk Level"),
        ("-- Depends on: 000_zero", "Depends on"),
        ("-- This is: 001_first.sql", "This is"),
    ],
)
def test_a_header_that_contradicts_is_a_warning(tmp_path: Path, header: str, key: str) -> None:
    (found,) = of(plan_of(tmp_path, f"{header}\nCREATE TABLE t (id bigint PRIMARY KEY);"), HEADER_RULE)
    assert (found.severity, found.line, found.column) == (Severity.WARNING, 1, 4)
    assert f"the header says {key}: " in found.message


def test_a_header_that_agrees_is_none(tmp_path: Path) -> None:
    header = """-- Always include in migrations:
-- Migration: 2025/002_next.sql
-- Author: The Author <author@example.com>
-- Date: 2025-01-10
-- Description: This is a test of something
-- Risk: HIGH
-- Dependencies: 001_first
-- Note: whatever
BEGIN;
-- Author: nobody, this is no header any more
CREATE TABLE t (id bigint PRIMARY KEY);
COMMIT;"""
    undo = "-- Rollback: 002_next\n-- Original migration: 002_next.sql\n-- Description: Drop it\nDROP TABLE t;"
    assert of(plan_of(tmp_path, header, undo), HEADER_RULE) == []


def test_a_pair_contradicts_transaction_false(tmp_path: Path) -> None:
    root = write(tmp_path, {VERSION: "-- x\nBEGIN;\nCREATE TABLE t (id bigint PRIMARY KEY);\nCOMMIT;"})
    metadata = root / "2025" / VERSION / "migration-metadata.yaml"
    metadata.write_text(metadata.read_text() + "transaction: false\n")
    plan = analyze(load_catalogue(root).require(VERSION))
    (found,) = of(plan, "transaction-control")
    assert (found.severity, found.line) == (Severity.ERROR, 2)
    assert "transaction: false" in found.message
