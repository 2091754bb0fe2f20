"""The one stack of the suite: two PostgreSQL servers, one Airflow, a database and a DAG for every case."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from migrator.database import schema as schemas
from migrator.database.session import Endpoint
from migrator.embedded.server import Server
from migrator.history.baseline import adopt
from migrator.ledger.ledger import Ledger
from migrator.parsing.lexer import scan
from migrator.run import RunContext
from sandbox.airflow_processes import AirflowProcesses, Settings
from sandbox.processes import Processes
from sandbox.seed import seed
from sandbox.stack import AIRFLOW, COPIES, OWNER, Stack
from sandbox.workspace import Workspace, repository
from tests.acceptance.case import Case
from tests.acceptance.observer import Observer
from tests.acceptance.specs import PATIENCE_SECONDS, Spec, to_yaml

POWERLESS = "powerless"
TEMPLATE = "acceptance_template"
MESSAGES = 2_000
REVIEWERS = {"alice": "alice@wakala.com", "bob": "bob@wakala.com", "dave": "dave@wakala.com"}
"""Who may review, by Airflow user. carol is an ordinary user who may not; dave is the author of every case."""


class Laboratory:
    def __init__(self, root: Path, specs: Mapping[str, Spec], *, dags: Path | None = None) -> None:
        """:param dags: another folder of DAG files than the repository's."""
        self.workspace = Workspace(root)
        self.dags = dags or repository() / "dags"
        self.cases = {name: Case(self, name, spec) for name, spec in specs.items()}
        self.stack = Stack(self.workspace)
        self.processes = Processes(self.workspace.logs)
        self.servers: dict[str, Stack] = {}
        self._clients = threading.local()
        self._opened: list[Observer] = []
        self._cloning = threading.Lock()
        self._writing = threading.Lock()
        self._policies: dict[str, Mapping[str, Any]] = {}

    @property
    def migrations(self) -> Path:
        return self.workspace.root / "migrations"

    @property
    def evidence(self) -> Path:
        return self.workspace.evidence

    def start(self) -> None:
        self.workspace.create()
        self.stack.start()
        self.stack.ensure_role(self.stack.copies, POWERLESS, "LOGIN")
        with psycopg.connect(self.stack.superuser_uri(self.stack.copies), autocommit=True) as connection:
            connection.execute(f"GRANT CONNECT ON DATABASE postgres TO {POWERLESS}".encode())
        self._make_template(self.stack)
        for case in self.cases.values():
            stack = self._stack_of(case)
            stack.ensure_database(stack.production, case.target, owner=OWNER, template=TEMPLATE)
            self._baseline(case)
            for name, files in case.spec.migrations.items():
                files.write(self.migrations, case.version(name), target=case.target)
        self.write_targets()
        self.airflow = AirflowProcesses(
            self.workspace,
            Settings(
                metadata_uri=self.stack.copies_uri("airflow", role=AIRFLOW, scheme="postgresql+psycopg"),
                connections={
                    "migrator_copies": self.stack.copies_uri(role=COPIES),
                    # May log in there and nothing else.
                    "migrator_powerless": self.stack.copies_uri(role=POWERLESS),
                    **{case.target: self.uri(case) for case in self.cases.values()},
                },
                migrations=self.migrations,
                dags=self.dags,
                targets=self.workspace.root / "targets.yaml",
                port=0,
                parallelism=6,
                parse_seconds=300,
                extra={
                    # A case that wants it triggers it, for its own target.
                    "MIGRATOR_HOUSEKEEPING": "none",
                    # A worker that was killed is noticed within seconds; the default is five minutes.
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
                    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
                },
            ),
            processes=self.processes,
        )
        self.airflow.start()
        dags = [case.dag(name) for case in self.cases.values() for name in case.spec.migrations]
        self.client("admin").wait_for_dags(dags, timeout_seconds=PATIENCE_SECONDS)
        for dag in dags:
            self.client("admin").unpause(dag)

    def stop(self) -> None:
        for client in self._opened:
            client.close()
        self.processes.stop()
        for stack in (self.stack, *self.servers.values()):
            stack.stop("immediate")

    def restart_triggerer(self) -> None:
        """kill -9; what is deferred waits in the database."""
        self.processes.kill("triggerer")
        self.airflow.start_component("triggerer")

    def client(self, user: str) -> Observer:
        """One session a user and thread."""
        known: dict[str, Observer] = self._clients.__dict__.setdefault("known", {})
        if user not in known:
            metadata = self.stack.copies_uri("airflow", role=AIRFLOW)
            known[user] = Observer(self.airflow.url, user, self.airflow.passwords()[user], metadata)
            self._opened.append(known[user])
        return known[user]

    def set_policy(self, case: Case, policy: Mapping[str, Any]) -> None:
        """From now on the target of the case has this beside what its Spec says."""
        with self._writing:
            self._policies[case.target] = policy
            self.write_targets()

    def write_targets(self) -> None:
        """Whole or not at all: Airflow reads the file at any moment."""
        targets = self.workspace.root / "targets.yaml"
        draft = targets.with_suffix(".new")
        draft.write_text(to_yaml(self._targets()))
        draft.replace(targets)

    def databases_of_copies(self) -> tuple[str, ...]:
        with psycopg.connect(self.stack.superuser_uri(self.stack.copies), autocommit=True) as connection:
            return tuple(row[0] for row in connection.execute("SELECT datname FROM pg_database").fetchall())

    def server(self, case: Case) -> Server:
        return self._stack_of(case).production

    def uri(self, case: Case) -> str:
        return self._stack_of(case).production_uri(case.target)

    def superuser_uri(self, case: Case, dbname: str | None = None) -> str:
        stack = self._stack_of(case)
        return stack.superuser_uri(stack.production, dbname or case.target)

    def schema_after(self, case: Case, scripts: list[str]) -> schemas.Schema:
        """The schema of a fresh clone of the template after these scripts, statement by statement, as the owner."""
        stack = self._stack_of(case)
        clone = f"expected_{uuid.uuid4().hex[:12]}"
        with self._cloning:
            stack.ensure_database(stack.production, clone, owner=OWNER, template=TEMPLATE)
        try:
            with psycopg.connect(stack.production_uri(clone), autocommit=True) as connection:
                for script in scripts:
                    for statement in scan(script).segments:
                        connection.execute(statement.sql.encode())
            with psycopg.connect(self.superuser_uri(case, clone), autocommit=True) as connection:
                return schemas.read(connection)
        finally:
            with psycopg.connect(self.superuser_uri(case, "postgres"), autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(clone)))

    def _stack_of(self, case: Case) -> Stack:
        if not case.spec.own_server:
            return self.stack
        if case.name not in self.servers:
            own = Workspace(self.workspace.root / "servers" / case.name)
            own.create()
            stack = Stack(own)
            stack.start()
            self.servers[case.name] = stack
            self._make_template(stack)
        return self.servers[case.name]

    def _make_template(self, stack: Stack) -> None:
        stack.ensure_database(stack.production, TEMPLATE, owner=OWNER)
        uri = stack.production_uri(TEMPLATE)
        script = repository() / "migrations" / "2025" / "000_initial_schema" / "000_initial_schema.sql"
        with psycopg.connect(uri, autocommit=True) as connection:
            connection.execute(script.read_bytes())
        seed(Endpoint(uri), messages=MESSAGES)
        with psycopg.connect(stack.superuser_uri(stack.production, TEMPLATE), autocommit=True) as connection:
            self.template_schema = schemas.read(connection)

    def _baseline(self, case: Case) -> None:
        """The tables of the template belong to no migration of the case, and somebody has said so."""
        if not case.spec.baselined:
            return
        run = RunContext(run_id="cli:baseline", version="", target=case.target, actor="carol")
        with Ledger(case.endpoint) as ledger:
            adopt(case.endpoint, ledger, run=run, reason="what was there before", from_table=False)

    def _targets(self) -> dict[str, Any]:
        policy = {
            "environment": "development",
            "copies_connection": "migrator_copies",
            "provider": "pg_dump",
            "storage": self.workspace.snapshots.as_uri(),
            "evidence": self.workspace.evidence.as_uri(),
            "reviews": {"low": 0, "medium": 0, "high": 0},
            "reviewers": REVIEWERS,
            "notifications": [{"kind": "log"}],
            # Versions of the cases are numbered by chance.
            "out_of_order": "apply",
        }
        return {
            "defaults": policy,
            "targets": {
                case.target: {
                    "connection": case.target,
                    **case.spec.target,
                    **self._policies.get(case.target, {}),
                }
                for case in self.cases.values()
            },
        }
