"""Which snapshots are kept, and for how long."""

from __future__ import annotations

import logging
import re
from datetime import datetime, timedelta

from migrator.backups.storage import Storage, local_storage
from migrator.targets.targets import Target

LOG = logging.getLogger(__name__)

KEY = re.compile(r"(?P<time>\d{8}T\d{6}Z)-")


LEFTOVER_DAYS = 7
"""No dump takes that long: what is incomplete then was left by one that was killed."""


def expire(
    target: Target, *, now: datetime, storage: Storage | None = None, log: logging.Logger = LOG
) -> tuple[str, ...]:
    """Delete snapshots of the target that are older than its retention, but never the newest `keep`, and what killed
    dumps left behind; the keys of all."""
    keeper = storage or local_storage(target.storage)
    old = expired(keeper.keys(target.name), now=now, days=target.snapshot.retention_days, keep=target.snapshot.keep)
    for key in old:
        log.info("snapshot %s is older than %s days: deleted", key, target.snapshot.retention_days)
        keeper.delete(key)
    left = expired(keeper.leftovers(target.name), now=now, days=LEFTOVER_DAYS, keep=0)
    for key in left:
        log.info("snapshot %s was never completed: deleted", key)
        keeper.delete(key)
    return (*old, *left)


def expired(keys: tuple[str, ...], *, now: datetime, days: int, keep: int) -> tuple[str, ...]:
    """Which of these keys, oldest first, may go. A name that we did not give is never among them. Pure."""
    limit = now - timedelta(days=days)
    found = []
    for key in keys[: max(0, len(keys) - keep)]:
        match = KEY.match(key.rpartition("/")[2])
        if match and datetime.strptime(match["time"] + "+0000", "%Y%m%dT%H%M%SZ%z") < limit:
            found.append(key)
    return tuple(found)


def remove_leftovers(keeper: Storage, target: str, name: str) -> None:
    """What an earlier attempt of the same run kept: nobody refers to it, its task did not succeed."""
    tail = KEY.sub("", name)
    for key in keeper.keys(target):
        if KEY.sub("", key.rpartition("/")[2]) == tail:
            keeper.delete(key)
