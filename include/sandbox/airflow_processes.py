"""A real Airflow on this machine: scheduler, DAG processor, triggerer and API server as processes of their own."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from migrator.errors import EnvironmentFault
from sandbox.ports import free_port
from sandbox.processes import Processes, tail
from sandbox.rest import Airflow, wait_until
from sandbox.workspace import Workspace, repository

COMPONENTS = ("api-server", "scheduler", "dag-processor", "triggerer")
USERS: Mapping[str, str] = {"admin": "admin", "alice": "user", "bob": "user", "carol": "user", "dave": "user"}
"""Airflow user name to SimpleAuthManager role. dave is the author of the changes, the others may review."""


RECENT_BYTES = 2**21
"""So far back in the scheduler's log may lie what happened just now."""


@dataclass(frozen=True)
class Settings:
    """What differs from one stack to the next."""

    metadata_uri: str
    """SQLAlchemy URI of Airflow's own database."""
    connections: Mapping[str, str] = field(default_factory=dict)
    """Airflow connection id to URI; they reach the tasks as AIRFLOW_CONN_*."""
    targets_uris: Mapping[str, str] = field(default_factory=dict)
    """By target, for the `migrator` command, which knows no connections of Airflow's."""
    migrations: Path = field(default_factory=lambda: repository() / "migrations")
    targets: Path = field(default_factory=lambda: repository() / "include" / "config" / "targets.yaml")
    dags: Path = field(default_factory=lambda: repository() / "dags")
    plugins: Path = field(default_factory=lambda: repository() / "plugins")
    users: Mapping[str, str] = field(default_factory=lambda: dict(USERS))
    port: int = 8080
    parallelism: int = 8
    parse_seconds: int = 5
    """How often each DAG file is parsed again; a parse costs about a second of a core."""
    extra: Mapping[str, str] = field(default_factory=dict)
    """Further environment variables; they win."""


def environment(workspace: Workspace, settings: Settings, *, port: int, log_port: int) -> dict[str, str]:
    """The whole configuration of Airflow, as environment variables."""
    base = f"http://127.0.0.1:{port}"
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "MIGRATOR_", "PG"))
    }
    # Each task is a process of its own: without bytecode on disk it compiles half a second long what it imports.
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    configuration = {
        "CORE__DAGS_FOLDER": str(settings.dags),
        "CORE__PLUGINS_FOLDER": str(settings.plugins),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": str(settings.parallelism),
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": "16",
        "CORE__FERNET_KEY": _fernet_key(workspace),
        "CORE__EXECUTION_API_SERVER_URL": f"{base}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in settings.users.items()),
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(workspace.airflow_home / "passwords.json"),
        "CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "0",
        "CORE__HOSTNAME_CALLABLE": "sandbox.airflow_processes.loopback",
        "DATABASE__SQL_ALCHEMY_CONN": settings.metadata_uri,
        "API__HOST": "127.0.0.1",
        "API__PORT": str(port),
        "API__BASE_URL": base,
        # Messages say what to do next: nobody should have to scroll sideways for it.
        "API__DEFAULT_WRAP": "True",
        "API__SECRET_KEY": workspace.secret("api_secret_key"),
        "API_AUTH__JWT_SECRET": workspace.secret("jwt_secret"),
        "LOGGING__BASE_LOG_FOLDER": str(workspace.logs / "tasks"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(log_port),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "DAG_PROCESSOR__REFRESH_INTERVAL": str(settings.parse_seconds),
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": str(settings.parse_seconds),
        "DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
        # A supervisor that misses its task's exit looks again only after this many seconds (default 5). Until then the
        # scheduler takes a task that waited and was resumed meanwhile (a review, a window) for dead and fails it.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    return {
        **inherited,
        "AIRFLOW_HOME": str(workspace.airflow_home),
        **{f"AIRFLOW__{name}": value for name, value in configuration.items()},
        **{f"AIRFLOW_CONN_{name.upper()}": uri for name, uri in settings.connections.items()},
        "MIGRATOR_HOME": str(repository()),
        "MIGRATOR_MIGRATIONS": str(settings.migrations),
        "MIGRATOR_TARGETS": str(settings.targets),
        "MIGRATOR_CACHE": str(workspace.root / "cache"),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), inherited.get("PATH", "/usr/bin:/bin"))),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
        **settings.extra,
    }


def loopback() -> str:
    """Airflow's host name callable: logs are served where they are written, on this machine."""
    return "127.0.0.1"


class AirflowProcesses:
    def __init__(self, workspace: Workspace, settings: Settings, *, processes: Processes) -> None:
        self._workspace = workspace
        self._settings = settings
        self._processes = processes
        self.port = free_port(settings.port)
        self.env = environment(workspace, settings, port=self.port, log_port=free_port(8793))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def users(self) -> Mapping[str, str]:
        return self._settings.users

    def start(self, *, timeout_seconds: float = 120) -> None:
        """Bring the metadata database up to date and start all components.

        :raises EnvironmentFault: when one of them does not come up; the message ends with its log.
        """
        self._write_passwords()
        self._write_environment()
        self._migrate_metadata(timeout_seconds)
        for name in COMPONENTS:
            self.start_component(name)
        self._processes.wait("the API server", self._api_answers, timeout_seconds=timeout_seconds)
        self._processes.wait(
            "Airflow (scheduler, DAG processor and triggerer)", self._healthy, timeout_seconds=timeout_seconds
        )

    def start_component(self, name: str) -> None:
        self._processes.start(name, [*AIRFLOW, name], env=self.env, cwd=self._workspace.root)

    def client(self, user: str = "admin") -> Airflow:
        return Airflow(self.url, user=user, password=self.passwords()[user])

    def wait_until_parked(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1) -> None:
        """Until the scheduler has heard that the worker of a task that waits for a person has let it go.

        A person who answers is never that fast, a program is. Airflow 3.3.2 takes a task that is resumed before that
        for dead ("finished with state success, but the task instance's state attribute is queued") and fails it.
        """
        log = self._processes.log("scheduler")
        heard = (
            f"Received executor event with state success for task instance TaskInstanceKey(dag_id='{dag_id}',"
            f" task_id='{task_id}', run_id='{run_id}', try_number={try_number},"
        )
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - RECENT_BYTES))
            recent = bytearray()

            def there() -> bool:
                recent.extend(file.read())
                return heard.encode() in recent

            wait_until(
                there,
                timeout_seconds=120,
                what=f"the scheduler to hear that {task_id} of {dag_id} waits",
                every=0.5,
            )

    def passwords(self) -> dict[str, str]:
        return {name: self._workspace.secret(f"user_{name}") for name in self._settings.users}

    def _api_answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/api/v2/version", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def _healthy(self) -> bool:
        try:
            health = httpx.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return False
        parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
        return all((health.get(part) or {}).get("status") == "healthy" for part in parts)

    def _migrate_metadata(self, timeout_seconds: float) -> None:
        log = self._processes.log("metadata")
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            done = subprocess.run(
                [*AIRFLOW, "db", "migrate"],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout_seconds,
                check=False,
            )
        if done.returncode != 0:
            raise EnvironmentFault(
                f"'airflow db migrate' ended with exit code {done.returncode}; the end of {log}:\n{tail(log)}"
            )

    def _write_passwords(self) -> None:
        path = self._workspace.airflow_home / "passwords.json"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(self.passwords(), file)

    def _write_environment(self) -> None:
        """`. .local/airflow.env` gives a shell in which the `airflow` and `migrator` commands work."""
        ours = {
            name: value
            for name, value in self.env.items()
            if name.startswith(("AIRFLOW_", "MIGRATOR_")) or name in self._settings.extra
        }
        connections = self._workspace.root / "connections.yaml"
        handle = os.open(connections, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"{name}: {json.dumps(uri)}\n" for name, uri in self._settings.targets_uris.items())
        ours["MIGRATOR_CONNECTIONS"] = str(connections)
        path = self._workspace.root / "airflow.env"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(ours.items()))


AIRFLOW = (sys.executable, "-m", "airflow")


def _fernet_key(workspace: Workspace) -> str:
    from base64 import urlsafe_b64encode
    from hashlib import sha256

    return urlsafe_b64encode(sha256(workspace.secret("fernet").encode()).digest()).decode()
