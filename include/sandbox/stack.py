"""Two PostgreSQL servers (production, and restored copies) and the roles that a real deployment would have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from migrator.embedded.accounts import server_account
from migrator.embedded.places import data_home
from migrator.embedded.programs import find_programs
from migrator.embedded.server import Server
from migrator.embedded.settings import DURABLE, FAST
from sandbox.workspace import Workspace

OWNER = "wakala_migrator"
"""Owns the databases and runs the migrations. Not a superuser."""
APPLICATION = "wakala_app"
"""What the application connects as: reads and writes rows, changes no schema."""
COPIES = "wakala_copies"
"""Creates and drops the restored copies on the second server, and a role for each. Not a superuser."""
AIRFLOW = "airflow"
"""Owns Airflow's own database, which lives on the copies server: production holds nothing but production."""

PRODUCTION: Mapping[str, str | int] = {"max_connections": 200, "shared_buffers": "128MB", "deadlock_timeout": "1s"}


def home(workspace: Workspace) -> Path:
    """Where the data directories are: in the workspace if the server's account can reach it."""
    return data_home(workspace.root / "postgresql", server_account())


class Stack:
    """Both servers of one workspace. They end with this process unless `detached`."""

    def __init__(self, workspace: Workspace, *, detached: bool = False, major: int | None = None) -> None:
        self.workspace = workspace
        programs, place = find_programs(major), home(workspace)
        self.production = Server(
            place / "production", programs=programs, settings={**DURABLE, **PRODUCTION}, detached=detached
        )
        self.copies = Server(
            place / "copies", programs=programs, settings={**FAST, "max_connections": 200}, detached=detached
        )

    def start(self) -> None:
        """Both servers up, with roles and passwords set. Also right for data directories of an earlier run."""
        for server in (self.production, self.copies):
            server.create()
            server.start()
        self.ensure_role(self.production, OWNER, "LOGIN CREATEDB")
        self.ensure_role(self.production, APPLICATION, "LOGIN")
        self.ensure_role(self.copies, COPIES, "LOGIN CREATEDB CREATEROLE BYPASSRLS")
        self.ensure_role(self.copies, AIRFLOW, "LOGIN")
        # GRANTs in a dump name this role.
        self.ensure_role(self.copies, APPLICATION, "NOLOGIN")
        with self._superuser(self.production) as connection:
            connection.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(OWNER)))
        with self._superuser(self.copies) as connection:
            connection.execute(sql.SQL("GRANT pg_monitor TO {}").format(sql.Identifier(COPIES)))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(sql.Identifier(COPIES)))
        self.ensure_database(self.copies, "airflow", owner=AIRFLOW)
        with self._superuser(self.copies) as connection:
            # The role of a copy reaches nothing but its copy.
            connection.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1, airflow FROM PUBLIC")

    def stop(self, mode: str = "fast") -> None:
        for server in (self.production, self.copies):
            server.stop(mode)

    def ensure_database(self, server: Server, name: str, *, owner: str, template: str | None = None) -> bool:
        """Create the database unless it is there. Returns whether it was created."""
        with self._superuser(server) as connection:
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                return False
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template or "template1")
                )
            )
            return True

    def production_uri(self, dbname: str, *, role: str = OWNER, scheme: str = "postgresql") -> str:
        return self._uri(self.production, dbname, role, scheme)

    def copies_uri(self, dbname: str = "postgres", *, role: str = COPIES, scheme: str = "postgresql") -> str:
        return self._uri(self.copies, dbname, role, scheme)

    def superuser_uri(self, server: Server, dbname: str = "postgres") -> str:
        return str(server.conninfo(dbname))

    def _uri(self, server: Server, dbname: str, role: str, scheme: str) -> str:
        password = quote(self.workspace.secret(f"role_{role}"), safe="")
        return f"{scheme}://{role}:{password}@127.0.0.1:{server.port}/{quote(dbname, safe='')}"

    def _superuser(self, server: Server, dbname: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(server.conninfo(dbname), autocommit=True)

    def ensure_role(self, server: Server, name: str, attributes: str) -> None:
        """Create or change a role; its password is the workspace's secret of that role."""
        with self._superuser(server) as connection:
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
            verb = "ALTER" if known else "CREATE"
            connection.execute(
                sql.SQL(f"{verb} ROLE {{}} {attributes} NOSUPERUSER PASSWORD {{}}").format(
                    sql.Identifier(name), sql.Literal(self.workspace.secret(f"role_{name}"))
                )
            )
