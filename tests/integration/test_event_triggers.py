"""Which event triggers a statement fires: predicted, and seen on a server of each major."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from migrator.analysis.effects import World
from migrator.analysis.rules.event_firing import events_of, tag_of
from migrator.analysis.walk.walk import walk
from migrator.embedded.server import Server
from migrator.facts.query import collect_facts
from migrator.parsing.statements import parse

pytestmark = pytest.mark.integration

SETUP = """
CREATE ROLE bystander;
CREATE ROLE owner_of_one;
CREATE SEQUENCE of_owner;
ALTER SEQUENCE of_owner OWNER TO owner_of_one;
CREATE TABLE alone (id int);
CREATE TABLE t (id int PRIMARY KEY, a int DEFAULT 1, b text NOT NULL, twice int GENERATED ALWAYS AS (id * 2) STORED,
    CONSTRAINT positive CHECK (a > 0));
INSERT INTO t VALUES (1, 1, 'b');
CREATE INDEX t_a ON t (a);
CREATE VIEW v AS SELECT id FROM t;
CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
CREATE SEQUENCE s;
CREATE TYPE mood AS ENUM ('x');
CREATE TYPE pair AS (one int, two int);
CREATE DOMAIN amount AS int DEFAULT 1 CHECK (VALUE > 0);
CREATE SCHEMA lm;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER trg BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION g();
CREATE TABLE p (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
CREATE PUBLICATION pub FOR TABLE t;
CREATE POLICY pol ON t USING (true);
CREATE STATISTICS stat ON a, b FROM t;
CREATE FUNCTION public.seen() RETURNS event_trigger LANGUAGE plpgsql AS
    $$BEGIN RAISE WARNING 'fired|%|%', tg_event, tg_tag; END$$;
CREATE EVENT TRIGGER e1 ON ddl_command_start EXECUTE FUNCTION public.seen();
CREATE EVENT TRIGGER e2 ON ddl_command_end EXECUTE FUNCTION public.seen();
CREATE EVENT TRIGGER e3 ON sql_drop EXECUTE FUNCTION public.seen();
CREATE EVENT TRIGGER e4 ON table_rewrite EXECUTE FUNCTION public.seen();
"""

STATEMENTS = """
ALTER TABLE t ADD COLUMN c int
ALTER TABLE t ADD COLUMN c timestamptz DEFAULT clock_timestamp()
ALTER TABLE t DROP COLUMN a
ALTER TABLE t DROP CONSTRAINT positive
ALTER TABLE t ALTER a TYPE bigint
ALTER TABLE t ALTER b TYPE varchar
ALTER TABLE t ALTER a DROP DEFAULT
ALTER TABLE t ALTER a SET DEFAULT 2
ALTER TABLE t ALTER b DROP NOT NULL
ALTER TABLE t ALTER a SET NOT NULL
ALTER TABLE t ALTER twice DROP EXPRESSION
ALTER TABLE t VALIDATE CONSTRAINT positive
ALTER TABLE alone SET UNLOGGED
ALTER TABLE t SET TABLESPACE pg_default
ALTER TABLE t RENAME TO u
ALTER TABLE t RENAME COLUMN a TO c
ALTER TABLE t RENAME CONSTRAINT positive TO above
ALTER TABLE t SET SCHEMA lm
ALTER TABLE t OWNER TO bystander
ALTER TABLE t ENABLE ROW LEVEL SECURITY
ALTER TABLE p DETACH PARTITION p1
ALTER INDEX t_a RENAME TO t_b
ALTER INDEX t_a SET (fillfactor = 50)
ALTER VIEW v RENAME TO w
ALTER SEQUENCE s INCREMENT 2
ALTER MATERIALIZED VIEW m RENAME TO n
ALTER TYPE mood ADD VALUE 'y'
ALTER TYPE mood RENAME VALUE 'x' TO 'z'
ALTER TYPE pair ADD ATTRIBUTE three int
ALTER TYPE pair DROP ATTRIBUTE two
ALTER DOMAIN amount DROP CONSTRAINT amount_check
ALTER DOMAIN amount DROP DEFAULT
ALTER DOMAIN amount ADD CHECK (VALUE < 9)
ALTER FUNCTION f() COST 5
ALTER POLICY pol ON t USING (false)
ALTER TRIGGER trg ON t RENAME TO trg2
ALTER PUBLICATION pub DROP TABLE t
ALTER PUBLICATION pub SET TABLE p1
ALTER PUBLICATION pub ADD TABLE p1
ALTER STATISTICS stat SET STATISTICS 5
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bystander
ALTER ROLE bystander NOLOGIN
ALTER DATABASE postgres SET work_mem = '5MB'
ALTER EVENT TRIGGER e4 DISABLE
ALTER SCHEMA lm RENAME TO lmn
CREATE TABLE n (id int)
CREATE TABLE n AS SELECT 1 AS one
SELECT 1 AS one INTO n
CREATE TEMPORARY TABLE n (id int)
CREATE INDEX ON t (b)
CREATE VIEW w AS SELECT 1 AS one
CREATE OR REPLACE VIEW v AS SELECT id FROM t
CREATE MATERIALIZED VIEW n AS SELECT 1 AS one
CREATE SCHEMA n CREATE TABLE inside (id int)
CREATE SEQUENCE n
CREATE TYPE n AS ENUM ()
CREATE TYPE n AS (one int)
CREATE TYPE n AS RANGE (subtype = int)
CREATE DOMAIN n AS int
CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'
CREATE TRIGGER n BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION g()
CREATE RULE n AS ON DELETE TO t DO NOTHING
CREATE POLICY n ON t USING (true)
CREATE STATISTICS n ON id, b FROM t
CREATE PUBLICATION n
CREATE ROLE n
CREATE AGGREGATE n (int) (sfunc = int4pl, stype = int)
CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)
CREATE COLLATION n FROM "C"
CREATE CAST (int AS mood) WITH INOUT
CREATE TEXT SEARCH CONFIGURATION n (COPY = simple)
CREATE EVENT TRIGGER n ON sql_drop EXECUTE FUNCTION seen()
DROP TABLE p
DROP INDEX t_a
DROP VIEW v
DROP SEQUENCE s
DROP FUNCTION f()
DROP TRIGGER trg ON t
DROP POLICY pol ON t
DROP TYPE mood
DROP SCHEMA lm
DROP PUBLICATION pub
DROP STATISTICS stat
DROP OWNED BY owner_of_one
DROP EVENT TRIGGER e4
DROP ROLE bystander
COMMENT ON TABLE t IS 'x'
COMMENT ON COLUMN t.a IS 'x'
COMMENT ON ROLE bystander IS 'x'
COMMENT ON EVENT TRIGGER e1 IS 'x'
GRANT SELECT ON t TO bystander
GRANT CONNECT ON DATABASE postgres TO bystander
GRANT USAGE ON SCHEMA lm TO bystander
GRANT pg_monitor TO bystander
REVOKE ALL ON t FROM public
REVOKE EXECUTE ON FUNCTION f() FROM public
REFRESH MATERIALIZED VIEW m
REINDEX TABLE t
REINDEX INDEX t_a
CLUSTER t USING t_a
TRUNCATE t
LOCK TABLE t
ANALYZE t
UPDATE t SET a = 2
SET LOCAL work_mem = '5MB'
DO $$ BEGIN END $$
""".strip().splitlines()


@pytest.fixture(scope="module")
def watched(each_server: Server) -> Iterator[psycopg.Connection]:
    """A superuser's session with one event trigger for each event."""
    with psycopg.connect(each_server.conninfo(), autocommit=True) as conn:
        conn.execute("CREATE DATABASE watched")
        conn.execute("REVOKE CONNECT, TEMPORARY ON DATABASE watched FROM PUBLIC")  # copies are made on this server, too
    with psycopg.connect(each_server.conninfo("watched"), autocommit=True) as conn:
        conn.execute(SETUP.encode())
        yield conn


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_server_fires_what_is_predicted(sql: str, watched: psycopg.Connection) -> None:
    parsed = parse(sql, file="x.sql")
    facts = collect_facts(watched, parsed)
    (subject,) = walk(parsed, World(facts), wanted=None, rollback=False)[0].subjects
    expected = events_of(subject.statement, subject.effects, watched.info.server_version // 10000)
    fired: list[tuple[str, ...]] = []

    def note(notice: psycopg.errors.Diagnostic) -> None:
        if (notice.message_primary or "").startswith("fired|"):
            fired.append(tuple((notice.message_primary or "").split("|")[1:]))

    watched.add_notice_handler(note)
    try:
        with watched.transaction(force_rollback=True):
            watched.execute(sql.encode())
    finally:
        watched.remove_notice_handler(note)
    assert {event for event, _ in fired} == expected
    assert {tag for _, tag in fired} <= {tag_of(subject.statement)}
