"""The contract of a trigger is what it serialises, and when it fires."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone
from threading import Event, Thread

import pytest
from airflow.sdk.module_loading import import_string

from airflow_migrator.settings import Settings
from airflow_migrator.triggers import unfinished, window
from airflow_migrator.triggers.window import WindowOpenTrigger


async def first_event(trigger: WindowOpenTrigger) -> dict[str, str]:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


def test_round_trip() -> None:
    moment = "2026-03-10T02:00:00+00:00"
    path, arguments = WindowOpenTrigger(moment).serialize()
    assert path == "airflow_migrator.triggers.window.WindowOpenTrigger"
    assert arguments == {"moment": moment}
    again = import_string(path)(**arguments)
    assert again.serialize() == (path, arguments)


def test_fires_soon_but_not_before_the_scheduler_knows_that_the_task_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "shortest_wait_seconds", lambda: 0.2)
    past = (datetime.now(timezone.utc) - timedelta(days=1)).isoformat()
    started = time.monotonic()
    event = asyncio.run(asyncio.wait_for(first_event(WindowOpenTrigger(past)), timeout=5))
    assert event["status"] == "open"
    assert time.monotonic() - started >= 0.2


def test_does_not_fire_early_however_long_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LONGEST_SLEEP_SECONDS", 0.05)
    monkeypatch.setattr(window, "shortest_wait_seconds", lambda: 0.0)
    opens = datetime.now(timezone.utc) + timedelta(seconds=0.3)
    asyncio.run(asyncio.wait_for(first_event(WindowOpenTrigger(opens.isoformat())), timeout=5))
    assert datetime.now(timezone.utc) >= opens


def test_the_shortest_wait_follows_airflows_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "11")
    assert window.shortest_wait_seconds() > 11


def test_a_target_that_is_not_listed_any_more_is_not_watched(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MIGRATOR_TARGETS", str(settings.targets))
    monkeypatch.setattr(unfinished, "EVERY_SECONDS", 0.01)
    watcher = Thread(target=unfinished.Watcher("gone", Event(), print).watch, daemon=True)
    watcher.start()
    watcher.join(timeout=30)
    assert not watcher.is_alive()
    assert "gone is not watched any more" in caplog.text
