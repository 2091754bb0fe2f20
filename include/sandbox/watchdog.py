"""A small process that outlives its owner just long enough to clean up after it.

The owner holds the write end of a pipe to our stdin and writes one `leader started` line for each session that
it starts. End of file means that the owner is gone, however it died (kill -9 too): then everything it started is
stopped. The line `release` ends the watchdog without stopping anything.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

from sandbox.sessions import Session, stop


class Watchdog:
    """The owner's side."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.watchdog"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def watch(self, session: Session) -> None:
        self._write(f"{session.leader} {session.started!r}\n")

    def release(self) -> None:
        """End the watchdog and leave the sessions alone (they were stopped, or are meant to stay)."""
        self._write("release\n")
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def _write(self, line: str) -> None:
        if self._process.stdin is None or self._process.poll() is not None:
            return
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()


def parse(lines: Sequence[str]) -> tuple[Session, ...]:
    """The sessions to stop at end of file; none after `release`."""
    if any(line.strip() == "release" for line in lines):
        return ()
    sessions = []
    for line in lines:
        leader, _, started = line.strip().partition(" ")
        if leader.isdigit() and started:
            sessions.append(Session(int(leader), float(started)))
    return tuple(sessions)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    stop(parse(list(sys.stdin)), grace_seconds=5)


if __name__ == "__main__":
    main()
