"""Server settings: what every server of ours has, and the two profiles."""

from __future__ import annotations

import re
from collections.abc import Mapping

from migrator.errors import UsageError

Setting = str | int | float | bool

COMMON: Mapping[str, Setting] = {
    "listen_addresses": "127.0.0.1",
    "max_connections": 100,
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_lock_waits": True,
    "wal_level": "replica",
    "jit": False,
}

# A server whose data must survive: a local production.
DURABLE: Mapping[str, Setting] = {"fsync": True, "synchronous_commit": True, "full_page_writes": True}

# A server whose data can be made again (restored copies, tests): three times as fast at restoring. It keeps
# wal_level = replica, because the dry run measures the WAL that production will write.
FAST: Mapping[str, Setting] = {
    "fsync": False,
    "synchronous_commit": False,
    "full_page_writes": False,
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "256MB",
    # A copy of production carries its subscriptions: none of them may connect from here.
    "max_logical_replication_workers": 0,
}

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?\Z")


def render(settings: Mapping[str, Setting]) -> str:
    """The text of a configuration file.

    :raises UsageError: for a name or value that would break out of its line.
    """
    lines = []
    for name, value in settings.items():
        if not _NAME.match(name):
            raise UsageError(f'"{name}" is not the name of a PostgreSQL setting')
        text = ("on" if value else "off") if isinstance(value, bool) else str(value)
        if any(ord(character) < 32 for character in text):
            raise UsageError(f'the value of the setting "{name}" contains a control character')
        quoted = text.replace("\\", "\\\\").replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    return "\n".join(lines) + "\n"
