"""Rights that no GRANT gives: what a role reads through another object. Seen in the dry run, told on the card."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint, connect
from migrator.errors import DryRunFailed
from migrator.facts.query import collect_facts
from migrator.parsing.statements import parse
from migrator.rehearsal.reach import read
from tests.factories import plan_from_sql
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import make_copy, rehearse

PATH = "SET search_path = pg_catalog, pg_temp"
SHOP = f"""
CREATE TABLE parent (id int, card text);
CREATE TABLE parts (id int, card text) PARTITION BY LIST (id);
CREATE TABLE hidden (id int, card text) PARTITION BY LIST (id);
CREATE TABLE secret (id int, card text);
CREATE TABLE known (id int, card text);
CREATE TABLE inbox (id int, card text);
CREATE VIEW readable AS SELECT 1 AS id, 'public'::text AS card;
CREATE VIEW above AS SELECT id, card FROM readable;
CREATE VIEW private AS SELECT 1 AS id, 'public'::text AS card;
CREATE VIEW asking WITH (security_invoker) AS SELECT id, card FROM known;
CREATE FUNCTION is_open(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT $1 > 5';
CREATE VIEW part AS SELECT id, card FROM secret WHERE is_open(id);
CREATE TABLE tenants (id int, card text, owner text);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION is_mine(text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT $1 = current_user';
CREATE POLICY own ON tenants USING (is_mine(owner));
CREATE POLICY strict ON tenants AS RESTRICTIVE USING (id > 0);
CREATE FUNCTION helper() RETURNS text LANGUAGE sql AS $$SELECT 'nothing'::text$$;
CREATE FUNCTION alone() RETURNS text LANGUAGE sql AS $$SELECT 'nothing'::text$$;
CREATE FUNCTION door() RETURNS text LANGUAGE plpgsql SECURITY DEFINER {PATH} AS 'BEGIN RETURN public.helper(); END';
CREATE FUNCTION shut() RETURNS text LANGUAGE sql SECURITY DEFINER {PATH} AS 'SELECT public.alone()';
REVOKE EXECUTE ON FUNCTION shut() FROM PUBLIC;
CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER {PATH} AS 'BEGIN RETURN NEW; END';
REVOKE EXECUTE ON FUNCTION noting() FROM PUBLIC;
CREATE TRIGGER note BEFORE INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION noting();
GRANT SELECT ON parent, parts, readable, above, asking, part, tenants, known TO PUBLIC;
GRANT INSERT ON inbox TO PUBLIC;
"""


@pytest.mark.parametrize(
    "up, told",
    [
        ("ALTER TABLE secret INHERIT parent;", ["PUBLIC may now read public.secret through public.parent"]),
        (
            "ALTER TABLE parts ATTACH PARTITION secret FOR VALUES IN (1);",
            ["PUBLIC may now read public.secret through public.parts"],
        ),
        (
            "CREATE OR REPLACE VIEW readable AS SELECT id, card FROM secret;",
            [
                "PUBLIC may now read public.secret through public.above",
                "PUBLIC may now read public.secret through public.readable",
            ],
        ),
        (
            "CREATE OR REPLACE VIEW part AS SELECT id, card FROM secret;",
            ["PUBLIC may now read other rows or columns through public.part (new or another: public.part)"],
        ),
        (
            "CREATE OR REPLACE FUNCTION is_open(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';",
            ["PUBLIC may now read other rows or columns through public.part (new or another: public.is_open(integer))"],
        ),
        (
            "CREATE OR REPLACE FUNCTION helper() RETURNS text LANGUAGE sql AS 'SELECT card FROM public.secret';",
            [
                "PUBLIC may now reach public.secret by calling public.door()",
                "PUBLIC may now have other code run with the rights of an owner by calling public.door() (new"
                " or another: public.helper())",
            ],
        ),
        (
            "CREATE OR REPLACE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER"
            f" {PATH} AS 'BEGIN NEW.card := (SELECT min(card) FROM public.secret); RETURN NEW; END';",
            [
                "PUBLIC may now reach public.secret by changing public.inbox",
                "PUBLIC may now have other code run with the rights of an owner by changing public.inbox (new"
                " or another: public.noting())",
            ],
        ),
        (
            "CREATE RULE also AS ON INSERT TO inbox DO ALSO DELETE FROM secret;",
            [
                "PUBLIC may now reach public.secret by changing public.inbox",
                "PUBLIC may now have other code run with the rights of an owner by changing public.inbox (new"
                " or another: public.inbox.also)",
            ],
        ),
        (
            "ALTER POLICY own ON tenants USING (owner IS NOT NULL);",
            ["PUBLIC may now read other rows of public.tenants (new, gone or another: policy public.tenants.own)"],
        ),
        (
            "CREATE POLICY more ON tenants USING (id = id);",
            ["PUBLIC may now read other rows of public.tenants (new, gone or another: policy public.tenants.more)"],
        ),
        (
            "CREATE POLICY more ON tenants TO pg_monitor USING (id = id);",
            ["pg_monitor may now read other rows of public.tenants (new, gone or another: policy public.tenants.more)"],
        ),
        (
            "DROP POLICY strict ON tenants;",
            ["PUBLIC may now read other rows of public.tenants (new, gone or another: policy public.tenants.strict)"],
        ),
        (
            "CREATE OR REPLACE FUNCTION is_mine(text) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';",
            ["PUBLIC may now read other rows or columns through public.tenants (new or another: public.is_mine(text))"],
        ),
        (
            "CREATE VIEW fresh AS SELECT id, card FROM secret; GRANT SELECT ON fresh TO PUBLIC;",
            ["PUBLIC may now read public.secret through public.fresh"],
        ),
    ],
)
def test_whoever_may_now_read_more_is_told(copies: Endpoint, up: str, told: list[str]) -> None:
    assert privileges(copies, up) == told


@pytest.mark.parametrize(
    "up",
    [
        "ALTER TABLE known INHERIT parent;",
        "ALTER TABLE hidden ATTACH PARTITION secret FOR VALUES IN (1);",
        "CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);",
        "CREATE OR REPLACE VIEW private AS SELECT id, card FROM secret;",
        "CREATE OR REPLACE VIEW asking WITH (security_invoker) AS SELECT id, card FROM secret;",
        "CREATE OR REPLACE VIEW part AS SELECT  id, card FROM secret  WHERE is_open(id);",
        "CREATE OR REPLACE FUNCTION alone() RETURNS text LANGUAGE sql AS 'SELECT card FROM public.secret';",
        "CREATE POLICY less ON tenants AS RESTRICTIVE USING (id > 5); DROP POLICY own ON tenants;",
        "ALTER TABLE secret RENAME COLUMN card TO number; ALTER TABLE secret RENAME TO quiet;",
        "ALTER TABLE tenants RENAME COLUMN owner TO tenant; ALTER FUNCTION is_mine(text) RENAME TO is_ours;",
        "ALTER TABLE known ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON known USING (id > 0);",
        "CREATE INDEX ON secret (id); ALTER TABLE secret ADD COLUMN more int; INSERT INTO secret VALUES (1, 'x');",
    ],
)
def test_nothing_is_told_where_nobody_reads_more(copies: Endpoint, up: str) -> None:
    assert [line for line in privileges(copies, up) if "ROW LEVEL SECURITY" not in line] == []


def test_what_lies_behind_is_read_on_each_major(each_database: MakeDatabase) -> None:
    endpoint = each_database(script=SHOP.replace("WITH (security_invoker) ", ""))  # 14 does not know it
    with psycopg.connect(endpoint.conninfo) as conn:
        before = read(conn)
        conn.execute("CREATE OR REPLACE VIEW public.readable AS SELECT id, card FROM public.secret")
        after = read(conn)
        conn.execute("ALTER TABLE public.secret RENAME COLUMN card TO number")
        renamed = read(conn)
    with connect(endpoint, purpose="observe") as conn:
        facts = collect_facts(conn, (parse("SELECT is_mine('a'), noting();", file="x.sql"),))
    names = {node.name: node for node in after.nodes.values()}
    view, table = names["public.readable"], names["public.secret"]
    assert before.of(view.key, "read").rows == frozenset()
    assert after.of(view.key, "read").rows == {table.key}
    assert not view.does_as(before.nodes[view.key])
    assert view.does_as(renamed.nodes[view.key]), "a rename changes only how it is shown"
    assert facts.functions["is_mine"][0].used == ("policy own of tenants",)
    assert facts.functions["noting"][0].used == ("trigger note of inbox",)


def privileges(copies: Endpoint, up: str) -> list[str]:
    copy = make_copy(copies, SHOP)
    try:
        dry = rehearse(plan_from_sql(up, "SELECT 1;"), copies, copy)
    except DryRunFailed as exc:
        dry = exc.evidence
    assert dry.checks[0].verdict.value == "passed", dry.checks[0].detail
    return list(dry.extra["privileges"])
