"""The databases that may be changed, and the policy of each: the values behind targets.yaml.

Like `metadata.py` this has the values only; the rules for the file are in `targets_model.py`. There are no secrets:
`connection` names an Airflow connection.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta

from migrator.documents import StrEnum
from migrator.errors import UsageError
from migrator.plan import Risk

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""In the order of `datetime.weekday()`."""


class OrderPolicy(StrEnum):
    """What happens to a version that is lower than an applied one."""

    REJECT = "reject"
    ASK = "ask"
    """At least one review, of a plan that names the higher versions."""
    APPLY = "apply"


class AuthorsPolicy(StrEnum):
    """How it must be known who wrote a migration."""

    DECLARED = "declared"
    """The metadata's word is enough; a seal that is there counts as well."""
    REQUIRED = "required"
    """There must be a seal that says who committed the files."""


@dataclass(frozen=True)
class WindowRule:
    """A maintenance window that comes back every week: opens at `start` of the zone's clocks on `days`, and lasts
    `duration` of real time."""

    days: tuple[str, ...]
    start: str
    """"HH:MM"."""
    duration: timedelta
    timezone: str = "UTC"

    @property
    def start_time(self) -> time:
        return time(int(self.start[:2]), int(self.start[3:]))

    @property
    def weekdays(self) -> frozenset[int]:
        """As `datetime.weekday()` counts: Monday is 0."""
        return frozenset(WEEKDAYS.index(day) for day in self.days)


@dataclass(frozen=True)
class Freeze:
    """A time in which the target must not be changed. Instants in UTC; `end` is the first one after it."""

    name: str
    start: datetime
    end: datetime
    timezone: str = "UTC"
    except_emergency: bool = False
    """Whether an emergency may break it."""


@dataclass(frozen=True)
class SnapshotPolicy:
    max_age: timedelta = timedelta(hours=24)
    """Preflight refuses to apply with an older snapshot."""
    retention_days: int = 30
    keep: int = 3
    """So many of the newest snapshots stay, however old."""
    jobs: int = 2
    compression: str = "auto"
    """auto, none, gzip, lz4 or zstd."""


@dataclass(frozen=True)
class Limits:
    """Above these, preflight refuses, and a step of many batches waits or slows down."""

    max_replication_lag_bytes: int = 64 * 1024**2
    max_transaction_age_seconds: float = 300.0
    min_free_connections: int = 5
    max_replay_lag_seconds: float = 10.0
    """This and the following concern long steps alone: they are of no interest before WAL is written."""
    max_archive_backlog: int = 64
    """Segments of WAL."""
    max_wal_rate_bytes: int | None = None
    """A second, of the whole server; None: any."""


@dataclass(frozen=True)
class IdleSessions:
    """Sessions of the application that a step ends: idle in a transaction that holds what the step needs."""

    end_after: timedelta
    """Idle for longer."""
    roles: tuple[str, ...]
    """Logged in as one of these."""


@dataclass(frozen=True)
class Notification:
    """One way to tell people what happened. `connection` names an Airflow connection (not for kind log)."""

    kind: str
    """log, slack, smtp or pagerduty."""
    connection: str | None = None
    channel: str | None = None
    """Slack's channel, or PagerDuty's service."""
    to: tuple[str, ...] = ()
    """E-mail addresses, for kind smtp."""
    events: tuple[str, ...] = ()
    """applied, failed, rolled_back, rollback_failed, review; empty means all."""


@dataclass(frozen=True)
class Target:
    name: str
    environment: str
    """development, staging or production."""
    connection: str
    copies_connection: str
    """Of the server on which restored copies are made."""
    role: str | None = None
    search_path: str = "public"
    provider: str = "pg_dump"
    storage: str = "snapshots"
    """URI or directory (relative to the installation's root) for snapshots."""
    evidence: str = "evidence"
    """The same for large documents."""
    reviews: Mapping[Risk, int] = field(default_factory=dict)
    """How many reviews a migration of each risk needs; all three are always there."""
    review_ttl: timedelta = timedelta(days=7)
    reviewers: Mapping[str, str] = field(default_factory=dict)
    """E-mail address by Airflow user: who may review."""
    windows: tuple[WindowRule, ...] = ()
    """Empty: any time."""
    freezes: tuple[Freeze, ...] = ()
    snapshot: SnapshotPolicy = field(default_factory=SnapshotPolicy)
    limits: Limits = field(default_factory=Limits)
    idle_in_transaction: IdleSessions | None = None
    """None: nobody's session is ended."""
    notifications: tuple[Notification, ...] = ()
    out_of_order: OrderPolicy = OrderPolicy.REJECT
    authors: AuthorsPolicy = AuthorsPolicy.DECLARED


@dataclass(frozen=True)
class Roles:
    """Roles of Airflow's FAB auth manager, by what they may do with every migration. Empty ones change nothing."""

    viewers: tuple[str, ...] = ()
    """See runs, evidence and logs."""
    reviewers: tuple[str, ...] = ()
    """Answer reviews, too."""
    operators: tuple[str, ...] = ()
    """Start, clear and mark runs, too, and answer no reviews."""


@dataclass(frozen=True)
class Targets:
    targets: Mapping[str, Target]
    """In the file's order."""
    file: str = ""
    roles: Roles = Roles()

    def get(self, name: str) -> Target:
        """The target `name`.

        :raises UsageError: when there is none; names the nearest, or all.
        """
        if name in self.targets:
            return self.targets[name]
        close = difflib.get_close_matches(name, self.targets, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, self.targets))}"
        raise UsageError(f"{self.file or 'the targets file'} has no target {name!r}; {hint}")
