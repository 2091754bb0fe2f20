"""Rights that DROP and CREATE, and OR REPLACE, take away or give: seen in the dry run, told on the card."""

from __future__ import annotations

import pytest

from migrator.database.session import Endpoint
from migrator.errors import DryRunFailed
from migrator.reports.review_card import card
from tests.evidence import make_bundle
from tests.factories import plan_from_sql
from tests.integration.copies import failed, make_copy, rehearse

SHOP = """
CREATE TABLE t (id int PRIMARY KEY, secret text);
CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7
    SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION f(integer) FROM PUBLIC;
CREATE PROCEDURE p() LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'SELECT 1';
CREATE VIEW v WITH (security_barrier) AS SELECT id FROM t;
CREATE VIEW w AS SELECT id FROM t;
CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
GRANT SELECT ON v, w, m, t TO PUBLIC;
GRANT UPDATE (secret) ON t TO PUBLIC;
CREATE SEQUENCE s;
GRANT USAGE ON SEQUENCE s TO PUBLIC;
"""
DEFINER = "SECURITY DEFINER SET search_path = pg_catalog, pg_temp"


@pytest.mark.parametrize(
    "up, told",
    [
        (
            "DROP FUNCTION f(integer); CREATE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT"
            f" PARALLEL SAFE COST 7 {DEFINER} AS 'SELECT 2';",
            ["PUBLIC may now execute public.f(integer)"],
        ),
        (
            "CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql AS 'SELECT 2';",
            [
                "public.f(integer) now runs with the rights of whoever calls it, no longer with its owner's"
                " (SECURITY DEFINER)",
                "public.f(integer) was IMMUTABLE, is now VOLATILE",
                "public.f(integer) loses COST 7, PARALLEL SAFE, SET search_path=pg_catalog, pg_temp, STRICT",
                "public.f(integer) gets COST 100",
            ],
        ),
        (
            "CREATE OR REPLACE PROCEDURE p() LANGUAGE sql AS 'SELECT 2';",
            [
                "public.p() now runs with the rights of whoever calls it, no longer with its owner's"
                " (SECURITY DEFINER)",
                "public.p() loses SET search_path=pg_catalog, pg_temp",
            ],
        ),
        (
            "CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE id > 0;",
            [
                "public.v: security_barrier was true, is now off",
                "PUBLIC may use public.v, whose query is another one now",
            ],
        ),
        ("DROP VIEW w; CREATE VIEW w AS SELECT id FROM t;", ["PUBLIC may no longer select from public.w"]),
        (
            "DROP MATERIALIZED VIEW m; CREATE MATERIALIZED VIEW m AS SELECT id FROM t;",
            ["PUBLIC may no longer select from public.m"],
        ),
        (
            "DROP TABLE t CASCADE; CREATE TABLE t (id int PRIMARY KEY, secret text);",
            ["PUBLIC may no longer select from public.t", "PUBLIC may no longer update column secret of public.t"],
        ),
        ("DROP SEQUENCE s; CREATE SEQUENCE s;", ["PUBLIC may no longer use public.s"]),
        ("GRANT DELETE ON t TO PUBLIC;", ["PUBLIC may now delete from public.t"]),
        (
            f"CREATE OR REPLACE FUNCTION f(integer) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7"
            f" {DEFINER} AS 'SELECT 3';",
            [],
        ),
        ("ALTER VIEW w RENAME TO z; ALTER FUNCTION f(integer) RENAME TO g;", []),
        ("CREATE TABLE fresh (id int);", []),
    ],
)
def test_each_right_that_changes_is_told(copies: Endpoint, up: str, told: list[str]) -> None:
    copy = make_copy(copies, SHOP)
    plan = plan_from_sql(up, "SELECT 1;")
    try:
        dry = rehearse(plan, copies, copy)
    except DryRunFailed as exc:
        dry = exc.evidence
    assert dry.checks[0].verdict.value == "passed", dry.checks[0].detail
    assert dry.extra["privileges"] == told


SECRET = """
CREATE TABLE parent (id int, card text);
CREATE TABLE closed (id int, card text);
CREATE TABLE parts (id int, card text) PARTITION BY LIST (id);
CREATE TABLE secret (id int, card text);
CREATE VIEW readable AS SELECT 1 AS id, 'public'::text AS card;
CREATE TABLE tenants (id int, card text, owner text);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON tenants USING (owner = current_user);
CREATE FUNCTION helper() RETURNS text LANGUAGE sql AS $$SELECT 'nothing'::text$$;
CREATE FUNCTION door() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT public.helper()';
CREATE FUNCTION helpers() RETURNS text LANGUAGE sql AS $$SELECT 'nothing'::text$$;
GRANT SELECT ON parent, parts, readable, tenants TO PUBLIC;
"""
THROUGH = "PUBLIC may now do with the rows of public.secret what it may do with public.{}, their parent"
DECIDED = "the policy public.tenants.{} is {}: which of its rows PUBLIC may read and write is decided anew"
LOOKS_AT = "AS $$SELECT card FROM public.secret$$"


@pytest.mark.parametrize(
    "up, told",
    [
        ("ALTER TABLE secret INHERIT parent", [THROUGH.format("parent")]),
        ("ALTER TABLE parts ATTACH PARTITION secret FOR VALUES IN (1)", [THROUGH.format("parts")]),
        ("ALTER TABLE secret INHERIT closed", []),
        ("CREATE TABLE more PARTITION OF parts FOR VALUES IN (2)", []),
        (
            "CREATE OR REPLACE VIEW readable AS SELECT id, card FROM secret",
            ["PUBLIC may use public.readable, whose query is another one now"],
        ),
        ("CREATE POLICY more ON tenants USING (id = id)", [DECIDED.format("more", "new")]),
        ("ALTER POLICY own ON tenants USING (owner IS NOT NULL)", [DECIDED.format("own", "another one")]),
        ("DROP POLICY own ON tenants", [DECIDED.format("own", "gone")]),
        (
            f"CREATE OR REPLACE FUNCTION helper() RETURNS text LANGUAGE sql {LOOKS_AT}",
            [
                "PUBLIC may execute public.door(), which runs with its owner's rights (SECURITY DEFINER), and in it"
                " public.helper(), which does something else now"
            ],
        ),
        (f"CREATE OR REPLACE FUNCTION helpers() RETURNS text LANGUAGE sql {LOOKS_AT}", []),
    ],
)
def test_rows_that_come_into_reach_are_told(copies: Endpoint, up: str, told: list[str]) -> None:
    """No grant has changed."""
    copy = make_copy(copies, SECRET)
    try:
        dry = rehearse(plan_from_sql(up, "SELECT 1;"), copies, copy)
    except DryRunFailed as exc:
        dry = exc.evidence
    assert dry.checks[0].verdict.value == "passed", dry.checks[0].detail
    assert dry.extra["privileges"] == told


def test_the_card_tells_them_first(copies: Endpoint) -> None:
    copy = make_copy(copies, SHOP)
    plan = plan_from_sql("DROP VIEW w; CREATE VIEW w AS SELECT id FROM t; GRANT DELETE ON t TO PUBLIC;", "SELECT 1;")
    dry = failed(plan, copies, copy).evidence
    text = card(plan, make_bundle(plan, extra=dry.extra))
    assert "- **privileges that change**: PUBLIC may now delete from public.t\n" in text
    assert "- **privileges that change**: PUBLIC may no longer select from public.w\n" in text
