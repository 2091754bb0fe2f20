"""A small application that reads and writes messages all the time, and measures how long it had to wait."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from types import TracebackType

import psycopg


@dataclass(frozen=True)
class Traffic:
    queries: int
    failures: int
    longest_seconds: float
    longest_query: str


QUERIES = (
    (
        "inbox",
        "SELECT id, body FROM messages WHERE tenant_id = %s AND deleted_at IS NULL AND id > %s ORDER BY id LIMIT 20",
    ),
    ("thread", "SELECT count(*) FROM messages WHERE contact_id = %s AND id > %s"),
    (
        "send",
        "INSERT INTO messages (tenant_id, contact_id, direction, body)"
        " SELECT tenant_id, id, 'outbound', 'hello again' FROM contacts WHERE id = %s AND %s > 0",
    ),
)


class Application:
    """Runs in a thread of its own from `with` to its end. `name` is what pg_stat_activity shows."""

    def __init__(self, uri: str, *, name: str, tenants: int = 20, pause_seconds: float = 0.02) -> None:
        self._uri = uri
        self._name = name
        self._tenants = tenants
        self._pause = pause_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name=name)
        self._queries = self._failures = 0
        self._longest = (0.0, "")

    def __enter__(self) -> Application:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> Traffic:
        self._stop.set()
        self._thread.join(timeout=30)
        return self.traffic()

    def traffic(self) -> Traffic:
        return Traffic(self._queries, self._failures, *self._longest)

    def _work(self) -> None:
        source = random.Random(1)
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._uri, autocommit=True, application_name=self._name) as connection:
                    while not self._stop.is_set():
                        self._one(connection, source)
                        self._stop.wait(self._pause)
            except psycopg.Error:
                # A restarted server or a terminated session: count it and connect again, as an application does.
                self._failures += 1
                self._stop.wait(0.2)

    def _one(self, connection: psycopg.Connection[tuple[object, ...]], source: random.Random) -> None:
        name, query = source.choice(QUERIES)
        number = 1 + int(self._tenants * source.random() ** 2)
        started = time.monotonic()
        try:
            connection.execute(query, (number, 1))
        finally:
            seconds = time.monotonic() - started
            self._queries += 1
            if seconds > self._longest[0]:
                self._longest = (seconds, name)
