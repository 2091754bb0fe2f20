"""Scenarios D and E: texts that naive splitters break, and statements that PostgreSQL refuses in a transaction, carried
out by apply and verified on the server."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from migrator.catalogue.catalogue import load_one
from migrator.database.session import Endpoint
from migrator.errors import AnalysisRefused, StatementFailed
from migrator.stages import analyze
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query, row_of, verify_it

SEMICOLONS = "SELECT string_agg(s, '|') FROM told"


@pytest.mark.parametrize(
    "sql, question, answer",
    [
        pytest.param(
            "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $a$ BEGIN EXECUTE $b$ SELECT 1; $b$;"
            " RETURN $$;$$; END $a$; CREATE TABLE told AS SELECT f() AS s;",
            SEMICOLONS,
            ";",
            id="nested dollar quotes",
        ),
        pytest.param(
            "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1; SELECT $1 + 1;';"
            " CREATE TABLE told AS SELECT f(1)::text AS s;",
            SEMICOLONS,
            "2",
            id="parameters in a body",
        ),
        pytest.param(
            "CREATE FUNCTION f(x int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN x > 0 THEN 'a' ELSE 'b'"
            " END; SELECT CASE WHEN x > 0 THEN 'c' ELSE 'd' END; END; CREATE TABLE told AS SELECT f(1) AS s;",
            SEMICOLONS,
            "c",
            id="begin atomic with case",
        ),
        pytest.param(
            "/* a /* b; */ c; */ CREATE TABLE told (s text); -- ; \n INSERT INTO told VALUES ('x');",
            SEMICOLONS,
            "x",
            id="nested comments",
        ),
        pytest.param(
            "CREATE TABLE told (s text); INSERT INTO told VALUES ('a\\'), (E'b\\';c');",
            SEMICOLONS,
            "a\\|b';c",
            id="backslashes",
        ),
        pytest.param(
            'CREATE TABLE told ("a;b" text); INSERT INTO told ("a;b") VALUES (U&\'d\\0061t;\');',
            'SELECT "a;b" FROM told',
            "dat;",
            id="quoted identifiers and unicode escapes",
        ),
        pytest.param(
            "CREATE TABLE told (s text); CREATE TABLE t (s text); CREATE RULE r AS ON INSERT TO t DO ALSO"
            " (INSERT INTO told VALUES (new.s); INSERT INTO told VALUES ('again'));"
            " INSERT INTO t VALUES ('x')",
            SEMICOLONS,
            "x|again",
            id="rule with two statements, no final semicolon",
        ),
        pytest.param(";;CREATE TABLE told (s text);;", "SELECT count(*) FROM told", 0, id="stray semicolons"),
    ],
)
def test_text(database: Endpoint, sql: str, question: str, answer: object) -> None:
    plan = plan_from_sql(sql)
    apply_all(plan, database)
    assert not verify_it(plan, database).failed
    assert query(database, question) == [(answer,)]


@pytest.mark.parametrize("sql", ["", "\n-- only a comment\n/* and another; */\n", " ;; \n"])
def test_a_file_without_a_statement_is_refused(tmp_path: Path, sql: str) -> None:
    folder = tmp_path / "2025" / "001_test"
    folder.mkdir(parents=True)
    (folder / "001_test.sql").write_text(sql)
    (folder / "migration-metadata.yaml").write_text(
        "version: 001_test\ndescription: a test\nauthor: a@example.com\nrisk_level: low\nrollback_available: false\n"
    )
    plan = analyze.analyze(load_one(tmp_path, "001_test"))
    with pytest.raises(AnalysisRefused, match=r"001_test\.sql.*: has no statement"):
        analyze.refuse_errors(plan)


def test_position_with_crlf_and_multibyte(database: Endpoint) -> None:
    """B.11: line and column of the very word, counted in characters."""
    plan = plan_from_sql("CREATE TABLE a (id int);\r\nSELECT 'ä€😀',\r\n       'ö', nonsense;\r\nSELECT 1;")
    with pytest.raises(StatementFailed) as caught:
        apply_all(plan, database)
    error = caught.value
    assert (error.line, error.column, error.sqlstate, error.statement) == (3, 13, "42703", 1)
    assert query(database, "SELECT to_regclass('a')") == [(None,)]


WORLD = """
CREATE TABLE t (id int PRIMARY KEY, v int);
INSERT INTO t SELECT g, g FROM generate_series(1, 100) AS g;
CREATE INDEX t_v ON t (v);
CREATE TYPE mood AS ENUM ('good');
CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
CREATE UNIQUE INDEX m_id ON m (id);
CREATE TABLE p (id int) PARTITION BY RANGE (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM (1) TO (10);
CREATE PROCEDURE batches() LANGUAGE plpgsql AS $$
BEGIN
    UPDATE t SET v = 0 WHERE id <= 50; COMMIT;
    UPDATE t SET v = 0 WHERE id > 50; COMMIT;
END $$;
"""


@pytest.mark.parametrize(
    "sql, transactional, question, answer",
    [
        ("CREATE INDEX CONCURRENTLY t_id_v ON t (id, v)", False, "SELECT to_regclass('t_id_v')::text", "t_id_v"),
        ("DROP INDEX CONCURRENTLY t_v", False, "SELECT to_regclass('t_v')::text", None),
        ("REINDEX TABLE CONCURRENTLY t", False, "SELECT count(*) FROM pg_index WHERE NOT indisvalid", 0),
        ("VACUUM (ANALYZE) t", False, "SELECT reltuples::int FROM pg_class WHERE relname = 't'", 100),
        ("ALTER TABLE p DETACH PARTITION p_1 CONCURRENTLY", False, "SELECT count(*) FROM pg_inherits", 0),
        ("ALTER TYPE mood ADD VALUE 'bad'", None, "SELECT 'bad'::mood::text", "bad"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY m", True, "SELECT count(*) FROM m", 100),
    ],
)
def test_each_is_detected_and_carried_out(
    database: Endpoint, sql: str, transactional: bool | None, question: str, answer: object
) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(WORLD)
    plan = plan_from_sql(sql)
    if transactional is not None:
        assert plan.steps[0].transactional is transactional
    apply_all(plan, database)
    assert not verify_it(plan, database).failed
    assert query(database, question) == [(answer,)]


def test_a_procedure_that_commits(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(WORLD)
    plan = plan_from_sql("CALL batches()", transaction=False)
    apply_all(plan, database)
    assert query(database, "SELECT sum(v)::int FROM t") == [(0,)]


def test_an_unused_enum_value_may_be_used_later_in_the_file(database: Endpoint) -> None:
    """In one transaction PostgreSQL refuses a new value's use (55P04); declared as statements of their own it works."""
    with psycopg.connect(database.conninfo) as conn:
        conn.execute(WORLD)
    sql = "ALTER TYPE mood ADD VALUE 'bad'; CREATE TABLE moods AS SELECT 'bad'::mood AS m;"
    apply_all(plan_from_sql(sql, transaction=False), database)
    assert query(database, "SELECT m::text FROM moods") == [("bad",)]


@pytest.mark.thorough
def test_a_large_file_is_no_problem(database: Endpoint) -> None:
    """D.38, in small: thousands of statements in one transaction, each with its place."""
    lines = ["CREATE TABLE t (id int);", *(f"INSERT INTO t VALUES ({number});" for number in range(3000))]
    plan = plan_from_sql("\n".join(lines))
    apply_all(plan, database)
    assert query(database, "SELECT count(*) FROM t") == [(3000,)]
    row = row_of(plan, database)
    assert row is not None
    assert row.status == "running"
