"""How far a step of many batches is."""

from __future__ import annotations

from migrator.steps.meter import Meter

TABLES = [(10, 100, 1000), (11, 300, 0)]


def test_pages_of_all_tables_rate_and_time_left() -> None:
    now = [50.0]
    meter = Meter(clock=lambda: now[0])
    meter.begin_round(TABLES, table=0, page=0, rows=0)
    assert meter.rows_total == 1000
    assert meter.at(10, 0, 0) == {"pages_done": 0, "pages_total": 400, "rate": None, "left_seconds": None}
    now[0] = 60.0
    assert meter.at(11, 100, 500) == {"pages_done": 200, "pages_total": 400, "rate": 50.0, "left_seconds": 10.0}


def test_what_an_earlier_attempt_did_is_no_rate_of_this_one() -> None:
    now = [0.0]
    meter = Meter(clock=lambda: now[0])
    meter.begin_round(TABLES, table=11, page=100, rows=500)
    now[0] = 5.0
    assert meter.at(11, 150, 600) == {"pages_done": 250, "pages_total": 400, "rate": 20.0, "left_seconds": 15.0}


def test_a_batch_that_reaches_past_the_last_page_and_tables_nobody_has_analysed() -> None:
    meter = Meter()
    meter.begin_round([(10, 5, 0)], table=0, page=0, rows=0)
    assert meter.rows_total is None
    assert meter.at(10, 8, 0)["pages_done"] == 5
