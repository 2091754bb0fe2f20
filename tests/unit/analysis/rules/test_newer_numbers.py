"""Numbers that a server before PostgreSQL 16 reads otherwise, wherever they stand."""

from __future__ import annotations

import pytest

from migrator.analysis.effects.world import Assumed
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.parsing.statements import parse
from migrator.plan import Finding, Severity

RULE = "number-of-a-newer-grammar"


def found(sql: str, *, major: int | None = 14, rollback: str | None = None) -> list[Finding]:
    known = Known() if major is None else Known(assumed=Assumed(server_version_num=major * 10000))
    back = None if rollback is None else parse(rollback, file="down.sql")
    analysed = inspect(Sources((parse(sql, file="up.sql"),), back), known)
    return [finding for finding in analysed.findings if finding.rule == RULE]


@pytest.mark.parametrize(
    "sql, number",
    [
        ("DELETE FROM t WHERE a IN (SELECT 1_000);", "1000"),
        ("SELECT 0x_1F;", "31"),
        ("SELECT 0O17 + 1;", "15"),
        ("SELECT 1.5_0;", "1.50"),
        ("SELECT .5_0;", ".50"),
        ("SELECT 1e1_0;", "1e10"),
        ("SELECT 'é', 1_000;", "1000"),
        ("DO $$ DECLARE a int := 1_000; BEGIN NULL; END $$;", "1000"),
        ("DO $$ BEGIN FOR i IN 1..1_000 LOOP NULL; END LOOP; END $$;", "1000"),
        ("DO 'BEGIN PERFORM 1_000; END';", "1000"),
        ("DO $$ BEGIN EXECUTE 'DELETE FROM t WHERE a IN (SELECT 1_000)'; END $$;", "1000"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1_000';", "1000"),
        ("CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1_000;", "1000"),
        ("CREATE VIEW v AS SELECT 0b11;", "3"),
    ],
)
def test_a_newer_number(sql: str, number: str) -> None:
    (finding,) = found(sql)
    assert finding.severity is Severity.ERROR
    assert finding.help == f"write {number}"
    (unknown,) = found(sql, major=None)
    assert unknown.severity is Severity.WARNING
    assert found(sql, major=16) == []


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1000, 0, .5, 1e5, 1.5e-3, '1_000', t_1.a_2, \"1_000\" /* 0x10 */ FROM t_1;",
        "INSERT INTO t VALUES ('SELECT 1_000');",
        "CREATE TABLE t_1_0 (x0 int);",
        "SELECT x'1F', b'01', a[1:2] FROM t;",
    ],
)
def test_what_every_release_reads_alike(sql: str) -> None:
    assert found(sql) == []


def test_an_assertion_is_looked_at() -> None:
    sources = Sources((parse("SELECT 1;", file="up.sql"),), assertions=(parse("SELECT 0 < 1_000", file="verify"),))
    analysed = inspect(sources, Known(assumed=Assumed(server_version_num=140000)))
    assert RULE in [finding.rule for finding in analysed.findings]


def test_a_rollback_is_looked_at() -> None:
    (finding,) = found("SELECT 1;", rollback="DELETE FROM t WHERE a IN (SELECT 1_000);")
    assert (finding.severity, finding.file) == (Severity.ERROR, "down.sql")
