"""Report migrations whose maintenance window passed without them: nobody else would notice a run that never was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_migrator.failures import in_airflow_words

if TYPE_CHECKING:
    from airflow.sdk import Context

    from migrator.catalogue.migration import Migration

LOOK_BACK = timedelta(days=7)
"""How far a report without a predecessor reaches back."""


class MissedWindowsOperator(BaseOperator):
    """Each window is reported once: those that closed since this task last succeeded. A run triggered by hand has no
    predecessor and looks back a week."""

    ui_color = "#fce8e6"

    def execute(self, context: Context) -> list[str]:
        from airflow_migrator.notifications import notify
        from airflow_migrator.notifications.message import Message
        from airflow_migrator.settings import read_settings
        from migrator.catalogue.catalogue import load_catalogue

        settings, now = read_settings(), datetime.now(timezone.utc)
        since = context.get("prev_start_date_success") or now - LOOK_BACK
        missed = []
        with in_airflow_words():
            catalogue = load_catalogue(settings.migrations, cache=settings.cache)
            for migration in windows_closed(catalogue.migrations, since, now):
                target, status = status_of(migration)
                if status == "success":
                    continue
                schedule = migration.metadata.schedule
                text = (
                    f"its maintenance window closed at {schedule.window_end:%Y-%m-%d %H:%M %Z}; the ledger of"
                    f" {target.name!r} says: {status or 'never begun'}. give it a new schedule, or trigger it by hand"
                )
                message = Message("failed", migration.version, target.name, text, title="missed its window")
                notify(message, target.notifications, context)
                missed.append(message.headline)
        self.log.info("%s missed windows since %s", len(missed), since)
        return missed


def windows_closed(migrations: Iterable[Migration], since: datetime, until: datetime) -> list[Migration]:
    """Those whose own window ended after `since`, up to `until`."""
    return [
        migration
        for migration in migrations
        if migration.metadata.schedule is not None and since < migration.metadata.schedule.window_end <= until
    ]


def status_of(migration: Migration) -> tuple[Any, str | None]:
    """The target of the schedule, and what its ledger says about the migration; None when it says nothing."""
    from airflow_migrator.hooks.pg_migration import PgMigrationHook

    hook = PgMigrationHook(migration.metadata.schedule.target)
    with hook.ledger() as ledger:
        row = ledger.migration(migration.version) if ledger.exists() else None
    return hook.target(), row.status.value if row else None
