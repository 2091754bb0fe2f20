"""TCP ports on the loopback interface."""

from __future__ import annotations

from migrator.embedded import ports


def free_port(preferred: int = 0) -> int:
    """`preferred` if nobody listens there, else another one; 0 prefers none.

    Somebody may take it before it is used; whoever starts the server notices, because its health check fails.
    """
    if preferred and ports.is_free(preferred):
        return preferred
    return ports.free_port()
