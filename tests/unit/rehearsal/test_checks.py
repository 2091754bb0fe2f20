"""How the dry run judges."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.database.schema import Schema
from migrator.database.vocabulary import vocabulary
from migrator.evidence import ROLLBACK_CHECKS, Check, Match, ObservedLock, StatementTrace, TableFingerprint, Verdict
from migrator.plan import PredictedLock, Statement
from migrator.rehearsal.checks import (
    IN_SNAPSHOT,
    data_equal,
    schema_equal,
    surprises,
    verdict,
    writes_predicted,
)
from migrator.rehearsal.comparison import judged
from migrator.rehearsal.losses import Dropped
from tests.evidence import make_bundle
from tests.factories import make_plan, plan_from_sql

P, F, U = Verdict.PASSED, Verdict.FAILED, Verdict.UNVERIFIED
NOTHING = Dropped()


@pytest.mark.parametrize(
    "found, irreversible, wanted",
    [
        ({"apply": P}, False, P),
        ({"apply": P, "rollback_data": U}, False, U),
        ({"apply": P, "rollback_data": F}, False, F),
        ({"apply": P, "reapply": U}, False, U),
        ({"apply": P, **dict.fromkeys(ROLLBACK_CHECKS, U)}, True, P),
        ({"apply": P, **dict.fromkeys(ROLLBACK_CHECKS, U)}, False, U),
        ({"apply": P, "expected_changes": F, **dict.fromkeys(ROLLBACK_CHECKS, U)}, True, F),
        ({"apply": P, "assertions": U, **dict.fromkeys(ROLLBACK_CHECKS, U)}, True, U),
        ({}, False, U),
    ],
)
def test_verdict(found: dict[str, Verdict], irreversible: bool, wanted: Verdict) -> None:
    assert verdict([Check(name, one) for name, one in found.items()], irreversible=irreversible) is wanted


def test_what_was_dropped_is_told_and_anything_else_is_no_pass() -> None:
    lost = [Check("apply", P), Check("rollback_data", U, f"{IN_SNAPSHOT}, the rollback gives back the structure: t")]
    assert verdict(lost, irreversible=False) is P
    for check in ROLLBACK_CHECKS:
        assert verdict([Check("apply", P), Check(check, U, "not reached")], irreversible=False) is U
        assert verdict([Check("apply", P), Check(check, U, "not reached")], irreversible=True) is P


@pytest.mark.parametrize(
    "found, resumed, irreversible, stands, outcome",
    [
        ({"apply": P}, False, False, True, "passed"),
        ({"rollback_data": U}, False, False, True, f"passed, but rollback_data: {IN_SNAPSHOT}"),
        ({"rollback": U}, False, False, False, "unverified"),
        ({"rollback": F}, True, False, False, "failed"),
        (dict.fromkeys(ROLLBACK_CHECKS, U), False, True, True, "passed"),
        ({"rollback_schema_equal": U}, True, False, True, f"not all is proved, rollback_schema_equal: {IN_SNAPSHOT}"),
        ({"rollback_schema_equal": U}, False, False, False, "unverified"),
        ({"rollback_schema_equal": U, "reapply": U}, True, False, False, "unverified"),
    ],
)
def test_passed_alone_is_a_proof_of_all_that_was_promised(
    found: dict[str, Verdict], resumed: bool, irreversible: bool, stands: bool, outcome: str
) -> None:
    checks = tuple(Check(name, one, IN_SNAPSHOT) for name, one in {"apply": P, **found}.items())
    evidence = replace(
        make_bundle(make_plan()).dry_run,
        checks=checks,
        verdict=verdict(checks, irreversible=irreversible),
        irreversible=irreversible,
        extra={"resumed": resumed},
    )
    assert (evidence.stands, evidence.outcome) == (stands, outcome)


def test_no_table_written_is_no_table_lost() -> None:
    assert data_equal({}, {}, NOTHING).verdict is P


def test_a_table_that_the_rollback_lost() -> None:
    check = data_equal({"public.t": TableFingerprint("public.t", 3, "1")}, {}, NOTHING)
    assert (check.verdict, check.detail) == (F, "the rollback loses data: public.t is not there, had 3 rows")


def test_rows_that_are_gone_must_be_copied_aside() -> None:
    """A DELETE before a UNIQUE, which no script can undo by itself."""
    wanted, found = ({"public.t": TableFingerprint("public.t", rows, "1")} for rows in (202, 200))
    assert "first (CREATE TABLE ... AS SELECT)" in data_equal(wanted, found, NOTHING).detail
    assert "CREATE TABLE" not in data_equal(found, wanted, NOTHING).detail


def test_only_what_apply_dropped_is_excused() -> None:
    wanted = {name: TableFingerprint(name, 3, "1") for name in ("public.t", "public.u")}
    found = {name: TableFingerprint(name, 3, "2") for name in wanted}
    check = data_equal(wanted, found, Dropped(frozenset({"public.t"})))
    assert check.verdict is F
    assert "public.u has other content" in check.detail
    alone = data_equal({"public.t": wanted["public.t"]}, {}, Dropped(frozenset({"public.t"})))
    assert alone.verdict is U
    assert "in the snapshot only" in alone.detail


def test_a_dropped_column_excuses_no_other() -> None:
    wanted, found = ({"public.t": TableFingerprint("public.t", 3, number)} for number in "12")
    dropped = Dropped(columns={"public.t": frozenset({"c"})})
    check = data_equal(wanted, found, dropped, left=(wanted, wanted))
    assert check.verdict is U
    assert "but for column c they are as before" in check.detail
    assert data_equal(wanted, found, dropped, left=(wanted, found)).verdict is F
    assert data_equal(wanted, {}, dropped, left=(wanted, {})).verdict is F
    said = data_equal(wanted, found, dropped, blamed={"public.t": "the rollback drops it"}).detail
    assert said.endswith("had 3 rows: the rollback drops it")


def test_a_type_that_differs_is_no_matter_of_order() -> None:
    before = Schema({"column": {"public.t.a": "int"}, "column_order": {"public.t": "a, b"}})
    after = Schema({"column": {"public.t.a": "text"}, "column_order": {"public.t": "b, a"}})
    known = vocabulary(plan_from_sql("SELECT 1"), before)
    assert schema_equal("x", before, after, known).verdict is F
    assert schema_equal("x", before, before, known).verdict is P


def test_a_lock_that_nobody_predicted_is_a_surprise() -> None:
    lock, other = ObservedLock("public.t", "SHARE"), ObservedLock("public.u", "ACCESS EXCLUSIVE")
    trace = StatementTrace("sql", 0, "DO", "DO $$$$", 7, 0.1, -1, 10, (lock, other), (), (), (lock,))
    statement = Statement(
        0, "DO $$$$", "DO", "x.sql", 7, 1, True, "", locks=(PredictedLock("public.t", "SHARE"),), known=False
    )
    found = judged(statement, trace)
    assert found.match is Match.NOT_PREDICTED
    assert surprises([found]) == ("line 7: DO took ACCESS EXCLUSIVE on public.u, which was not predicted",)


def test_predictions_are_confirmed_or_not_in_words() -> None:
    locks = (PredictedLock("public.t", "ACCESS EXCLUSIVE"), PredictedLock("public.u", "SHARE"))
    statement = Statement(
        0, "ALTER TABLE t ...", "ALTER TABLE", "x.sql", 1, 1, True, "", locks=locks, rewrites=("public.t",)
    )
    seen = tuple(ObservedLock(lock.relation, lock.mode) for lock in locks)
    trace = StatementTrace("sql", 0, "ALTER TABLE", "ALTER TABLE t ...", 1, 0.1, -1, 10, seen, ("public.t",), ())
    assert judged(statement, trace).match is Match.CONFIRMED
    other = judged(statement, replace(trace, locks=seen[:1], rewrites=(), scans=("public.t",)))
    assert other.match is Match.MISMATCH
    assert other.differences == (
        "took no lock on public.u, SHARE was predicted",
        "was to have rewritten public.t, and has not",
        "read all of public.t, which was not predicted",
    )


def test_rows_of_a_table_that_nobody_predicted_fail_the_dry_run() -> None:
    locks = (ObservedLock("public.t", "ROW EXCLUSIVE"), ObservedLock("public.u", "ROW SHARE"))
    trace = StatementTrace("sql", 0, "UPDATE", "UPDATE t ...", 3, 0.1, 1, 10, locks, (), (), predicted_locks=locks)
    good = replace(trace, match=Match.CONFIRMED, writes=("public.t",))
    assert writes_predicted([good]).verdict is P
    bad = replace(good, writes=("public.t", "public.u", "public.v"), file="a.sql")
    found = writes_predicted([good, bad])
    assert found.verdict is F
    assert found.detail.startswith("a.sql:3: UPDATE changed rows of public.u, which was not predicted; a.sql:3: UPDATE")
    assert writes_predicted([replace(bad, match=Match.NOT_PREDICTED)]).verdict is P, "nobody claimed to know it"
