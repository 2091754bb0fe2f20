"""However the owner ends, no server and no directory is left; and what shall stay, stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from migrator.embedded.postmaster import command_line, read_postmaster
from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from tests.integration.embedded.owner import owner


def wait_until(true: Callable[[], bool], *, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "never true"
        time.sleep(0.05)


def gone(pid: int) -> bool:
    return not command_line(pid)


def log_of(data_dir: Path) -> str:
    return data_dir.with_name(data_dir.name + ".log").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_owner_killed_leaves_nothing(programs: Programs, number: signal.Signals) -> None:
    with owner(programs) as (process, told):
        assert not gone(told["server"])
        process.send_signal(number)
        process.wait(timeout=20)
        wait_until(lambda: gone(told["server"]) and gone(told["watchdog"]))
        wait_until(lambda: not Path(told["data_dir"]).parent.exists())


def test_interrupted_owner_stops_its_server_in_order(programs: Programs, place: Path) -> None:
    """Ctrl-C goes to the whole foreground group. The server is not in it, and the owner's own `finally` stops it."""
    data_dir = place / "data"
    with owner(programs, data_dir=str(data_dir)) as (process, told):
        os.killpg(process.pid, signal.SIGINT)
        process.wait(timeout=30)
        wait_until(lambda: gone(told["server"]) and gone(told["watchdog"]))
    assert "received fast shutdown request" in log_of(data_dir)
    assert "database system is shut down" in log_of(data_dir)
    assert not (data_dir / "postmaster.pid").exists()


def test_a_kept_cluster_is_stopped_with_a_checkpoint_when_its_owner_is_killed(programs: Programs, place: Path) -> None:
    data_dir = place / "data"
    with owner(programs, data_dir=str(data_dir)) as (process, told):
        process.kill()
        wait_until(lambda: gone(told["server"]) and gone(told["watchdog"]))
    assert "database system is shut down" in log_of(data_dir)
    with Server(data_dir, programs=programs, settings=FAST) as again, psycopg.connect(again.conninfo()) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert "not properly shut down" not in log_of(data_dir)


def test_a_forked_process_that_holds_the_pipe_keeps_no_server_alive(programs: Programs) -> None:
    with owner(programs, fork=True) as (process, told):
        process.kill()
        process.wait(timeout=20)
        wait_until(lambda: gone(told["server"]))
        assert not gone(told["child"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's signal at a parent's death is Linux's")
def test_a_killed_watchdog_takes_the_server_with_it(programs: Programs) -> None:
    with owner(programs) as (_, told):
        os.kill(told["watchdog"], signal.SIGKILL)
        wait_until(lambda: gone(told["server"]))


def test_a_detached_server_outlives_its_owner_and_anyone_may_stop_it(programs: Programs, place: Path) -> None:
    data_dir = place / "data"
    with owner(programs, data_dir=str(data_dir), detached=True) as (process, told):
        process.kill()
        process.wait(timeout=20)
    time.sleep(1.2)  # twice the time in which a watchdog looks up
    try:
        found = read_postmaster(data_dir)
        assert found is not None
        assert found.pid == told["server"]
        other = Server(data_dir, programs=programs, settings=FAST, detached=True)
        assert other.running()
        with psycopg.connect(other.conninfo()) as conn:
            assert conn.execute("SELECT 1").fetchone() == (1,)
    finally:
        Server(data_dir, programs=programs, settings=FAST, detached=True).stop()
    assert gone(told["server"])


def test_a_server_that_was_stopped_keeps_its_data(programs: Programs) -> None:
    """The watchdog must tell an owner that has stopped its server from one that died, also when it learns of both ends
    at once: so it is held until the server is gone. Which of the two it looks at first is chance, hence five times."""
    with Server.temporary(programs=programs) as server:
        for _ in range(5):
            assert server._watchdog is not None
            assert server.pid is not None
            watchdog, postmaster = server._watchdog.pid, server.pid
            os.kill(watchdog, signal.SIGSTOP)
            thread = threading.Thread(target=_continue_after, args=(watchdog, postmaster))
            thread.start()
            server.stop("immediate")
            thread.join()
            server.start()
            with psycopg.connect(server.conninfo()) as conn:
                assert conn.execute("SELECT 1").fetchone() == (1,)


def _continue_after(watchdog: int, postmaster: int) -> None:
    wait_until(lambda: gone(postmaster))
    time.sleep(0.02)
    os.kill(watchdog, signal.SIGCONT)


def test_a_failing_test_leaves_no_server(programs: Programs, place: Path) -> None:
    """Leaving the block by an exception stops the server and removes its directory."""
    pids: list[int | None] = []
    with pytest.raises(ZeroDivisionError), Server.temporary(programs=programs) as server:  # noqa: PT012
        pids.append(server.pid)
        base = server.data_dir.parent
        raise ZeroDivisionError
    assert pids[0] is not None
    assert gone(pids[0])
    assert not base.exists()


def test_the_watchdog_script_needs_no_package_of_ours() -> None:
    """It runs isolated (`-I -S`), so that nothing of the owner's environment can stop it from starting."""
    from migrator.embedded import watchdog

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import runpy; runpy.run_path({watchdog.__file__!r})"],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
