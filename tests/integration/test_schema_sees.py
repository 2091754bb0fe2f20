"""Nothing that changes what a database does is the same schema, on any major, and a dump restores the same schema."""

from __future__ import annotations

import subprocess

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.backups.proof import comparable
from migrator.database import schema
from migrator.database.schema import Schema
from migrator.database.schema_diff import diff
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from tests.integration.conftest import MakeDatabase

RARE = """
CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION two() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2';
CREATE FUNCTION add(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION plus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION minus(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 - $2';
CREATE FUNCTION done(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE item (id int PRIMARY KEY, body text, n int REFERENCES item);
CREATE VIEW shown AS SELECT * FROM item;
CREATE MATERIALIZED VIEW kept AS SELECT * FROM item;
CREATE INDEX item_sum ON item ((id + n));
CREATE TABLE parted (id int PRIMARY KEY, n int) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 (id int PRIMARY KEY, n int);
ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES IN (2);
CREATE INDEX parted_n ON parted (n);
CREATE TRIGGER touched BEFORE UPDATE ON parted FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE base (id int, CHECK (id > 0));
CREATE TABLE child () INHERITS (base);
CREATE AGGREGATE total (int) (
    sfunc = add, stype = int, initcond = '0', msfunc = add, minvfunc = minus, mstype = int, minitcond = '0'
);
CREATE DOMAIN small AS int DEFAULT one();
CREATE TYPE span AS RANGE (subtype = int);
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = simple, accept = true);
CREATE OPERATOR === (PROCEDURE = int4eq, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR FAMILY ints USING btree;
CREATE OPERATOR CLASS int_ops_of_ours FOR TYPE int USING btree FAMILY ints AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE CONVERSION into_latin FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
CREATE FOREIGN DATA WRAPPER wrapper OPTIONS (debug 'true');
CREATE EXTENSION IF NOT EXISTS plpgsql;
"""
ANEW = "ALTER TABLE child NO INHERIT base; ALTER TABLE child INHERIT base"
"""What the parent gave, the child keeps when the parent's goes."""


def superuser(server: Server, endpoint: Endpoint) -> psycopg.Connection:
    return psycopg.connect(server.conninfo(str(conninfo_to_dict(endpoint.conninfo)["dbname"])), autocommit=True)


def changed(conn: psycopg.Connection, sql: str) -> tuple[str, ...]:
    before = schema.read(conn)
    conn.execute(sql.encode())
    return diff(before, schema.read(conn)).lines()


@pytest.mark.parametrize(
    "sql, line",
    [
        ("ALTER VIEW shown ALTER n SET DEFAULT one()", "+ column public.shown.n: integer default public.one()"),
        ("ALTER MATERIALIZED VIEW kept ALTER body SET STORAGE EXTERNAL", "+ column public.kept.body:"),
        ("ALTER MATERIALIZED VIEW kept ALTER n SET STATISTICS 7", "+ column public.kept.n:"),
        ("ALTER MATERIALIZED VIEW kept SET (toast.autovacuum_enabled = off)", "~ materialized view public.kept:"),
        ("ALTER INDEX item_sum ALTER 1 SET STATISTICS 7", "~ index public.item_sum:"),
        ("ALTER TABLE parted_1 DISABLE TRIGGER touched", "+ trigger public.parted_1.touched:"),
        ("ALTER TABLE item DISABLE TRIGGER ALL", "~ constraint public.item.item_n_fkey:"),
        (ANEW, "~ column public.child.id:"),
        (ANEW, "~ constraint public.child.base_id_check:"),
        ("CREATE OR REPLACE AGGREGATE total (int) (sfunc = add, stype = int, initcond = '0', msfunc = plus,"
         " minvfunc = minus, mstype = int, minitcond = '0')", "~ aggregate public.total(integer):"),
        ("CREATE OR REPLACE AGGREGATE total (int) (sfunc = add, stype = int, initcond = '0', msfunc = add,"
         " minvfunc = minus, mstype = int, minitcond = '1')", "~ aggregate public.total(integer):"),
        ("CREATE OR REPLACE AGGREGATE total (int) (sfunc = add, stype = int, initcond = '0', msfunc = add,"
         " minvfunc = minus, mstype = int, minitcond = '0', mfinalfunc = done)", "~ aggregate public.total(integer):"),
        ("ALTER FUNCTION one() RENAME TO old; ALTER FUNCTION two() RENAME TO one", "~ type public.small:"),
        ("ALTER TEXT SEARCH CONFIGURATION words DROP MAPPING FOR int", "~ text search configuration public.words:"),
        ("ALTER TEXT SEARCH DICTIONARY stems (accept = false)", "~ text search dictionary public.stems:"),
        ("DROP TEXT SEARCH DICTIONARY stems; CREATE TEXT SEARCH DICTIONARY stems (TEMPLATE = thesaurus,"
         " dictfile = 'thesaurus_sample', dictionary = english_stem)", "~ text search dictionary public.stems:"),
        ("ALTER OPERATOR === (int, int) SET (RESTRICT = eqsel)", "~ operator public.===(integer,integer):"),
        ("ALTER OPERATOR FAMILY ints USING btree ADD FUNCTION 2 (int, int) btint4sortsupport(internal)",
         "~ operator family public.ints USING btree:"),
        ("DROP CONVERSION into_latin; CREATE DEFAULT CONVERSION into_latin FOR 'UTF8' TO 'LATIN1' FROM"
         " utf8_to_iso8859_1", "~ conversion public.into_latin:"),
        ("ALTER FOREIGN DATA WRAPPER wrapper OPTIONS (SET debug 'false')", "~ foreign data wrapper wrapper:"),
        ("CREATE ACCESS METHOD other TYPE INDEX HANDLER bthandler", "+ access method other: i bthandler"),
        ("CREATE TEXT SEARCH TEMPLATE other (LEXIZE = dsimple_lexize)", "+ text search template public.other:"),
        ("CREATE TEXT SEARCH PARSER other (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES ="
         " prsd_lextype)", "+ text search parser public.other:"),
        ("DROP TYPE span; CREATE TYPE span AS RANGE (subtype = int, subtype_opclass = int_ops_of_ours)",
         "~ type public.span:"),
    ],
)  # fmt: skip
def test_what_changes_behaviour_shows(each_server: Server, each_database: MakeDatabase, sql: str, line: str) -> None:
    with superuser(each_server, each_database()) as conn:
        conn.execute(RARE.encode())
        lines = changed(conn, sql)
    assert any(one.startswith(line) for one in lines), lines


def restored(server: Server, endpoint: Endpoint, copy: Endpoint) -> tuple[Schema, Schema]:
    """What a superuser's dump makes of it, as the proof compares both."""
    source, there = (server.conninfo(str(conninfo_to_dict(one.conninfo)["dbname"])) for one in (endpoint, copy))
    tools = server.programs.bindir
    dump = subprocess.run([tools / "pg_dump", "--no-owner", source], check=True, capture_output=True)
    subprocess.run(
        [tools / "psql", "--quiet", "--no-psqlrc", "-v", "ON_ERROR_STOP=1", there],
        input=dump.stdout, check=True, capture_output=True,
    )  # fmt: skip
    with psycopg.connect(source) as first, psycopg.connect(there) as second:
        return comparable(schema.read(first), schema.read(second), grants=True)


def test_a_dump_gives_it_all_back(each_server: Server, each_database: MakeDatabase) -> None:
    endpoint, copy = each_database(), each_database()
    with superuser(each_server, endpoint) as conn:
        conn.execute(RARE.encode())
        conn.execute(ANEW)
        conn.execute(
            "ALTER VIEW shown ALTER n SET DEFAULT one();"
            "ALTER MATERIALIZED VIEW kept ALTER body SET STORAGE EXTERNAL, ALTER n SET STATISTICS 7;"
            "ALTER INDEX item_sum ALTER 1 SET STATISTICS 7;"
            "ALTER TABLE parted_1 DISABLE TRIGGER touched"
        )
    here, there = restored(each_server, endpoint, copy)
    assert diff(here, there).lines() == ()
