"""The task's log: always there, and what a log shipper picks up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_migrator.notifications.message import Message
    from migrator.targets.targets import Notification

LOG = logging.getLogger(__name__)


def send(message: Message, notification: Notification, context: Context) -> None:
    LOG.log(logging.WARNING if message.bad else logging.INFO, "%s\n%s\n%s", message.headline, message.text, message.url)
