"""Tell people about a run that died before it began: its teardowns never run, because their setup did not.

A task callback and not a listener: it also fires, in the DAG processor, when the worker itself was lost.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

LOG = logging.getLogger(__name__)


def notify_early_failure(context: Context) -> None:
    """One short message by the target's channels. Never raises: the task has failed already, with a better reason."""
    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from airflow_migrator.notifications import notify
    from airflow_migrator.notifications.message import from_early_failure

    try:
        ti = context["ti"]
        target = PgMigrationHook(context["params"]["target"]).target()
        message = from_early_failure(
            dag_id=ti.dag_id,
            run_id=ti.run_id,
            stage=ti.task_id,
            target=target.name,
            reason=str(context.get("exception") or "the task was lost; its log may say more"),
            applied=_applied(target.name, ti.dag_id),
        )
        notify(message, target.notifications, context)
    except Exception:
        LOG.exception("could not tell anybody about the failure")


def _applied(target: str, dag_id: str) -> str:
    """What the ledger says of it: a run that is cleared from its beginning may have applied something before."""
    from airflow_migrator.hooks.pg_migration import PgMigrationHook
    from airflow_migrator.links import DAG_PREFIX
    from migrator.ledger.rows import took_effect

    version = dag_id.removeprefix(DAG_PREFIX)
    try:
        with PgMigrationHook(target).ledger() as ledger:
            row = ledger.migration(version) if ledger.exists() else None
            done = [step.step for step in ledger.steps(version) if took_effect(step)] if row is not None else []
    except Exception as exc:  # whatever it is: the failure itself must be told
        return f"whether anything is applied could not be asked ({str(exc).partition(chr(10))[0]})"
    if row is None or not done:
        return "nothing was applied"
    return f"the ledger says {row.status.value}, with {', '.join(done)} applied"
