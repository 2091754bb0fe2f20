"""`make demo`: real migrations through the whole runbook on a real Airflow, and one that fails and is rolled back."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from migrator.database.session import Endpoint
from migrator.errors import MigratorError
from migrator.ledger.ledger import Ledger
from sandbox import policy
from sandbox.application import Application, Traffic
from sandbox.local import DATABASE, Local, wipe
from sandbox.report import StageReport, stages
from sandbox.rest import RUN_ENDED, TASK_ENDED, Airflow
from sandbox.seed import seed
from sandbox.stack import APPLICATION
from sandbox.workspace import Workspace, repository

RUN_SECONDS = 420
"""More than any run of the demonstration needs on a slow machine; then it says what hangs."""


@dataclass(frozen=True)
class Act:
    """One migration of the demonstration and how it must end."""

    version: str
    run_state: str
    ledger_status: str
    rolled_back: bool
    note: str


ACTS = (
    Act("000_initial_schema", "success", "success", False, "the first tables, on an empty database"),
    Act("001_add_analytics_tables", "success", "success", False, "two tables with foreign keys"),
    Act("002_messages_analytics_processed", "success", "success", False, "rows in batches, under traffic"),
    Act("003_index_messages_tenant_created", "success", "success", False, "an index, while the application writes"),
    Act("005_add_jsonb_columns", "success", "success", False, "columns at once, an index, fresh statistics"),
    Act("900_retire_api_v1", "failed", "rolled_back", True, "made to fail in verify: rolled back, run red"),
)


@dataclass(frozen=True)
class Result:
    act: Act
    run_state: str
    ledger_status: str | None
    stages: tuple[StageReport, ...]
    seconds: float

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not as expected."""
        found = []
        if self.run_state != self.act.run_state:
            found.append(f"run is {self.run_state}, expected {self.act.run_state}")
        if self.ledger_status != self.act.ledger_status:
            found.append(f"ledger says {self.ledger_status}, expected {self.act.ledger_status}")
        rollback = {stage.stage: stage.state for stage in self.stages}.get("rollback")
        if (rollback == "success") != self.act.rolled_back:
            found.append(f"rollback is {rollback}")
        return tuple(found)


class Demo:
    def __init__(self, workspace: Workspace, *, messages: int, console: Console, wait: bool = False) -> None:
        self._workspace = workspace
        self._messages = messages
        self._console = console
        self._wait = wait
        self._started = time.monotonic()

    def run(self) -> int:
        """0 when everything was as expected, else 1. Nothing is left running, whatever happens."""
        wipe(self._workspace)
        self._workspace.create()
        local = Local(self._workspace, migrations=self._copy_migrations())
        try:
            self._say("starting PostgreSQL: production, and a second server for restored copies")
            local.start_servers()
            self._say("starting Airflow: scheduler, DAG processor, triggerer, API server")
            local.start_airflow()
            self._show_login(local)
            results, traffic = self._play(local)
            faults = self._report(local, results, traffic)
            if self._wait:
                self._console.input("\nThe UI is up. Press Enter to stop everything. ")
            return 1 if faults else 0
        finally:
            self._say("stopping everything")
            local.stop()

    def _play(self, local: Local) -> tuple[tuple[Result, ...], Traffic]:
        admin = local.airflow.client("admin")
        admin.wait_for_dags([f"migrate_{act.version}" for act in ACTS])
        results = [self._perform(local, ACTS[0])]
        self._say(f"seeding {self._messages:,} messages by COPY")
        seeded = seed(Endpoint(local.stack.production_uri(DATABASE)), messages=self._messages)
        self._say(f"seeded {seeded.messages:,} messages of {seeded.tenants} tenants in {seeded.seconds:.1f} s")
        application = Application(local.stack.production_uri(DATABASE, role=APPLICATION), name="wakala-api v1")
        with application:
            results += [self._perform(local, act) for act in ACTS[1:]]
        return tuple(results), application.traffic()

    def _perform(self, local: Local, act: Act) -> Result:
        started = time.monotonic()
        dag_id = f"migrate_{act.version}"
        self._say(f"[bold]{act.version}[/bold]: {act.note}")
        admin = local.airflow.client("admin")
        admin.unpause(dag_id)
        run_id = admin.trigger(dag_id, {"target": policy.TARGET, "reason": "demonstration"})
        self._accompany(local, admin, dag_id, run_id)
        with Ledger(Endpoint(local.stack.production_uri(DATABASE))) as ledger:
            row = ledger.migration(act.version) if ledger.exists() else None
        return Result(
            act=act,
            run_state=admin.run_state(dag_id, run_id),
            ledger_status=str(row.status) if row else None,
            stages=stages(admin, dag_id, run_id),
            seconds=time.monotonic() - started,
        )

    def _accompany(self, local: Local, admin: Airflow, dag_id: str, run_id: str) -> None:
        """Watch the run and answer its review cards, each as another person."""
        seen: dict[str, Any] = {}
        waiting = list(policy.REVIEWERS)
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            for task_id, state in admin.states(dag_id, run_id).items():
                if state == seen.get(task_id):
                    continue
                seen[task_id] = state
                if state in ("success", "failed", "skipped"):
                    self._say(f"  {task_id} {_coloured(state)}")
                if task_id.startswith("review.") and state in ("awaiting_input", "deferred") and waiting:
                    user = waiting.pop(0)
                    local.airflow.wait_until_parked(dag_id, run_id, task_id)
                    local.airflow.client(user).respond(
                        dag_id, run_id, task_id, "Approve", {"comment": "read the evidence, looks right"}
                    )
                    self._say(f"  {task_id}: '{user}' reads the card and approves")
            if admin.run_state(dag_id, run_id) in RUN_ENDED and all(state in TASK_ENDED for state in seen.values()):
                return
            if time.monotonic() > deadline:
                raise MigratorError(f"{dag_id} did not end within {RUN_SECONDS} s; its tasks: {seen}")
            time.sleep(0.5)

    def _copy_migrations(self) -> Path:
        """The shipped migrations and the one that is made to fail, in one catalogue."""
        root = self._workspace.root / "migrations"
        for source in (repository() / "migrations", Path(__file__).parent / "migrations"):
            shutil.copytree(source, root, dirs_exist_ok=True)
        return root

    def _report(self, local: Local, results: tuple[Result, ...], traffic: Traffic) -> tuple[str, ...]:
        faults = []
        for result in results:
            self._console.print(_table(result))
            faults += [f"{result.act.version}: {fault}" for fault in result.faults]
        self._console.print(
            f"Meanwhile the application made {traffic.queries:,} queries, {traffic.failures} failed; the longest took"
            f" {traffic.longest_seconds:.2f} s ({traffic.longest_query})."
        )
        self._show_login(local)
        for fault in faults:
            self._console.print(f"[red]{escape(fault)}[/red]")
        self._console.print(f"{time.monotonic() - self._started:.0f} s in all. `make up` keeps a stack running.")
        return tuple(faults)

    def _show_login(self, local: Local) -> None:
        password = local.airflow.passwords()["admin"]
        self._console.print(f"Airflow: {local.airflow.url}  user: admin  password: {password}", markup=False)

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._started:6.1f}[/dim] {text}")


def _table(result: Result) -> Table:
    """What one act's stages did, narrow enough for a terminal of 80 columns."""
    verdict = "as expected" if not result.faults else "[red]NOT as expected[/red]"
    table = Table(
        title=f"\n[bold]{result.act.version}[/bold] {_coloured(result.run_state)}, ledger: {result.ledger_status},"
        f" {result.seconds:.1f} s: {verdict}\n{escape(result.act.note)}",
        title_justify="left",
        title_style="",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        expand=False,
    )
    table.add_column("stage", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("s", justify="right", no_wrap=True)
    table.add_column("what was proved", overflow="fold")
    for stage in result.stages:
        seconds = "" if stage.seconds is None else f"{stage.seconds:.1f}"
        # The step of a migration that declares none is named like the migration.
        name = stage.stage.removesuffix(f".{result.act.version}")
        table.add_row(name, _coloured(stage.state), seconds, escape(stage.proved))
    return table


def _coloured(state: str | None) -> str:
    colour = {"success": "green", "failed": "red", "upstream_failed": "yellow"}.get(str(state), "dim")
    return f"[{colour}]{state}[/{colour}]"
