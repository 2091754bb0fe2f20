"""What counts as naming the ledger, in all the places where PostgreSQL's grammar lets a schema stand."""

from __future__ import annotations

from datetime import date

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.rules.privileges import ledger_touched
from migrator.catalogue.metadata import Allow
from migrator.facts.facts import CatalogFacts, FunctionFacts
from migrator.parsing.statements import parse
from migrator.plan import Finding, Severity

RULE = ledger_touched.RULE.id

NAMED = r"""
SELECT * FROM migrator.schema_migrations
SELECT * FROM "migrator".schema_migrations
SELECT * FROM U&"m\0069grator".schema_migrations
SELECT * FROM U&"m!0069grator" UESCAPE '!' . schema_migrations
SELECT E'm\x69grator.schema_migrations'::regclass
DO E'BEGIN DELETE FROM m\x69grator.schema_migrations; END'
SELECT * FROM MIGRATOR.schema_migrations
INSERT INTO migrator.schema_migration_events SELECT 1
UPDATE t SET a = 1 FROM migrator.schema_migrations m
DELETE FROM migrator.schema_migration_steps
WITH d AS (DELETE FROM migrator.schema_migration_steps RETURNING 1) SELECT * FROM d
MERGE INTO migrator.schema_migrations m USING t ON m.version = t.v WHEN MATCHED THEN DELETE
TRUNCATE t, migrator.schema_migration_steps
COPY migrator.schema_migrations TO '/tmp/x'
COPY migrator.schema_migrations FROM '/tmp/x'
COPY (SELECT 1 FROM migrator.schema_migrations) TO '/tmp/x'
LOCK TABLE migrator.schema_migrations
EXPLAIN ANALYZE DELETE FROM migrator.schema_migrations
PREPARE p AS DELETE FROM migrator.schema_migrations
DECLARE c CURSOR FOR SELECT * FROM migrator.schema_migrations
CREATE VIEW v AS SELECT * FROM migrator.schema_migrations
CREATE TABLE c () INHERITS (migrator.schema_migration_reviews)
CREATE TABLE c (LIKE migrator.schema_migration_reviews)
CREATE TABLE c (id bigint REFERENCES migrator.schema_migration_events)
CREATE TABLE c (m migrator.schema_migrations)
CREATE TABLE migrator.mine (id int)
CREATE INDEX ON migrator.schema_migrations (status)
CREATE TRIGGER t AFTER INSERT ON migrator.schema_migrations EXECUTE FUNCTION f()
CREATE TRIGGER t AFTER INSERT ON t EXECUTE FUNCTION migrator.refuse_change()
CREATE RULE r AS ON DELETE TO migrator.schema_migrations DO INSTEAD NOTHING
CREATE RULE r AS ON DELETE TO t DO ALSO DELETE FROM migrator.schema_migrations
CREATE POLICY p ON migrator.schema_migrations
CREATE PUBLICATION p FOR TABLE migrator.schema_migrations
CREATE PUBLICATION p FOR TABLES IN SCHEMA migrator
CREATE STATISTICS s ON version, status FROM migrator.schema_migrations
CREATE FUNCTION migrator.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM migrator.schema_migrations RETURNING 1'
CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 FROM migrator.schema_migrations; END
CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = public, migrator AS 'SELECT 1'
CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'plpy.execute("DELETE FROM migrator.schema_migrations")'
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS 'BEGIN DELETE FROM migrator.schema_migrations; END'
CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM migrator.x' || $1; END $$
CREATE PROCEDURE f() LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'DELETE FROM migrator.schema_migrations'; END $$
DO $$ BEGIN DELETE FROM migrator.schema_migrations; END $$
DO $$ BEGIN EXECUTE format('DELETE FROM migrator.%I', now()::text); END $$
DO $$ BEGIN EXECUTE 'DELETE FROM migrator.' || quote_ident(now()::text); END $$
DO $$ BEGIN EXECUTE 'DO $x$ BEGIN DELETE FROM migrator.schema_migrations; END $x$'; END $$
DO $$ DECLARE r record; BEGIN FOR r IN SELECT * FROM migrator.schema_migrations LOOP NULL; END LOOP; END $$
CREATE DOMAIN migrator.d AS int
CREATE TYPE migrator.t AS ENUM ('a')
CREATE TYPE migrator.t AS (a int)
CREATE SEQUENCE migrator.s
CREATE OPERATOR migrator.=== (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)
CREATE CAST (migrator.schema_migrations AS text) WITH INOUT
CREATE EXTENSION pg_trgm SCHEMA migrator
CREATE SCHEMA migrator
CREATE SCHEMA AUTHORIZATION migrator
CREATE SCHEMA s CREATE VIEW v AS SELECT * FROM migrator.schema_migrations
ALTER EXTENSION pg_trgm SET SCHEMA migrator
ALTER TABLE t SET SCHEMA migrator
ALTER TABLE migrator.schema_migrations SET SCHEMA public
ALTER TABLE migrator.schema_migrations DISABLE TRIGGER ALL
ALTER TABLE migrator.schema_migrations ENABLE ROW LEVEL SECURITY
ALTER TABLE t INHERIT migrator.schema_migrations
ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES migrator.schema_migrations
ALTER SCHEMA migrator RENAME TO other
ALTER SCHEMA other RENAME TO migrator
ALTER SCHEMA migrator OWNER TO app
ALTER SEQUENCE migrator.schema_migration_reviews_id_seq RESTART
ALTER FUNCTION migrator.refuse_change() OWNER TO app
ALTER DEFAULT PRIVILEGES IN SCHEMA migrator GRANT INSERT ON TABLES TO app
GRANT INSERT ON migrator.schema_migrations TO app
GRANT INSERT ON ALL TABLES IN SCHEMA public, migrator TO app
GRANT USAGE ON SCHEMA migrator TO app
REVOKE ALL ON SCHEMA migrator FROM app
GRANT EXECUTE ON FUNCTION migrator.refuse_change() TO app
COMMENT ON SCHEMA migrator IS 'mine'
COMMENT ON TABLE migrator.schema_migrations IS 'mine'
SECURITY LABEL ON TABLE migrator.schema_migrations IS 'mine'
IMPORT FOREIGN SCHEMA public FROM SERVER s INTO migrator
DROP SCHEMA migrator CASCADE
DROP SCHEMA IF EXISTS other, migrator
DROP TABLE t, migrator.schema_migrations
DROP TRIGGER append_only ON migrator.schema_migration_events
DROP FUNCTION migrator.refuse_change()
DROP OWNED BY CURRENT_USER
REASSIGN OWNED BY SESSION_USER TO app
REINDEX SCHEMA migrator
REINDEX TABLE migrator.schema_migrations
VACUUM FULL migrator.schema_migrations
CLUSTER migrator.schema_migrations
SET search_path = migrator
SET search_path = 'public, migrator'
SET LOCAL search_path TO public, "migrator"
SELECT set_config('search_path', 'public,migrator', true)
ALTER ROLE app SET search_path = migrator
ALTER DATABASE d SET search_path = public, migrator
SELECT 'migrator.schema_migrations'::regclass
SELECT to_regclass('migrator.schema_migrations')
SELECT query_to_xml('DELETE FROM migrator.schema_migrations', true, true, '')
SELECT dblink_exec('dbname=x', 'DELETE FROM migrator.schema_migrations')
SELECT nextval('migrator.schema_migration_reviews_id_seq')
SELECT nextval('migrator.' || 'schema_migration_reviews_id_seq'), currval('migrator.schema_migration_reviews_id_seq')
SELECT migrator.refuse_change()
SELECT 1 OPERATOR(migrator.===) 1
""".strip().splitlines()

NOT_NAMED = """
SELECT migrator.id FROM public.migrator
SELECT m.migrator FROM t AS m
CREATE TABLE migrator (migrator text)
CREATE TABLE public.migrator (id int)
CREATE INDEX ON migrator (migrator)
ALTER TABLE t OWNER TO migrator
GRANT SELECT ON t TO migrator
ALTER DEFAULT PRIVILEGES FOR ROLE migrator IN SCHEMA public GRANT SELECT ON TABLES TO app
CREATE SCHEMA s AUTHORIZATION migrator
REASSIGN OWNED BY app TO migrator
DROP ROLE migrator
COMMENT ON TABLE t IS 'as in migrator.schema_migrations'
INSERT INTO t VALUES ('migrator.schema_migrations', 'the migrator. It runs')
UPDATE t SET a = 'migrator.x' WHERE b = 'migrator'
SELECT * FROM public.schema_migrations
SELECT * FROM my_migrator.t
SELECT * FROM t WHERE a LIKE 'migrator%'
SET search_path = public
SET search_path = my_migrator
SELECT set_config('application_name', 'migrator', true)
DO $$ BEGIN RAISE NOTICE 'migrator.schema_migrations is not looked at'; END $$
CREATE FUNCTION migrator() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE ROLE migrator
CREATE PUBLICATION migrator FOR TABLE t
""".strip().splitlines()


def found(sql: str, **sources: object) -> list[Finding]:
    findings = inspect(Sources((parse(sql, file="x.sql"),), **sources)).findings  # type: ignore[arg-type]
    return [item for item in findings if item.rule == RULE]


@pytest.mark.parametrize("sql", NAMED)
def test_it_is_found(sql: str) -> None:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == (), "the example is SQL"
    assert found(sql)
    assert all(item.severity is Severity.ERROR for item in found(sql))


COMMENT = "DO $$ BEGIN -- migrator.schema_migrations stays\n EXECUTE 'SELECT ' || now(); END $$"


@pytest.mark.parametrize("sql", [*NOT_NAMED, COMMENT])
def test_the_same_word_is_something_else(sql: str) -> None:
    assert parse(sql, file="x.sql").problems == ()
    assert found(sql) == []


def test_it_cannot_be_allowed() -> None:
    allow = (Allow(RULE, "I know", date(2999, 1, 1)),)
    sql = f"-- migrator: allow {RULE} because I know until 2999-01-01\nDROP SCHEMA migrator CASCADE;"
    findings = inspect(Sources((parse(sql, file="x.sql"),), allow=allow)).findings
    assert [item.allowed_because for item in findings if item.rule == RULE] == [None]
    refused = [item for item in findings if item.message == f"{RULE!r} cannot be allowed"]
    assert [item.severity for item in refused] == [Severity.ERROR, Severity.ERROR]


def test_nor_be_passed_over_in_a_rollback_script() -> None:
    rollback = parse("DELETE FROM migrator.schema_migration_reviews;", file="undo.sql")
    (finding,) = found("CREATE TABLE t (id int);", rollback=rollback)
    assert (finding.file, finding.severity) == ("undo.sql", Severity.ERROR)


def test_nor_in_an_assertion() -> None:
    text = parse("SELECT count(*) = 0 FROM migrator.schema_migration_reviews", file="metadata#verify[0]")
    assert found("CREATE TABLE t (id int);", assertions=(text,))


def test_the_place_is_the_innermost_statement() -> None:
    (finding,) = found("SELECT 1;\nDO $$\nBEGIN\n  PERFORM 1;\n  DELETE FROM migrator.schema_migrations;\nEND $$;")
    assert finding.line == 5


def test_a_function_of_the_catalog_that_is_called() -> None:
    body = "CREATE FUNCTION public.f() RETURNS void LANGUAGE sql AS 'DELETE FROM migrator.schema_migrations'"
    facts = CatalogFacts(
        180000, functions={"f": (FunctionFacts("v", 0, 0, schema="public", language="sql", body=body),)}
    )
    findings = inspect(Sources((parse("SELECT f();", file="x.sql"),)), Known(facts=facts)).findings
    assert RULE in {item.rule for item in findings}
