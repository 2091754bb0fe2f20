"""Ends sessions that forgot their transaction while it holds what a step needs: only where a target's policy says so.

What such a session had changed is taken back by the server, as when its client dies:
https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SIGNAL.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from migrator.database.activity import Blocker, as_login_role
from migrator.database.session import APPLICATION, Connection


@dataclass(frozen=True)
class Idle:
    """Which sessions may be ended."""

    seconds: float
    """Idle in a transaction for longer."""
    roles: tuple[str, ...]
    """Logged in as one of these."""


def forgotten(connection: Connection, policy: Idle, holders: Collection[Blocker]) -> tuple[tuple[Blocker, float], ...]:
    """Those of the holders that may be ended, with the seconds for which each is idle. The migrator's own never are."""
    known = {blocker.pid: blocker for blocker in holders if blocker.backend_start is not None}
    rows = as_login_role(connection, "idle", _parameters(policy, tuple(known.values()))) if known else []
    return tuple((known[pid], idle) for pid, idle in rows)


def end(connection: Connection, policy: Idle, blocker: Blocker) -> bool:
    """End exactly this session, if it still is what it was found to be. False: it is not, or is gone.

    :raises NeedsHuman: our role may not (it needs to be a member of pg_signal_backend, or of the session's role).
    """
    return bool(as_login_role(connection, "end_idle", _parameters(policy, (blocker,))))


def _parameters(policy: Idle, holders: Collection[Blocker]) -> dict[str, object]:
    return {
        "pids": [blocker.pid for blocker in holders],
        "starts": [blocker.backend_start for blocker in holders],
        "roles": list(policy.roles),
        "seconds": policy.seconds,
        "own": f"{APPLICATION}%",
    }
