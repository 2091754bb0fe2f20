"""What kinds.py says about transaction blocks, asked of every supported major.

Each statement is executed inside a transaction block, where PostgreSQL must refuse exactly those that kinds.py calls
non-transactional (25001), and then outside.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from migrator.embedded.server import Server
from migrator.parsing import kinds
from migrator.parsing.statements import ParsedStatement, parse
from tests.integration.conftest import database_on

IN_BLOCK = "25001"  # active_sql_transaction: what PreventInTransactionBlock raises
TERMINATION = "2D000"  # invalid_transaction_termination: a COMMIT inside PL/pgSQL
NO_BLOCK = "25P01"  # no_active_sql_transaction: what RequireTransactionBlock raises, or warns of

SCRIPT = """
CREATE TABLE t (id int PRIMARY KEY, v int);
CREATE INDEX t_v ON t (v);
CREATE INDEX t_drop ON t (v);
CREATE TABLE parted (id int) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE part2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS id;
CREATE UNIQUE INDEX mv_id ON mv (id);
CREATE TYPE mood AS ENUM ('ok');
CREATE SCHEMA other;
CREATE SEQUENCE numbers;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
CREATE SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=1 dbname=nowhere' PUBLICATION pub
    WITH (connect = false, slot_name = 'slot');
CREATE SUBSCRIPTION off CONNECTION 'host=127.0.0.1 port=1 dbname=nowhere' PUBLICATION pub
    WITH (connect = false, slot_name = 'slot');
ALTER SUBSCRIPTION sub ENABLE;
"""

# Statement -> SQLSTATE outside a block: "" for success. 08006 is the publisher that is not there: it got that far.
REFUSED = {
    "CREATE INDEX CONCURRENTLY t_new ON t (v)": "",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id)": "",
    "DROP INDEX CONCURRENTLY t_drop": "",
    "REINDEX INDEX CONCURRENTLY t_v": "",
    "REINDEX TABLE CONCURRENTLY t": "",
    "REINDEX (CONCURRENTLY, VERBOSE) TABLE t": "",
    "REINDEX (CONCURRENTLY on) INDEX t_v": "",
    "REINDEX SCHEMA other": "",
    "REINDEX SCHEMA CONCURRENTLY other": "",
    "REINDEX DATABASE kinds": "",
    "REINDEX SYSTEM kinds": "",
    "VACUUM": "",
    "VACUUM t": "",
    "VACUUM FULL t": "",
    "VACUUM (ANALYZE, FREEZE) t": "",
    "CLUSTER": "",
    "CLUSTER VERBOSE": "",
    "CREATE DATABASE another": "",
    "ALTER DATABASE another SET TABLESPACE pg_default": "",
    "DROP DATABASE another": "",
    "DROP DATABASE IF EXISTS nowhere WITH (FORCE)": "",
    "CREATE TABLESPACE place LOCATION ''": "",
    "DROP TABLESPACE place": "",
    "ALTER SYSTEM SET work_mem = '5MB'": "",
    "ALTER SYSTEM RESET ALL": "",
    "ALTER TABLE parted DETACH PARTITION part CONCURRENTLY": "",
    "DISCARD ALL": "",
    "COMMIT PREPARED 'nothing'": "42704",
    "ROLLBACK PREPARED 'nothing'": "42704",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION pub": "08006",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION pub WITH (create_slot = true)": "08006",
    "ALTER SUBSCRIPTION sub REFRESH PUBLICATION": "08006",
    "ALTER SUBSCRIPTION sub REFRESH PUBLICATION WITH (copy_data = false)": "08006",
    "ALTER SUBSCRIPTION sub SET PUBLICATION pub2": "08006",
    "ALTER SUBSCRIPTION sub ADD PUBLICATION pub3": "08006",
    "DROP SUBSCRIPTION sub": "08006",
}
SINCE = {
    "ALTER SUBSCRIPTION off SET (failover = true)": (17, "08006"),
    "ALTER SUBSCRIPTION off SET (two_phase = false)": (18, "08006"),
}
ALLOWED_SINCE = {"ALTER SUBSCRIPTION off SET (two_phase = true)": 18}  # the apply worker does that later

ALLOWED = (
    "CREATE INDEX i ON t (v)",
    "DROP INDEX t_v",
    "REINDEX INDEX t_v",
    "REINDEX TABLE t",
    "REINDEX (CONCURRENTLY off) TABLE t",
    "ANALYZE",
    "ANALYZE t",
    "CLUSTER t USING t_v",
    "REFRESH MATERIALIZED VIEW mv",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY mv",
    "ALTER TYPE mood ADD VALUE 'better'",
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
    "ALTER TABLE parted DETACH PARTITION part2",
    "ALTER TABLE t ADD COLUMN w int DEFAULT 1",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE t SET SCHEMA other",
    "ALTER SEQUENCE numbers RESTART",
    "ALTER DATABASE kinds SET work_mem = '5MB'",
    "ALTER DATABASE kinds CONNECTION LIMIT 50",
    "ALTER DATABASE kinds WITH ALLOW_CONNECTIONS true",
    "ALTER SUBSCRIPTION sub DISABLE",
    "ALTER SUBSCRIPTION sub SET PUBLICATION pub2 WITH (refresh = false)",
    "ALTER SUBSCRIPTION sub ADD PUBLICATION pub3 WITH (refresh = false)",
    "ALTER SUBSCRIPTION sub SET (synchronous_commit = on)",
    "ALTER SUBSCRIPTION sub CONNECTION 'host=127.0.0.1 port=2'",
    "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=1' PUBLICATION pub WITH (connect = false)",
    "CREATE PUBLICATION every FOR ALL TABLES",
    "CREATE TABLE a AS SELECT 1",
    "SELECT 1 INTO b",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE ROLE role_in_block",
    "GRANT SELECT ON t TO PUBLIC",
    "COMMENT ON TABLE t IS 'a table'",
    "TRUNCATE t",
    "LOCK TABLE t IN SHARE MODE",
    "DISCARD PLANS",
    "DISCARD SEQUENCES",
    "DISCARD TEMP",
    "CHECKPOINT",
    "CALL p()",
    "DO $$ BEGIN PERFORM 1; END $$",
    "LISTEN channel",
    "NOTIFY channel",
    "SET CONSTRAINTS ALL DEFERRED",
    "DECLARE c CURSOR FOR SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "DROP SCHEMA other",
    "DROP TABLE t CASCADE",
)

COMMITTING = "DO $$ BEGIN COMMIT; END $$"


@pytest.fixture(scope="module")
def connection(each_server: Server) -> Iterator[psycopg.Connection]:
    """A superuser in a database where everything that the statements name is there."""
    endpoint = database_on(each_server, "kinds")
    with psycopg.connect(each_server.conninfo(endpoint.name), autocommit=True) as conn:
        conn.add_notice_handler(lambda diagnostic: WARNINGS.append(diagnostic.sqlstate or ""))
        conn.execute("SET allow_in_place_tablespaces = on")
        for statement in parse(SCRIPT, file="script.sql").statements:
            conn.execute(statement.sql.encode())
        yield conn
        # Subscriptions would keep the database from being dropped, and REFUSED leaves one of them.
        for name in ("sub", "off"):
            conn.execute(f"ALTER SUBSCRIPTION {name} DISABLE".encode())
            conn.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)".encode())
            conn.execute(f"DROP SUBSCRIPTION {name}".encode())
    with psycopg.connect(each_server.conninfo(), autocommit=True) as admin:
        admin.execute("DROP DATABASE kinds WITH (FORCE)")


WARNINGS: list[str] = []


def one(sql: str) -> ParsedStatement:
    parsed = parse(sql, file="x.sql")
    assert not parsed.problems
    (statement,) = parsed.statements
    return statement


def run(conn: psycopg.Connection, sql: str) -> str:
    """SQLSTATE of what it raised, "" for success."""
    try:
        conn.execute(sql.encode())
    except psycopg.Error as exc:
        return exc.sqlstate or "lost"
    return ""


def in_block(conn: psycopg.Connection, sql: str) -> str:
    conn.execute("BEGIN")
    try:
        return run(conn, sql)
    finally:
        conn.execute("ROLLBACK")


def test_every_non_transactional_statement_is_refused_in_a_block(connection: psycopg.Connection) -> None:
    """In this order, because some make what later ones drop."""
    major = connection.info.server_version // 10000
    since = {sql: state for sql, (first, state) in SINCE.items() if major >= first}
    wrong: list[tuple[str, str, str]] = []
    for sql, outside in {**REFUSED, **since}.items():
        assert not one(sql).transactional, sql
        inside, really = in_block(connection, sql), run(connection, sql)
        if (inside, really) != (IN_BLOCK, outside):
            wrong.append((sql, inside, really))
        connection.execute("SET allow_in_place_tablespaces = on")  # DISCARD ALL forgets it
    assert wrong == []


@pytest.mark.parametrize("sql", [*ALLOWED, *ALLOWED_SINCE])
def test_every_other_statement_is_accepted(connection: psycopg.Connection, sql: str) -> None:
    assert one(sql).transactional
    if connection.info.server_version // 10000 >= ALLOWED_SINCE.get(sql, 0):
        assert in_block(connection, sql) == ""


def test_a_do_block_that_commits(connection: psycopg.Connection) -> None:
    assert not one(COMMITTING).transactional
    assert in_block(connection, COMMITTING) == TERMINATION
    assert run(connection, COMMITTING) == ""


@pytest.mark.parametrize(
    "sql",
    ["LOCK TABLE t", "DECLARE c CURSOR FOR SELECT 1", "SET LOCAL work_mem = '1MB'", "SET CONSTRAINTS ALL DEFERRED"],
)
def test_what_only_makes_sense_in_a_block(connection: psycopg.Connection, sql: str) -> None:
    assert kinds.needs_transaction(one(sql).node)
    WARNINGS.clear()
    assert NO_BLOCK in (run(connection, sql), *WARNINGS)
    WARNINGS.clear()
    assert in_block(connection, sql) == ""
    assert WARNINGS == []


@pytest.mark.parametrize("sql", ["SELECT 1", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SET work_mem = '1MB'"])
def test_what_makes_sense_outside(connection: psycopg.Connection, sql: str) -> None:
    assert not kinds.needs_transaction(one(sql).node)
    WARNINGS.clear()
    assert run(connection, sql) == ""
    assert WARNINGS == []
