"""Which transactions are waited for outside of the queue, and for how long one stands in it. The clock is ours."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from migrator.database.activity import Blocker
from migrator.database.lock_queue import LockQueue
from migrator.errors import LockNotAvailable
from migrator.plan import PredictedLock
from tests.unit.database.test_lock_retries import NOWHERE, Time

STRONG = (PredictedLock("public.t", "ACCESS EXCLUSIVE"),)
WEAK = (PredictedLock("public.t", "SHARE UPDATE EXCLUSIVE"),)


class Queue(LockQueue):
    """With what would be seen in pg_locks: of each transaction its age when the clock stands at 0, when it ends, and
    whether it makes way."""

    def __init__(self, time: Time, *held: tuple[float | None, float, bool], deadline: float = 600.0) -> None:
        options = {"told": self.tell, "clock": time.clock, "sleep": time.sleep}
        super().__init__(NOWHERE, lambda: 1, deadline_seconds=deadline, **options)
        self.time, self.held, self.looks, self.told = time, held, 0, list[tuple[float, int]]()

    def tell(self, waited: float, blockers: tuple[Blocker, ...]) -> None:
        self.told.append((waited, len(blockers)))

    def _holders(self, pairs: Collection[tuple[str, str]]) -> list[tuple[str, bool, Blocker]]:
        self.looks += 1
        now, found = self.time.now, []
        for pid, (age, end, yields) in enumerate(self.held, start=1):
            if now < end:
                age = None if age is None else age + now
                found.append((f"3/{pid}", yields, Blocker(pid, "app", "report", "active", age, "AccessShareLock", "t")))
        return found


def test_an_old_transaction_is_waited_for_and_told_of() -> None:
    queue = Queue(time := Time(), (30.0, 4.0, False))
    queue.wait(STRONG)
    assert 4.0 <= time.now < 5.0
    assert queue.told[0] == (0.0, 1)
    assert queue.told[-1] == (time.now, 0)
    assert max(time.pauses) <= 1.0


@pytest.mark.parametrize("locks", [(), WEAK])
def test_nobody_waits_behind_a_weak_lock_so_nobody_is_looked_for(locks: tuple[PredictedLock, ...]) -> None:
    queue = Queue(time := Time(), (30.0, 4.0, False))
    queue.wait(locks)
    queue.require_clear(locks)
    assert (time.now, queue.looks) == (0.0, 0)


def test_a_young_transaction_is_looked_at_twice_and_what_makes_way_is_queued_behind() -> None:
    queue = Queue(time := Time(), (0.01, 0.05, False), (30.0, 4.0, True))
    queue.wait(STRONG)
    assert time.pauses == [0.1]
    assert queue.patience_ms(2000) == 2000, "an autovacuum ends after deadlock_timeout, not before"


def test_a_transaction_that_was_at_its_beginning_is_not_queued_behind() -> None:
    queue = Queue(time := Time(), (0.01, 4.0, False))
    queue.wait(STRONG)
    assert time.now >= 4.0


def test_one_stands_in_the_queue_for_a_moment_only() -> None:
    queue = Queue(time := Time())
    queue.wait(STRONG)
    assert [queue.patience_ms(most) for most in (2000, 50, 0)] == [100, 50, 100]
    time.now = 10.0
    assert [queue.patience_ms(most) for most in (2000, 500)] == [1000, 500]


def test_who_is_always_there_for_half_a_second_is_queued_behind_after_a_while() -> None:
    class Busy(Queue):
        def _holders(self, pairs: Collection[tuple[str, str]]) -> list[tuple[str, bool, Blocker]]:
            who = Blocker(7, "app", "web", "active", 0.5, "RowExclusiveLock", "public.t")
            return [(f"3/{self.time.now}", False, who)]

    queue = Busy(time := Time())
    queue.wait(STRONG)
    assert 5.0 <= time.now < 7.0


def test_at_the_deadline_it_says_whom_it_has_waited_for() -> None:
    queue = Queue(time := Time(), (30.0, 100.0, False), deadline=3.0)
    said = r"no lock after .* without standing in its queue: pid 1 \(report"
    with pytest.raises(LockNotAvailable, match=said) as caught:
        queue.wait(STRONG)
    assert time.now <= 3.0
    assert len(caught.value.fields["blockers"]) == 1


def test_of_a_transaction_whose_age_is_hidden_the_first_sight_counts() -> None:
    queue = Queue(time := Time(), (None, 9.0, False))
    assert queue.old(STRONG) == ()
    time.now = 0.5
    assert len(queue.old(STRONG)) == 1


def test_with_locks_held_nobody_is_waited_for() -> None:
    queue = Queue(time := Time(), (30.0, 4.0, False))
    with pytest.raises(LockNotAvailable, match="while other locks are held: pid 1"):
        queue.require_clear(STRONG)
    assert time.now == 0.0
