"""Wait for an instant, such as the opening of a maintenance window, without a worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

LONGEST_SLEEP_SECONDS = 60.0
"""A clock that is set, or a host that slept, must not make us late by more than this."""


class WindowOpenTrigger(BaseTrigger):
    """
    :param moment: ISO 8601 with offset. Fires at once when it has passed.
    """

    def __init__(self, moment: str) -> None:
        super().__init__()
        self.moment = moment

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return ("airflow_migrator.triggers.window.WindowOpenTrigger", {"moment": self.moment})

    async def run(self) -> AsyncIterator[TriggerEvent]:
        opens = datetime.fromisoformat(self.moment)
        while (left := (opens - datetime.now(timezone.utc)).total_seconds()) > 0:
            await asyncio.sleep(min(left, LONGEST_SLEEP_SECONDS))
        yield TriggerEvent({"status": "open", "moment": self.moment})
