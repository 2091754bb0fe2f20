"""What reviewers read of the writer beside a long migration."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from migrator.evidence import TRAFFIC, DryRunEvidence
from migrator.reports import traffic
from migrator.reports.review_card import card
from tests.evidence import make_bundle
from tests.factories import make_plan

MET = {
    "step": "fill",
    "writes": [["public.t", "UPDATE", 40], ["public.t", "DELETE and INSERT", 40]],
    "longest_seconds": 0.012,
}
FOUND = {"parts": [{**MET, "lacking": ""}], "left_out": [], "refused": [], "trouble": "", "spoiled": []}


def dry_run(**over: Any) -> DryRunEvidence:
    evidence = make_bundle(make_plan()).dry_run
    return replace(evidence, extra={TRAFFIC: {**FOUND, **over}})


def test_all_parts_met_writers() -> None:
    ((what, mark, said),) = traffic.row(dry_run())
    assert (what, mark) == ("Other writers", traffic.MET)
    assert said == "others wrote 80 times in 1 part of the migration; the longest write took 12 ms"
    assert list(traffic.concerns(dry_run())) == []


def test_a_part_that_met_too_few_says_why() -> None:
    lacking = {**MET, "writes": [], "lacking": "UPDATE on public.t: canceling statement due to lock timeout"}
    ((_, mark, said),) = traffic.row(dry_run(parts=[*FOUND["parts"], lacking]))
    assert mark == traffic.NOT_MET
    assert "in step fill too few: UPDATE on public.t: canceling statement" in said


def test_nobody_to_write() -> None:
    ((_, mark, said),) = traffic.row(dry_run(parts=[], left_out=[["public.t", "UPDATE", "has no rows"]]))
    assert mark == traffic.NOT_MET
    assert "public.t, UPDATE: has no rows" in said


def test_a_migration_for_a_window_says_nothing_of_it() -> None:
    evidence = make_bundle(make_plan()).dry_run
    assert (list(traffic.row(evidence)), list(traffic.concerns(evidence))) == ([], [])


def test_what_failed_by_it_stands_on_the_card() -> None:
    statement = "UPDATE public.t SET a = a WHERE id = $1"
    refused = [["fill", "public.t", statement, "55P03", "canceling statement due to lock timeout", 2]]
    bundle = replace(make_bundle(make_plan()), dry_run=dry_run(refused=refused, spoiled=["rollback_data: other rows"]))
    shown = card(make_plan(), bundle)
    assert "**the application's writes to public.t fail**: in step fill, 2 times: UPDATE public.t SET a = a" in shown
    assert "canceling statement due to lock timeout (SQLSTATE 55P03)" in shown
    assert r"**fails beside other writers**, and passes alone: rollback\_data: other rows" in shown
    assert "Other writers" in shown.replace("\u00a0", " ")
