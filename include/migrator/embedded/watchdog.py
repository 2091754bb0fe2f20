"""Start a server and stop it when its owner dies. Run as a script in a process of its own; standard library only.

    python -I -S watchdog.py '{"command": [...], "owner": 123, ...}'

The owner holds the other end of our standard input. It closes when the owner dies, however it dies; a process that
the owner forked may hold it too, so we watch our parent's id as well. An owner that has stopped the server itself
writes DISMISS before it closes: then what the server left on disk stays.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

FAST_SECONDS = 10.0  # how long a fast shutdown may take after the owner's death, before an immediate one
LOOK_SECONDS = 0.5  # how often we look at our parent's id
PR_SET_PDEATHSIG = 1
DISMISS = b"."


def main(order: dict[str, Any]) -> int:
    """Do what `order` says: command, env, account, owner, detached, remove. Prints the server's process id.

    The server's log is our standard error.
    """
    server = subprocess.Popen(
        order["command"],
        cwd="/",
        env=order["env"],
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        start_new_session=True,
        umask=0o077,
        # Only one thread runs here, so preexec_fn is safe.
        preexec_fn=None if order["detached"] else _die_with_parent(),
        **order["account"],
    )
    os.write(1, f"{server.pid}\n".encode())
    os.close(1)
    if order["detached"]:
        os._exit(0)  # the server goes on as a child of init
    return _guard(server, owner=order["owner"], remove=order["remove"])


def _guard(server: subprocess.Popen[bytes], *, owner: int, remove: str | None) -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    stopping: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
    while server.poll() is None:
        ready, _, _ = select.select([0, wake_read], [], [], LOOK_SECONDS)
        if wake_read in ready:
            os.read(wake_read, 4096)
        dismissed = 0 in ready and os.read(0, 4096) == DISMISS
        if dismissed or stopping or os.getppid() != owner or 0 in ready:
            _stop(server)
            if remove and not dismissed:
                shutil.rmtree(remove, ignore_errors=True)
            break
    return server.returncode or 0


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number, seconds in ((signal.SIGINT, FAST_SECONDS), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(number)
        try:
            server.wait(seconds)
            return
        except subprocess.TimeoutExpired:
            continue


def _die_with_parent() -> Callable[[], None] | None:
    """Linux: when the watchdog itself is killed, the server gets a fast shutdown from the kernel.

    Everything is loaded here: the function itself runs as an account that may not be able to read Python's library.
    """
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl = ctypes.CDLL(None).prctl
    return functools.partial(prctl, PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
