"""Limits that the engine sets."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.privileges import settings
from migrator.analysis.rules.privileges.functions import reached
from migrator.analysis.rules.setting_time import milliseconds
from migrator.analysis.walk.spots import Spot
from migrator.plan import Severity

LIMITS = (
    "lock_timeout",
    "statement_timeout",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "transaction_timeout",
)
SHORT_MS = 30_000
"""Who sets lock_timeout to so little, keeps others from waiting."""
UNLOCKED = ("pg_advisory_unlock_all",)


def check(spot: Spot) -> Iterator[Hit]:
    for change in settings.changes(spot):
        if change.name is None:
            yield Hit("changes a setting whose name nobody knows before it runs: a limit, a role, the path")
        elif change.name == settings.ALL:
            yield Hit("takes back all that the session has set: the engine's limits, and whatever a file set before")
        elif change.name == "session_replication_role" and not change.back and change.value != "origin":
            yield Hit("triggers and foreign keys do not fire while it is set: rows that contradict them stay")
        elif change.name in LIMITS:
            yield from _limit(change, spot)
    for what in reached(spot, UNLOCKED):
        yield Hit(f"{what}: all advisory locks of the session are given back, also those that it does not know of")


def _limit(change: settings.Change, spot: Spot) -> Iterator[Hit]:
    """SET in a file is in sight, and `lock-timeout` looks for what it puts at risk; in a body it is in nobody's. Where
    statements run one by one, the engine sets its limits again before each."""
    seen = not spot.around.within
    value = milliseconds(change.value) if change.value is not None else None
    if change.hidden:
        if change.name != "lock_timeout" or value is None or not 0 < value <= SHORT_MS:
            yield Hit(f"changes {change.name} where no reader looks for it")
    elif change.back:
        severity = None if spot.around.script.transactional or not seen else Severity.INFO
        yield Hit(
            f"{change.name} is the login role's or the server's from then on, and not what the plan says",
            severity=severity,
        )
    elif value == 0:
        severity = Severity.INFO if seen or change.name != "lock_timeout" else None
        yield Hit(f"{change.name} is off: what the plan says of it does not hold", severity=severity)


RULE = Rule(
    id="lifts-the-engines-limits",
    severity=Severity.WARNING,
    condition="a timeout by set_config(), its RESET, lock_timeout = 0 in a body, RESET ALL, DISCARD ALL,"
    " session_replication_role, set_config() of a name that is put together at run time, pg_advisory_unlock_all()",
    effect="a limit that keeps the application from waiting, or a check that keeps rows right, is off",
    alternative="SET LOCAL, in sight, for the statement that needs it; `lock_timeout` in the metadata for all",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "sql-set.html",
    spot=check,
    kinds=settings.KINDS,
    in_rollback=True,
)
