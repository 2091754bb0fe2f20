"""The target's own search path is in force while a text of the migration is sent, and only then."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from migrator.database import naming
from migrator.database.session import Endpoint, connect
from tests.factories import plan_from_sql
from tests.integration.stages import apply_all, query, verify_it

OWN = "pg_catalog, pg_temp"
HERE = "SELECT current_setting('search_path') AS path, current_schema() AS schema"


def path_of(conn: psycopg.Connection) -> str:
    return str(conn.execute("SHOW search_path").fetchone()[0])  # type: ignore[index]


@pytest.mark.parametrize("transaction", [True, False])
def test_what_a_file_sets_holds_for_its_next_statements(database: Endpoint, transaction: bool) -> None:
    query(database, "CREATE SCHEMA app")
    sql = f"CREATE TABLE one AS {HERE}; SET search_path = app, public; CREATE TABLE two AS {HERE};"
    plan = plan_from_sql(sql, transaction=transaction)
    apply_all(plan, database)
    assert not verify_it(plan, database).failed
    assert query(database, "SELECT * FROM public.one") == [("public", "public")]
    assert query(database, "SELECT * FROM app.two") == [("app, public", "app")]


def test_what_a_file_sets_for_its_transaction_ends_with_it(database: Endpoint) -> None:
    query(database, "CREATE SCHEMA app")
    with connect(replace(database, search_path="public"), purpose="apply") as conn:
        for sql, wanted in (("SET LOCAL search_path = app", "public"), ("SET search_path = app", "app")):
            conn.execute("BEGIN")
            with naming.names_of_target(conn):
                conn.execute(sql.encode())
            assert path_of(conn) == OWN
            assert naming.ask(conn, "SELECT pg_catalog.current_schema()").rows == [("app",)]
            conn.execute("COMMIT")
            naming.committed(conn)
            assert path_of(conn) == OWN
            assert naming.ask(conn, "SELECT pg_catalog.current_schema()").rows == [(wanted,)]
        conn.execute("BEGIN")
        with naming.names_of_target(conn):
            conn.execute("SET search_path = public")
        conn.execute("ROLLBACK")
        naming.rolled_back(conn)
        assert naming.ask(conn, "SELECT pg_catalog.current_schema()").rows == [("app",)]


def test_a_statement_that_fails_leaves_our_path(database: Endpoint) -> None:
    with connect(database, purpose="apply") as conn:
        with pytest.raises(psycopg.Error), naming.names_of_target(conn):
            conn.execute("SELECT nonsense")
        assert path_of(conn) == OWN
        conn.execute("BEGIN")
        with pytest.raises(psycopg.Error), naming.names_of_target(conn):
            conn.execute("SELECT nonsense")
        conn.execute("ROLLBACK")
        assert path_of(conn) == OWN


def test_the_isolation_of_a_transaction_may_still_be_set(database: Endpoint) -> None:
    level = "current_setting('transaction_isolation')"
    apply_all(
        plan_from_sql(f"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; CREATE TABLE t AS SELECT {level}"), database
    )
    assert query(database, "SELECT * FROM t") == [("serializable",)]


def test_deferred_triggers_run_with_the_path_of_the_file(database: Endpoint) -> None:
    """With the engine's they would not find their tables."""
    query(
        database,
        """
        CREATE TABLE log (path text); CREATE TABLE t (id int);
        CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO log SELECT current_setting('search_path'); RETURN NEW; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION late();
        """,
    )
    apply_all(plan_from_sql("INSERT INTO t VALUES (1)"), database)
    assert query(database, "SELECT * FROM log") == [("public",)]


@pytest.mark.parametrize(
    "path", ["public", '"$user", public', 'app, "Odd, one", "a""b"', "APP", "pg_catalog", '""', ""]
)
def test_a_path_is_read_as_the_server_reads_it(database: Endpoint, path: str) -> None:
    query(database, 'CREATE SCHEMA app; CREATE SCHEMA "Odd, one"; CREATE SCHEMA "a""b"; CREATE SCHEMA migrator')
    with psycopg.connect(database.conninfo, autocommit=True) as plain:
        plain.execute("SELECT set_config('search_path', %s, false)", (path,))
        wanted = plain.execute("SELECT current_schemas(true)").fetchall()
    with connect(replace(database, search_path=path), purpose="observe") as conn:
        assert naming.ask(conn, "SELECT pg_catalog.current_schemas(true)").rows == wanted


def test_an_answer_is_made_with_the_targets_path_and_by_our_functions(database: Endpoint) -> None:
    query(
        database,
        """
        CREATE SCHEMA app; CREATE TABLE app.t (id int);
        CREATE FUNCTION app.lower(name) RETURNS text LANGUAGE sql AS $$ SELECT 'captured' $$;
        """,
    )
    with connect(replace(database, search_path="app"), purpose="observe") as conn:
        answer = naming.ask(conn, "SELECT to_regclass(%(name)s)::text AS t, lower('A'::name) AS a", {"name": "t"})
    assert answer.named == [{"t": "t", "a": "a"}]
