"""include/config/postgres-roles.sh, which the image of a target runs when it makes its data directory, on a server. The
script of the server for copies is tried in test_copy_role.py."""

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


@pytest.fixture(autouse=True)
def as_before(copies_server: Server) -> Iterator[None]:
    yield
    with psycopg.connect(copies_server.conninfo(), autocommit=True) as conn:
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
    done = run(copies_server, repository, DATABASES="wakala_scripted wakala_scripted_too")
    assert done.returncode == 0, done.stderr
    assert powers(copies_server) == (True, False, False, False, True, True)
    with psycopg.connect(copies_server.conninfo()) as conn:
        owned = "SELECT array_agg(datname ORDER BY datname) FROM pg_database WHERE datdba = %s::regrole"
        assert conn.execute(owned, (ROLE,)).fetchone() == (["wakala_scripted", "wakala_scripted_too"],)
