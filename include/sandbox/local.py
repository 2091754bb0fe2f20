"""The whole local stack, started and stopped as one: servers, roles, the production database, Airflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg

from migrator.errors import EnvironmentFault, UsageError
from sandbox import policy
from sandbox.airflow_processes import COMPONENTS, AirflowProcesses, Settings
from sandbox.processes import Processes
from sandbox.sessions import Session, stop
from sandbox.stack import AIRFLOW, APPLICATION, COPIES, OWNER, Stack, home
from sandbox.workspace import Workspace, repository

DATABASE = "wakala"
MARKER = ".sandbox"
"""A file in every directory that we may delete: we made it."""


class Local:
    """One local stack. `detached` outlives this process, and `down` stops it."""

    def __init__(self, workspace: Workspace, *, migrations: Path | None = None, detached: bool = False) -> None:
        self.workspace = workspace
        self._migrations = migrations or repository() / "migrations"
        self._detached = detached
        self.processes = Processes(workspace.logs, detached=detached)

    def start_servers(self) -> None:
        self.workspace.create()
        (self.workspace.root / MARKER).touch()
        self.stack = Stack(self.workspace, detached=self._detached)
        self.stack.start()
        if self.stack.ensure_database(self.stack.production, DATABASE, owner=OWNER):
            self._grant_application()

    def start_airflow(self) -> None:
        self.airflow = AirflowProcesses(
            self.workspace,
            Settings(
                metadata_uri=self.stack.copies_uri("airflow", role=AIRFLOW, scheme="postgresql+psycopg"),
                connections={
                    policy.CONNECTION: self.stack.production_uri(DATABASE),
                    policy.COPIES_CONNECTION: self.stack.copies_uri(role=COPIES),
                },
                targets_uris={policy.TARGET: self.stack.production_uri(DATABASE)},
                migrations=self._migrations,
                targets=policy.write(self.workspace),
                # Only who leaves it running edits migrations meanwhile.
                parse_seconds=5 if self._detached else 300,
            ),
            processes=self.processes,
        )
        self.airflow.start()

    def stop(self) -> None:
        self.processes.stop()
        if hasattr(self, "stack"):
            self.stack.stop()

    def remember(self) -> None:
        """What `status` and `down` need to find this stack again."""
        self.workspace.write_state(
            {
                "url": self.airflow.url,
                "users": dict(self.airflow.users),
                "sessions": {
                    name: {"leader": session.leader, "started": session.started}
                    for name, session in self.processes.sessions.items()
                },
                "production": self.stack.production_uri(DATABASE),
            }
        )
        self.processes.release()

    def _grant_application(self) -> None:
        """The application may use whatever tables the migrations will make."""
        with psycopg.connect(self.stack.production_uri(DATABASE), autocommit=True) as connection:
            for kind, rights in (("TABLES", "SELECT, INSERT, UPDATE, DELETE"), ("SEQUENCES", "USAGE")):
                connection.execute(
                    f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT {rights} ON {kind} TO {APPLICATION}".encode()
                )


def sessions_of(workspace: Workspace) -> dict[str, Session]:
    known = workspace.read_state().get("sessions", {})
    return {name: Session(int(entry["leader"]), float(entry["started"])) for name, entry in known.items()}


def alive(workspace: Workspace) -> tuple[str, ...]:
    """The components of a detached stack that run now. A stale state file names none."""
    return tuple(name for name, session in sessions_of(workspace).items() if session.members())


def refuse_if_running(workspace: Workspace) -> None:
    running = alive(workspace)
    if running:
        raise UsageError(
            f"the stack in {workspace.root} is running ({', '.join(running)}) at"
            f" {workspace.read_state().get('url')}; stop it with `make down` first"
        )


def down(workspace: Workspace) -> tuple[str, ...]:
    """Stop a detached stack, whatever is left of it. Returns what was running."""
    running = alive(workspace)
    stop(sessions_of(workspace).values())
    if (workspace.root / MARKER).exists():
        stack = Stack(workspace, detached=True)
        for name, server in (("production", stack.production), ("copies", stack.copies)):
            if server.running():
                server.stop()
                running = (*running, name)
    workspace.state_file.unlink(missing_ok=True)
    left = alive(workspace)
    if left:
        raise EnvironmentFault(f"could not stop {', '.join(left)}")
    return running


def wipe(workspace: Workspace) -> None:
    """Delete a stack's directory. Only one that we made."""
    if not workspace.root.exists():
        return
    if not (workspace.root / MARKER).exists() and any(workspace.root.iterdir()):
        raise UsageError(f"{workspace.root} is not a directory of the sandbox (it has no file {MARKER!r}): not deleted")
    shutil.rmtree(home(workspace))
    shutil.rmtree(workspace.root, ignore_errors=True)


__all__ = ["COMPONENTS", "DATABASE", "Local", "alive", "down", "refuse_if_running", "sessions_of", "wipe"]
