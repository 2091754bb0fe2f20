"""What another migration has undone meanwhile, by the ledger."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from migrator.database.schema import Schema
from migrator.gates.drift import Start
from migrator.gates.undone import CHANGES, UNDONE, by_others, told, without_undone
from migrator.ledger.rows import LedgerEvent
from tests.factories import plan_from_sql

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
PLAN = plan_from_sql("ALTER TABLE v ADD COLUMN y int", version="003_short")
TABLES = {"public.t": "", "public.v": ""}
PARTS = {f"column public.{one}": f"table public.{one[0]}" for one in ("t.id", "t.b", "v.x")}
BEFORE = Schema({"table": TABLES, "column": {"public.t.id": "int", "public.t.b": "int", "public.v.x": "int"}}, PARTS)
START = Start(BEFORE, BEFORE, path="public")


def now(**columns: str) -> Schema:
    return Schema({"table": TABLES, "column": {name.replace("_", "."): text for name, text in columns.items()}}, PARTS)


def event(kind: str, version: str, **detail: Any) -> LedgerEvent:
    return LedgerEvent(1, AT, kind, version, "run", "tester", detail, "", "")


BACK = now(public_t_id="int", public_v_x="int")
BEGUN = event("begin", PLAN.version)
TOLD = event(UNDONE, "002_long", **{CHANGES: told(BEFORE, BACK)})


def test_what_the_ledger_tells_counts_as_there() -> None:
    assert without_undone(BACK, PLAN, START, [BEGUN, TOLD]).fingerprint == BEFORE.fingerprint
    assert list(by_others(BACK, PLAN, START, [BEGUN, TOLD])) == ["002_long"]


def test_what_it_does_not_tell_does_not() -> None:
    other = now(public_t_id="bigint", public_v_x="int")
    found = by_others(other, PLAN, START, [BEGUN, TOLD])
    assert [one.name for one in found["002_long"].changes] == ["public.t.b"]
    again = now(public_t_id="int", public_t_b="text", public_v_x="int")
    assert by_others(again, PLAN, START, [BEGUN, TOLD]) == {}, "somebody has made another one since"
    assert by_others(BACK, PLAN, START, [TOLD, BEGUN]) == {}, "before it began: it was rehearsed on that"
    assert by_others(BACK, PLAN, START, [BEGUN, event(UNDONE, PLAN.version, **TOLD.detail)]) == {}, "its own"


def test_what_it_can_touch_does_not() -> None:
    touching = now(public_t_id="int", public_t_b="int")
    mine = event(UNDONE, "002_long", **{CHANGES: told(BEFORE, touching)})
    assert by_others(touching, PLAN, START, [BEGUN, mine]) == {}
