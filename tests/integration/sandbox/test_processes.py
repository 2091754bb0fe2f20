"""Processes that we start are gone when we are, however we go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from migrator.errors import EnvironmentFault
from sandbox.processes import Processes, tail
from sandbox.sessions import Session, stop

pytestmark = pytest.mark.integration

# A component with a child in a process group of its own, as Airflow's tasks are, that ignores polite requests.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], process_group=0) \
    if sys.version_info >= (3, 11) else \
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], preexec_fn=lambda: os.setpgid(0, 0))
print(child.pid, flush=True)
time.sleep(600)
"""

OWNER = """
import sys, time
from pathlib import Path
from sandbox.processes import Processes
processes = Processes(Path(sys.argv[1]))
processes.start("stubborn", [sys.executable, "-c", sys.argv[2]], env={}, cwd=Path(sys.argv[1]))
print(processes.pid("stubborn"), flush=True)
time.sleep(600)
"""


def first_line(path: Path) -> str:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if path.exists() and "\n" in (text := path.read_text()):
            return text.splitlines()[0]
        time.sleep(0.05)
    raise AssertionError(f"{path} stayed empty")


def gone(pid: int, *, within_seconds: float = 20) -> bool:
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def test_stop_reaches_a_child_in_its_own_process_group(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("stubborn", [sys.executable, "-c", STUBBORN], env={}, cwd=tmp_path)
    child = int(first_line(tmp_path / "stubborn.log"))
    leader = processes.pid("stubborn")
    processes.stop(grace_seconds=0.2)
    assert gone(leader)
    assert gone(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_survives_its_owner(tmp_path: Path, number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path), STUBBORN], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    leader = int(owner.stdout.readline())
    child = int(first_line(tmp_path / "stubborn.log"))
    owner.send_signal(number)
    owner.wait(timeout=10)
    owner.stdout.close()
    assert gone(leader)
    assert gone(child)


def test_a_detached_component_outlives_its_owner(tmp_path: Path) -> None:
    script = OWNER.replace("Processes(Path(sys.argv[1]))", "Processes(Path(sys.argv[1]), detached=True)")
    owner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), STUBBORN], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    session = Session.of(int(owner.stdout.readline()))
    child = int(first_line(tmp_path / "stubborn.log"))
    owner.kill()
    owner.wait(timeout=10)
    owner.stdout.close()
    try:
        assert not gone(child, within_seconds=1)
        assert set(session.members()) == {session.leader, child}
    finally:
        stop([session], grace_seconds=0.2)
    assert gone(child)


def test_the_children_of_a_dead_leader_are_found(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start("stubborn", [sys.executable, "-c", STUBBORN], env={}, cwd=tmp_path)
    child = int(first_line(tmp_path / "stubborn.log"))
    os.kill(processes.pid("stubborn"), signal.SIGKILL)
    processes.stop(grace_seconds=0.2)
    assert gone(child)


def test_a_reused_process_id_is_left_alone() -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        stale = Session(bystander.pid, psutil.Process(bystander.pid).create_time() - 1000)
        assert not stale.leader_alive()
        assert stale.members() == ()
        assert stop([stale], grace_seconds=0.1) == ()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait(timeout=10)


def test_a_component_that_dies_is_reported_with_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    command = [sys.executable, "-c", "print('no database'); raise SystemExit(7)"]
    processes.start("scheduler", command, env={}, cwd=tmp_path)
    try:
        with pytest.raises(EnvironmentFault, match=r"(?s)scheduler ended with exit code 7 .*no database"):
            processes.wait("the scheduler", lambda: False, timeout_seconds=20)
    finally:
        processes.stop(grace_seconds=0.1)


def test_a_time_out_names_what_was_waited_for(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    command = [sys.executable, "-c", "print('still loading', flush=True); import time; time.sleep(600)"]
    processes.start("api-server", command, env={}, cwd=tmp_path)
    try:
        first_line(tmp_path / "api-server.log")
        with pytest.raises(EnvironmentFault, match=r"(?s)the API server was not ready after 0 s.*still loading"):
            processes.wait("the API server", lambda: False, timeout_seconds=0.2)
    finally:
        processes.stop(grace_seconds=0.1)


def test_tail_of_a_missing_log(tmp_path: Path) -> None:
    assert tail(tmp_path / "nothing.log") == "(no log)"
