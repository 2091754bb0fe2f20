"""How the dry run judges."""

from __future__ import annotations

import pytest

from migrator.dry_run_checks import ROLLBACK_CHECKS, data_equal, schema_equal, surprises, verdict
from migrator.evidence import Check, ObservedLock, StatementTrace, TableFingerprint, Verdict
from migrator.schema import Schema
from migrator.schema_diff import SchemaDiff, diff

P, F, U = Verdict.PASSED, Verdict.FAILED, Verdict.UNVERIFIED
NOTHING = SchemaDiff(())


@pytest.mark.parametrize(
    "found, irreversible, wanted",
    [
        ({"apply": P}, False, P),
        ({"apply": P, "rollback_data": U}, False, P),
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


def test_no_table_written_is_no_table_lost() -> None:
    assert data_equal({}, {}, NOTHING).verdict is P


def test_a_table_that_the_rollback_lost() -> None:
    check = data_equal({"public.t": TableFingerprint("public.t", 3, "1")}, {}, NOTHING)
    assert (check.verdict, check.detail) == (F, "the rollback loses data: public.t is not there, had 3 rows")


def test_only_what_apply_dropped_is_excused() -> None:
    wanted = {name: TableFingerprint(name, 3, "1") for name in ("public.t", "public.u")}
    found = {name: TableFingerprint(name, 3, "2") for name in wanted}
    dropped = diff(
        Schema({"column": {"public.t.c": "int"}}, {"column public.t.c": "table public.t"}),
        Schema({}),
    )
    check = data_equal(wanted, found, dropped)
    assert check.verdict is F
    assert "public.u has other content" in check.detail
    alone = data_equal({"public.t": wanted["public.t"]}, {"public.t": found["public.t"]}, dropped)
    assert alone.verdict is U
    assert "in the snapshot only" in alone.detail


def test_a_type_that_differs_is_no_matter_of_order() -> None:
    before = Schema({"column": {"public.t.a": "int"}, "column_order": {"public.t": "a, b"}})
    after = Schema({"column": {"public.t.a": "text"}, "column_order": {"public.t": "b, a"}})
    assert schema_equal("x", before, after).verdict is F
    assert schema_equal("x", before, before).verdict is P


def test_a_lock_that_nobody_predicted_is_a_surprise() -> None:
    lock, other = ObservedLock("public.t", "SHARE"), ObservedLock("public.u", "ACCESS EXCLUSIVE")
    trace = StatementTrace("sql", 0, "DO", "DO $$$$", 7, 0.1, -1, 10, (lock, other), (), (), (lock,))
    assert surprises([trace]) == ("line 7: DO took ACCESS EXCLUSIVE on public.u, which was not predicted",)
