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
            ["public.v: security_barrier was true, is now off"],
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


def test_the_card_tells_them_first(copies: Endpoint) -> None:
    copy = make_copy(copies, SHOP)
    plan = plan_from_sql("DROP VIEW w; CREATE VIEW w AS SELECT id FROM t; GRANT DELETE ON t TO PUBLIC;", "SELECT 1;")
    dry = failed(plan, copies, copy).evidence
    text = card(plan, make_bundle(plan, extra=dry.extra))
    assert "- **privileges that change**: PUBLIC may now delete from public.t\n" in text
    assert "- **privileges that change**: PUBLIC may no longer select from public.w\n" in text
