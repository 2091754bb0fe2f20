"""Start the long-running processes of the stack, wait until they serve, and stop them without leftovers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from migrator.errors import EnvironmentFault
from sandbox.sessions import Session, stop
from sandbox.watchdog import Watchdog


def tail(path: Path, lines: int = 25) -> str:
    """The end of a log, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 64 * 1024))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


class Processes:
    """The components of one stack, by name. `detached` ones live on after this process; others never do."""

    def __init__(self, logs: Path, *, detached: bool = False) -> None:
        self._logs = logs
        self._detached = detached
        self._watchdog: Watchdog | None = None
        self._running: dict[str, tuple[subprocess.Popen[bytes], Session]] = {}

    @property
    def sessions(self) -> dict[str, Session]:
        return {name: session for name, (_, session) in self._running.items()}

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def start(self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> None:
        if self._watchdog is None and not self._detached:
            self._watchdog = Watchdog()
        self._logs.mkdir(parents=True, exist_ok=True)
        with self.log(name).open("wb") as output:
            process = subprocess.Popen(
                list(command),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        session = Session.of(process.pid)
        self._running[name] = (process, session)
        if self._watchdog is not None:
            self._watchdog.watch(session)

    def pid(self, name: str) -> int:
        return self._running[name][0].pid

    def kill(self, name: str) -> None:
        """With -9. It may be started again."""
        process, _ = self._running.pop(name)
        process.kill()
        process.wait()

    def dead(self) -> dict[str, int]:
        """Names and exit codes of the components that ended by themselves."""
        codes = {name: process.poll() for name, (process, _) in self._running.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def wait(self, what: str, ready: Callable[[], bool], *, timeout_seconds: float, every: float = 0.2) -> None:
        """Until `ready` says so.

        :raises EnvironmentFault: when a component dies or the time is over, with the ends of the logs.
        """
        deadline = time.monotonic() + timeout_seconds
        while not ready():
            dead = self.dead()
            if dead:
                name, code = next(iter(dead.items()))
                raise EnvironmentFault(
                    f"{name} ended with exit code {code} while waiting for {what}; the end of {self.log(name)}:\n"
                    f"{tail(self.log(name))}"
                )
            if time.monotonic() > deadline:
                ends = "\n".join(f"--- {self.log(name)}\n{tail(self.log(name), 10)}" for name in self._running)
                raise EnvironmentFault(
                    f"{what} was not ready after {timeout_seconds:.0f} s; the ends of the logs:\n{ends}"
                )
            time.sleep(every)

    def stop(self, *, grace_seconds: float = 4.0) -> None:
        stop(self.sessions.values(), grace_seconds=grace_seconds)
        for process, _ in self._running.values():
            process.wait(timeout=10)
        self._running.clear()
        self.release()

    def release(self) -> None:
        """Let the components be; nothing cleans up after us any more."""
        if self._watchdog is not None:
            self._watchdog.release()
            self._watchdog = None
