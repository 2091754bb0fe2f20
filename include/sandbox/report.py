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

LOCKS = (
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
)
"""From the weakest to the strongest."""
FAILED_WITH = "Task failed with exception | "
LONGEST_REASON = 200

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
            proved=_failure(airflow, dag_id, run_id, task)
            if task["state"] == "failed"
            else _proved(task["task_id"], _result(airflow, dag_id, run_id, task["task_id"])),
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


def _failure(airflow: Airflow, dag_id: str, run_id: str, task: Mapping[str, Any]) -> str:
    """Why a task failed: the first lines of the engine's own message, from the end of its log."""
    try:
        log = airflow.log(dag_id, run_id, task["task_id"], try_number=task["try_number"])
    except ApiRefused:
        return ""
    _, found, reason = log.rpartition(FAILED_WITH)
    if not found:
        return ""
    lines = reason.partition(": ")[2].splitlines()
    return " ".join(line.strip() for line in lines[:2])[:LONGEST_REASON]


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
    statements = _count(sum(len(step["statements"]) for step in plan["steps"]), "statement")
    findings = _count(len(plan["findings"]), "finding")
    return f"{str(plan['type']).replace('_', ' ')}, risk {plan['risk']}; {statements}, {findings}"


def _snapshot(record: Mapping[str, Any]) -> str:
    tables = record["tables"]
    rows = sum(table["rows"] for table in tables)
    return f"{_count(len(tables), 'table')}, {rows:,} rows, {record['size_bytes'] / 1e6:.1f} MB at {record['lsn']}"


def _restore(evidence: Mapping[str, Any]) -> str:
    return (
        f"restored in {evidence['restore_seconds']:.1f} s; {evidence['rows_compared']:,} rows of"
        f" {evidence['tables_compared']} tables equal"
    )


def _dry_run(evidence: Mapping[str, Any]) -> str:
    locks = {lock["mode"] for trace in evidence["statements"] for lock in trace["locks"]}
    strongest = max(locks, key=LOCKS.index) if locks else "none on existing tables"
    passed = {check["name"] for check in evidence["checks"] if check["verdict"] == "passed"}
    undone = "; rollback gives the old schema back" if "rollback_schema_equal" in passed else ""
    return f"applied in {evidence['seconds']:.2f} s{undone}; strongest lock: {strongest}"


def _review(answer: Mapping[str, Any]) -> str:
    who = answer.get("reviewer") or (answer.get("responded_by_user") or {}).get("name") or ""
    return f"{answer.get('decision', 'answered')} by {who}" if who else str(answer.get("decision", ""))


def _apply(result: Mapping[str, Any]) -> str:
    statements = sum(len(step["statements"]) for step in result["steps"])
    seconds = sum(step["seconds"] for step in result["steps"])
    attempts = max(step["attempts"] for step in result["steps"])
    again = f", attempt {attempts}" if attempts > 1 else ""
    return f"{_count(statements, 'statement')} in {seconds:.2f} s{again}"


def _checks(report: Mapping[str, Any]) -> str:
    checks = report.get("checks")
    if isinstance(checks, list) and checks:
        passed = sum(check["verdict"] == "passed" for check in checks)
        other = [f"{check['name']} {check['verdict']}" for check in checks if check["verdict"] != "passed"]
        return "; ".join([f"{_count(passed, 'check')} passed", *other])
    text = str(report.get("text") or report.get("reason") or report.get("action") or "")
    return text.partition("\n")[0]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
