"""How a plain session of the login role would begin, next to how ours does."""

from __future__ import annotations

import psycopg
import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.database.session import Endpoint, connect
from migrator.facts.query import collect_facts
from migrator.parsing.statements import parse
from tests.integration.conftest import MakeDatabase

SET = "DO $$ BEGIN EXECUTE format('ALTER {} SET {}', {}); END $$;"
OF_DATABASE = SET.format("DATABASE %I", "search_path = app, public", "current_database()")
OF_BOTH = SET.format("ROLE %I IN DATABASE %I", 'search_path = "$user", other', "current_user, current_database()")
ZONE = SET.format("DATABASE %I", "timezone = ''Asia/Tokyo''", "current_database()")
OBJECTS = """
CREATE SCHEMA app; CREATE SCHEMA other; CREATE TABLE public.orders (id int); CREATE TABLE app.orders (id int);
CREATE TABLE other.orders (id int); CREATE TYPE app.mood AS ENUM ('a'); CREATE TYPE public.mood AS ENUM ('b');
"""


def messages(endpoint: Endpoint, sql: str) -> list[str]:
    parsed = parse(sql, file="m.sql")
    with connect(endpoint, purpose="observe") as conn:
        facts = collect_facts(conn, parsed)
    found = inspect(Sources((parsed,)), Known(facts=facts)).findings
    return [item.message for item in found if item.rule in ("search-path-differs", "time-zone-differs")]


@pytest.mark.parametrize("setting", [OF_DATABASE, OF_BOTH, OF_DATABASE + OF_BOTH, ZONE])
def test_the_login_is_as_its_plain_sessions_are(setting: str, make_database: MakeDatabase) -> None:
    endpoint = make_database(script=OBJECTS + setting)
    parsed = parse("DELETE FROM orders", file="m.sql")
    with psycopg.connect(endpoint.conninfo) as plain:
        begun = tuple(plain.execute(f"SHOW {name}").fetchone()[0] for name in ("search_path", "timezone", "datestyle"))
        where = plain.execute("SELECT 'orders'::regclass::oid::regclass, current_schema()").fetchone()
    with connect(endpoint, purpose="observe") as conn:
        login = collect_facts(conn, parsed).login
    assert login is not None
    assert (login.search_path, login.timezone, login.datestyle) == begun
    assert where is not None
    assert login.schema == where[1]


def test_both_paths_are_named(make_database: MakeDatabase) -> None:
    endpoint = make_database(script=OBJECTS + OF_DATABASE)
    (message,) = messages(endpoint, "CREATE TABLE invoices (id int); DELETE FROM orders; SELECT 'a'::mood")
    for part in (
        "app, public",
        '"public"',
        "`search_path`",
        "public.invoices",
        "app.orders",
        "public.orders",
        "app.mood",
    ):
        assert part in message


def test_what_both_find_in_the_same_schema_is_no_matter(make_database: MakeDatabase) -> None:
    endpoint = make_database(script=OBJECTS + "CREATE TABLE public.bills (id int);" + OF_DATABASE + ZONE)
    assert messages(endpoint, "DELETE FROM bills WHERE now() > '2025-01-01 00:00+01'") == []


def test_a_zone_is_named_with_the_constant(make_database: MakeDatabase) -> None:
    endpoint = make_database(script="CREATE TABLE ev (at timestamptz);" + ZONE)
    (message,) = messages(endpoint, "INSERT INTO ev VALUES ('2025-07-01 00:00')")
    assert "'2025-07-01 00:00'" in message
    assert "Asia/Tokyo" in message
