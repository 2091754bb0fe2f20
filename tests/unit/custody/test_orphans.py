"""What is to be done with a helper object that a migration has left."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from migrator.custody.orphans import Todo, decide, name_of, statement_of
from migrator.gates.reach import Reach
from migrator.ledger.rows import Helper, LedgerObject, MigrationStatus, ObjectClass
from migrator.steps.helpers import There
from tests.unit.ledger_rows import migration_row

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
THERE = There("public", "t", "t_v", 8192, whole=False, disabled=False, kept="", busy="")
INDEX = Helper(ObjectClass.INDEX, "public", "t_v", "t")
TRIGGER = Helper(ObjectClass.TRIGGER, "public", "migrator_x", "t", needed=True)
NEAR = Reach(False, frozenset({"table public.t"}), frozenset({"t"}), frozenset({"t"}))
FAR = Reach(False, frozenset({"table public.u"}), frozenset({"u"}), frozenset({"u"}))


def found(helper: Helper, **over: Any) -> LedgerObject:
    return replace(LedgerObject(1, helper, "001_one", "build", "run-1", NOW), **over)


def decided(helper: Helper, status: MigrationStatus, there: There = THERE, **over: Any) -> Todo:
    rows = {"001_one": migration_row(version="001_one", status=status)}
    rows["002_two"] = migration_row(version="002_two", status=MigrationStatus.RUNNING)
    given = {"sharing": (), "running": {}, "triggers": (), **over}
    row = given.pop("row", found(helper))
    return decide(row, there, migrations=rows, **given).todo


@pytest.mark.parametrize(
    "status, index, trigger",
    [
        (MigrationStatus.RUNNING, Todo.LEAVE, Todo.LEAVE),
        (MigrationStatus.FAILED, Todo.DROP, Todo.LEAVE),
        (MigrationStatus.ROLLBACK_FAILED, Todo.PERSON, Todo.PERSON),
        (MigrationStatus.ROLLED_BACK, Todo.DROP, Todo.DISABLE),
        (MigrationStatus.SUCCESS, Todo.DROP, Todo.DISABLE),
    ],
)
def test_when_its_migration_is_over(status: MigrationStatus, index: Todo, trigger: Todo) -> None:
    assert decided(INDEX, status) is index
    assert decided(TRIGGER, status) is trigger


def test_another_migration_that_may_touch_it_keeps_it() -> None:
    over = MigrationStatus.SUCCESS
    assert decided(INDEX, over, running={"002_two": None}) is Todo.LEAVE, "it is at work, or nobody knows"
    assert decided(INDEX, over, running={"002_two": Reach(everything=True)}) is Todo.LEAVE
    assert decided(INDEX, over, running={"002_two": NEAR}) is Todo.LEAVE
    assert decided(INDEX, over, running={"002_two": FAR}) is Todo.DROP
    assert decided(INDEX, over, sharing={"001_one", "002_two"}) is Todo.LEAVE, "it makes the very same one"


def test_what_keeps_it_from_going_now() -> None:
    over = MigrationStatus.ROLLED_BACK
    assert decided(INDEX, over, replace(THERE, busy="pid 7 builds")) is Todo.WAIT
    assert decided(INDEX, over, replace(THERE, kept="of a partitioned table")) is Todo.PERSON
    disabled = replace(THERE, disabled=True)
    assert decided(TRIGGER, over, disabled) is Todo.DROP
    for kind in (ObjectClass.FUNCTION, ObjectClass.TABLE):
        assert decided(Helper(kind, "public", "x"), over, triggers=("a trigger",)) is Todo.WAIT
        assert decided(Helper(kind, "public", "x"), over) is Todo.DROP


def test_each_class_has_its_statement() -> None:
    odd = replace(THERE, table='o"dd', name="it's")
    for kind in ObjectClass:
        for todo in (Todo.DISABLE, Todo.DROP):
            text = statement_of(kind, odd, todo)
            assert ('"it\'s"' in text) is (kind is not ObjectClass.SLOT)
            assert "''" in text if kind is ObjectClass.SLOT else True
        assert "it's" in name_of(kind, odd)
    assert statement_of(ObjectClass.TRIGGER, odd, Todo.DISABLE) == (
        'ALTER TABLE "public"."o""dd" DISABLE TRIGGER "it\'s"'
    )
    assert statement_of(ObjectClass.INDEX, odd, Todo.DROP).startswith("DROP INDEX CONCURRENTLY IF EXISTS")
