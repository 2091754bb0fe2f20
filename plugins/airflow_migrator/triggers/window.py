"""Wait for an instant, such as the opening of a maintenance window, without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from airflow.sdk import conf
from airflow.triggers.base import BaseTrigger, TriggerEvent

LONGEST_SLEEP_SECONDS = 60.0
"""A clock that is set, or a host that slept, must not make us late by more than this."""


def shortest_wait_seconds() -> float:
    """Until the scheduler must know that the task has deferred.

    It learns it from the task's supervisor, which may look only every `min_heartbeat_interval`. A task that is resumed
    and queued again before that is taken for dead and failed ("finished with state success, but the task instance's
    state attribute is queued", seen on Airflow 3.3.2).
    """
    return conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0) + 3.0


class WindowOpenTrigger(BaseTrigger):
    """
    :param moment: ISO 8601 with offset. When it has passed, fires after `shortest_wait_seconds`.
    """

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return ("airflow_migrator.triggers.window.WindowOpenTrigger", {"moment": self.moment})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        opens = datetime.fromisoformat(self.moment)
        await asyncio.sleep(shortest_wait_seconds())
        while (left := (opens - datetime.now(timezone.utc)).total_seconds()) > 0:
            await asyncio.sleep(min(left, LONGEST_SLEEP_SECONDS))
        yield TriggerEvent({"status": "open", "moment": self.moment})
