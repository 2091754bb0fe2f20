"""The fixtures that every other integration test stands on."""

from __future__ import annotations

import psycopg
import pytest

from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from tests.integration.conftest import MakeDatabase


def test_each_test_gets_an_empty_database_of_its_own(database: Endpoint, make_database: MakeDatabase) -> None:
    other = make_database(script="CREATE TABLE here (id int)")
    with psycopg.connect(database.conninfo) as conn, psycopg.connect(other.conninfo) as conn_other:
        assert conn.info.dbname != conn_other.info.dbname
        assert conn.execute("SELECT to_regclass('here')").fetchone() == (None,)
        assert conn_other.execute("SELECT to_regclass('here')").fetchone() == ("here",)


def test_the_owner_may_do_what_a_migration_needs_and_is_no_superuser(database: Endpoint) -> None:
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("CREATE SCHEMA more")
        conn.execute("CREATE TABLE public.t (id int)")
        assert conn.execute("SELECT current_setting('is_superuser')").fetchone() == ("off",)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("COPY t TO PROGRAM 'cat'")


def test_the_restoring_role_creates_databases_and_is_no_superuser(copies: Endpoint, server: Server) -> None:
    with psycopg.connect(copies.conninfo, autocommit=True) as conn:
        conn.execute("CREATE DATABASE restored")
        assert conn.execute("SELECT current_setting('is_superuser')").fetchone() == ("off",)
        assert conn.info.port != server.port


def test_superuser_reaches_the_same_database(database: Endpoint, superuser: str) -> None:
    with psycopg.connect(superuser) as conn, psycopg.connect(database.conninfo) as conn_owner:
        assert conn.info.dbname == conn_owner.info.dbname
        assert conn.execute("SELECT current_setting('is_superuser')").fetchone() == ("on",)


def test_a_wrong_password_is_refused(server: Server) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.conninfo(password="wrong")).close()


def test_every_supported_major_runs(each_server: Server, request: pytest.FixtureRequest) -> None:
    with psycopg.connect(each_server.conninfo()) as conn:
        assert conn.info.server_version // 10000 == each_server.programs.major
        assert f"pg{each_server.programs.major}" in request.node.name
