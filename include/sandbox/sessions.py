"""Stop whole process sessions, and only ours.

Each component leads a session of its own. Airflow puts every task into a process group of its own, so a
process group does not reach them; the session does. A session id is a process id, which the kernel may give
to somebody else later: a session is therefore named by leader id *and* start time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Session:
    leader: int
    started: float
    """psutil's create_time of the leader, seconds since the epoch."""

    @classmethod
    def of(cls, pid: int) -> Session:
        return cls(pid, psutil.Process(pid).create_time())

    def leader_alive(self) -> bool:
        try:
            process = psutil.Process(self.leader)
            same = abs(process.create_time() - self.started) < 1
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def members(self) -> tuple[int, ...]:
        """Living processes of the session. Empty when the leader's id now belongs to somebody else's session."""
        with contextlib.suppress(psutil.NoSuchProcess):
            if abs(psutil.Process(self.leader).create_time() - self.started) >= 1:
                return ()
        found = []
        for process in psutil.process_iter(["status", "create_time"]):
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess, PermissionError):
                if (
                    os.getsid(process.pid) == self.leader
                    and process.info["status"] != psutil.STATUS_ZOMBIE
                    and process.info["create_time"] >= self.started - 1
                ):
                    found.append(process.pid)
        return tuple(found)


def stop(sessions: Iterable[Session], *, grace_seconds: float = 4.0) -> tuple[int, ...]:
    """SIGTERM to the leaders, after the grace SIGKILL to whatever still lives. Returns the ids that were killed."""
    wanted = list(sessions)
    for session in wanted:
        if session.leader_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(session.leader, signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while time.monotonic() < deadline and any(session.leader_alive() for session in wanted):
        time.sleep(0.05)
    killed: list[int] = []
    # Twice: a member may fork between the listing and the signal.
    for _ in range(2):
        for session in wanted:
            for pid in session.members():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
    return tuple(dict.fromkeys(killed))
