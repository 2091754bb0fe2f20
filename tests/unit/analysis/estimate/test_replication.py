"""How far a standby falls behind: what is measured, and what is said to be assumed."""

from __future__ import annotations

import pytest

from migrator.analysis.estimate.replication import ASSUMED_RATE, Replication, Standby

pytestmark = pytest.mark.unit

GIGABYTE = 1 << 30
MB = 1 << 20


def test_without_standbys_the_rate_is_an_assumption_and_says_so() -> None:
    for replication in (Replication(), Replication(())):
        assert replication.lag_seconds(GIGABYTE, 1.0) == pytest.approx(GIGABYTE / ASSUMED_RATE - 1.0)
        assert "are an assumption" in replication.basis
    assert "no standby is connected" in Replication(()).basis


def test_a_standby_that_is_behind_shows_its_rate_and_the_slowest_counts() -> None:
    slow, fast = Standby("slow", 200 * MB, 10.0), Standby("fast", 500 * MB, 5.0)
    replication = Replication((fast, slow))
    assert replication.lag_seconds(GIGABYTE, 1.0) == pytest.approx(10.0 + GIGABYTE / (20 * MB) - 1.0)
    assert replication.basis == "2 connected; slow replays 20 MB a second now, as measured"


def test_a_standby_that_keeps_up_or_stands_still_shows_no_rate() -> None:
    idle, still = Standby("idle", 0, None), Standby("still", 300 * MB, 0.001)
    assert (idle.rate, still.rate) == (None, None)
    replication = Replication((idle, still))
    assert replication.basis.startswith("2 connected, 300 MB behind; 100 MB of replay a second are an assumption")
    assert replication.lag_seconds(MB, 10.0) == pytest.approx(3.0)


def test_what_writes_nothing_leaves_nobody_behind() -> None:
    assert Replication((Standby("slow", 200 * MB, 10.0),)).lag_seconds(0, 1.0) == 0.0


def test_who_may_not_see_the_standbys_is_told() -> None:
    assert "this role may not see" in Replication((Standby(),)).basis
