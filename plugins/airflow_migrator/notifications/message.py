"""What people are told: one headline, one text, one link. The same for every channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow.sdk import conf

from airflow_migrator.links import PAGE, task_page

if TYPE_CHECKING:
    from migrator.run import RunContext
    from migrator.stages.outcome import Outcome

EMERGENCY = "emergency"
"""Told by every channel, whatever events it asks for."""
EVENT_OF_STATUS = {"rolled_back": "rolled_back", "rollback_failed": "rollback_failed"}


@dataclass(frozen=True)
class Message:
    event: str
    """As targets.yaml names it: applied, failed, rolled_back, rollback_failed or review; or emergency."""
    version: str
    target: str
    text: str
    url: str | None = None
    title: str = ""
    """Instead of the event's name."""

    @property
    def headline(self) -> str:
        what = f"migration {self.version} on {self.target}" if self.version else self.target
        return f"{what}: {self.title or self.event.replace('_', ' ')}"

    @property
    def bad(self) -> bool:
        return self.event in ("failed", "rolled_back", "rollback_failed", EMERGENCY)


def from_outcome(outcome: Outcome, run: RunContext) -> Message:
    event = "applied" if outcome.ok else EVENT_OF_STATUS.get(str(outcome.status), "failed")
    page = f"{run.run_url}/plugin/{PAGE}" if run.run_url else None
    return Message(event, run.version, run.target, outcome.text, page)


def from_early_failure(
    *, dag_id: str, run_id: str, stage: str, target: str, reason: str, applied: str = "nothing was applied"
) -> Message:
    """A run that died before it could apply anything. `applied`: what the ledger says of that."""
    base_url = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return Message(
        "failed",
        dag_id.removeprefix("migrate_"),
        target,
        f"stage {stage} failed, {applied}: {reason}",
        base_url + task_page(dag_id, run_id, stage) if base_url else None,
    )
