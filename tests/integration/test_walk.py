"""The lock timeline of a file against pg_locks: after each statement the session holds what was said, and no more."""

from __future__ import annotations

import psycopg
import pytest

from migrator.analysis.effects import World
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.analysis.walk.transactions import hold
from migrator.analysis.walk.walk import walk
from migrator.database.session import Endpoint, connect
from migrator.facts.query import collect_facts
from migrator.lock_modes import strength
from migrator.parsing.routines.constants import constant
from migrator.parsing.statements import deparse, parse
from migrator.plan import Severity
from tests.integration.conftest import MakeDatabase

CATALOG = """
CREATE TABLE tenants (id bigint PRIMARY KEY, name text);
CREATE TABLE messages (id bigint PRIMARY KEY, body text);
CREATE TABLE journal (id bigint GENERATED ALWAYS AS IDENTITY, what text);
CREATE TABLE counters (n bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO journal (what) VALUES (NEW.id::text);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER note AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION note();
CREATE FUNCTION count_up() RETURNS void LANGUAGE sql AS 'UPDATE counters SET n = n + 1';
CREATE PROCEDURE empty_all() LANGUAGE plpgsql AS 'BEGIN TRUNCATE counters; PERFORM count_up(); END';
INSERT INTO tenants VALUES (1, 'one');
INSERT INTO messages VALUES (1, 'a');
"""
HELD = """
SELECT format('%s.%s', n.nspname, c.relname), l.mode
FROM pg_locks AS l INNER JOIN pg_class AS c ON c.oid = l.relation INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relkind IN ('r', 'p') AND n.nspname = 'public'
"""


def modes(rows: list[tuple[str, str]]) -> dict[str, str]:
    """The strongest mode of each relation, in the documentation's words: AccessExclusiveLock is ACCESS EXCLUSIVE."""
    found: dict[str, str] = {}
    for relation, name in rows:
        words = "".join(f" {char}" if char.isupper() else char for char in name.removesuffix("Lock"))
        mode = words.strip().upper()
        if relation not in found or strength(mode) > strength(found[relation]):
            found[relation] = mode
    return found


def predicted(subject: Subject, script: Script) -> dict[str, str]:
    """What is held once the statement has run."""
    following = next((item for item in script.subjects if item.statement.index == subject.statement.index + 1), None)
    held = following.held if following is not None else hold(subject.held, subject.all_effects, 0, 0)
    return {item.relation: item.mode for item in held if item.relation in TABLES}


TABLES = tuple(f"public.{name}" for name in ("tenants", "messages", "journal", "counters"))


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE tenants ADD COLUMN x int; SAVEPOINT s; ALTER TABLE messages ADD COLUMN x int;"
        "ROLLBACK TO s; SELECT count(*) FROM tenants; RELEASE s; SELECT 1;",
        "SELECT name FROM tenants; SAVEPOINT a; ALTER TABLE tenants ADD COLUMN x int; SAVEPOINT b; TRUNCATE counters;"
        "ROLLBACK TO b; SELECT 1; ROLLBACK TO a; SELECT 1;",
        "INSERT INTO messages VALUES (2, 'b'); UPDATE tenants SET name = 'x' WHERE id = 1;",
        "DO $$ BEGIN UPDATE tenants SET name = 'y'; IF true THEN LOCK TABLE counters IN SHARE MODE; END IF; END $$;"
        "SELECT 1;",
        "SELECT count_up(); SELECT 1;",
        "CALL empty_all(); SELECT 1;",
        "CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'TRUNCATE tenants'; SELECT f(); SELECT 1;",
        "DO $$ BEGIN EXECUTE 'TRUNCATE ' || 'counters'; PERFORM count_up(); END $$; SELECT 1;",
        "DO $$ DECLARE t CONSTANT text := 'tenants'; BEGIN "
        "EXECUTE format('ALTER TABLE %I ADD x text DEFAULT %L', t, 'a');"
        "EXECUTE 'TRUNCATE ' || quote_ident('counters'); END $$; SELECT 1;",
    ],
)
def test_held_locks_are_those_of_the_server(sql: str, make_database: MakeDatabase) -> None:
    endpoint = make_database(script=CATALOG)
    parsed = parse(f"BEGIN; {sql}", file="x.sql")
    with connect(endpoint, purpose="observe") as conn:
        facts = collect_facts(conn, parsed)
    script, _ = walk(parsed, World(facts), wanted=None)
    assert [gap.why for gap in script.gaps] == []
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        for subject in script.subjects:
            conn.execute(subject.statement.sql.encode())
            if subject.statement.index:
                rows = [(str(name), str(mode)) for name, mode in conn.execute(HELD)]
                assert modes(rows) == predicted(subject, script), subject.statement.sql


@pytest.mark.parametrize(
    "expression",
    [
        r"format('ALTER TABLE %I.%I ADD x text DEFAULT %L', 'app', 'Odd " "Name', 'it''s \\ a')",
        "format('TRUNCATE %2$s, %1$I, %I', 'select', 'b')",
        "format('SELECT 100 %% %s', 7)",
        "'SELECT ' || quote_literal('a\\b''c') || ' AS ' || quote_ident('A b')",
    ],
)
def test_computed_text_means_what_the_server_computes(expression: str, database: Endpoint) -> None:
    with psycopg.connect(database.conninfo) as conn:
        (text,) = conn.execute(f"SELECT {expression}".encode()).fetchone() or ("",)
    ours, server = constant(expression, {}), parse(str(text), file="server").statements
    assert [deparse(item.node) for item in parse(ours or "", file="ours").statements] == [
        deparse(item.node) for item in server
    ]
    assert server


GUARDED = """
DO $$ BEGIN CREATE TYPE mood AS ENUM ('sad'); EXCEPTION WHEN duplicate_object THEN NULL; END $$
DO $$ BEGIN ALTER TABLE tenants ADD COLUMN name text; EXCEPTION WHEN others THEN NULL; END $$
DO $$ BEGIN ALTER TABLE tenants ADD name text; EXCEPTION WHEN data_exception OR duplicate_column THEN NULL; END $$
DO $$ BEGIN DROP TABLE nope; EXCEPTION WHEN SQLSTATE '42P01' THEN NULL; END $$
DO $$ BEGIN BEGIN DROP TABLE nope; EXCEPTION WHEN undefined_table THEN NULL; END; DELETE FROM counters; END $$
DO $$ BEGIN IF to_regclass('tenants') IS NULL THEN CREATE TABLE tenants (id int); END IF; END $$
DO $$ BEGIN IF to_regclass('nope') IS NOT NULL THEN ALTER TABLE nope ADD x int; END IF; END $$
DO $$ BEGIN IF (SELECT count(*) FROM tenants) > 9 THEN DROP TABLE counters; END IF; END $$; DELETE FROM counters
DO $$ BEGIN ALTER TABLE tenants ADD COLUMN name text; EXCEPTION WHEN undefined_table THEN NULL; END $$
DO $$ BEGIN DROP TABLE nope; EXCEPTION WHEN duplicate_table THEN NULL; END $$
DO $$ BEGIN BEGIN NULL; EXCEPTION WHEN others THEN NULL; END; DROP TABLE nope; END $$
DO $$ BEGIN NULL; EXCEPTION WHEN others THEN DROP TABLE nope; END $$
"""
"""One file a line, of which no statement fails but those whose failure is not caught."""


@pytest.mark.parametrize("sql", GUARDED.strip().splitlines())
def test_caught_and_guarded_failures_are_none(sql: str, make_database: MakeDatabase) -> None:
    endpoint = make_database(script=f"{CATALOG} CREATE TYPE mood AS ENUM ('sad');")
    parsed = parse(sql, file="x.sql")
    with connect(endpoint, purpose="observe") as conn:
        script, _ = walk(parsed, World(collect_facts(conn, parsed)), wanted=None)
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        for subject in script.subjects:
            failure, seen = subject.all_effects.fails, None
            try:
                conn.execute(subject.statement.sql.encode())
            except psycopg.Error as error:
                seen = error.sqlstate
            assert (failure.sqlstate if failure else None) == seen


def findings(endpoint: Endpoint, sql: str) -> list[tuple[str, str]]:
    parsed = parse(sql, file="x.sql")
    with connect(endpoint, purpose="observe") as conn:
        return [
            (item.rule, item.message)
            for item in inspect(Sources((parsed,)), Known(facts=collect_facts(conn, parsed))).findings
        ]


def test_tables_in_blocks_and_functions_are_looked_up(make_database: MakeDatabase) -> None:
    endpoint = make_database(script=CATALOG)
    sql = "DO $$ BEGIN UPDATE tenants SET name = 'y' WHERE id = 1; PERFORM count_up(); END $$; CALL empty_all();"
    assert "may-fail" not in {rule for rule, _ in findings(endpoint, sql)}
    assert any("counters" in message for rule, message in findings(endpoint, sql) if rule == "truncate")


@pytest.mark.parametrize(
    "sql, sqlstate",
    [
        ("BEGIN; ALTER TYPE mood ADD VALUE 'new'; SELECT 'new'::mood;", "55P04"),
        ("LOCK TABLE tenants; VACUUM tenants;", "25P01"),
        ("DECLARE c CURSOR FOR SELECT 1; VACUUM tenants;", "25P01"),
        ("ROLLBACK TO s;", "25P01"),
        ("BEGIN; ROLLBACK TO s;", "3B001"),
        ("DO $$ BEGIN VACUUM tenants; END $$;", "25001"),
        ("BEGIN; CREATE INDEX CONCURRENTLY i ON tenants (name);", "25001"),
        ("DO $$ BEGIN UPDATE tenants SET name = '' LIMIT 1; END $$;", "42601"),
        ("BEGIN; DO $$ BEGIN COMMIT; END $$;", "2D000"),
    ],
)
def test_what_is_said_to_fail_fails(sql: str, sqlstate: str, make_database: MakeDatabase) -> None:
    endpoint = make_database(script=f"{CATALOG} CREATE TYPE mood AS ENUM ('old');")
    found = inspect(Sources((parse(sql, file="x.sql"),))).findings
    told = [(item.rule, item.severity) for item in found if item.rule not in ("transaction-control", "lock-timeout")]
    forecast = "ADD VALUE" in sql or "DO $$ BEGIN VACUUM" in sql  # the value may be there, the block may catch it
    assert (Severity.WARNING if forecast else Severity.ERROR) in {severity for _, severity in told}
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        *before, last = parse(sql.removesuffix(" VACUUM tenants;"), file="x.sql").statements
        for item in before:
            conn.execute(item.sql.encode())
        with pytest.raises(psycopg.Error) as refused:
            conn.execute(last.sql.encode())
    assert refused.value.sqlstate == sqlstate


def test_set_local_outside_of_a_transaction_does_nothing(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("SET LOCAL lock_timeout = '7s'")
        assert conn.execute("SHOW lock_timeout").fetchone() != ("7s",)


def test_a_timeout_leaves_an_invalid_index_and_if_not_exists_hides_it(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (a int)")
        with psycopg.connect(database.conninfo) as other:
            other.execute("INSERT INTO t VALUES (1)")
            conn.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                conn.execute("CREATE INDEX CONCURRENTLY i ON t (a)")
        sql = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
        conn.execute(sql)
        assert conn.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass").fetchone() == (False,)
    assert "invalid-index-hidden" in {rule for rule, _ in findings(database, sql)}
