"""Scripts of the shell in the place of SQL, and what of psql has a form here."""

from __future__ import annotations

import pytest

from migrator.parsing import psql
from migrator.parsing.generated import as_block
from migrator.parsing.statements import parse

SCRIPT = """#!/bin/bash
# Apply it
DB_HOST=${DB_HOST:-prod}
echo "one"
psql -h $DB_HOST << EOF
SELECT 1;
psql is no command here
EOF
pg_dump -h $DB_HOST \\
  -f /backup/x.sql
psql -c "SELECT 1;
psql neither" -d wakala
kubectl set env deployment/x A=b
"""


def test_each_command_is_told_once_with_its_line() -> None:
    parsed = parse(SCRIPT, file="x.sql")
    assert parsed.statements == ()
    assert [(one.line, one.message.split()[0]) for one in parsed.problems] == [
        (5, "psql"),
        (9, "pg_dump"),
        (11, "psql"),
        (13, "kubectl"),
    ]
    assert all(one.hint for one in parsed.problems)
    assert parsed.unparsed != parse(SCRIPT + "\n", file="x.sql").unparsed


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1;\npsql -h x;",
        "-- psql -f x.sql\nSELECT 1;",
        "/* ./scripts/x.sh */ SELECT 1;",
        "# a comment of MySQL\nSELECT 1;",
        "SELECT $$\npsql -h x\n$$;",
        "",
    ],
)
def test_sql_is_no_script(sql: str) -> None:
    assert not any("command of the shell" in one.message for one in parse(sql, file="x.sql").problems)


def test_a_script_of_echo_alone_is_one_as_well() -> None:
    (found,) = parse("echo hello\n", file="x.sql").problems
    assert found.message == "echo is a command of the shell, not SQL"


@pytest.mark.parametrize("command", ["\\i", "\\ir", "\\include"])
def test_an_included_file_is_offered_as_a_step(command: str) -> None:
    assert "{name: b_c, kind: sql, file: B-c.sql}" in psql.advice(command, "a/B-c.sql")
    assert "runs the rollback script itself" in psql.advice(command, "2025/001_x_rollback.sql")
    assert "under `steps`" in psql.advice(command, ":file")


def test_what_psql_is_told_about_errors_is_so_anyway() -> None:
    (found,) = parse("\\set ON_ERROR_STOP on\nSELECT 1;", file="x.sql").problems
    assert found.hint is not None
    assert "stops at the first error" in found.hint


def test_gexec_of_one_column_has_a_block() -> None:
    block = as_block("SELECT format('DROP TABLE %I', t) FROM ts")
    assert block is not None
    assert parse(block, file="x.sql").problems == ()
    assert "EXECUTE command" in block
    quoted = as_block("SELECT $$DROP TABLE t$$")
    assert quoted is not None
    assert quoted.startswith("DO $run$")


@pytest.mark.parametrize(
    "query", ["SELECT a, b FROM t", "SELECT * FROM t", "SELECT t.* FROM t", "DROP TABLE t", "SELEC"]
)
def test_gexec_of_anything_else_has_none(query: str) -> None:
    assert as_block(query) is None
