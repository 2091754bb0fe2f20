"""What happens to the table, and to others, between batches: maintenance, and locks that somebody holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import psycopg

from tests.torture.case import SORTS, Case

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


class Holder(threading.Thread):
    """Somebody who is always in a transaction that has written: what works CONCURRENTLY waits for it in each of its
    phases, and so until the writers have done their part. Of a partitioned table it has the partitions: the index of
    the whole is made under a lock that would wait for such a writer without an end.

    :param committed: how many transactions the writers have by now.
    """

    def __init__(self, case: Case, conninfo: str, committed: Callable[[], int]) -> None:
        super().__init__(name="holder", daemon=True)
        self.conninfo, self.committed = conninfo, committed
        parts = [f"t{number}" for number in range(case.shape.partitions)]
        self.lock = f"LOCK TABLE {', '.join(parts or ['t'])} IN ROW EXCLUSIVE MODE"
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()
        if self.is_alive():
            self.join(10)

    def run(self) -> None:
        with psycopg.connect(self.conninfo, autocommit=True, application_name="somebody holds") as conn:
            while not self._done.wait(0.001):
                with conn.transaction():
                    conn.execute(self.lock.encode())
                    wanted, deadline = self.committed() + len(SORTS), time.monotonic() + 3
                    while self.committed() < wanted and time.monotonic() < deadline and not self._done.wait(0.01):
                        pass
