"""What a run did, stage by stage: how long it took, and what it proved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.rest import Airflow, ApiRefused

ORDER = (
    "analyze",
    "snapshot",
    "restore_test",
    "dry_run",
    "drop_copy",
    "review",
    "preflight",
    "apply",
    "verify",
    "rollback",
    "outcome",
)


@dataclass(frozen=True)
class StageReport:
    stage: str
    state: str
    seconds: float | None
    """None for a stage that did not run."""
    proved: str


def stages(airflow: Airflow, dag_id: str, run_id: str) -> tuple[StageReport, ...]:
    """The tasks of a run in the order of the runbook."""
    tasks = sorted(airflow.tasks(dag_id, run_id), key=_position)
    return tuple(
        StageReport(
            stage=task["task_id"],
            state=str(task["state"]),
            seconds=_seconds(task),
            proved=_proved(task["task_id"], _result(airflow, dag_id, run_id, task["task_id"])),
        )
        for task in tasks
    )


def _position(task: Mapping[str, Any]) -> tuple[int, str]:
    stage = str(task["task_id"]).partition(".")[0]
    return (ORDER.index(stage) if stage in ORDER else len(ORDER), str(task.get("start_date") or "~"))


def _seconds(task: Mapping[str, Any]) -> float | None:
    if not task.get("start_date") or not task.get("end_date"):
        return None
    started, ended = (datetime.fromisoformat(task[key].replace("Z", "+00:00")) for key in ("start_date", "end_date"))
    return (ended - started).total_seconds()


def _result(airflow: Airflow, dag_id: str, run_id: str, task_id: str) -> Mapping[str, Any]:
    """What the task returned, with the document that it names."""
    try:
        value = airflow.xcom(dag_id, run_id, task_id)
    except ApiRefused:
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {"text": value}
    if not isinstance(value, dict):
        return {}
    if "uri" in value:
        try:
            value = {**value, **json.loads(Path(urlsplit(value["uri"]).path).read_text())}
        except (OSError, ValueError):
            pass  # the summary says enough
    return value


def _proved(task_id: str, result: Mapping[str, Any]) -> str:
    """One line on what this stage established. Empty when it left nothing."""
    stage = task_id.partition(".")[0]
    if not result:
        return ""
    describe = {
        "analyze": _analyze,
        "snapshot": _snapshot,
        "restore_test": _restore,
        "dry_run": _dry_run,
        "review": _review,
        "apply": _apply,
    }.get(stage, _checks)
    try:
        return describe(result)
    except (KeyError, TypeError, ValueError):
        return str(result.get("text", ""))


def _analyze(plan: Mapping[str, Any]) -> str:
    if plan.get("already_applied"):
        return str(plan.get("applied_note") or "already applied")
    statements = sum(len(step["statements"]) for step in plan["steps"])
    findings = len(plan["findings"])
    return f"{plan['type']}, risk {plan['risk']}; {statements} statements, {findings} findings"


def _snapshot(record: Mapping[str, Any]) -> str:
    tables = record["tables"]
    rows = sum(table["rows"] for table in tables)
    return f"{len(tables)} tables, {rows:,} rows, {record['size_bytes'] / 1e6:.1f} MB at {record['lsn']}"


def _restore(evidence: Mapping[str, Any]) -> str:
    return (
        f"restored in {evidence['restore_seconds']:.1f} s; {evidence['rows_compared']:,} rows of"
        f" {evidence['tables_compared']} tables equal"
    )


def _dry_run(evidence: Mapping[str, Any]) -> str:
    passed = sum(check["verdict"] == "passed" for check in evidence["checks"])
    locks = {lock["mode"] for trace in evidence["statements"] for lock in trace["locks"]}
    strongest = max(locks, key=len) if locks else "none on existing tables"
    return (
        f"applied in {evidence['seconds']:.2f} s, {passed}/{len(evidence['checks'])} checks"
        f" (rollback gives the old schema back); locks: {strongest}"
    )


def _review(answer: Mapping[str, Any]) -> str:
    who = answer.get("reviewer") or (answer.get("responded_by_user") or {}).get("name") or ""
    return f"{answer.get('decision', 'answered')} by {who}" if who else str(answer.get("decision", ""))


def _apply(result: Mapping[str, Any]) -> str:
    attempts = result.get("attempts", 1)
    again = f", attempt {attempts}" if attempts != 1 else ""
    return f"{result.get('statements', '?')} statements in {float(result.get('seconds', 0)):.2f} s{again}"


def _checks(report: Mapping[str, Any]) -> str:
    checks = report.get("checks")
    if isinstance(checks, list) and checks:
        passed = sum(check["verdict"] == "passed" for check in checks)
        return f"{passed}/{len(checks)} checks: " + ", ".join(str(check["name"]) for check in checks)
    return str(report.get("text") or report.get("detail") or report.get("action") or "")
