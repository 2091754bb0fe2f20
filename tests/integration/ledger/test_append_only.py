"""Events and reviews are never changed: not by the owner, and not by a role that was given everything."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from migrator.database.session import Endpoint
from tests.integration.ledger.history import history, problems_of

TABLES = ("schema_migration_events", "schema_migration_reviews")
CHANGES = (
    "UPDATE {} SET run_id = 'x'",
    "UPDATE {} SET run_id = 'x' WHERE false",
    "DELETE FROM {}",
    "TRUNCATE {} CASCADE",
)


@pytest.fixture
def ordinary(database: Endpoint, superuser: str) -> Iterator[str]:
    """A connection string of a role that owns nothing and was granted all privileges on the ledger's tables."""
    history(database)
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("CREATE ROLE ordinary LOGIN PASSWORD 'only for this test'")
        try:
            admin.execute("GRANT USAGE ON SCHEMA migrator TO ordinary")
            admin.execute("GRANT ALL ON ALL TABLES IN SCHEMA migrator TO ordinary")
            yield psycopg.conninfo.make_conninfo(database.conninfo, user="ordinary", password="only for this test")
        finally:
            admin.execute("DROP OWNED BY ordinary")
            admin.execute("DROP ROLE ordinary")


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("table", TABLES)
def test_refused_to_owner_and_to_others(database: Endpoint, ordinary: str, table: str, change: str) -> None:
    for conninfo in (database.conninfo, ordinary):
        with (
            psycopg.connect(conninfo, autocommit=True) as conn,
            pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match=r"append-only: (UPDATE|DELETE|TRUNCATE)"),
        ):
            conn.execute(change.format(f"migrator.{table}").encode())
    assert problems_of(database) == ()


@pytest.mark.parametrize("table", TABLES)
def test_replication_role_does_not_open_it(database: Endpoint, superuser: str, table: str) -> None:
    """`session_replication_role = replica` switches ordinary triggers off; these stay."""
    history(database)
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("SET session_replication_role = replica")
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match='"migrator ledger repair"'):
            conn.execute(f"DELETE FROM migrator.{table}".encode())


def test_a_role_without_privileges_sees_nothing(database: Endpoint, superuser: str) -> None:
    history(database)
    with psycopg.connect(superuser, autocommit=True) as admin:
        admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'only for this test'")
        try:
            stranger = psycopg.conninfo.make_conninfo(database.conninfo, user="stranger", password="only for this test")
            with psycopg.connect(stranger, autocommit=True) as conn:
                for table in ("schema_migrations", *TABLES):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        conn.execute(f"SELECT FROM migrator.{table}".encode())
        finally:
            admin.execute("DROP ROLE stranger")


def test_only_one_migration_can_be_at_work(database: Endpoint) -> None:
    """The server itself refuses the second, whatever the engine believes; one that rests is none."""
    history(database)
    with psycopg.connect(database.conninfo, autocommit=True) as conn:
        row = (
            "INSERT INTO migrator.schema_migrations (version, filename, status, applied_by, run_id, engine_version)"
            " VALUES (%s, 'f', 'running', 'me', 'r', '0')"
        )
        conn.execute(row, ("002",))
        with pytest.raises(psycopg.errors.UniqueViolation, match="schema_migrations_one_running"):
            conn.execute(row, ("003",))
