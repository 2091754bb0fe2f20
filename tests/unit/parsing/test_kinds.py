"""The names of statements: stable, because the ledger and JSON output carry them."""

from __future__ import annotations

import pytest

from migrator.parsing import kinds
from migrator.parsing.statements import parse

KINDS = {
    "CREATE INDEX i ON t (a)": "CREATE INDEX",
    "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)": "CREATE INDEX CONCURRENTLY",
    "DROP INDEX i": "DROP INDEX",
    "DROP INDEX CONCURRENTLY IF EXISTS i": "DROP INDEX CONCURRENTLY",
    "DROP MATERIALIZED VIEW m": "DROP MATERIALIZED VIEW",
    "DROP FOREIGN TABLE f": "DROP FOREIGN TABLE",
    "REINDEX TABLE t": "REINDEX TABLE",
    "REINDEX (CONCURRENTLY) INDEX i": "REINDEX INDEX CONCURRENTLY",
    "REINDEX (CONCURRENTLY false) INDEX i": "REINDEX INDEX",
    "REINDEX SCHEMA CONCURRENTLY s": "REINDEX SCHEMA CONCURRENTLY",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m": "REFRESH MATERIALIZED VIEW CONCURRENTLY",
    "ALTER TABLE t ADD COLUMN a int": "ALTER TABLE",
    "ALTER TABLE t DETACH PARTITION p": "ALTER TABLE",
    "ALTER TABLE t DETACH PARTITION p CONCURRENTLY": "ALTER TABLE DETACH PARTITION CONCURRENTLY",
    "ALTER TABLE t DETACH PARTITION p FINALIZE": "ALTER TABLE",
    "ALTER TABLE t RENAME COLUMN a TO b": "ALTER TABLE",
    "ALTER TABLE t RENAME CONSTRAINT a TO b": "ALTER TABLE",
    "ALTER VIEW v RENAME TO w": "ALTER VIEW",
    "ALTER INDEX i RENAME TO j": "ALTER INDEX",
    "ALTER INDEX i SET (fillfactor = 50)": "ALTER INDEX",
    "ALTER SEQUENCE s OWNER TO me": "ALTER SEQUENCE",
    "ALTER TABLE ALL IN TABLESPACE a SET TABLESPACE b": "ALTER TABLE ALL IN TABLESPACE",
    "ALTER TYPE e ADD VALUE 'x'": "ALTER TYPE",
    "ALTER TYPE e RENAME ATTRIBUTE a TO b": "ALTER TYPE",
    "ALTER DOMAIN d RENAME CONSTRAINT a TO b": "ALTER DOMAIN",
    "ALTER FUNCTION f() STABLE": "ALTER FUNCTION",
    "ALTER PROCEDURE p() RENAME TO q": "ALTER PROCEDURE",
    "CREATE TABLE t ()": "CREATE TABLE",
    "CREATE TABLE t AS SELECT 1": "CREATE TABLE AS",
    "SELECT 1 INTO t": "SELECT INTO",
    "SELECT 1 INTO t UNION ALL SELECT 2 ORDER BY 1": "SELECT INTO",
    "CREATE MATERIALIZED VIEW m AS SELECT 1": "CREATE MATERIALIZED VIEW",
    "CREATE TYPE e AS ENUM ()": "CREATE TYPE",
    "CREATE TYPE c AS (a int)": "CREATE TYPE",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'": "CREATE FUNCTION",
    "CREATE PROCEDURE p() LANGUAGE sql AS ''": "CREATE PROCEDURE",
    "CREATE AGGREGATE a (int) (sfunc = f, stype = int)": "CREATE AGGREGATE",
    "GRANT SELECT ON t TO u": "GRANT",
    "REVOKE a FROM b": "REVOKE",
    "VACUUM (FULL) t": "VACUUM FULL",
    "VACUUM (FULL off) t": "VACUUM",
    "ANALYZE t": "ANALYZE",
    "SET work_mem = 1": "SET",
    "SET LOCAL work_mem = 1": "SET LOCAL",
    "RESET ALL": "RESET",
    "DISCARD ALL": "DISCARD ALL",
    "BEGIN": "BEGIN",
    "END": "COMMIT",
    "ABORT": "ROLLBACK",
    "ROLLBACK TO a": "ROLLBACK TO SAVEPOINT",
    "DELETE FROM t": "DELETE",
    "WITH a AS (SELECT 1) UPDATE t SET b = 1": "UPDATE",
    "MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE": "MERGE",
    "TABLE t": "SELECT",
    "VALUES (1)": "SELECT",
}


@pytest.mark.parametrize("sql", KINDS)
def test_name(sql: str) -> None:
    parsed = parse(sql, file="x.sql")
    assert parsed.problems == ()
    assert [one.kind for one in parsed.statements] == [KINDS[sql]]


CONTROL = {
    "BEGIN": True,
    "START TRANSACTION ISOLATION LEVEL SERIALIZABLE": True,
    "COMMIT AND CHAIN": True,
    "SAVEPOINT a": True,
    "PREPARE TRANSACTION 'x'": True,
    "SET TRANSACTION READ ONLY": True,
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": True,
    "SET transaction_isolation = 'serializable'": True,
    "SET TRANSACTION SNAPSHOT 'x'": True,
    "SET work_mem = '1MB'": False,
    "SET LOCAL lock_timeout = 0": False,
    "SELECT 1": False,
    "LOCK TABLE t": False,
    "PREPARE q AS SELECT 1": False,
}


@pytest.mark.parametrize("sql", CONTROL)
def test_transaction_control(sql: str) -> None:
    (statement,) = parse(sql, file="x.sql").statements
    assert kinds.is_transaction_control(statement.node) == CONTROL[sql]
