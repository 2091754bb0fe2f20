"""How large the next batch of a backfill is."""

from __future__ import annotations

import pytest

from migrator.steps.batch_size import FIRST_PAGES, MOST_PAGES, Pace, Size

PACE = Pace(0.1, 0.0)


def size_of(pages: int) -> Size:
    size = Size(PACE)
    size.pages = pages
    return size


@pytest.mark.parametrize(
    "pages, rows, took, wanted",
    [
        (60, 6000, 0.1, 60),
        (60, 6000, 10.0, 30),
        (60, 6000, 0.0001, 120),
        (1, 100, 60.0, 1),
        (MOST_PAGES, MOST_PAGES * 100, 0.0001, MOST_PAGES),
    ],
)
def test_it_follows_the_time(pages: int, rows: int, took: float, wanted: int) -> None:
    size = size_of(pages)
    size.after(pages, rows, took, 100.0)
    assert size.pages == wanted


def test_pages_without_work_do_not_make_it_grow() -> None:
    size = Size(PACE)
    for _ in range(100):
        size.after(size.pages, 0, 0.0001, 100.0)
    assert size.pages == FIRST_PAGES


def test_pages_with_little_work_leave_room_for_those_that_are_full() -> None:
    """A row in each, of a hundred that there may be, at 10 microseconds for a row and for a page."""
    size = Size(PACE)
    for _ in range(100):
        size.after(size.pages, size.pages, size.pages * 20e-6, 100.0)
    assert size.pages * 100 * 10e-6 <= PACE.batch


def test_the_fullest_page_counts_where_the_server_knows_nothing() -> None:
    size = size_of(10)
    size.after(10, 1000, 0.1, 0.0)
    size.after(10, 10, 0.01, 0.0)
    assert size.pages == 5


def test_what_was_stopped_is_halved_and_what_waited_is_as_small_as_can_be() -> None:
    size = size_of(64)
    size.halve()
    assert size.pages == 32
    size.shrink()
    assert size.pages == FIRST_PAGES
    size.halve()
    assert size.pages == 1


@pytest.mark.parametrize(
    "batch, plan_ms, deadlock_ms, wanted",
    [(0.1, 2000, 1000, 100), (0.01, 2000, 1000, 100), (30.0, 2000, 1000, 500), (0.1, 50, 1000, 50), (0.1, 0, 100, 50)],
)
def test_a_row_is_waited_for_less_long_than_a_deadlock_takes_to_be_found(
    batch: float, plan_ms: int, deadlock_ms: int, wanted: int
) -> None:
    assert Pace(batch, 0.0).lock_ms(plan_ms, deadlock_ms) == wanted


def test_others_never_wait_as_long_as_a_deadlock_takes_to_be_found() -> None:
    """With the usual settings, of ours and of the server."""
    assert PACE.stop_ms + PACE.lock_ms(2000, 1000) < 1000
