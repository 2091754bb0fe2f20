"""The torture finds what it is for: defects of a backfill, planted in the worker, and a run with nothing to see."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.torture import kinds
from tests.torture.case import Case, Role, Stop, draw
from tests.torture.conftest import Torture
from tests.torture.defects import DEFECTS

FOUND = {
    "cursor_apart": "rows were changed",
    "without_condition": r"may have|was filled",
    "without_row_locks": "may have|, and the row is not|and its copy",
    "read_before": "may have|a batch made",
    "range_skipped": "is not filled",
    "batch_twice": "was filled 2 times|may have",
    "stalls": "a statement waited",
    "left_out_in_silence": "is not filled",
    "without_concurrently": "a statement waited",
    "never_validated": "the constraint is",
}


OF_KINDS = {
    "without_row_locks": ("insert", "insert"),
    "left_out_in_silence": ("quarantine", "set"),
    "without_concurrently": ("index", "build"),
    "never_validated": ("constraint", "check"),
}


def quiet(form: str, kind: str = "backfill", seed: int = 1) -> Case:
    """A small case in which nothing happens but traffic."""
    case = draw(seed, (form,), kind)
    shape = replace(case.shape, key="bigint", rows=500, partitions=0, toasted=False, nested=False, deferred=False)
    roles = tuple(replace(role, isolation="READ COMMITTED", replica=False, blocks_of_old=1) for role in case.roles)
    pace = {"batch_ms": 20, "pause_ms": 0, "first_pages": 4, "most_pages": 16, "naps": (0.0,), "lock_timeout_ms": 2000}
    return replace(case, shape=shape, undo="", stops=(), actions=(), roles=roles, **pace)


def test_every_defect_is_looked_for() -> None:
    assert FOUND.keys() == DEFECTS.keys()


@pytest.mark.parametrize("defect", FOUND)
def test_a_planted_defect_is_found(torture: Torture, defect: str) -> None:
    kind, form = OF_KINDS.get(defect, ("backfill", "set"))
    result = torture(quiet(form, kind), defect=defect)
    print(result)
    wrong = result.wrong
    assert any(re.search(FOUND[defect], line) for line in wrong), wrong


def test_without_a_defect_nothing_is_found(torture: Torture) -> None:
    assert torture(quiet("set")).wrong == []


def test_a_run_without_traffic_proves_nothing(torture: Torture) -> None:
    case = quiet("set")
    silent = tuple(Role("READ COMMITTED", False, role.decisions[:0], 0) for role in case.roles)
    assert any("nothing to see" in line for line in torture(replace(case, roles=silent)).wrong)


@pytest.mark.parametrize("undo", ["", "partial"])
def test_a_fast_step_waits_for_slow_writers(torture: Torture, undo: str) -> None:
    """Without pauses, with few batches, and stopped before it was to wait: there is something to see nevertheless."""
    stops = (Stop("kill", 3, "committed", None),) if undo else ()
    case = replace(quiet("set"), undo=undo, stops=stops, wait_at=99)
    slow = tuple(
        replace(
            role, decisions=tuple(replace(one, picks=(*one.picks[:4], 2.0, one.picks[5])) for one in role.decisions)
        )
        for role in case.roles
    )
    assert torture(replace(case, roles=slow)).wrong == []


@pytest.mark.parametrize("kind", kinds.FORMS)
def test_a_seed_repeats_its_decisions(kind: str) -> None:
    assert kinds.case_of(kind, 7) == kinds.case_of(kind, 7)
    assert kinds.case_of(kind, 7) != kinds.case_of(kind, 8)
