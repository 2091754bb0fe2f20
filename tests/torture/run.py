"""One case from its table to its judgement: writers, the step attempt after attempt, what happens meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import psycopg

from migrator import documents
from migrator.database import schema as schemas
from migrator.database.session import Endpoint
from tests.torture import kinds, pieces
from tests.torture.case import SORTS, Case, Stop
from tests.torture.copying import CopyingWriter
from tests.torture.disturbance import Disturbances, Holder
from tests.torture.judge import judge
from tests.torture.observer import Observer
from tests.torture.worker import Order, start
from tests.torture.writer import Writer

ATTEMPTS = 15
ZOMBIE = "stopping zombie"
SECONDS = 60.0
"""An attempt that says nothing for so long hangs, or that does not end within LONGEST."""
LONGEST = 120.0
MINIMUM = 3 * len(SORTS)
"""So many transactions are committed while the step runs, or there was nothing to see."""
NOTHING = "rollback ended nothing: no statement took effect"
"""Then the ledger goes on telling how the last attempt ended; that nothing is left is looked at."""
ZOMBIE_SECONDS = 0.4
"""After so long a process that was thought dead comes back."""
GRACE_SECONDS = 1.0
"""How much longer than the lock timeout a statement of the application may wait because of the engine."""
INHERENT = 1.0
"""For each transaction that a writer commits which is not READ COMMITTED, so many may fail because somebody changed
its rows: by key a few do, where SERIALIZABLE reads the whole table more."""


@dataclass
class Result:
    """`wrong` empty: the case is passed. The figures say that there was something to see."""

    seed: int
    wrong: list[str] = field(default_factory=list)
    attempts: list[str] = field(default_factory=list)
    disturbed: list[str] = field(default_factory=list)
    committed: dict[str, int] = field(default_factory=dict)
    meanwhile: int = 0
    """Transactions that were committed while the step ran."""
    rows_written: int = 0
    filled: int = 0
    batches: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    deadlocks: dict[str, int] = field(default_factory=dict)
    longest_wait: float = 0.0
    behind: str = ""
    longest_behind_rollback: float = 0.0
    longest_statement: float = 0.0
    seconds: float = 0.0


class Run:
    """:param endpoint: an empty database. :param admin: a superuser's connection string to it."""

    def __init__(self, case: Case, endpoint: Endpoint, admin: str, *, defect: str = "") -> None:
        self.case, self.endpoint, self.admin, self.defect = case, endpoint, admin, defect
        self.result = Result(case.seed)
        self.plan = kinds.plan(case)
        writer = CopyingWriter if case.kind == "insert" else Writer
        self.writers = [writer(number, case, self._login(number)) for number in range(1, case.shape.writers + 1)]
        self.observer = Observer(admin)
        self.disturbances = Disturbances(case, admin)
        self.holder = Holder(case, admin, self._committed)
        self.looked: float | None = None
        self.seen = self.left_out = 0
        self.began = self.ended = 0.0

    def _schema(self) -> str:
        """Without the ledger's."""
        with psycopg.connect(self.endpoint.conninfo, autocommit=True) as conn:
            return schemas.read(conn, exclude=("migrator",)).fingerprint

    def _login(self, number: int) -> str:
        """Only a superuser may pass for a replication's worker."""
        return self.admin if self.case.roles[number - 1].replica else self.endpoint.conninfo

    def carry_out(self) -> Result:
        started = time.monotonic()
        with psycopg.connect(self.endpoint.conninfo, autocommit=True) as conn:
            conn.execute(kinds.tables(self.case).encode())
        schema = self._schema()
        with ExitStack() as stack:
            self.observer.start()
            stack.callback(self.observer.stop)
            stack.callback(self._stop_writers)
            for writer in self.writers:
                writer.start()
            if self.case.kind == "index":
                stack.callback(self.holder.stop)
                self.holder.start()
            self._step()
        self.disturbances.finish()
        self._judge(schema)
        self.result.seconds = round(time.monotonic() - started, 2)
        return self.result

    def _stop_writers(self) -> None:
        """When each has committed every sort; what they found wrong is told."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not self.result.wrong:
            enough = set(SORTS) - {"unset"}
            if all(enough <= writer.committed.keys() or not writer.is_alive() for writer in self.writers):
                break
            time.sleep(0.02)
        for writer in self.writers:
            writer.stopping.set()
        for writer in self.writers:
            writer.join(30)
            if writer.is_alive():
                self.result.wrong.append(f"{writer.name} hangs")
            if writer.wrong is not None:
                self.result.wrong.append(f"{writer.name}: {type(writer.wrong).__name__}: {writer.wrong}")

    # The step.

    def _step(self) -> None:
        before = self._committed()
        stops = list(self.case.stops)
        partial = self.case.undo == "partial"
        done = False
        while not done and len(self.result.attempts) < ATTEMPTS:
            if partial and self.result.attempts and not stops:
                break
            stop = stops.pop(0) if stops else None
            done = self._attempt("apply", stop)
            if any(writer.wrong for writer in self.writers) or self.result.wrong:
                break
        self.result.meanwhile = self._committed() - before
        self.ended = time.monotonic()
        for writer in self.writers:
            writer.ended.set()
        if not done and not partial:
            self.result.wrong.append(f"the step is not done after {len(self.result.attempts)} attempts")
        if self.case.undo:
            self.holder.stop()
            self._undo()

    def _undo(self) -> None:
        tries = 0
        while not self._attempt("rollback", None):
            tries += 1
            if tries > ATTEMPTS or self.result.wrong:
                self.result.wrong.append("the rollback does not end")
                return

    def _attempt(self, stage: str, stop: Stop | None) -> bool:
        """Whether it is done. An attempt that is stopped and lives is followed by another beside it."""
        order = Order(
            plan=documents.canonical_json(self.plan),
            conninfo=self.endpoint.conninfo,
            admin=self.admin,
            stage=stage,
            first_pages=self.case.first_pages,
            most_pages=self.case.most_pages,
            stop=stop,
            naps=self.case.naps,
            in_pieces=self.case.kind in pieces.KINDS and stage == "apply",
            wait_at=min(self.case.wait_at, stop.batch) if stop is not None else self.case.wait_at,
            defect=self.defect,
        )
        process, pipe = start(order)
        try:
            said = self._listen(process, pipe, stop)
            if said == ZOMBIE:
                return self._beside(process, stage)
        finally:
            process.kill()
            process.join(10)
            pipe.close()
        self.result.attempts.append(f"{stage} {said}"[:400])
        if said.startswith("failed") and self.case.kind == "quarantine" and kinds.LEFT_OUT in said:
            self._mend()
        elif said.startswith("failed"):
            self.result.wrong.append(f"{stage} {said}")
        return said.startswith("ended")

    def _listen(self, process: BaseProcess, pipe: Connection, stop: Stop | None) -> str:
        """What the attempt said last."""
        began, said = time.monotonic(), "killed"
        killed = stop.seconds if stop is not None else None
        heard, since = began, None if self.case.kind in pieces.KINDS else began
        while time.monotonic() - began < LONGEST and time.monotonic() - heard < SECONDS:
            if killed is not None and since is not None and time.monotonic() - since > killed:
                return "killed from outside"
            if not pipe.poll(0.02):
                if said == ZOMBIE or (not process.is_alive() and not pipe.poll(0)):
                    return said
                continue
            try:
                what, value, at = pipe.recv()
            except EOFError:
                return said
            heard = time.monotonic()
            if what == "batch":
                self.result.batches += 1
                self.observer.engine[value] = "migration apply"
                self.disturbances.batch(self.result.batches)
            elif what == "piece":
                since = since or heard
                self.result.batches += 1
                self.disturbances.batch(self.result.batches)
            elif what == "look":
                self.looked = at
            elif what == "waiting":
                heard = time.monotonic()
                self._wait_for_writers()
                waited, heard = time.monotonic() - heard, time.monotonic()
                began, since = began + waited, since and since + waited
                pipe.send("go")
            elif what in ("stopping", "ended", "again", "failed"):
                said = f"{what} {value}"
                if what == "ended" and self.looked is None:
                    self.looked = at  # it has not looked, and says that it is done
        return "failed: it hangs"

    def _wait_for_writers(self) -> None:
        """Until they have done what the run must have seen by its end, and a part anew each time: however fast the step
        is, and they are slow."""
        wanted = max(MINIMUM, self.seen + len(SORTS))
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and any(writer.is_alive() for writer in self.writers):
            if any(writer.wrong for writer in self.writers):
                break
            if all(writer.through.is_set() for writer in self.writers) and self._committed() >= wanted:
                break
            time.sleep(0.02)
        self.seen = self._committed()

    def _committed(self) -> int:
        return sum(writer.committed.total() for writer in self.writers)

    def _beside(self, zombie: BaseProcess, stage: str) -> bool:
        """The process is thought dead, and its lock is gone; it comes back while the next attempt works."""
        self.result.attempts.append(f"{stage} {ZOMBIE}")
        with psycopg.connect(self.admin, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'migration lock%'"
            )
        wake = threading.Timer(ZOMBIE_SECONDS, os.kill, (zombie.pid, signal.SIGCONT))
        wake.start()
        try:
            return self._attempt(stage, None)
        finally:
            wake.join()

    def _mend(self) -> None:
        """What a person does about rows that were left out. They are there, or they were left out for nothing."""
        with psycopg.connect(self.admin, autocommit=True, application_name="somebody mends") as conn:
            for _ in range(ATTEMPTS):
                try:
                    found = conn.execute(kinds.MEND).rowcount
                    break
                except psycopg.errors.DeadlockDetected:
                    continue
        self.left_out += found
        if not found:
            self.result.wrong.append("rows are left out, and there is none that fails")

    # The end.

    def _judge(self, schema: str) -> None:
        result, case = self.result, self.case
        committed: Counter[str] = sum((writer.committed for writer in self.writers), Counter())
        result.committed = dict(committed)
        result.rows_written = sum(writer.rows_written for writer in self.writers)
        result.refused = dict(sum((writer.refused for writer in self.writers), Counter()))
        result.disturbed = self.disturbances.done
        result.longest_statement = round(max(writer.longest for writer in self.writers), 3)
        result.longest_wait, result.behind = round(self.observer.longest, 3), self.observer.behind
        result.longest_behind_rollback = round(self.observer.behind_rollback, 3)
        say = result.wrong.append
        for failed in self.disturbances.failed:
            say(f"maintenance: {failed}")
        in_pieces = case.kind in pieces.KINDS
        looked = None if case.undo or in_pieces else self.looked
        with psycopg.connect(self.admin, autocommit=True) as conn:
            found = list(judge(conn, case, {writer.number: writer.model for writer in self.writers}, looked))
            result.wrong += found[:20]
            ((result.filled,),) = conn.execute("SELECT count(*) FROM filled").fetchall()
            if not result.wrong or found:
                self._ledger(conn, say)
        self._application(say)
        if case.undo and self._schema() != schema:
            say("the schema is another one after the rollback")
        missing = set(SORTS) - committed.keys() - ({"unset"} if case.undo else set())
        if not all(writer.model.rows for writer in self.writers):
            say("nothing to see: a writer has no rows")
        if case.kind == "quarantine" and not result.wrong and not self.left_out and case.undo != "partial":
            say("nothing to see: no row was left out")
        if not result.wrong and (missing or result.meanwhile < MINIMUM or not (result.filled or in_pieces)):
            say(f"nothing to see: {result.meanwhile} transactions, {result.filled} rows, never {sorted(missing)}")

    def _ledger(self, conn: psycopg.Connection, say: Callable[[str], None]) -> None:
        steps = conn.execute("SELECT status, rows_done FROM migrator.schema_migration_steps").fetchall()
        count = "SELECT count(*) FROM migrator.schema_migration_events WHERE kind = 'step_succeeded'"
        ((succeeded,),) = conn.execute(count).fetchall()
        ((status,),) = conn.execute("SELECT status FROM migrator.schema_migrations").fetchall()
        if self.case.undo:
            if status != "rolled_back" and NOTHING not in self.result.attempts[-1]:
                say(f"the ledger says {status}")
            return
        if [(state, rows) for state, rows in steps] != [("success", self.result.filled)] or succeeded != 1:
            say(f"the ledger says {steps}, {succeeded} times; {self.result.filled} rows were changed")

    def _application(self, say: Callable[[str], None]) -> None:
        """What the application has suffered."""
        limit = self.case.lock_timeout_ms / 1000 + GRACE_SECONDS
        if self.observer.longest > limit:
            say(f"a statement waited {self.observer.longest:.2f} s, {limit:.2f} at most: {self.observer.behind}")
        for writer in self.writers:
            for _, pids in writer.deadlocks:
                engine = sorted(self.observer.engine[pid].split(" ")[1] for pid in pids if pid in self.observer.engine)
                cause = engine[0] if engine else "somebody else"
                self.result.deadlocks[cause] = self.result.deadlocks.get(cause, 0) + 1
            failed, all_of = writer.refused["40001"], writer.committed.total()
            if failed and writer.role.isolation == "READ COMMITTED":
                say(f"{writer.name} got 40001 {failed} times, in READ COMMITTED")
            if failed > INHERENT * all_of + 10:
                say(f"{writer.name} got 40001 {failed} times in {all_of} transactions")
        if self.result.deadlocks.get("apply"):
            say(f"the application lost {self.result.deadlocks['apply']} deadlocks against a batch")
