"""include/config/postgres-roles.sh, which a PostgreSQL image runs when it makes its data directory, run on a server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from migrator.embedded.server import Server

ROLE = "wakala_of_the_script"


def run(server: Server, repository: Path, **given: str) -> subprocess.CompletedProcess[str]:
    reach = conninfo_to_dict(server.conninfo())
    environment = {
        "PATH": f"{server.programs.path('psql').parent}:{os.environ['PATH']}",
        **server.programs.env,
        "PGHOST": str(reach["host"]),
        "PGPORT": str(reach["port"]),
        "PGPASSWORD": str(reach["password"]),
        "PGDATABASE": "postgres",
        "POSTGRES_USER": str(reach["user"]),
        "ROLE": ROLE,
        "ROLE_PASSWORD": "it's\\ secret",
        **given,
    }
    script = str(repository / "include" / "config" / "postgres-roles.sh")
    return subprocess.run(["sh", script], env=environment, capture_output=True, text=True, check=False)


OPEN = "SELECT has_database_privilege('public', datname, 'CONNECT') FROM pg_database WHERE datname = 'postgres'"


@pytest.fixture(autouse=True)
def as_before(copies_server: Server) -> Iterator[None]:
    with psycopg.connect(copies_server.conninfo()) as conn:
        open_to_all = conn.execute(OPEN).fetchone() == (True,)
    yield
    with psycopg.connect(copies_server.conninfo(), autocommit=True) as conn:
        if open_to_all:
            conn.execute("GRANT CONNECT, TEMPORARY ON DATABASE postgres, template1 TO PUBLIC")
        conn.execute("DROP DATABASE IF EXISTS wakala_scripted")
        conn.execute("DROP DATABASE IF EXISTS wakala_scripted_too")
        if conn.execute("SELECT FROM pg_roles WHERE rolname = %s", (ROLE,)).fetchone() is not None:
            conn.execute(f"DROP OWNED BY {ROLE}".encode())
            conn.execute(f"DROP ROLE {ROLE}".encode())


def powers(server: Server) -> tuple[bool, ...]:
    with psycopg.connect(server.conninfo()) as conn:
        row = conn.execute(
            "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, pg_has_role(oid, 'pg_monitor', 'USAGE'),"
            " pg_has_role(oid, 'pg_signal_backend', 'USAGE') FROM pg_roles WHERE rolname = %s",
            (ROLE,),
        ).fetchone()
    assert row is not None
    return row


def test_the_role_of_a_target(copies_server: Server, repository: Path) -> None:
    done = run(copies_server, repository, PURPOSE="target", DATABASES="wakala_scripted wakala_scripted_too")
    assert done.returncode == 0, done.stderr
    assert powers(copies_server) == (True, False, False, False, True, True)
    with psycopg.connect(copies_server.conninfo()) as conn:
        owned = "SELECT array_agg(datname ORDER BY datname) FROM pg_database WHERE datdba = %s::regrole"
        assert conn.execute(owned, (ROLE,)).fetchone() == (["wakala_scripted", "wakala_scripted_too"],)


def test_the_role_of_the_copies_server(copies_server: Server, repository: Path) -> None:
    done = run(copies_server, repository, PURPOSE="copies", DATABASES="")
    assert done.returncode == 0, done.stderr
    assert powers(copies_server) == (True, False, True, True, False, False)
    with psycopg.connect(copies_server.conninfo()) as conn:
        assert conn.execute(OPEN).fetchone() == (False,)
        may = conn.execute("SELECT has_database_privilege(%s, 'postgres', 'CONNECT')", (ROLE,)).fetchone()
        assert may == (True,)


def test_anything_else_is_refused(copies_server: Server, repository: Path) -> None:
    done = run(copies_server, repository, PURPOSE="both")
    assert done.returncode == 1
    assert "PURPOSE is target or copies" in done.stderr
