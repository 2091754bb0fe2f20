"""What every backup provider offers. A provider is one file of `providers/`, its test, and one line in `PROVIDERS`.

The words are those of the field: `create`, `list`, `restore`, `recover` (to a point in time), `prune`. Whoever needs a
cloud's client gets it handed in with the place; whoever works for longer than a task may wait gives a backup back that
is not `complete`, and is asked again with `list`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from migrator.backups.storage import Storage
from migrator.database.session import Endpoint
from migrator.evidence import Check, SnapshotRecord
from migrator.targets.targets import Target

LOG = logging.getLogger("migrator.backups")


@dataclass(frozen=True)
class Capabilities:
    """What a provider can do, and what it asks for. A test holds it to that, where it can."""

    scope: str
    """`database`: one database. `cluster`: all of its server, which a restore brings back as a whole."""
    point_in_time: bool
    """Whether `recover` can bring back any moment since the backup."""
    same_moment: bool
    """Whether it copies the very snapshot that a session has exported, so that content can be compared row by row."""
    leaves_out: tuple[str, ...]
    """What a restore does not bring back, in words."""
    rights: tuple[str, ...]
    """What its role needs on the target."""


@dataclass(frozen=True)
class Place:
    """Where the backups of a target are, and what reaches them."""

    target: Target
    storage: Storage
    programs: Path | None = None
    """Directory of PostgreSQL's client programs; looked for when None."""
    client: Any = None
    """A cloud's client, for a provider that needs one; the engine makes none."""
    log: logging.Logger = LOG


@dataclass(frozen=True)
class Wanted:
    """A backup that is to be made."""

    name: str
    """Sorts by time; says whose it is."""
    endpoint: Endpoint
    server_major: int
    encoding: str = "UTF8"
    """Of the copy's texts. SQL_ASCII: bytes of which nobody knows what they mean, so they stay as they are."""
    exported: str | None = None
    """Of pg_export_snapshot(), held open by the caller until `create` is back."""
    settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the database and the role, to be kept as secret as the rows."""
    while_waiting: Callable[[], None] = lambda: None
    """Called once while the copy is made, to work side by side with it."""


@dataclass(frozen=True)
class Backup:
    """One backup that is kept."""

    name: str
    location: str
    complete: bool = True
    """False: it is still being made."""
    size_bytes: int = 0
    digest: str = ""
    """Of the list of its files with their checksums; "" where the provider keeps them out of reach."""
    tool: str = ""
    """Program and version, so that the same one restores it."""
    compression: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Restored:
    """What a restore did."""

    seconds: float
    checks: tuple[Check, ...] = ()
    """What it has proved about the backup before it used it."""
    left_out: tuple[str, ...] = field(default=())
    """Entries that were not brought back."""


def backup_of(record: SnapshotRecord) -> Backup:
    """The backup that a record tells of."""
    return Backup(
        record.id,
        record.location,
        size_bytes=record.size_bytes,
        digest=record.manifest_digest,
        tool=record.tool,
        compression=record.compression,
    )


class Provider(Protocol):
    """A module of `providers/`."""

    NAME: str
    CAPABILITIES: Capabilities

    def create(self, place: Place, wanted: Wanted) -> Backup:
        """Make one. What an earlier attempt of the same run left is removed first; a failure leaves nothing.

        :raises ProgramFailed, ConnectionLost, EnvironmentFault: nothing was kept."""

    def list(self, place: Place) -> tuple[Backup, ...]:
        """The backups of the target, oldest first, those that are still being made included."""

    def restore(
        self, place: Place, backup: Backup, into: Endpoint, *, prepare: Callable[[], None], privileges: bool
    ) -> Restored:
        """Bring a backup back into the empty database, or the empty server, at `into`.

        :param prepare: makes it; called when the backup itself is found whole, and once only.
        :param privileges: with the grants; all roles that they name are there.
        :raises RestoreNotProven: its files are not those that were written."""

    def settings(self, place: Place, backup: Backup) -> Mapping[str, str]:
        """Those that `create` was given. :raises RestoreNotProven: they are not those that were written."""

    def recover(self, place: Place, backup: Backup, into: Endpoint, *, to: datetime) -> Restored:
        """The same, as the target was at `to`. :raises UsageError: it cannot reach a point in time."""

    def prune(self, place: Place, *, now: datetime) -> tuple[str, ...]:
        """Remove what the target's policy does not keep, and what killed attempts have left; the names of all."""
