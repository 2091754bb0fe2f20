"""Tell people what happened, by the channels that targets.yaml names for the target."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_migrator.notifications import log, pagerduty, slack, smtp
from airflow_migrator.notifications.message import EMERGENCY
from migrator.parsing.unseen import visible

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.notifications.message import Message
    from migrator.targets.targets import Notification

LOG = logging.getLogger(__name__)

Send = Callable[["Message", "Notification", "Context"], None]

CHANNELS: tuple[tuple[str, Send], ...] = (
    ("log", log.send),
    ("slack", slack.send),
    ("smtp", smtp.send),
    ("pagerduty", pagerduty.send),
)


def notify(message: Message, notifications: Iterable[Notification], context: Context) -> tuple[str, ...]:
    """Send `message` by every channel that wants this event; gives the kinds that took it.

    A channel that fails is logged and does not stop the others: news must not change what happened to the database.
    """
    channels, sent = dict(CHANNELS), []
    message = replace(message, text=visible(message.text))
    for notification in notifications:
        if notification.events and message.event not in (*notification.events, EMERGENCY):
            continue
        try:
            channels[notification.kind](message, notification, context)
            sent.append(notification.kind)
        except Exception as exc:
            LOG.error("could not notify by %s: %s: %s", notification.kind, type(exc).__name__, exc)
    return tuple(sent)
