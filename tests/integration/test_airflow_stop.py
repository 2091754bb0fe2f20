"""Stopping a task in Airflow stops what the server does for it, at once and not when the server notices."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psycopg

from migrator.database.session import Endpoint

WORKER = """
import signal, sys
from airflow_migrator.operators.base import TaskStopped
from airflow_migrator.operators.snapshot import PgMigrationSnapshotOperator
from migrator.database import session
from migrator.database.session import Endpoint

task = PgMigrationSnapshotOperator(task_id="snapshot", version="001_one", target="production")
signal.signal(signal.SIGTERM, lambda *_: task.on_kill())  # what Airflow's task runner does
with session.connect(Endpoint(sys.argv[1]), purpose="snapshot") as conn:
    print(conn.info.backend_pid, flush=True)
    try:
        conn.execute("SELECT pg_sleep(120)")
    except TaskStopped as exc:
        print(exc, "|", conn.execute("SELECT 'the session is usable'").fetchone()[0], flush=True)
"""


def test_sigterm_cancels_the_running_statement(database: Endpoint) -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WORKER, database.conninfo],
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        ) as worker,
        psycopg.connect(database.conninfo, autocommit=True) as observer,
    ):
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        while not active(observer, pid):
            time.sleep(0.05)
        stopped = time.monotonic()
        worker.send_signal(signal.SIGTERM)
        text = worker.stdout.readline()
        assert time.monotonic() - stopped < 2
        assert "stage 'snapshot' was stopped from outside | the session is usable" in text
        assert worker.wait(timeout=20) == 0


def active(observer: psycopg.Connection[tuple[object, ...]], pid: int) -> bool:
    row = observer.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state = 'active'", (pid,)).fetchone()
    return row is not None


def environment() -> dict[str, str]:
    """This process's own, with the plugins importable as in Airflow's processes."""
    import os

    return {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"], *sys.path])}
