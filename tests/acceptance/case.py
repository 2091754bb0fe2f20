"""One acceptance case at work: its database, its runs, and what must be true of them at the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from migrator.database import schema as schemas
from migrator.database.session import Endpoint
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerMigration
from migrator.run import RunContext
from sandbox import rest
from sandbox.rest import RUN_ENDED, Airflow, ApiRefused
from tests.acceptance.specs import GATE_KEY, PATIENCE_SECONDS, Files, Spec, version_of

if TYPE_CHECKING:
    from tests.acceptance.laboratory import Laboratory


def wait_until(
    ready: Callable[[], bool],
    *,
    what: str | Callable[[], str],
    timeout_seconds: float = PATIENCE_SECONDS,
    every: float = 0.5,
) -> None:
    """:raises TimeoutError: naming what did not happen."""
    rest.wait_until(ready, timeout_seconds=timeout_seconds, what=what, every=every)


STAGES = ("analyze", "snapshot", "restore_test", "dry_run", "review", "preflight", "apply", "verify", "rollback")


class Case:
    def __init__(self, laboratory: Laboratory, name: str, spec: Spec) -> None:
        self.laboratory = laboratory
        self.name = name
        self.spec = spec
        self.target = name
        self.runs: list[Run] = []

    def version(self, name: str = "") -> str:
        return version_of(self.name, name)

    def dag(self, name: str = "") -> str:
        return f"migrate_{self.version(name)}"

    def step(self, name: str = "") -> str:
        """The task of a migration that declares no steps."""
        return f"apply.{self.version(name)}"

    def folder(self, name: str = "") -> Path:
        return self.laboratory.migrations / "2025" / self.version(name)

    def files(self, name: str = "") -> Files:
        return self.spec.migrations[name]

    # Airflow

    def as_(self, user: str) -> Airflow:
        return self.laboratory.client(user)

    def trigger(self, name: str = "", *, user: str = "admin", **conf: Any) -> Run:
        run_id = self.as_(user).trigger(self.dag(name), {"target": self.target, **conf})
        run = Run(self, name, run_id)
        self.runs.append(run)
        return run

    def only_run(self, name: str = "") -> Run:
        """The run that the scheduler began by itself."""
        admin = self.as_("admin")
        wait_until(
            lambda: bool(admin.runs(self.dag(name))),
            timeout_seconds=PATIENCE_SECONDS,
            what=f"a run of {self.dag(name)} to begin",
        )
        (begun,) = admin.runs(self.dag(name))
        assert begun["run_type"] == "scheduled"
        run = Run(self, name, begun["dag_run_id"])
        self.runs.append(run)
        return run

    # The files

    def set_policy(self, **policy: Any) -> None:
        """Somebody edits targets.yaml; without arguments, takes the edit back."""
        self.laboratory.set_policy(self, policy)

    def rewrite(self, name: str = "", **fields: Any) -> None:
        """Somebody edits the migration."""
        files = replace(self.files(name), **fields)
        files.write(self.laboratory.migrations, self.version(name), target=self.target)

    # The target

    @property
    def endpoint(self) -> Endpoint:
        """As the migration role."""
        return Endpoint(self.laboratory.uri(self), name=self.target)

    @contextlib.contextmanager
    def connect(
        self, *, application_name: str = "acceptance", autocommit: bool = True
    ) -> Iterator[psycopg.Connection[Any]]:
        """As the superuser: sees everything, waits for nothing."""
        uri = self.laboratory.superuser_uri(self)
        with psycopg.connect(uri, autocommit=True, application_name=application_name) as connection:
            yield connection

    def query(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self.connect() as connection:
            cursor = connection.execute(statement, parameters or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, statement: str, *parameters: Any) -> Any:
        return self.query(statement, *parameters)[0][0]

    def schema(self) -> schemas.Schema:
        with self.connect() as connection:
            return schemas.read(connection)

    def expected_schema(self, *names: str) -> schemas.Schema:
        """The template's schema after the SQL of these migrations, run by hand and undisturbed."""
        files = [self.files(name) for name in names or ("",)]
        return self.laboratory.schema_after(self, [one.plain or one.sql for one in files])

    def row(self, name: str = "") -> LedgerMigration | None:
        with Ledger(self.endpoint) as ledger:
            return ledger.migration(self.version(name)) if ledger.exists() else None

    def events(self, name: str = "") -> tuple[Any, ...]:
        with Ledger(self.endpoint) as ledger:
            return ledger.events(self.version(name)) if ledger.exists() else ()

    def repair(self, status: str, *, reason: str, name: str = "") -> None:
        """ "migrator ledger repair", as the person on call types it."""
        run = RunContext(run_id="cli:repair", version=self.version(name), target=self.target, actor="carol")
        with Ledger(self.endpoint) as ledger:
            ledger.repair(self.version(name), status=status, run=run, reason=reason)

    # What must be true at the end

    def expect_applied(self, name: str = "", *, others: Collection[str] = ()) -> None:
        """Applied and verified, the schema as after an undisturbed run, and the chain of events whole."""
        row = self.row(name)
        assert row is not None, f"no ledger row of {self.version(name)}"
        assert (row.status, row.error_message) == ("success", None)
        assert row.applied_at is not None
        assert row.verified_at is not None
        self._expect_schema(self.expected_schema(*others, name))
        self._expect_whole_ledger()

    def expect_not_applied(self, name: str = "", *, status: Collection[str | None] = (None,)) -> None:
        """The target as before, and the ledger says so."""
        row = self.row(name)
        assert (row.status if row else None) in status, row
        assert row is None or row.verified_at is None
        self._expect_schema(self.laboratory.template_schema)
        self._expect_whole_ledger()

    def expect_rolled_back(self, name: str = "") -> None:
        self.expect_not_applied(name, status=("rolled_back",))

    def _expect_schema(self, wanted: schemas.Schema) -> None:
        found = self.schema()
        assert _flat(found) == _flat(wanted)

    def _expect_whole_ledger(self) -> None:
        with Ledger(self.endpoint) as ledger:
            if ledger.exists():
                assert ledger.verify_chain() == ()

    def backends(self) -> list[tuple[Any, ...]]:
        """Sessions of migrations in the target's database that are still there, but for the one that only watches."""
        return self.query(
            "SELECT pid, application_name, state, query FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'migration%%'"
            " AND application_name <> 'migration custodian'"
        )

    def is_over(self) -> bool:
        """All that was triggered has ended."""
        return bool(self.runs) and all(run.state() in RUN_ENDED for run in self.runs)

    def diagnosis(self) -> str:
        """For the report of a failed case: states of all runs and the ends of the failed tasks' logs."""
        parts = []
        admin = self.as_("admin")
        for run in self.runs:
            with contextlib.suppress(Exception):
                states = run.states()
                parts.append(f"{run.dag_id} {run.run_id}: {run.state()} {json.dumps(states)}")
                for task in admin.tasks(run.dag_id, run.run_id):
                    if task["state"] in ("failed", "up_for_retry"):
                        log = admin.log(run.dag_id, run.run_id, task["task_id"], try_number=task["try_number"])
                        parts.append(f"--- {task['task_id']} try {task['try_number']}\n{log[-4000:]}")
        with contextlib.suppress(Exception):
            parts.append(f"ledger: {self.row()}")
        return "\n".join(parts)


class Run:
    """One DAG run, and what a person does to it."""

    def __init__(self, case: Case, name: str, run_id: str) -> None:
        self.case = case
        self.name = name
        self.dag_id = case.dag(name)
        self.run_id = run_id

    @property
    def admin(self) -> Airflow:
        return self.case.as_("admin")

    def state(self) -> str:
        return self.admin.run_state(self.dag_id, self.run_id)

    def states(self) -> dict[str, str | None]:
        return self.admin.states(self.dag_id, self.run_id)

    def wait(self, *, timeout_seconds: float = PATIENCE_SECONDS) -> str:
        return self.admin.wait_for_run(self.dag_id, self.run_id, timeout_seconds=timeout_seconds)

    def wait_for_state(self, *states: str) -> str:
        """Of the run itself: tasks that nobody runs any more are not waited for."""
        wait_until(lambda: self.state() in states, what=lambda: f"{states} of {self.run_id}: {self.states()}")
        return self.state()

    def until(
        self,
        task_id: str,
        *states: str,
        after: int = 0,
        every: float = 0.25,
        timeout_seconds: float = PATIENCE_SECONDS,
    ) -> dict[str, Any]:
        """:param after: the try before the one that is waited for."""
        wait_until(
            lambda: self.admin.task(self.dag_id, self.run_id, task_id)["try_number"] > after,
            what=lambda: f"try {after + 1} of {task_id}; tasks: {self.states()}",
        )
        return self.admin.wait_for_task(
            self.dag_id, self.run_id, task_id, states or ("running",), timeout_seconds=timeout_seconds, every=every
        )

    def card(self, reviewer: int) -> str:
        """What the reviewer reads."""
        return str(self.admin.card(self.dag_id, self.run_id, f"review.reviewer_{reviewer}")["body"])

    def log(self, task_id: str, *, try_number: int | None = None) -> str:
        number = try_number or self.admin.task(self.dag_id, self.run_id, task_id)["try_number"]
        return self.admin.log(self.dag_id, self.run_id, task_id, try_number=number)

    def clear(self, *tasks: str, downstream: bool = False, user: str = "admin") -> tuple[str, ...]:
        return self.case.as_(user).clear(self.dag_id, self.run_id, tasks, downstream=downstream)

    def mark_task(self, task_id: str, state: str, *, user: str = "carol") -> None:
        self.case.as_(user).set_task_state(self.dag_id, self.run_id, task_id, state)

    def mark(self, state: str, *, user: str = "carol") -> None:
        self.case.as_(user).set_run_state(self.dag_id, self.run_id, state)

    def respond(self, reviewer: int, user: str, choice: str = "Approve", **params: Any) -> None:
        self.answer(f"review.reviewer_{reviewer}", user, choice, **params)

    def answer(self, task: str, user: str, choice: str, **params: Any) -> None:
        """Once it is asked."""
        asked = self.until(task, "awaiting_input", "deferred")
        self.case.laboratory.airflow.wait_until_parked(
            self.dag_id, self.run_id, task, try_number=int(asked["try_number"])
        )
        self.case.as_(user).respond(self.dag_id, self.run_id, task, choice, params)

    def kill_task(self, task_id: str) -> int:
        """kill -9 of the very process that runs the task. Returns its id."""
        return self._signal(task_id, signal.SIGKILL)

    def stop_task(self, task_id: str) -> int:
        """SIGTERM to the process that runs the task: what a worker's shutdown sends."""
        return self._signal(task_id, signal.SIGTERM)

    def kill_worker(self, task_id: str) -> None:
        """kill -9 of the task and, before it, of the executor's process that would have reported its end."""
        pid = self._pid(task_id)
        worker = psutil.Process(pid).ppid()
        assert worker != self.case.laboratory.processes.pid("scheduler"), "the scheduler itself stays"
        os.kill(worker, signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)

    def _pid(self, task_id: str) -> int:
        pid = int(self.admin.task(self.dag_id, self.run_id, task_id)["pid"])
        assert os.getsid(pid) == self.case.laboratory.processes.pid("scheduler"), "not a process of our scheduler"
        return pid

    def _signal(self, task_id: str, number: signal.Signals) -> int:
        pid = self._pid(task_id)
        os.kill(pid, number)
        return pid

    def document(self, stage: str) -> Mapping[str, Any]:
        path = self.case.laboratory.evidence / self.case.target / self.case.version(self.name) / self.run_id
        return dict(json.loads((path / f"{stage}.json").read_text()))

    def try_document(self, stage: str) -> Mapping[str, Any] | None:
        with contextlib.suppress(FileNotFoundError):
            return self.document(stage)
        return None


def _flat(schema: schemas.Schema) -> dict[str, str]:
    return {f"{kind} {name}": text for kind, names in schema.objects.items() for name, text in names.items()}


class Holder:
    """A session that holds locks in a transaction until told to let go: the forgotten psql of a colleague."""

    def __init__(self, case: Case, statement: str, *, application_name: str = "reporting") -> None:
        self._uri = case.laboratory.superuser_uri(case)
        self._statement = statement
        self._name = application_name
        self.pid = 0

    def __enter__(self) -> Holder:
        self._connection = psycopg.connect(self._uri, application_name=self._name)
        self._connection.execute(self._statement)
        self.pid = self._connection.info.backend_pid
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def let_go(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self._connection.rollback()
        self._connection.close()


class Gate:
    """Holds up a migration that has `GATE` in its SQL, without an open transaction of its own."""

    def __init__(self, case: Case) -> None:
        self._case = case

    def __enter__(self) -> Gate:
        self._connection = psycopg.connect(
            self._case.laboratory.superuser_uri(self._case), autocommit=True, application_name="gate"
        )
        self._connection.execute("SELECT pg_advisory_lock(%s)", (GATE_KEY,))
        return self

    def __exit__(self, *_: object) -> None:
        self.open()

    def wait_for_waiter(self, *, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Until the migration stands before the gate. Returns the id of its backend."""
        found: list[int] = []

        def there() -> bool:
            found[:] = [row[0] for row in self._case.query(WAITING, GATE_KEY)]
            if not found and self._case.is_over():
                raise AssertionError(f"the run ended before it came to the gate: {self._case.diagnosis()}")
            return bool(found)

        wait_until(
            there, timeout_seconds=timeout_seconds, what=lambda: f"the gate: {self._case.diagnosis()}", every=0.2
        )
        return found[0]

    def open(self) -> None:
        self._connection.close()


class Brake:
    """Holds up what has `paused` or `braked` in its SQL, by being connected under that name."""

    def __init__(self, case: Case, name: str, *, copies: bool = False) -> None:
        laboratory = case.laboratory
        stack = laboratory.stack
        self._uri = stack.superuser_uri(stack.copies) if copies else laboratory.superuser_uri(case)
        self._name = name

    def __enter__(self) -> Brake:
        self._connection = psycopg.connect(self._uri, autocommit=True, application_name=self._name)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def wait_for_stop(self, *, timeout_seconds: float = PATIENCE_SECONDS) -> int:
        """Until the statement stands still. Returns its backend."""
        found: list[int] = []

        def there() -> bool:
            found[:] = [row[0] for row in self._connection.execute(SLEEPING, {"name": self._name}).fetchall()]
            return bool(found)

        wait_until(there, timeout_seconds=timeout_seconds, what=f"something to stop for {self._name!r}", every=0.05)
        return found[0]


SLEEPING = """
SELECT pid FROM pg_stat_activity
WHERE wait_event = 'PgSleep' AND query LIKE '%%' || %(name)s || '%%' AND pid <> pg_backend_pid()
"""

WAITING = """
SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

__all__ = ["ApiRefused", "Brake", "Case", "Gate", "Holder", "Run", "wait_until"]
