"""What changes data, or runs code that nobody knows, has no low risk, whatever statement it stands in."""

from __future__ import annotations

import re

import pytest

from migrator.plan import Risk
from tests.factories import plan_from_sql

WRITES = "CREATE FUNCTION g(int) RETURNS text IMMUTABLE LANGUAGE sql AS 'DELETE FROM s; SELECT 1';"
RUNS_TEXT = "CREATE FUNCTION g(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN 1; END';"
NEW = "CREATE TABLE n (id bigint PRIMARY KEY);"
CHANGES_ROWS = {
    "EXPLAIN ANALYZE": "EXPLAIN ANALYZE DELETE FROM salaries",
    "EXPLAIN (ANALYZE)": "EXPLAIN (ANALYZE, COSTS off) UPDATE salaries SET v = 1",
    "EXPLAIN ANALYZE of a prepared one": "PREPARE p AS DELETE FROM salaries; EXPLAIN ANALYZE EXECUTE p",
    "WITH": "WITH gone AS (DELETE FROM salaries RETURNING 1) SELECT 1",
    "WITH, for a new table": f"{NEW} WITH gone AS (DELETE FROM s RETURNING id) INSERT INTO n SELECT id FROM gone",
    "CREATE TABLE AS": "CREATE TABLE n AS WITH gone AS (DELETE FROM salaries RETURNING 1) SELECT 1",
    "a rule": f"{NEW} CREATE RULE r AS ON INSERT TO n DO ALSO DELETE FROM salaries",
    "a new view": "CREATE VIEW v AS SELECT * FROM salaries; DELETE FROM v WHERE true",
    "a partition": "CREATE TABLE p (id int) PARTITION BY LIST (id);"
    " ALTER TABLE p ATTACH PARTITION salaries DEFAULT; DELETE FROM p",
    "IF NOT EXISTS": "CREATE TABLE IF NOT EXISTS salaries (id int); DELETE FROM salaries",
    "DROP of a partition's parent": "CREATE TABLE p (id int) PARTITION BY LIST (id);"
    " ALTER TABLE p ATTACH PARTITION salaries DEFAULT; DROP TABLE p",
    "DROP after IF NOT EXISTS": "CREATE TABLE IF NOT EXISTS salaries (id int); DROP TABLE salaries",
    "a column after IF NOT EXISTS": "CREATE TABLE IF NOT EXISTS salaries (id int); ALTER TABLE salaries DROP COLUMN v",
    "TRUNCATE after IF NOT EXISTS": "CREATE TABLE IF NOT EXISTS salaries (id int); TRUNCATE salaries",
    "CREATE TABLE AS, IF NOT EXISTS": "CREATE TABLE IF NOT EXISTS salaries AS SELECT 1 AS a; DELETE FROM salaries",
    "its DROP": "CREATE TABLE IF NOT EXISTS salaries AS SELECT 1 AS a; DROP TABLE salaries",
    "its DROP, under another name": "CREATE TABLE IF NOT EXISTS salaries AS SELECT 1 AS a;"
    " ALTER TABLE salaries RENAME TO s; DROP TABLE s",
    "a materialized view": "CREATE MATERIALIZED VIEW IF NOT EXISTS m AS SELECT 1; DROP MATERIALIZED VIEW m",
    "a view that is replaced": "CREATE OR REPLACE VIEW v AS SELECT 1; DROP VIEW v",
    "a sequence": "CREATE SEQUENCE IF NOT EXISTS s; DROP SEQUENCE s",
    "a foreign table": "CREATE FOREIGN TABLE IF NOT EXISTS f (a int) SERVER s; DROP FOREIGN TABLE f",
    "an index": "CREATE INDEX IF NOT EXISTS i ON salaries (id); DROP INDEX i",
    "a child": "CREATE TABLE p (id int); ALTER TABLE salaries INHERIT p; DELETE FROM p",
    "a child that is emptied": "CREATE TABLE p (id int); ALTER TABLE salaries INHERIT p; TRUNCATE p",
    "TRUNCATE CASCADE": f"{NEW} ALTER TABLE salaries ADD FOREIGN KEY (id) REFERENCES n; TRUNCATE n CASCADE",
    "ON DELETE CASCADE": f"{NEW} ALTER TABLE salaries ADD FOREIGN KEY (id) REFERENCES n ON DELETE CASCADE;"
    " DELETE FROM n",
    "ON DELETE SET NULL": f"{NEW} ALTER TABLE salaries ADD FOREIGN KEY (id) REFERENCES n ON DELETE SET NULL;"
    " DELETE FROM n WHERE id = 1",
}
NOTHING, NOT_ALL, ROWS = (
    "runs f(), of which nothing is known",
    "of which not all is known",
    "which changes rows of public.s",
)
RUNS = {
    "a call": ("SELECT f()", NOTHING),
    "EXPLAIN ANALYZE": ("EXPLAIN ANALYZE SELECT f()", NOTHING),
    "DEFAULT": ("CREATE TABLE n (a int DEFAULT f())", NOTHING),
    "DEFAULT of a column": (f"{NEW} ALTER TABLE n ADD COLUMN a int DEFAULT f()", NOTHING),
    "CHECK": ("CREATE TABLE n (a int CHECK (f(a)))", "runs f(), of"),
    "a generated column": ("CREATE TABLE n (a int, b int GENERATED ALWAYS AS (f(a)) STORED)", NOTHING),
    "an index": (f"{NEW} CREATE INDEX i ON n (f(id))", NOTHING),
    "a domain": ("CREATE DOMAIN d AS int CHECK (f(value))", NOTHING),
    "a cast": (f"{WRITES} CREATE CAST (int AS text) WITH FUNCTION g(int)", ROWS),
    "an operator": (f"{WRITES} CREATE OPERATOR @@@ (rightarg = int, function = g)", ROWS),
    "an aggregate": (f"{RUNS_TEXT} CREATE AGGREGATE ag (text) (sfunc = g, stype = text)", NOT_ALL),
    "an operator of somebody": ("SELECT 1 OPERATOR(public.+) 2", "runs the operator public.+"),
    "through another": (
        "CREATE FUNCTION g() RETURNS int STABLE LANGUAGE sql AS 'SELECT f()'; CREATE TABLE n (a int DEFAULT g())",
        f"runs g(), which {NOTHING}",
    ),
    "one of two of a name": (
        f"{RUNS_TEXT} CREATE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT g('x')",
        NOT_ALL,
    ),
    "a name of the server's": (
        "CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS 'DELETE FROM s; SELECT 1'; SELECT lower(1)",
        ROWS,
    ),
    "a sequence": ("SELECT setval('salaries_id_seq', 1)", "runs setval(), which changes data"),
    "a view by its name": ("SELECT table_to_xml('wv', true, false, '')", "runs table_to_xml()"),
    "an operator that nobody knows": ("SELECT 1 <!> 2", "runs the operator <!>"),
    "a text as SQL": ("SELECT query_to_xml('SELECT f()', true, true, '')", "runs a text"),
}
LOW = (
    "EXPLAIN DELETE FROM salaries",
    "SELECT 1 + 1, 'a' LIKE 'b', 1 IN (1, 2), 1 BETWEEN 0 AND 2, '{}'::jsonb ? 'a', to_json(1), 1 = ANY ('{1}'::int[])",
    "CREATE TABLE n (id uuid DEFAULT gen_random_uuid(), at timestamptz DEFAULT now(), v text CHECK (length(v) > 1))",
    "CREATE FUNCTION g(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE TABLE n (id int DEFAULT g(1)); SELECT g(1)",
    WRITES,
    f"{NEW} WITH made AS (INSERT INTO n VALUES (1) RETURNING id) SELECT id FROM made",
    f"{NEW} DELETE FROM n",
    f"{NEW} CREATE VIEW v AS SELECT * FROM n; DROP VIEW v; DROP TABLE n",
    f"{NEW} CREATE TABLE m (id bigint REFERENCES n ON DELETE CASCADE); DELETE FROM n; TRUNCATE n CASCADE",
    "CREATE TABLE p (id int); CREATE TABLE q () INHERITS (p); DELETE FROM p; TRUNCATE p",
    "CREATE TEMPORARY TABLE IF NOT EXISTS n AS SELECT 1 AS a; DELETE FROM n; DROP TABLE n",
    "CREATE TABLE IF NOT EXISTS n (id int); CREATE INDEX IF NOT EXISTS i ON n (id)",
    "CREATE TABLE p (id int) PARTITION BY LIST (id); CREATE TABLE q (id int);"
    " ALTER TABLE p ATTACH PARTITION q DEFAULT; DELETE FROM p",
)


@pytest.mark.parametrize("name", CHANGES_ROWS)
def test_rows_that_change_inside(name: str) -> None:
    plan = plan_from_sql(CHANGES_ROWS[name])
    assert plan.risk is not Risk.LOW
    assert plan.reasons


@pytest.mark.parametrize("name", ["a child", "a child that is emptied", "TRUNCATE CASCADE", "ON DELETE CASCADE"])
def test_whose_rows_go_is_told(name: str) -> None:
    assert any(
        re.search("(rows of|empties) .*public.salaries", reason) for reason in plan_from_sql(CHANGES_ROWS[name]).reasons
    )


def test_what_goes_with_an_emptied_table_is_of_high_risk() -> None:
    assert plan_from_sql(CHANGES_ROWS["TRUNCATE CASCADE"]).risk is Risk.HIGH


@pytest.mark.parametrize("name", RUNS)
def test_functions_that_nobody_knows(name: str) -> None:
    sql, reason = RUNS[name]
    plan = plan_from_sql(sql)
    assert plan.risk is not Risk.LOW
    assert any(reason in one for one in plan.reasons), plan.reasons


def test_what_was_not_looked_into() -> None:
    plan = plan_from_sql("DO $$ BEGIN EXECUTE 'SELECT ' || current_user; END $$")
    assert plan.risk is not Risk.LOW
    assert plan_from_sql("SELECT 1", "SELECT f()").risk is Risk.LOW, "the rollback script is no part of it"


@pytest.mark.parametrize("sql", LOW)
def test_what_stays_low(sql: str) -> None:
    assert plan_from_sql(sql).risk is Risk.LOW


@pytest.mark.parametrize(
    "sql, risk",
    [
        ("DELETE FROM t", Risk.HIGH),
        ("DELETE FROM t WHERE true", Risk.HIGH),
        ("DELETE FROM t WHERE 1 = 1", Risk.HIGH),
        ("DELETE FROM t WHERE old", Risk.MEDIUM),
        ("DELETE FROM t WHERE random() < 0.5", Risk.MEDIUM),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", Risk.HIGH),
        ("MERGE INTO t USING s ON true WHEN MATCHED AND t.old THEN DELETE", Risk.MEDIUM),
        ("MERGE INTO t USING s ON s.id = t.id WHEN MATCHED THEN DELETE", Risk.MEDIUM),
        ("MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET a = 1", Risk.MEDIUM),
        ("ALTER TABLE t ALTER a TYPE int USING NULL", Risk.HIGH),
        ("ALTER TABLE t ALTER a TYPE int USING 0", Risk.HIGH),
        ("ALTER TABLE t ALTER a TYPE int USING a::int", Risk.MEDIUM),
        ("ALTER TABLE t ALTER a TYPE int", Risk.MEDIUM),
    ],
)
def test_what_takes_whatever_there_is_is_of_high_risk(sql: str, risk: Risk) -> None:
    assert plan_from_sql(sql).risk is risk
