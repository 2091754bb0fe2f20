"""What takes rows away when a server runs it has no low risk, with the catalog at hand as well as without."""

from __future__ import annotations

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
