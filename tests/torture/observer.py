"""Who waits for whom while a case runs: how long a statement of the application had the engine in its way."""

from __future__ import annotations

import threading
import time
from typing import Any

import psycopg

LOOK_SECONDS = 0.03
ENGINE, APPLICATION = "migration", "app"

QUERY = """
SELECT pid, application_name, COALESCE(query_start::text, ''),
    CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) ELSE '{}' END, left(query, 80)
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Observer(threading.Thread):
    """Looks every LOOK_SECONDS, and counts a wait of the application as the engine's when any session that is in the
    way, or in the way of that one, is the engine's."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(name="observer", daemon=True)
        self.conninfo = conninfo
        self.engine: dict[int, str] = {}
        """Processes of the engine's sessions, and what they are for."""
        self.longest = 0.0
        """Seconds that a statement waited with the engine in its way."""
        self.behind = ""
        self.behind_rollback = 0.0
        self.failed: BaseException | None = None
        self._waiting: dict[tuple[int, str], tuple[float, float]] = {}
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()
        self.join(10)
        if self.failed:
            raise self.failed

    def run(self) -> None:
        try:
            with psycopg.connect(self.conninfo, autocommit=True, application_name="observer") as conn:
                while not self._done.wait(LOOK_SECONDS):
                    self._look(conn.execute(QUERY).fetchall(), time.monotonic())
        except BaseException as exc:
            self.failed = exc

    def _look(self, rows: list[tuple[Any, ...]], now: float) -> None:
        names = {pid: name for pid, name, *_ in rows}
        blocked = {pid: blockers for pid, _, _, blockers, _ in rows}
        queries = {pid: " ".join(query.split()) for pid, *_, query in rows}
        self.engine |= {pid: name for pid, name in names.items() if name.startswith(ENGINE)}
        waiting = {}
        for pid, name, query_start, blockers, _ in rows:
            behind = [names[one] for one in _chain(blockers, blocked) if names.get(one, "").startswith(ENGINE)]
            if not name.startswith(APPLICATION) or not behind:
                continue
            since, _ = self._waiting.get((pid, query_start), (now, now))
            waiting[pid, query_start] = (since, now)
            if any("rollback" in one for one in behind):
                self.behind_rollback = max(self.behind_rollback, now - since)
            elif now - since > self.longest:
                self.longest = now - since
                chain = [f"{names.get(one, one)}: {queries.get(one)}" for one in _chain(blockers, blocked)]
                self.behind = f"{name}: {queries[pid]} behind {', '.join(chain)}"
        self._waiting = waiting


def _chain(blockers: list[int], blocked: dict[int, list[int]]) -> list[int]:
    """Everybody in the way, directly or behind another."""
    found: list[int] = []
    todo = list(blockers)
    while todo:
        one = todo.pop(0)
        if one not in found:
            found.append(one)
            todo += blocked.get(one, [])
    return found
