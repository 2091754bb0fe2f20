"""Which versions are above another, and what each policy makes of it. No database."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.errors import OutOfOrder, Refused
from migrator.gates import emergency
from migrator.history.out_of_order import RULE, finding, higher, require
from migrator.ledger.rows import LedgerMigration, MigrationStatus
from migrator.targets.targets import OrderPolicy, Target
from tests.factories import make_plan
from tests.unit.ledger_rows import migration_row

TARGET = Target("production", "production", "a", "b", reviewers={"ann": "ann@example.com", "bob": "bob@example.com"})


def rows(*versions: str, status: MigrationStatus = MigrationStatus.SUCCESS) -> list[LedgerMigration]:
    return [migration_row(version=version, status=status) for version in versions]


def test_by_number_not_by_text() -> None:
    assert higher("099_b", rows("0100_a", "099_a", "099_b", "098_c", "100_z")) == ("0100_a", "100_z")
    assert higher("003_c", rows("005_e", status=MigrationStatus.ROLLED_BACK)) == ()
    assert higher("003_c", rows("001_a", "002_b")) == ()


def test_each_policy() -> None:
    plan, above = make_plan(version="003_c"), rows("004_d", "005_e")
    with pytest.raises(OutOfOrder, match=r"'004_d', '005_e'.*reject"):
        require(plan, above, TARGET)
    asks = replace(TARGET, out_of_order=OrderPolicy.ASK)
    with pytest.raises(OutOfOrder, match="'005_e' came"):
        require(replace(plan, out_of_order=("004_d",)), above, asks)
    known = replace(plan, out_of_order=("004_d", "005_e"))
    assert require(known, above, asks) == ("004_d", "005_e")
    assert require(plan, above, replace(TARGET, out_of_order=OrderPolicy.APPLY)) == ("004_d", "005_e")
    assert require(plan, (), TARGET) == ()


def test_what_comes_first_in_the_window_counts_as_applied() -> None:
    plan = replace(make_plan(version="003_c"), ahead=(make_plan(version="004_d"), make_plan(version="002_b")))
    assert higher("003_c", rows("005_e"), ("004_d", "002_b")) == ("004_d", "005_e")
    with pytest.raises(OutOfOrder, match=r"'004_d', which 'production' has by then, as it comes first in the window"):
        require(plan, (), TARGET)
    with pytest.raises(OutOfOrder, match=r"'004_d', '005_e', which 'production' has already"):
        require(plan, rows("005_e"), TARGET)
    asks = replace(TARGET, out_of_order=OrderPolicy.ASK)
    assert require(replace(plan, out_of_order=("004_d",)), (), asks) == ("004_d",)


def test_reviewers_read_it_in_the_plan() -> None:
    found = finding("003_c", ("004_d",), TARGET)
    assert found.rule == RULE
    assert "003_c is lower than '004_d'" in found.message


@pytest.mark.parametrize("reason", ["", "  \n "])
def test_an_emergency_needs_a_reason(reason: str) -> None:
    with pytest.raises(Refused, match="needs a reason"):
        emergency.declare(TARGET, reason, approvers=2)


def test_an_emergency_needs_people_who_could_approve() -> None:
    with pytest.raises(Refused, match=r"2 reviewers beside the author, and targets.yaml names 1 for 'production'"):
        emergency.declare(TARGET, "fire", approvers=1)
    assert emergency.declare(TARGET, " the disk\nfills up ", approvers=2) == "the disk fills up"
