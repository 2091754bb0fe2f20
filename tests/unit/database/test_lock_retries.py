"""Short tries for a lock: how often, how long between them, and when to give up. The clock is ours."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest

from migrator.database.backoff import backoff
from migrator.database.lock_retries import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, with_lock_retries
from migrator.database.session import Endpoint
from migrator.errors import LockNotAvailable, StatementFailed

NOWHERE = Endpoint("host=127.0.0.1 port=1 dbname=nowhere")
"""Never connected to: the observer looks only when a try takes long."""


class Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def failing(times: int, clock: Time, *, seconds: float = 2.0) -> Callable[[], str]:
    """Work that meets a held lock so many times; each try lasts `seconds`."""
    tries = iter(range(times))

    def work() -> str:
        clock.now += seconds
        if next(tries, None) is not None:
            raise LockNotAvailable("canceling statement due to lock timeout", sqlstate="55P03", file="a.sql")
        return "done"

    return work


def run(work: Callable[[], str], clock: Time, deadline: float = 600.0) -> str:
    return with_lock_retries(
        work,
        observer_endpoint=NOWHERE,
        pid_of=lambda: 1,
        deadline_seconds=deadline,
        clock=clock.clock,
        sleep=clock.sleep,
    )


def test_it_goes_through_when_the_lock_is_free_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = Time()
    with caplog.at_level(logging.WARNING):
        assert run(failing(4, clock), clock) == "done"
    assert len(clock.pauses) == 4
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [f"try {n}" for n in range(1, 5)]


def test_it_gives_up_at_the_deadline_and_keeps_what_it_knows() -> None:
    clock = Time()
    with pytest.raises(LockNotAvailable, match="no lock after") as caught:
        run(failing(1000, clock), clock, deadline=30.0)
    assert clock.now <= 32.0, "the last try is not cut short, and none begins after the deadline"
    error = caught.value
    assert (error.sqlstate, error.file, error.blockers) == ("55P03", "a.sql", ())
    assert error.attempts == len(clock.pauses) + 1


def test_other_errors_are_not_tried_again() -> None:
    clock = Time()

    def work() -> str:
        raise StatementFailed("no", sqlstate="42601")

    with pytest.raises(StatementFailed):
        run(work, clock)
    assert clock.pauses == []


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_pauses_grow_and_are_bounded(chance: float) -> None:
    pauses = [
        backoff(attempt, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS, jitter=lambda: chance)
        for attempt in range(40)
    ]
    assert pauses == sorted(pauses)
    assert FIRST_PAUSE_SECONDS / 2 <= pauses[0] <= FIRST_PAUSE_SECONDS
    assert LONGEST_PAUSE_SECONDS / 2 <= pauses[-1] <= LONGEST_PAUSE_SECONDS
