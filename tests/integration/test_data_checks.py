"""Rows that a statement fails on: each one is found before, and the statement then fails with that very SQLSTATE."""

from __future__ import annotations

import psycopg
import pytest

from migrator.data_checks import Violation, findings_of, look_for, violations
from migrator.plan import Severity
from migrator.session import Endpoint, connect
from migrator.statements import parse

pytestmark = pytest.mark.integration

SCHEMA = """
CREATE TABLE "Parents" ("Id" int PRIMARY KEY, code text UNIQUE);
INSERT INTO "Parents" VALUES (1, 'a'), (2, 'b');
CREATE TABLE t (id int PRIMARY KEY, a int, b text, parent int, "Odd Name" text);
INSERT INTO t VALUES (1, 1, 'x', 1, 'q'), (2, 1, 'y', 2, NULL), (3, -3, NULL, 7, 'toolong'), (4, 4, 'x', NULL, 'r'),
    (5, -5, '12', 8, 's');
ALTER TABLE t ADD CONSTRAINT later CHECK (a > 0) NOT VALID, ADD CONSTRAINT later_fk FOREIGN KEY (parent)
    REFERENCES "Parents" NOT VALID;
CREATE TABLE plain (v int);
INSERT INTO plain VALUES (1), (1), (2);
CREATE TYPE mood AS ENUM ('x', 'y');
"""

# SQL, SQLSTATE of the failure, rows, keys
FAILING = (
    ("ALTER TABLE t ALTER b SET NOT NULL", "23502", 1, ("id=3",)),
    ('ALTER TABLE t ALTER "Odd Name" SET NOT NULL', "23502", 1, ("id=2",)),
    ("ALTER TABLE t ADD COLUMN c int NOT NULL", "23502", 5, ("id=1", "id=2", "id=3", "id=4", "id=5")),
    ("ALTER TABLE t ADD CHECK (a > 0 AND a < 100)", "23514", 2, ("id=3", "id=5")),
    ("ALTER TABLE t VALIDATE CONSTRAINT later", "23514", 2, ("id=3", "id=5")),
    ("ALTER TABLE t VALIDATE CONSTRAINT later_fk", "23503", 2, ("id=3", "id=5")),
    ('ALTER TABLE t ADD FOREIGN KEY (parent) REFERENCES "Parents"', "23503", 2, ("id=3", "id=5")),
    ('ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES "Parents" (code)', "23503", 4, ("id=1", "id=2", "id=4", "id=5")),
    ("ALTER TABLE t ADD UNIQUE (a)", "23505", 2, ("id=1", "id=2")),
    ("CREATE UNIQUE INDEX ON t (lower(b)) WHERE id < 5", "23505", 2, ("id=1", "id=4")),
    ("ALTER TABLE plain ADD PRIMARY KEY (v)", "23505", 2, ("ctid=(0,1)", "ctid=(0,2)")),
    ("ALTER TABLE t ALTER b TYPE int USING b::int", "22P02", 3, ("id=1", "id=2", "id=4")),
    ("ALTER TABLE t ALTER b TYPE mood USING b::mood", "22P02", 1, ("id=5",)),
)

PASSING = (
    "ALTER TABLE t ALTER a SET NOT NULL",
    "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 1",
    "ALTER TABLE t ADD COLUMN c bigserial NOT NULL",
    "ALTER TABLE t ADD CHECK (a > 0) NOT VALID",
    "ALTER TABLE t ADD CHECK (b <> 'z')",  # NULL satisfies it
    'ALTER TABLE t ADD UNIQUE ("Odd Name")',
    "CREATE UNIQUE INDEX ON t (a) WHERE id > 1",
    "ALTER TABLE t ALTER a TYPE bigint",
    "ALTER TABLE t ALTER b TYPE varchar(5)",
    "CREATE TABLE fresh (id int NOT NULL); ALTER TABLE fresh ADD UNIQUE (id)",
)


@pytest.fixture
def conn(database: Endpoint):
    with connect(database, purpose="apply") as connection:
        connection.execute(SCHEMA)
        yield connection


def look(conn: psycopg.Connection, sql: str) -> tuple[Violation, ...]:
    return look_for(conn, parse(sql, file="f.sql").statements)


@pytest.mark.parametrize("sql, sqlstate, rows, keys", FAILING, ids=[item[0] for item in FAILING])
def test_rows_are_found_and_the_statement_fails_on_them(
    conn: psycopg.Connection, sql: str, sqlstate: str, rows: int, keys: tuple[str, ...]
) -> None:
    if "pg_input_is_valid" not in sql and "TYPE" in sql and conn.info.server_version < 160000:
        assert [item.rows for item in look(conn, sql)] == [None]
        return
    (found,) = violations(look(conn, sql))
    assert (found.sqlstate, found.rows, found.samples) == (sqlstate, rows, keys)
    with pytest.raises(psycopg.Error) as failure:
        conn.execute(sql.encode())
    assert failure.value.sqlstate == sqlstate


@pytest.mark.parametrize("sql", PASSING)
def test_nothing_is_found_where_the_statement_passes(conn: psycopg.Connection, sql: str) -> None:
    assert violations(look(conn, sql)) == ()
    conn.execute(sql.encode())


def test_rows_that_an_earlier_statement_changes_are_not_judged(conn: psycopg.Connection) -> None:
    found = look(conn, "UPDATE t SET b = '' WHERE b IS NULL; ALTER TABLE t ALTER b SET NOT NULL")
    assert [(item.rows, item.reason) for item in found] == [(None, "statements before it may change the rows")]
    found = look(conn, "DO $$ BEGIN DELETE FROM t; END $$; ALTER TABLE t ALTER b SET NOT NULL")
    assert [item.rows for item in found] == [None]
    found = look(conn, "UPDATE plain SET v = 0; ALTER TABLE t ALTER b SET NOT NULL")
    assert [item.rows for item in found] == [1]


def test_what_cannot_be_looked_for_says_why(conn: psycopg.Connection) -> None:
    (found,) = look(conn, "ALTER TABLE t ADD CHECK (nowhere > 0)")
    assert found.rows is None
    assert "nowhere" in found.reason
    (found,) = look_for(
        conn, parse("ALTER TABLE t ADD CHECK (pg_sleep(1) IS NULL)", file="f").statements, timeout_ms=50
    )
    assert "timeout" in found.reason
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_findings_point_at_the_statement(conn: psycopg.Connection) -> None:
    parsed = parse("SET lock_timeout = '1s';\nALTER TABLE t\n  ALTER b SET NOT NULL;", file="f.sql")
    (finding,) = findings_of(conn, parsed)
    assert (finding.rule, finding.severity, finding.line) == ("rows-in-the-way", Severity.ERROR, 2)
    assert "1 row of t where b is NULL: id=3" in finding.message
