"""Does this machine's clock agree with the database's? Windows, freezes, the expiry of reviews and the age of a
snapshot are decided by the one, and the ledger's times are written by the other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migrator.errors import ClocksDiffer
from migrator.run import system_clock

if TYPE_CHECKING:
    from migrator.ledger.ledger import Ledger

MOST = timedelta(seconds=30)
"""More than NTP ever leaves, less than anything that a window decides."""


def require(ledger: Ledger, *, now: Callable[[], datetime] = system_clock) -> str:
    """:raises ClocksDiffer: they are more than `MOST` apart, whatever the question and its answer took."""
    before = now()
    there = ledger.server_time()
    after = now()
    apart = max(before - there, there - after, timedelta(0))
    if apart <= MOST:
        return f"the database's is within {MOST.total_seconds():.0f} s of this machine's"
    which = "behind" if there < before else "ahead of"
    raise ClocksDiffer(
        f"the database's clock is {apart.total_seconds():.0f} s {which} this machine's ({there:%Y-%m-%d %H:%M:%S %Z}"
        f" there, {after:%Y-%m-%d %H:%M:%S %Z} here), so nobody can say when its window is open: set the clocks, then"
        " clear this task with downstream",
        seconds=apart.total_seconds(),
    )
