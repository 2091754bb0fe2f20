"""What happens to the table, and to others, between batches: maintenance, and locks that somebody holds."""

from __future__ import annotations

import threading
import time

import psycopg

from tests.torture.case import Case

STATEMENTS = {
    "vacuum": "VACUUM t",
    "vacuum_full": "VACUUM FULL t",
    "analyze": "ANALYZE t",
    "truncate_other": "TRUNCATE side",
}


class Disturbances:
    """Starts what the case says when so many batches were begun, each in a thread of its own."""

    def __init__(self, case: Case, conninfo: str) -> None:
        self.case, self.conninfo = case, conninfo
        self.todo = list(case.actions)
        self.done: list[str] = []
        self.failed: list[BaseException] = []
        self._threads: list[threading.Thread] = []

    def batch(self, number: int) -> None:
        while self.todo and self.todo[0][0] <= number:
            _, action, seconds = self.todo.pop(0)
            thread = threading.Thread(target=self._carry_out, args=(action, seconds), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self) -> None:
        for thread in self._threads:
            thread.join(30)
        if any(thread.is_alive() for thread in self._threads):
            self.failed.append(TimeoutError("maintenance still waits"))

    def _carry_out(self, action: str, seconds: float) -> None:
        try:
            with psycopg.connect(self.conninfo, autocommit=True, application_name=f"somebody {action}") as conn:
                self._do(conn, action, seconds)
            self.done.append(action)
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            self.done.append(f"{action} in vain")  # it lost against the application
        except BaseException as exc:
            self.failed.append(exc)

    def _do(self, conn: psycopg.Connection, action: str, seconds: float) -> None:
        if action in STATEMENTS:
            conn.execute(STATEMENTS[action].encode())
        elif action == "cluster":
            index = conn.execute(
                "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 't'::regclass"
            ).fetchone()
            partitioned = self.case.shape.partitions > 0  # which CLUSTER takes since PostgreSQL 15
            if index is None or partitioned:
                conn.execute("VACUUM FULL t")
                return
            conn.execute(f"CLUSTER t USING {index[0]}".encode())
            conn.execute("ALTER TABLE t SET WITHOUT CLUSTER")  # that it was clustered is a part of the schema
        else:
            with conn.transaction():
                if action == "idle_rows":
                    conn.execute("SELECT FROM t WHERE n % 400 = 7 ORDER BY owner, n FOR UPDATE")
                else:
                    conn.execute("LOCK TABLE t IN SHARE MODE")
                time.sleep(seconds)  # it is idle in its transaction for so long
