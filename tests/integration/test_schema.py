"""The schema as a value, read from a real catalog: everything that changes it shows, and nothing else."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database import schema
from migrator.database.schema import Schema
from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from tests.integration.conftest import MakeDatabase

EVERYTHING = """
CREATE SCHEMA more;
CREATE TYPE mood AS ENUM ('calm', 'busy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
CREATE TABLE parents (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, mood mood);
CREATE TABLE children (
    id serial PRIMARY KEY, parent_id bigint REFERENCES parents ON DELETE CASCADE, "Quoted Name" positive DEFAULT 1,
    twice int GENERATED ALWAYS AS (id * 2) STORED, CONSTRAINT small CHECK (id < 1000)
);
CREATE INDEX children_parent ON children (parent_id) INCLUDE (id) WHERE parent_id > 0;
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_2025 PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX ON parted (id);
CREATE VIEW names AS SELECT name FROM parents;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) AS n FROM parents;
CREATE SEQUENCE numbers INCREMENT 5;
CREATE FUNCTION plus(a int, b int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE PROCEDURE nothing() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE TRIGGER touched BEFORE INSERT ON parents FOR EACH ROW EXECUTE FUNCTION touch();
CREATE RULE quiet AS ON DELETE TO children DO INSTEAD NOTHING;
ALTER TABLE parents ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON parents FOR SELECT USING (name = current_user);
CREATE STATISTICS together ON id, parent_id FROM children;
COMMENT ON COLUMN parents.name IS 'how they are called';
GRANT SELECT (name) ON parents TO PUBLIC;
"""


def read(endpoint: Endpoint) -> Schema:
    with psycopg.connect(endpoint.conninfo) as conn:
        return schema.read(conn)


def test_every_kind_of_object_is_read(make_database: MakeDatabase) -> None:
    found = read(make_database(script=EVERYTHING))
    kinds = {
        "schema", "type", "table", "column", "column_order", "constraint", "index", "view", "materialized_view",
        "sequence", "function", "procedure", "aggregate", "trigger", "rule", "policy", "statistics", "comment",
        "grant", "owner", "database",
    }  # fmt: skip
    assert kinds <= set(found.objects)
    assert found.objects["column"]['public.children."Quoted Name"'] == "public.positive default 1"
    assert "row security enabled" in found.objects["table"]["public.parents"]
    assert found.part_of["index public.children_parent"] == "table public.children"


def test_the_same_script_gives_the_same_schema(make_database: MakeDatabase) -> None:
    """Free of OIDs and of everything else that differs from one database to the next."""
    one = read(make_database("one", script=EVERYTHING))
    other = read(make_database("other", script="CREATE TABLE x (id int); DROP TABLE x;" + EVERYTHING))
    assert diff(one, other).lines() == ()
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize(
    "sql, line",
    [
        ("ALTER TABLE parents ALTER name DROP NOT NULL", "~ column public.parents.name: text not null -> text"),
        ("ALTER TABLE children ALTER parent_id SET DEFAULT 3", "~ column public.children.parent_id:"),
        ("ALTER TABLE children DROP CONSTRAINT small", "- constraint public.children.small:"),
        ("ALTER TABLE children RENAME CONSTRAINT small TO tiny", "+ constraint public.children.tiny:"),
        ("ALTER INDEX children_parent RENAME TO other", "- index public.children_parent:"),
        ("ALTER TYPE mood ADD VALUE 'sad'", "~ type public.mood:"),
        ("ALTER DOMAIN positive SET NOT NULL", "~ type public.positive:"),
        ("CREATE OR REPLACE FUNCTION plus(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a + b'",
         "~ function public.plus(a integer, b integer):"),
        ("ALTER TABLE parents DISABLE TRIGGER touched", "~ trigger public.parents.touched:"),
        ("ALTER TABLE parents DISABLE ROW LEVEL SECURITY", "~ table public.parents:"),
        ("ALTER POLICY own ON parents USING (true)", "~ policy public.parents.own:"),
        ("ALTER TABLE parents SET (fillfactor = 70)", "~ table public.parents:"),
        ("ALTER TABLE parents REPLICA IDENTITY FULL", "~ table public.parents:"),
        ("ALTER TABLE parted_2025 SET (autovacuum_enabled = off)", "~ table public.parted_2025:"),
        ("ALTER SEQUENCE numbers INCREMENT 7", "~ sequence public.numbers:"),
        ("ALTER TABLE parted DETACH PARTITION parted_2025", "~ table public.parted_2025:"),
        ("COMMENT ON TABLE parents IS 'people'", "+ comment table public.parents: people"),
        ("GRANT SELECT ON parents TO PUBLIC", "+ grant table public.parents:"),
        ("CREATE OR REPLACE VIEW names AS SELECT name FROM parents WHERE id > 1", "~ view public.names:"),
        ("DROP RULE quiet ON children", "- rule public.children.quiet:"),
        ("DROP STATISTICS together", "- statistics public.together:"),
    ],
)  # fmt: skip
def test_a_change_shows(make_database: MakeDatabase, sql: str, line: str) -> None:
    endpoint = make_database(script=EVERYTHING)
    before = read(endpoint)
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        conn.execute(sql.encode())
    after = read(endpoint)
    assert before.fingerprint != after.fingerprint
    assert any(found.startswith(line) for found in diff(before, after).lines()), diff(before, after).lines()


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO parents (name) VALUES ('x')",
        "SELECT nextval('numbers')",
        "ANALYZE",
        "VACUUM FULL parents",
        "REINDEX TABLE children",
        "REFRESH MATERIALIZED VIEW counts",
        "CREATE TEMPORARY TABLE passing (id int)",
        "GRANT ALL ON parents TO migrator",
        "CREATE SCHEMA migrator; CREATE TABLE migrator.ledger_identity (id int)",
    ],
)
def test_what_is_no_change_of_the_schema_does_not_show(make_database: MakeDatabase, sql: str) -> None:
    endpoint = make_database(script=EVERYTHING)
    before = read(endpoint)
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        conn.execute(sql.encode())
        assert diff(before, schema.read(conn)).lines() == ()


def test_invalid_and_unvalidated_are_shown(make_database: MakeDatabase) -> None:
    endpoint = make_database(script="CREATE TABLE t (id int, ref int); INSERT INTO t VALUES (1, 1), (1, 1);")
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("CREATE UNIQUE INDEX CONCURRENTLY t_id ON t (id)")
        conn.execute("ALTER TABLE t ADD CONSTRAINT positive CHECK (id > 0) NOT VALID")
        found = schema.read(conn)
    assert found.objects["index"]["public.t_id"].endswith("[invalid]")
    assert found.objects["constraint"]["public.t.positive"].endswith("NOT VALID")


def test_a_read_inside_a_transaction_sees_it_and_leaves_it_as_it_was(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("SET LOCAL search_path = pg_catalog")
        conn.execute("CREATE TABLE public.mine (id int)")
        assert "public.mine" in schema.read(conn).names("table")
        assert conn.execute("SHOW search_path").fetchone() == ("pg_catalog",)
        conn.rollback()
    assert "public.mine" not in read(database).names("table")


def test_the_search_path_changes_nothing(make_database: MakeDatabase) -> None:
    endpoint = make_database(script=EVERYTHING)
    with psycopg.connect(endpoint.conninfo, options="-c search_path=more,public") as conn:
        assert schema.read(conn).fingerprint == read(endpoint).fingerprint


def test_another_owner_is_not_portable(make_database: MakeDatabase, server: Server) -> None:
    endpoint = make_database(script="CREATE TABLE t (id int)")
    before = read(endpoint)
    with psycopg.connect(server.conninfo(psycopg.conninfo.conninfo_to_dict(endpoint.conninfo)["dbname"])) as conn:
        conn.execute("ALTER TABLE t OWNER TO postgres")
    after = read(endpoint)
    assert before.fingerprint != after.fingerprint
    assert before.portable.fingerprint == after.portable.fingerprint
