"""An owner hangs code onto a table while the engine is about to read it: it is not run, whenever it becomes visible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrator.database.session import Endpoint, connect
from migrator.history import baseline, foreign_ledgers
from tests.integration.conftest import PASSWORD
from tests.integration.stages import query

OTHER = "owner_meanwhile"
SCRIPT = """
CREATE TABLE t (id serial, name text, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO t VALUES (1, 'a'), (2, NULL);
CREATE FUNCTION trap(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'migrator' THEN
        PERFORM pg_advisory_lock(4711);
    END IF;
    RETURN true;
END $$;
"""
TRAPS = {
    "index": "CREATE INDEX late ON public.t (id) WHERE public.trap('x')",
    "statistics": "CREATE STATISTICS public.late ON id, (public.trap(name || 'x')), (public.trap('x')) FROM public.t",
}


@pytest.fixture
def owner(database: Endpoint, superuser: str) -> Iterator[Endpoint]:
    """A role of the application that owns the table and the sequence, both of which the migrator may use."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {OTHER} LOGIN PASSWORD '{PASSWORD}'")
        try:
            conn.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {OTHER}; SET ROLE {OTHER}; {SCRIPT}".encode())
            conn.execute("GRANT ALL ON t, t_id_seq TO migrator; RESET ROLE")
            yield replace(database, conninfo=make_conninfo(database.conninfo, user=OTHER))
        finally:
            conn.execute(f"RESET ROLE; DROP OWNED BY {OTHER} CASCADE; DROP ROLE {OTHER}")


def caught(conn: psycopg.Connection) -> bool:
    """Whether this very session has run the trap, as the migrator."""
    mine = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    return conn.execute(mine).fetchone() is not None


HISTORIES = {
    "the runbook's": (
        "CREATE TABLE schema_migrations (version text, status text); INSERT INTO schema_migrations VALUES ('1', 'bad');"
        "CREATE INDEX ON schema_migrations (version) WHERE trap('x'); GRANT SELECT ON schema_migrations TO migrator",
        baseline.legacy_rows,
    ),
    "another tool's": (
        "CREATE TABLE flyway_schema_history (installed_rank int, version varchar(50), description varchar(200), type"
        " varchar(20), installed_by varchar(100), installed_on timestamp, success boolean, more int[]);"
        "INSERT INTO flyway_schema_history VALUES (1, '1', 'a', 'SQL', 'x', '2024-01-02', true, '{1}');"
        "CREATE INDEX ON flyway_schema_history (version) WHERE trap('x');"
        "GRANT SELECT ON flyway_schema_history TO migrator",
        lambda conn: foreign_ledgers.read(conn, foreign_ledgers.find("flyway")),
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history(database: Endpoint, owner: Endpoint, history: str) -> None:
    script, read = HISTORIES[history]
    query(owner, script)
    with connect(database, purpose="baseline") as conn:
        assert [row.version for row in read(conn)] == ["1"]
        assert not caught(conn)
        with psycopg.connect(database.conninfo) as other:
            other.execute("SELECT version FROM public.flyway_schema_history" if "tool" in history else
                          "SELECT version FROM public.schema_migrations")  # fmt: skip
            assert caught(other), "a query runs it"
