"""The rollback from where a backfill has done a part of its batches: rehearsed from there, or left to a person."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from migrator.database.session import Endpoint
from migrator.errors import StatementFailed
from migrator.evidence import HALFWAY, TAKES, DryRunEvidence, Verdict
from migrator.plan import OnFailure, Plan
from migrator.rehearsal import halfway
from migrator.steps import batch_size
from migrator.steps.batches import Progress, Work
from migrator.steps.undo_decision import Action
from tests.factories import plan_from_sql
from tests.integration.copies import check_of, make_copy, rehearse
from tests.integration.stages import apply_all, query, roll_back
from tests.integration.test_backfill import backfill
from tests.integration.test_rollback_halfway import bundle_of

ROWS = 4_000
TABLE = f"""
CREATE TABLE t (id int PRIMARY KEY, a int, filler text DEFAULT repeat('x', 100));
INSERT INTO t (id, a) SELECT g, g FROM generate_series(1, {ROWS}) AS g;
"""
DOUBLE = "UPDATE t SET kept = a, a = a * 2 WHERE kept IS NULL"
FILL, DROP = "UPDATE t SET kept = a * 2 WHERE kept IS NULL", "ALTER TABLE t DROP COLUMN kept;"
ANYWHERE = "UPDATE t SET a = kept WHERE kept IS NOT NULL; ALTER TABLE t DROP COLUMN kept;"
ALL_OR_NOTHING = (
    "UPDATE t SET a = a / 2 WHERE EXISTS (SELECT FROM t WHERE kept IS NOT NULL); ALTER TABLE t DROP COLUMN kept;"
)
PLACE = "part-way through step 'fill'"


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are many."""
    monkeypatch.setattr(batch_size, "MOST_PAGES", 8)


def plan_of(down: str, *, sql: str = DOUBLE, quarantine: int = 0) -> Plan:
    plan = plan_from_sql("ALTER TABLE t ADD COLUMN kept int;", down)
    first = replace(plan.steps[0], name="column")
    return replace(plan, steps=(first, backfill(sql, start=1, quarantine=quarantine)))


def rehearsed(plan: Plan, copies: Endpoint) -> DryRunEvidence:
    return rehearse(plan, copies, make_copy(copies, TABLE))


def fail_part_way(plan: Plan, database: Endpoint, evidence: DryRunEvidence) -> None:
    """A row that the snapshot did not have so stops it."""
    query(database, f"{TABLE} UPDATE t SET a = 2147483647 WHERE id = {ROWS - 500}")
    bundle = bundle_of(evidence, plan, database)
    with pytest.raises(StatementFailed, match="integer out of range"):
        apply_all(plan, database, bundle)
    ((done,),) = query(database, "SELECT count(kept) FROM t")
    assert 0 < done < ROWS


def originals(database: Endpoint) -> int:
    ((count,),) = query(database, "SELECT count(*) FROM t WHERE a = id")
    return int(count)


def test_what_is_right_from_there_is_undone_by_itself(copies: Endpoint, database: Endpoint) -> None:
    plan = plan_of(DROP, sql=FILL)
    evidence = rehearsed(plan, copies)
    assert evidence.verdict is Verdict.PASSED
    assert [verdict for verdict, _ in evidence.extra[HALFWAY].values()] == ["passed"] * 2
    said = check_of(evidence, "rollback_halfway").detail
    assert said.startswith(f"right after step 'column', {PLACE} (after ")
    assert said.endswith(f" of {ROWS:,} rows)")
    fail_part_way(plan, database, evidence)
    bundle = bundle_of(evidence, plan, database)
    assert roll_back(plan, database, bundle).action is Action.ROLLED_BACK
    assert originals(database) == ROWS - 1


def test_what_is_wrong_from_there_alone_is_seen_and_held(copies: Endpoint, database: Endpoint) -> None:
    plan = plan_of(ALL_OR_NOTHING)
    evidence = rehearsed(plan, copies)
    assert evidence.verdict is Verdict.PASSED, "after all of it the script is right, and before any of it"
    verdict, why = evidence.extra[HALFWAY]["fill:part"]
    assert verdict == "unverified"
    assert f"public.t has other content in its {ROWS} rows" in why
    assert "fill:part" not in evidence.extra[TAKES], "what it would take from there nobody knows"
    assert f"held for a person {PLACE}: the rollback does not give" in check_of(evidence, "rollback_halfway").detail
    fail_part_way(plan, database, evidence)
    before = query(database, "SELECT * FROM t ORDER BY id")
    report = roll_back(plan, database, bundle_of(evidence, plan, database))
    assert report.action is Action.HELD
    assert f"the migration stopped {PLACE}" in report.reason
    assert "has other content" in report.reason
    assert query(database, "SELECT * FROM t ORDER BY id") == before


def test_rows_in_quarantine_stay_as_they_are(copies: Endpoint, database: Endpoint) -> None:
    """All others are done when the step fails at its end: to the rollback that is a part, too."""
    plan = plan_of(DROP, sql=FILL, quarantine=3)
    evidence = rehearsed(plan, copies)
    fail_part_way(plan, database, evidence)
    assert query(database, "SELECT count(*) FROM t WHERE kept IS NULL") == [(1,)]
    assert roll_back(plan, database, bundle_of(evidence, plan, database)).action is Action.ROLLED_BACK
    assert originals(database) == ROWS - 1
    assert query(database, f"SELECT a FROM t WHERE id = {ROWS - 500}") == [(2147483647,)]


def test_values_that_others_have_written_since_hold_it(copies: Endpoint, database: Endpoint) -> None:
    plan = plan_of(ANYWHERE)
    evidence = rehearsed(plan, copies)
    fail_part_way(plan, database, evidence)
    query(database, "UPDATE t SET a = 7 WHERE id = 1")
    report = roll_back(plan, database, bundle_of(evidence, plan, database))
    assert report.action is Action.HELD
    assert "1 row of public.t" in report.reason
    assert query(database, "SELECT a FROM t WHERE id = 1") == [(7,)]


def test_what_only_the_batches_have_written_is_set_back(copies: Endpoint, database: Endpoint) -> None:
    plan = plan_of(ANYWHERE)
    evidence = rehearsed(plan, copies)
    fail_part_way(plan, database, evidence)
    assert roll_back(plan, database, bundle_of(evidence, plan, database)).action is Action.ROLLED_BACK
    assert originals(database) == ROWS - 1


def test_values_that_others_have_written_meanwhile_are_not_overwritten(
    copies: Endpoint, database: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their numbers lie between those of the batches, which are known one by one."""
    plan, real, count = plan_of(ANYWHERE), Work._batch, [0]
    evidence = rehearsed(plan, copies)

    def batch(work: Work, table: Any, then: Progress, first: int) -> Progress:
        count[0] += 1
        if count[0] == 3:
            query(database, "UPDATE t SET a = 7 WHERE id = 1")
        return real(work, table, then, first)

    monkeypatch.setattr(Work, "_batch", batch)
    fail_part_way(plan, database, evidence)
    report = roll_back(plan, database, bundle_of(evidence, plan, database))
    assert report.action is Action.HELD
    assert "1 row of public.t" in report.reason
    assert query(database, "SELECT a FROM t WHERE id = 1") == [(7,)]


@pytest.mark.parametrize("sql", [f"{DOUBLE} AND id <= 5", f"{DOUBLE} AND id < 0"], ids=["one batch", "none"])
def test_one_batch_has_nothing_half_way(copies: Endpoint, sql: str) -> None:
    evidence = rehearsed(plan_of(ANYWHERE, sql=sql), copies)
    assert evidence.verdict is Verdict.PASSED
    assert evidence.extra[HALFWAY]["fill:part"] == ["unverified", halfway.UNDIVIDED]
    assert f"{PLACE}: {halfway.UNDIVIDED}" in check_of(evidence, "rollback_halfway").detail


def test_a_large_table_is_stopped_after_a_few_batches(copies: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    copy, plan, rows = make_copy(copies, TABLE), plan_of(ANYWHERE), {}
    for most in (1, 3):
        monkeypatch.setattr(halfway, "MOST_BATCHES", most)
        verdict, told = rehearse(plan, copies, copy).extra[HALFWAY]["fill:part"]
        assert verdict == "passed"
        rows[most] = int(told.split()[1].replace(",", ""))
    assert 0 < rows[1] < rows[3] < ROWS / 2


def test_nothing_is_tried_where_a_person_decides_anyway(copies: Endpoint) -> None:
    evidence = rehearsed(replace(plan_of(ANYWHERE), on_failure=OnFailure.HOLD), copies)
    assert HALFWAY not in evidence.extra
