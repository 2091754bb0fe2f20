"""What a person clicks in Airflow's UI, as calls of its REST API."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from migrator.errors import EnvironmentFault, MigratorError

RUN_ENDED = frozenset({"success", "failed"})
TASK_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class ApiRefused(MigratorError):
    """Airflow's API refused a request; fields: status, body"""


class Airflow:
    """One user's session. Tokens expire; a 401 logs in again once."""

    def __init__(self, url: str, *, user: str, password: str, timeout_seconds: float = 30) -> None:
        self.user = user
        self._password = password
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds)
        self._token: str | None = None

    def __enter__(self) -> Airflow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> Any:
        """:raises ApiRefused: with the status and the server's own words."""
        response = self._send(method, f"/api/v2{path}", body, params)
        return response.json() if response.content else None

    def text(self, path: str) -> str:
        """A page of a plugin. :raises ApiRefused: as above."""
        return self._send("GET", path, None, {}).text

    def _send(self, method: str, path: str, body: Any, params: Mapping[str, Any]) -> httpx.Response:
        for attempt in (1, 2):
            if self._token is None:
                self._login()
            response = self._http.request(
                method,
                path,
                json=body,
                params={name: value for name, value in params.items() if value is not None},
                headers={"Authorization": f"Bearer {self._token}"},
            )
            if response.status_code == 401 and attempt == 1:
                self._token = None
                continue
            break
        if response.status_code >= 400:
            raise ApiRefused(
                f"{method} {path} as '{self.user}': {response.status_code} {response.text[:500]}",
                status=response.status_code,
                body=response.text,
            )
        return response

    def _login(self) -> None:
        response = self._http.post("/auth/token", json={"username": self.user, "password": self._password})
        if response.status_code >= 400:
            raise ApiRefused(
                f"login of '{self.user}': {response.status_code} {response.text[:300]}",
                status=response.status_code,
                body=response.text,
            )
        self._token = response.json()["access_token"]

    # DAGs

    def dags(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = self.call("GET", "/dags", limit=100, offset=len(found), exclude_stale="true")
            found.update({dag["dag_id"]: dag for dag in page["dags"]})
            if not page["dags"] or len(found) >= page["total_entries"]:
                return found

    def dag_details(self, dag_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/dags/{dag_id}/details"))

    def import_errors(self) -> tuple[dict[str, Any], ...]:
        return tuple(self.call("GET", "/importErrors", limit=100)["import_errors"])

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": paused})

    def unpause(self, dag_id: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def wait_for_dags(self, wanted: Collection[str], *, timeout_seconds: float = 90) -> None:
        missing: set[str] = set(wanted)

        def there() -> bool:
            missing.difference_update(self.dags())
            return not missing

        try:
            wait_until(there, timeout_seconds=timeout_seconds, what="the DAGs", every=0.5)
        except TimeoutError:
            errors = "\n".join(f"{error['filename']}:\n{error['stack_trace']}" for error in self.import_errors())
            raise EnvironmentFault(
                f"after {timeout_seconds:.0f} s Airflow still does not know {', '.join(sorted(missing)[:5])}"
                f" ({len(missing)} missing); its import errors:\n{errors or '(none)'}"
            ) from None

    # Runs

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, *, run_id: str | None = None) -> str:
        body: dict[str, Any] = {"logical_date": None, "conf": dict(conf or {})}
        if run_id:
            body["dag_run_id"] = run_id
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def runs(self, dag_id: str) -> tuple[dict[str, Any], ...]:
        return tuple(self.call("GET", f"/dags/{dag_id}/dagRuns", limit=100)["dag_runs"])

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/dags/{dag_id}/dagRuns/{_segment(run_id)}"))

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self.run(dag_id, run_id)["state"])

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        self.call("PATCH", f"/dags/{dag_id}/dagRuns/{_segment(run_id)}", {"state": state})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """ "Delete" in the UI, which Airflow refuses while the run goes on."""
        self.call("DELETE", f"/dags/{dag_id}/dagRuns/{_segment(run_id)}")

    def wait_for_run(self, dag_id: str, run_id: str, *, timeout_seconds: float = 180) -> str:
        """Until the run has ended and its teardowns too. Returns its state."""

        def ended() -> bool:
            if self.run_state(dag_id, run_id) not in RUN_ENDED:
                return False
            # A run that a person marked has its final state before its teardowns ran.
            return all(state in TASK_ENDED for state in self.states(dag_id, run_id).values())

        wait_until(
            ended,
            timeout_seconds=timeout_seconds,
            what=lambda: f"the end of {dag_id} {run_id}; tasks: {self.states(dag_id, run_id)}",
            every=0.5,
        )
        return self.run_state(dag_id, run_id)

    # Task instances

    def tasks(self, dag_id: str, run_id: str) -> tuple[dict[str, Any], ...]:
        path = f"/dags/{dag_id}/dagRuns/{_segment(run_id)}/taskInstances"
        return tuple(self.call("GET", path, limit=100)["task_instances"])

    def task(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/dags/{dag_id}/dagRuns/{_segment(run_id)}/taskInstances/{task_id}"))

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        return {task["task_id"]: task["state"] for task in self.tasks(dag_id, run_id)}

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Collection[str] = ("running",),
        *,
        timeout_seconds: float = 120,
        every: float = 0.25,
    ) -> dict[str, Any]:
        """Until the task is in one of the states.

        :raises TimeoutError: also as soon as the run has ended without it.
        """
        seen: dict[str, Any] = {}

        def there() -> bool:
            seen.update(self.task(dag_id, run_id, task_id))
            if seen["state"] in states:
                return True
            if self.run_state(dag_id, run_id) in RUN_ENDED:
                seen.update(self.task(dag_id, run_id, task_id))
                if seen["state"] in states:
                    return True
                raise TimeoutError(
                    f"the run ended while waiting for {task_id} to be {'/'.join(states)}: {self.states(dag_id, run_id)}"
                )
            return False

        wait_until(
            there,
            timeout_seconds=timeout_seconds,
            what=lambda: f"{dag_id} {task_id} to be {'/'.join(states)}; tasks: {self.states(dag_id, run_id)}",
            every=every,
        )
        return seen

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """ "Mark task as ..." in the UI."""
        self.call(
            "PATCH",
            f"/dags/{dag_id}/dagRuns/{_segment(run_id)}/taskInstances/{task_id}",
            {"new_state": state, "include_upstream": False, "include_downstream": False},
        )

    def clear(self, dag_id: str, run_id: str, tasks: Collection[str], *, downstream: bool = False) -> tuple[str, ...]:
        """ "Clear" in the UI. Returns what was cleared."""
        answer = self.call(
            "POST",
            f"/dags/{dag_id}/clearTaskInstances",
            {
                "dry_run": False,
                "dag_run_id": run_id,
                "task_ids": list(tasks),
                "include_downstream": downstream,
                "only_failed": False,
                "reset_dag_runs": True,
            },
        )
        return tuple(task["task_id"] for task in answer.get("task_instances", []))

    def log(self, dag_id: str, run_id: str, task_id: str, *, try_number: int = 1, map_index: int = -1) -> str:
        path = f"/dags/{dag_id}/dagRuns/{_segment(run_id)}/taskInstances/{task_id}/logs/{try_number}"
        content = self.call("GET", path, full_content="true", map_index=map_index)["content"]
        return "\n".join(_log_line(entry) for entry in content) if isinstance(content, list) else str(content)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        path = f"/dags/{dag_id}/dagRuns/{_segment(run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.call("GET", path, deserialize="false")["value"]

    # People

    def card(self, dag_id: str, run_id: str, task_id: str) -> dict[str, Any]:
        """The review card: subject, body, options, answer."""
        return dict(self.call("GET", f"{self._hitl(dag_id, run_id, task_id)}"))

    def respond(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        choice: str,
        params: Mapping[str, Any] | None = None,
    ) -> None:
        body = {"chosen_options": [choice], "params_input": dict(params or {})}
        self.call("PATCH", self._hitl(dag_id, run_id, task_id), body)

    @staticmethod
    def _hitl(dag_id: str, run_id: str, task_id: str) -> str:
        return f"/dags/{dag_id}/dagRuns/{_segment(run_id)}/taskInstances/{task_id}/-1/hitlDetails"


def wait_until(
    ready: Callable[[], bool], *, timeout_seconds: float, what: str | Callable[[], str], every: float = 0.5
) -> None:
    """:raises TimeoutError: naming what did not happen."""
    deadline = time.monotonic() + timeout_seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds:.0f} s for {what if isinstance(what, str) else what()}")
        time.sleep(every)


def _segment(run_id: str) -> str:
    return quote(run_id, safe="")


def _log_line(entry: Any) -> str:
    """One line of a structured log: message first, then what else it carries."""
    if not isinstance(entry, dict):
        return str(entry)
    parts = [str(entry.get("event", ""))]
    for detail in entry.get("error_detail") or ():
        parts.append(f"{detail.get('exc_type')}: {detail.get('exc_value')}")
    return " | ".join(parts)
