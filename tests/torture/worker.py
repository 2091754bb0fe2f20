"""The engine's worker in a process of its own, which stops where its order says: at a point of a batch.

It is forked from a server that has loaded the engine, so an attempt costs no start of Python.
"""

from __future__ import annotations

import functools
import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import Any

import psycopg

from migrator import documents
from migrator.database.session import Endpoint
from migrator.errors import Cancelled, MigratorError, TransientError
from migrator.plan import Plan
from migrator.steps import batch_size, batches, piecewise, transaction
from migrator.steps.batch_sender import Sender
from migrator.steps.context import StepContext, StepHandle
from tests.integration.stages import apply_all, roll_back
from tests.torture.case import Stop
from tests.torture.defects import DEFECTS

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.torture.worker"])


@dataclass(frozen=True)
class Order:
    """One attempt. `plan` is JSON; `admin` is a superuser's connection string, to end sessions with."""

    plan: str
    conninfo: str
    admin: str
    stage: str
    first_pages: int
    most_pages: int
    stop: Stop | None
    naps: tuple[float, ...]
    wait_at: int
    in_pieces: bool = False
    defect: str = ""


@dataclass
class Attempt:
    """What the process tells, message after message: `(what, number or text, monotonic seconds)`."""

    order: Order
    pipe: Connection
    handle: StepHandle = field(default_factory=StepHandle)
    batch: int = 0
    waited: bool = False

    def tell(self, what: str, value: Any = None) -> None:
        try:
            self.pipe.send((what, value, time.monotonic()))
        except BrokenPipeError:  # it is thought dead, and nobody listens any more
            pass

    def at(self, point: str, work: Any) -> None:
        """A point of a batch is reached."""
        stop = self.order.stop
        if stop is None or stop.seconds is not None or (stop.batch, stop.point) != (self.batch, point):
            return
        self.tell("stopping", stop.how)
        if stop.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif stop.how == "zombie":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif stop.how == "cancel":
            self.handle.cancel()
        elif stop.how == "terminate":
            self._end(work.ctx.lock.pid if work.conn is None else work.conn.info.backend_pid)
        else:
            self._end(work.ctx.lock.pid)

    def between(self) -> None:
        """Before a batch, with no transaction open: a busy server takes its time, and the writers get theirs."""
        if self.batch == self.order.wait_at:
            self.wait()
        self.handle.sleep(self.order.naps[self.batch % len(self.order.naps)])

    def wait(self) -> None:
        """Once in an attempt, until the harness has seen the writers do what there must be to see."""
        if not self.waited:
            self.waited = True
            self.tell("waiting")
            self.pipe.recv()

    def piece(self, real: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """A statement, or the statements of a transaction, of a step that goes through no rows in batches."""
        found = {type(one): one for one in args}
        work = SimpleNamespace(ctx=found[StepContext], conn=found.get(psycopg.Connection))
        self.batch, self.waited = self.batch + 1, False
        self.wait()
        self.between()
        self.tell("piece")
        self.at("begin", work)
        done = real(*args, **named)
        self.at("committed", work)
        return done

    def _end(self, pid: int) -> None:
        with psycopg.connect(self.order.admin, autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def start(order: Order) -> tuple[Any, Connection]:
    """The process, and the end of the pipe that its messages come out of; `send` anything to answer `waiting`."""
    ours, theirs = FORKS.Pipe()
    process = FORKS.Process(target=main, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def main(order: Order, pipe: Connection) -> None:
    attempt = Attempt(order, pipe)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=attempt.handle.cancel).start())
    logging.disable()
    _hook(attempt)
    if order.defect:
        DEFECTS[order.defect]()
    plan = documents.from_dict(Plan, json.loads(order.plan))
    endpoint = Endpoint(order.conninfo, name="torture")
    attempt.tell("started")
    try:
        if order.stage == "apply":
            apply_all(plan, endpoint, handle=attempt.handle)
            attempt.tell("ended", "success")
        else:
            report = roll_back(plan, endpoint, handle=attempt.handle, force=True)  # by itself it is held: others write
            attempt.tell("ended", f"{report.action}: {report.reason}")
    except (TransientError, Cancelled) as exc:
        attempt.tell("again", f"{type(exc).__name__} {exc.fields.get('sqlstate') or ''}: {exc}")
    except MigratorError as exc:
        sqlstate = exc.fields.get("sqlstate")
        attempt.tell("failed", f"{type(exc).__name__} {sqlstate or ''}: {exc}")
    except BaseException as exc:
        attempt.tell("failed", f"{type(exc).__name__}: {exc}")


def _hook(attempt: Attempt) -> None:
    """Tell of batches and looks, and stop where the order says."""
    if attempt.order.in_pieces:
        piecewise._run = functools.partial(attempt.piece, piecewise._run)
        transaction.run_phase = functools.partial(attempt.piece, transaction.run_phase)
        return
    batch_size.FIRST_PAGES, batch_size.MOST_PAGES = attempt.order.first_pages, attempt.order.most_pages
    batch, send, commit, left = batches.Work._batch, Sender._send, batches.Work.commit, batches.Work._left
    commit_only = batches.commit_only
    current: list[Any] = [None]

    def told_batch(work: Any, *args: Any) -> Any:
        attempt.batch += 1
        current[0] = work
        attempt.between()
        attempt.tell("batch", work.conn.info.backend_pid)
        attempt.at("begin", work)
        return batch(work, *args)

    def told_send(sender: Any, text: str, ctx: Any) -> Any:
        found = send(sender, text, ctx)
        attempt.at("sent", current[0])
        return found

    def told_commit(work: Any, then: Any, on: Any = None) -> None:
        commit(work, then, on)
        attempt.at("committed", work)

    def told_commit_only(*args: Any) -> None:
        attempt.at("committing", current[0])
        commit_only(*args)

    def told_left(work: Any) -> bool:
        attempt.wait()  # a step with few batches is not done before either
        attempt.tell("look")
        return left(work)

    batches.Work._batch, Sender._send = told_batch, told_send  # type: ignore[method-assign]
    batches.Work.commit, batches.Work._left = told_commit, told_left  # type: ignore[method-assign]
    batches.commit_only = transaction.commit_only = told_commit_only  # of a light COMMIT, and of one that is looked at
