"""Slack, through the provider's API notifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_migrator.notifications.provider import notifier

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.notifications.message import Message
    from migrator.targets.targets import Notification


def send(message: Message, notification: Notification, context: Context) -> None:
    """:raises ProviderMissing: the Slack provider is not installed."""
    slack = notifier(
        "airflow.providers.slack.notifications.slack", "SlackNotifier", package="apache-airflow-providers-slack"
    )
    slack(
        slack_conn_id=notification.connection or "slack_api_default",
        text=text_of(message),
        channel=notification.channel or "general",
    ).notify(context)


def text_of(message: Message) -> str:
    """In Slack's mrkdwn."""
    mark = ":red_circle:" if message.bad else ":large_green_circle:"
    link = f"\n<{message.url}|open the run>" if message.url else ""
    return f"{mark} *{_plain(message.headline)}*\n{_plain(message.text)}{link}"


def _plain(text: str) -> str:
    """What a migration's author wrote calls nobody: `<!channel>` and `<@U...>` are commands to Slack.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
