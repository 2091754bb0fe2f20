"""What the signs of a server's load mean for the next batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.steps.throttle import (
    GOOD_IN_A_ROW,
    LONGEST_PAUSE,
    History,
    Level,
    Limits,
    Reading,
    Rhythm,
    Sample,
    Slot,
    Standby,
    decide,
    judge,
)

MB = 1024**2
LIMITS = Limits(
    replication_lag_bytes=64 * MB,
    replay_lag_seconds=10.0,
    archive_backlog=64,
    transaction_age_seconds=300.0,
    free_connections=5,
)
QUIET = Reading(at=0.0, took=0.002, wal=0, free_connections=50)


def sample(**over: Any) -> Sample:
    return Sample(replace(QUIET, **over), probe=0.002, best_probe=0.002)


def test_a_quiet_server_shows_no_sign() -> None:
    assert judge(sample(), LIMITS) == ()


@pytest.mark.parametrize(
    "reading, level, name, told",
    [
        ({"standbys": (Standby("s1", 65 * MB),)}, "stop", "replication lag", "standby 's1' is 65 MB behind"),
        ({"standbys": (Standby("s1", 33 * MB),)}, "slow", "replication lag", "limit 64 MB"),
        ({"standbys": (Standby("s1", 0, 11.0),)}, "stop", "replication lag", "11.0 s behind (limit 10.0 s)"),
        ({"slots": (Slot("gone", False, "reserved", 65 * MB),)}, "stop", "slots", "inactive slot 'gone' keeps 65 MB"),
        ({"slots": (Slot("gone", True, "extended", 1),)}, "stop", "slots", "wal_status extended"),
        ({"slots": (Slot("gone", False, "lost", None),)}, "stop", "slots", "has lost WAL"),
        ({"slots": (Slot("s", True, "reserved", 60),), "slot_keep_bytes": 100}, "slow", "slots", "keep_size is 100"),
        ({"archive_failing": True}, "stop", "archive", "pg_stat_archiver"),
        ({"archive_ready": 65}, "stop", "archive", "65 segments of WAL wait"),
        ({"archive_ready": 33}, "slow", "archive", "limit 64"),
        ({"blocked": 2, "blocked_seconds": 0.2}, "slow", "blocked sessions", "2 sessions waited 200 ms"),
        ({"free_connections": 4}, "slow", "connections", "4 connections free, 5 are to be"),
        ({"wraparound": True}, "stop", "vacuum", "prevent wraparound"),
        ({"dead_rows": 400_000, "live_rows": 200_000}, "slow", "dead rows", "VACUUM does not follow"),
        ({"snapshot_seconds": 301.0}, "slow", "old snapshot", "open for 5 min 1 s"),
    ],
)
def test_each_sign(reading: dict[str, Any], level: str, name: str, told: str) -> None:
    (sign,) = judge(sample(**reading), LIMITS)
    assert (sign.level, sign.name) == (level, name)
    assert told in sign.text


@pytest.mark.parametrize(
    "reading",
    [
        {"standbys": (Standby("s1", 32 * MB, None),)},
        {"slots": (Slot("s", True, "reserved", 900 * MB),)},
        {"blocked": 1, "blocked_seconds": 0.04},
        {"dead_rows": 200_000, "live_rows": 200_000},
    ],
)
def test_what_is_usual_is_no_sign(reading: dict[str, Any]) -> None:
    assert judge(sample(**reading), LIMITS) == ()


def test_where_lags_are_hidden_slots_tell_how_far_behind_their_readers_are() -> None:
    reading = {"standbys": (Standby("s1", None),), "slots": (Slot("s1", True, "reserved", 65 * MB),)}
    (sign,) = judge(sample(**reading), LIMITS)
    assert (sign.level, sign.name) == (Level.STOP, "slots")


def test_what_has_stopped_it_lets_it_go_only_well_below_the_limit() -> None:
    late = sample(standbys=(Standby("s1", 60 * MB),))
    assert [sign.level for sign in judge(late, LIMITS)] == [Level.SLOW]
    assert [sign.level for sign in judge(late, LIMITS, stopped=frozenset({"replication lag"}))] == [Level.STOP]
    better = sample(standbys=(Standby("s1", 50 * MB),))
    assert [sign.level for sign in judge(better, LIMITS, stopped=frozenset({"replication lag"}))] == [Level.SLOW]


def test_signs_that_stop_come_first() -> None:
    found = judge(sample(free_connections=0, wraparound=True), LIMITS)
    assert [sign.level for sign in found] == [Level.STOP, Level.SLOW]


def test_what_a_batch_left_counts_although_a_later_look_does_not_show_it() -> None:
    found = decide([sample(blocked=1, blocked_seconds=0.3), sample()], LIMITS)
    assert [sign.name for sign in found] == ["blocked sessions"]


def test_a_lag_that_is_gone_does_not_count() -> None:
    assert decide([sample(standbys=(Standby("s1", 65 * MB),)), sample(standbys=(Standby("s1", 0),))], LIMITS) == ()


def test_one_slow_probe_is_no_sign_and_several_are() -> None:
    history = History()
    for at, took in enumerate((0.002, 0.003, 0.9, 0.002, 0.002)):
        last = history.add(replace(QUIET, at=float(at), took=took))
        assert judge(last, LIMITS) == ()
    for at in range(5, 8):
        last = history.add(replace(QUIET, at=float(at), took=0.3))
    (sign,) = judge(last, LIMITS)
    assert (sign.level, sign.name) == (Level.SLOW, "latency")
    assert "300 ms, at best it took 2 ms" in sign.text


def test_wal_a_second_and_forced_checkpoints_are_what_came_since_the_last_look() -> None:
    history = History()
    first = history.add(replace(QUIET, requested_checkpoints=7, wal=5 * MB))
    assert judge(first, replace(LIMITS, wal_bytes_a_second=MB)) == ()
    second = history.add(replace(QUIET, at=2.0, requested_checkpoints=8, wal=9 * MB))
    found = judge(second, replace(LIMITS, wal_bytes_a_second=MB))
    assert {sign.name: sign.text for sign in found}.keys() == {"checkpoints", "WAL rate"}
    assert any("2 MB of WAL a second (limit 1 MB)" in sign.text for sign in found)
    assert [sign.name for sign in judge(second, LIMITS)] == ["checkpoints"], "without a limit any rate will do"


def test_a_bad_look_doubles_the_pause_and_halves_the_batch() -> None:
    rhythm = Rhythm(longest=0.1, least=0.02)
    rhythm.worse()
    assert (rhythm.pause, rhythm.batch) == (1.0, 0.05)
    rhythm.worse()
    assert (rhythm.pause, rhythm.batch) == (2.0, 0.025)
    for _ in range(20):
        rhythm.worse()
    assert (rhythm.pause, rhythm.batch) == (LONGEST_PAUSE, 0.01)


def test_it_gets_faster_only_after_several_good_looks_and_never_faster_than_asked() -> None:
    rhythm = Rhythm(longest=0.1, least=0.02)
    rhythm.worse()
    for _ in range(GOOD_IN_A_ROW - 1):
        rhythm.better()
    assert (rhythm.pause, rhythm.batch) == (1.0, 0.05)
    rhythm.better()
    assert rhythm.pause == pytest.approx(0.8)
    assert rhythm.batch == pytest.approx(0.06)
    rhythm.worse()
    rhythm.better()
    assert rhythm.pause == pytest.approx(1.6), "the good looks are counted anew"
    for _ in range(100):
        rhythm.better()
    assert not rhythm.slowed
    assert (rhythm.pause, rhythm.batch) == (0.02, 0.1)


def test_a_pause_that_is_longer_than_the_longest_stays_as_asked() -> None:
    rhythm = Rhythm(longest=0.1, least=300.0)
    rhythm.worse()
    assert rhythm.pause == 300.0


def test_a_pause_of_nothing_comes_back() -> None:
    rhythm = Rhythm(longest=0.1, least=0.0)
    rhythm.worse()
    for _ in range(100):
        rhythm.better()
    assert rhythm.pause == 0.0


def test_another_rhythm_takes_effect_at_once_unless_it_is_slowed_down() -> None:
    rhythm = Rhythm(longest=0.1, least=0.02)
    assert not rhythm.asked(0.1, 0.02)
    assert rhythm.asked(0.4, 0.0)
    assert (rhythm.batch, rhythm.pause) == (0.4, 0.0)
    rhythm.worse()
    assert rhythm.asked(0.1, 0.0)
    assert (rhythm.batch, rhythm.pause) == (0.1, 1.0)
