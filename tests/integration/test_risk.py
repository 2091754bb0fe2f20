"""What takes rows away when a server runs it has no low risk, with the catalog at hand as well as without."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.parsing.statements import parse
from migrator.plan import Risk
from tests.factories import plan_from_sql
from tests.integration.stages import query
from tests.integration.test_rules import facts_of

FUNCTION = """CREATE FUNCTION f(int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN EXECUTE replace('DE*LETE FROM public.sal*aries', '*', ''); RETURN true; END$$;"""
CALLED = "CREATE FUNCTION g(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.f($1); END';"
TAKES = {
    "EXPLAIN ANALYZE": ("", "EXPLAIN ANALYZE DELETE FROM salaries"),
    "WITH": ("", "WITH gone AS (DELETE FROM salaries RETURNING 1) SELECT 1"),
    "CREATE TABLE IF NOT EXISTS": ("", "CREATE TABLE IF NOT EXISTS salaries (id int); DELETE FROM salaries"),
    "a rule": (
        "",
        "CREATE TABLE n (id bigint PRIMARY KEY);"
        " CREATE RULE r AS ON INSERT TO n DO ALSO DELETE FROM public.salaries; INSERT INTO n VALUES (1)",
    ),
    "a view": ("", "CREATE VIEW v AS SELECT * FROM salaries; DELETE FROM v"),
    "a partition": (
        "",
        "CREATE TABLE p (id bigint NOT NULL, v int) PARTITION BY LIST (id);"
        " ALTER TABLE p ATTACH PARTITION salaries DEFAULT; DELETE FROM p",
    ),
    "a domain": (
        "",
        f"{FUNCTION} CREATE DOMAIN d AS int CHECK (f(value)); CREATE TABLE n (a d); INSERT INTO n VALUES (1)",
    ),
    "a domain that is there": (
        f"{FUNCTION} CREATE DOMAIN d AS int CHECK (f(value));",
        "CREATE TABLE n (a d); INSERT INTO n VALUES (1)",
    ),
    "a default": (FUNCTION, "CREATE TABLE n (a int, b boolean DEFAULT f(1)); INSERT INTO n VALUES (1)"),
    "an immutable function": (FUNCTION + CALLED, "CREATE TABLE n (a int CHECK (g(a))); INSERT INTO n VALUES (1)"),
    "an index": (FUNCTION + CALLED, "CREATE TABLE n (a int); INSERT INTO n VALUES (1); CREATE INDEX ON n (g(a))"),
    "a cast": (
        FUNCTION,
        "CREATE TYPE t AS (a int); CREATE FUNCTION c(t) RETURNS boolean LANGUAGE sql AS 'SELECT f(1)';"
        " CREATE CAST (t AS boolean) WITH FUNCTION c(t); SELECT row(1)::t::boolean",
    ),
    "an operator": (FUNCTION, "CREATE OPERATOR @@@ (rightarg = int, function = f); SELECT @@@ 1"),
    "an aggregate": (
        FUNCTION,
        "CREATE FUNCTION s(boolean, int) RETURNS boolean LANGUAGE sql AS 'SELECT f($2)';"
        " CREATE AGGREGATE ag (int) (sfunc = s, stype = boolean); SELECT ag(1)",
    ),
}

RESULT = {"int": "1", "boolean": "true", "json": "'1'::json", "trigger": "NEW", "t": "NULL"}


def wiping(name: str, arguments: str = "", returns: str = "int") -> str:
    body = f"BEGIN DELETE FROM public.salaries; RETURN {RESULT[returns]}; END"
    return f"CREATE FUNCTION public.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS $${body}$$;"


VIEW = wiping("wipe") + "CREATE VIEW wv AS SELECT wipe() AS w;"
MOOD = (
    "CREATE TYPE mood AS ENUM ('a');"
    + wiping("mj", "mood", "json")
    + "CREATE CAST (mood AS json) WITH FUNCTION mj(mood);"
)
DOMAIN = wiping("cw", "int", "boolean") + "CREATE DOMAIN dd AS int CHECK (cw(VALUE));"
DEFAULTED = wiping("wipe") + "CREATE TABLE other (i int DEFAULT wipe());"
UNSEEN = {
    "a view": (VIEW, "SELECT * FROM wv"),
    "a view of a view": (VIEW + "CREATE VIEW ww AS SELECT * FROM wv;", "EXPLAIN ANALYZE SELECT * FROM ww"),
    "a view for a new table": (VIEW, "CREATE TABLE n AS SELECT w FROM wv"),
    "a cursor on a view": (VIEW, "DECLARE c CURSOR FOR TABLE wv; FETCH c"),
    "json": (MOOD, "SELECT to_json('a'::mood)"),
    "an operator that is there": (
        wiping("w", "int, int") + "CREATE OPERATOR <!> (FUNCTION = w, LEFTARG = int, RIGHTARG = int);",
        "SELECT 1 <!> 2",
    ),
    "a cast that is there": (
        "CREATE TYPE t AS (a int);" + wiping("w", "int", "t") + "CREATE CAST (int AS t) WITH FUNCTION w(int);",
        "SELECT 1::t",
    ),
    "a domain": (DOMAIN, "SELECT 1::dd"),
    "a domain over a domain": (DOMAIN + "CREATE DOMAIN ee AS dd;", "SELECT 1::ee"),
    "the default of a domain": (
        wiping("wipe") + "CREATE DOMAIN dd AS int DEFAULT wipe();",
        "CREATE TABLE n (i dd); INSERT INTO n DEFAULT VALUES",
    ),
    "an aggregate that is there": (
        wiping("sf", "int, int") + "CREATE AGGREGATE ag (int) (SFUNC = sf, STYPE = int, INITCOND = '0');",
        "SELECT ag(1)",
    ),
    "a field": (
        "CREATE TABLE o (a int); INSERT INTO o VALUES (1);" + wiping("wi", "o"),
        "CREATE TABLE n AS SELECT o.wi FROM o",
    ),
    "LIKE": (DEFAULTED, "CREATE TABLE n (LIKE other INCLUDING DEFAULTS); INSERT INTO n DEFAULT VALUES"),
    "LIKE with a CHECK": (
        wiping("cw", "int", "boolean") + "CREATE TABLE other (i int CHECK (cw(i)));",
        "CREATE TABLE n (LIKE other INCLUDING ALL); INSERT INTO n VALUES (1)",
    ),
    "a partition's default": (
        wiping("wipe") + "CREATE TABLE other (i int DEFAULT wipe()) PARTITION BY LIST (i);",
        "CREATE TABLE n PARTITION OF other DEFAULT; INSERT INTO n DEFAULT VALUES",
    ),
    "a partition's trigger": (
        wiping("tw", returns="trigger")
        + "CREATE TABLE other (i int) PARTITION BY LIST (i);"
        + "CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION tw();",
        "CREATE TABLE n PARTITION OF other DEFAULT; INSERT INTO n VALUES (1)",
    ),
    "a child": (
        "",
        "CREATE TABLE p (id bigint); ALTER TABLE salaries INHERIT p; TRUNCATE p",
    ),
    "TRUNCATE CASCADE": (
        "",
        "CREATE TABLE n (id bigint PRIMARY KEY); INSERT INTO n VALUES (1), (2);"
        " ALTER TABLE salaries ADD FOREIGN KEY (id) REFERENCES n; TRUNCATE n CASCADE",
    ),
}
"""By what only a catalog tells, or what a new table reaches."""
HARMLESS_BEFORE = """
CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN small AS int DEFAULT 1 CHECK (VALUE < 10); CREATE DOMAIN tiny AS small;
CREATE VIEW v AS SELECT lower('A') AS a, now() AS at; CREATE VIEW vv AS SELECT * FROM v;
CREATE FUNCTION one(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE FUNCTION first(mood) RETURNS json
LANGUAGE sql AS 'SELECT to_json(1)'; CREATE CAST (mood AS json) WITH FUNCTION first(mood);
CREATE OPERATOR <!> (FUNCTION = one, LEFTARG = int, RIGHTARG = int);
CREATE AGGREGATE ag (int) (SFUNC = one, STYPE = int);
CREATE TABLE other (i serial PRIMARY KEY, at timestamptz DEFAULT now(), v text CHECK (length(v) > 1));
"""
HARMLESS = (
    "SELECT * FROM vv",
    "SELECT 1 + 1, 'a' || 'b', '1'::int, to_json(1), '{}'::jsonb ? 'a', CURRENT_DATE - 1",
    "SELECT to_json('a'::mood), 1::tiny, 1 <!> 2, ag(1)",
    "CREATE TABLE n (LIKE other INCLUDING ALL); INSERT INTO n (v) VALUES ('ab')",
    "CREATE TABLE n (i tiny, m mood DEFAULT 'a')",
)


@pytest.mark.parametrize("name", UNSEEN)
def test_nor_what_nobody_sees_in_the_file(name: str, database: Endpoint) -> None:
    before, sql = UNSEEN[name]
    query(database, "CREATE TABLE public.salaries (id bigint PRIMARY KEY, v int)")
    query(database, "INSERT INTO public.salaries VALUES (1, 1), (2, 2)")
    for one in parse(before, file="").statements:
        query(database, one.sql)
    plan = plan_from_sql(sql, facts=facts_of(database, parse(sql, file="001_test.sql")))
    with psycopg.connect(database.conninfo) as conn:
        for one in parse(sql, file="").statements:
            conn.execute(one.sql.encode())
    assert query(database, "SELECT count(*) FROM public.salaries") == [(0,)], "else this shows nothing"
    assert plan.risk is not Risk.LOW
    assert any("public.salaries" in reason for reason in plan.reasons), plan.reasons


@pytest.mark.parametrize("sql", HARMLESS)
def test_what_is_harmless_stays_low(sql: str, database: Endpoint) -> None:
    for one in parse(HARMLESS_BEFORE, file="").statements:
        query(database, one.sql)
    plan = plan_from_sql(sql, facts=facts_of(database, parse(sql, file="001_test.sql")))
    assert plan.risk is Risk.LOW, plan.reasons


@pytest.mark.parametrize("name", TAKES)
def test_nothing_that_takes_rows_away_is_low(name: str, database: Endpoint) -> None:
    before, sql = TAKES[name]
    query(database, "CREATE TABLE public.salaries (id bigint PRIMARY KEY, v int)")
    query(database, "INSERT INTO public.salaries VALUES (1, 1), (2, 2)")
    for one in parse(before, file="").statements:
        query(database, one.sql)
    known = plan_from_sql(sql, facts=facts_of(database, parse(sql, file="001_test.sql")))
    for one in parse(sql, file="").statements:
        query(database, one.sql)
    assert query(database, "SELECT count(*) FROM public.salaries") == [(0,)], "else this shows nothing"
    for plan in (known, plan_from_sql(sql)):
        domain = name == "a domain that is there" and plan is not known
        assert (plan.risk is Risk.LOW) is domain, plan.reasons
