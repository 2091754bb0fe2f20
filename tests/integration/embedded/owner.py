"""A process that owns a server and waits to be killed: `python -m tests.integration.embedded.owner ORDER`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from migrator.embedded.programs import Programs
from migrator.embedded.server import Server

ROOT = Path(__file__).parents[3]


@contextmanager
def owner(programs: Programs, **order: Any) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process and what it told: `server` and `watchdog` (process ids), `data_dir`, `child` (what it forked).

    :param data_dir: keep the cluster there; without it the server is a temporary one.
    :param detached: whether the server shall outlive the owner.
    :param fork: whether the owner forks a process that inherits everything and stays.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, json.dumps({"bindir": str(programs.bindir), **order})],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    told: dict[str, Any] = {}
    try:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        yield process, told
    finally:
        if told.get("child"):  # first: it holds the pipe that `communicate` reads to its end
            with suppress(ProcessLookupError):
                os.kill(told["child"], 9)
        process.kill()
        process.communicate()


def main(order: Mapping[str, Any]) -> None:
    from migrator.embedded.programs import find_programs
    from migrator.embedded.settings import FAST

    programs = find_programs(configured=Path(order["bindir"]))
    if order.get("data_dir"):
        server = Server(
            Path(order["data_dir"]), programs=programs, settings=FAST, detached=order.get("detached", False)
        )
        with server:
            _wait(server, order)
    else:
        with Server.temporary(programs=programs) as server:
            _wait(server, order)


def _wait(server: Server, order: Mapping[str, Any]) -> None:
    child = os.fork() if order.get("fork") else None
    if child != 0:
        watchdog = server._watchdog.pid if server._watchdog is not None else None
        told = {"server": server.pid, "watchdog": watchdog, "data_dir": str(server.data_dir), "child": child}
        print(json.dumps(told), flush=True)
    time.sleep(100)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
