"""E-mail, through the provider's SMTP notifier."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from airflow_migrator.notifications.provider import notifier

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.notifications.message import Message
    from migrator.targets.targets import Notification


def send(message: Message, notification: Notification, context: Context) -> None:
    """:raises ProviderMissing: the SMTP provider is not installed."""
    smtp = notifier(
        "airflow.providers.smtp.notifications.smtp", "SmtpNotifier", package="apache-airflow-providers-smtp"
    )
    link = f'<p><a href="{html.escape(message.url)}">open the run</a></p>' if message.url else ""
    smtp(
        to=list(notification.to),
        subject=message.headline,
        html_content=f"<pre>{html.escape(message.text)}</pre>{link}",
        smtp_conn_id=notification.connection or "smtp_default",
    ).notify(context)
