"""Choose a TCP port that stays ours when the server is restarted."""

from __future__ import annotations

import random
import socket

# Below the ranges from which systems take ports for outgoing connections (Linux 32768-60999, macOS 49152-65535): a
# server that restarts finds its port free again.
PORTS = range(15432, 32000)


def free_port(*, choose: random.Random | None = None, tries: int = 200) -> int:
    """A port of 127.0.0.1 on which nothing listens now. The caller must still expect to lose a race for it.

    :raises OSError: when `tries` ports in a row were taken.
    """
    source = choose or random.SystemRandom()
    for _ in range(tries):
        port = source.choice(PORTS)
        if is_free(port):
            return port
    raise OSError(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop} after {tries} tries")


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
