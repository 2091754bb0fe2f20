"""PagerDuty, through the provider's events notifier: an incident for what is bad, resolved once it is applied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_migrator.notifications.provider import notifier

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.notifications.message import Message
    from migrator.targets.targets import Notification


def send(message: Message, notification: Notification, context: Context) -> None:
    """:raises ProviderMissing: the PagerDuty provider is not installed."""
    pagerduty = notifier(
        "airflow.providers.pagerduty.notifications.pagerduty",
        "PagerdutyNotifier",
        package="apache-airflow-providers-pagerduty",
    )
    pagerduty(
        pagerduty_events_conn_id=notification.connection or "pagerduty_events_default",
        summary=message.headline,
        severity="critical" if message.event == "rollback_failed" else "error" if message.bad else "info",
        source=f"migrator/{message.target}",
        action="resolve" if message.event == "applied" else "trigger",
        dedup_key=f"{message.target}/{message.version}",
        custom_details={"text": message.text},
        links=[{"href": message.url, "text": "open the run"}] if message.url else None,
    ).notify(context)
