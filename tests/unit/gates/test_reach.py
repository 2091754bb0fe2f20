"""What a plan can touch or run, by the words of its texts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from migrator.database.schema import Schema
from migrator.database.schema_diff import Change
from migrator.gates.reach import Reach, reach_of
from migrator.plan import Plan
from tests.factories import plan_from_sql

PLAN = plan_from_sql("UPDATE t SET b = 1 WHERE b IS NULL", "UPDATE t SET b = NULL")


def schema(objects: Mapping[str, Mapping[str, str]], **part_of: str) -> Schema:
    """`t` and `v`, each with columns, and what `objects` adds; the parts of tables are found by their names."""
    merged: dict[str, dict[str, str]] = {
        "table": {"public.t": "table", "public.v": "table"},
        "column": {"public.t.b": "integer", "public.v.x": "integer"},
    }
    for kind, names in objects.items():
        merged.setdefault(kind, {}).update(names)
    parts = {
        f"{kind} {name}": f"table {name.rpartition('.')[0]}"
        for kind in ("column", "constraint", "trigger", "rule", "policy")
        for name in merged.get(kind, {})
    }
    return Schema(merged, {**parts, **part_of})


def reach(objects: Mapping[str, Mapping[str, str]] | None = None, plan: Plan = PLAN) -> Reach:
    return reach_of(plan, schema(objects or {}), "public")


BODY = "CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {} RETURN NEW; END $$"
ON_T = {"public.t.g": "CREATE TRIGGER g BEFORE UPDATE ON public.t EXECUTE FUNCTION public.f()"}
CASCADES = "FOREIGN KEY (x) REFERENCES public.t(id) ON DELETE CASCADE"


@pytest.mark.parametrize(
    "objects",
    [
        {},
        {"function": {"public.f()": BODY.format("UPDATE v SET x = 1;")}},
        {"function": {"public.f()": BODY.format("EXECUTE 'anything';")}},
        {"constraint": {"public.v.k": "FOREIGN KEY (x) REFERENCES public.t(id)"}},
        {"constraint": {"public.t.k": "FOREIGN KEY (b) REFERENCES public.v(x) ON DELETE CASCADE"}},
        {"publication": {"everything": "tables (public.t, public.v)"}},
    ],
    ids=["alone", "not called", "not called, and dynamic", "refers to it", "it refers to it", "published with it"],
)
def test_what_nobody_names_is_out_of_reach(objects: Mapping[str, Mapping[str, str]]) -> None:
    found = reach(objects)
    assert "table public.t" in found.objects
    assert "table public.v" not in found.objects
    assert not found.everything


@pytest.mark.parametrize(
    "objects",
    [
        {"trigger": ON_T, "function": {"public.f()": BODY.format("UPDATE v SET x = 1;")}},
        {"trigger": ON_T, "function": {"public.f()": BODY.format('DELETE FROM public."v";')}},
        {"rule": {"public.t.r": "CREATE RULE r AS ON UPDATE TO public.t DO ALSO DELETE FROM public.v"}},
        {"policy": {"public.t.p": "permissive for all to public using (b IN (SELECT x FROM public.v))"}},
        {"constraint": {"public.v.k": CASCADES}},
        {"table": {"public.v": "table inherits (public.t)"}},
        {"type": {"public.d": "domain integer constraint c CHECK (public.looks_at_v(VALUE))"},
         "function": {"public.looks_at_v(integer)": "CREATE FUNCTION x LANGUAGE sql AS 'SELECT true FROM v'"}},
        {"trigger": ON_T, "function": {
            "public.f()": BODY.format("PERFORM public.second();"),
            "public.second()": "CREATE FUNCTION x LANGUAGE sql AS 'UPDATE v SET x = 2'",
        }},
        {"trigger": ON_T, "function": {"public.f()": BODY.format('-- 5" wide\n UPDATE v SET x = 1; -- 6" high\n')}},
        {"trigger": ON_T, "function": {"public.f()": BODY.format("-- REFERENCES \n SELECT x FROM v WHERE (x) = (1);")}},
    ],
    ids=[
        *("trigger", "quoted", "rule", "policy", "cascades", "inherits", "domain", "two calls away"),
        *("behind a quotation mark", "behind a word of foreign keys"),
    ],
)  # fmt: skip
def test_what_hangs_on_it_is_followed(objects: Mapping[str, Mapping[str, str]]) -> None:
    found = reach(objects)
    assert "table public.v" in found.objects
    assert not found.everything


LONG = "a" * 63


@pytest.mark.parametrize(
    "name, written",
    [
        ('public."feed★"', "public.feed★"),
        ('public."fee\u0301d"', "FEE\u0301D"),
        ('public."a\u00a0b"', "public.a\u00a0b"),
        ('public."€"', "public.€"),
        (f"public.{LONG}", f"public.{LONG}bc"),
        (f'public."{"é" * 31}"', f"public.{'é' * 40}"),
        ('public."my feed"', """'5"', public."my feed\""""),
    ],
    ids=["a sign", "a combining accent", "a space", "nothing else", "cut", "cut beyond ASCII", "after a mark"],
)
def test_a_name_is_found_as_the_server_reads_it(name: str, written: str) -> None:
    """Each byte above 0x7F is a part of a bare name, and more than 63 are cut off."""
    found = reach({"view": {name: "SELECT 1 AS id"}}, plan_from_sql(f"SELECT 1, {written}", "SELECT 1"))
    assert f"view {name}" in found.objects
    assert not found.misses(Change("view", name, "SELECT 1 AS id", "SELECT 2 AS id"))
    assert found.hears(f"view {name}")


@pytest.mark.parametrize(
    "body",
    [
        BODY.format("EXECUTE format('DELETE FROM %I', TG_ARGV[0]);"),
        BODY.format("PERFORM query_to_xml(NEW.note, true, true, '');"),
        BODY.replace("plpgsql", "plpython3u"),
    ],
    ids=["execute", "xml", "python"],
)
def test_names_that_are_made_at_run_time_may_be_any(body: str) -> None:
    found = reach({"trigger": ON_T, "function": {"public.f()": body}})
    assert found.everything
    assert not found.misses(Change("table", "public.other", None, "table"))


def test_a_block_of_the_plan_itself() -> None:
    dynamic = plan_from_sql("DO $$ BEGIN EXECUTE 'UPDATE ' || 'v' || ' SET x = 1'; END $$", "SELECT 1")
    assert reach(plan=dynamic).everything


MISSED = [
    Change("index", "public.i", None, "CREATE INDEX i ON public.v (x)", "table public.v"),
    Change("trigger", "public.v.g", None, "CREATE TRIGGER g ON public.v EXECUTE FUNCTION f()", "table public.v"),
    Change("column", "public.v.x", "integer", "bigint", "table public.v"),
    Change("table", "public.v", "table", None),
    Change("table", "public.w", None, "table partition of public.v FOR VALUES IN (1)"),
    Change("grant", "table public.v", None, "+SELECT to app", "table public.v"),
    Change("view", "public.report", None, "SELECT x FROM public.v"),
    Change("function", "public.unheard()", None, "CREATE FUNCTION public.unheard() LANGUAGE sql AS 'SELECT 1'"),
    Change("comment", "table public.v", None, "a word", "table public.v"),
]
REACHED = [
    Change("index", "public.i", None, "CREATE INDEX i ON public.t (b)", "table public.t"),
    Change("column", "public.t.b", "integer", "bigint", "table public.t"),
    Change("trigger", "public.t.g", None, "CREATE TRIGGER g ON public.t EXECUTE FUNCTION f()", "table public.t"),
    Change("constraint", "public.v.k", None, CASCADES, "table public.v"),
    Change("table", "public.w", None, "table inherits (public.t)"),
    Change("table", "early.t", None, "table"),
    Change("view", "early.b", None, "SELECT 1"),
    Change("function", "public.b(integer)", None, "CREATE FUNCTION public.b(integer) LANGUAGE sql AS 'SELECT 1'"),
    Change("operator", "public.=(integer, text)", None, "..."),
    Change("cast", "integer as text", None, "..."),
    Change("schema", "app", None, ""),
    Change("type", "public.d", None, "domain integer"),
    Change("grant", "schema public", "+USAGE to public", None, "schema public"),
    Change("event_trigger", "e", None, "..."),
]


@pytest.mark.parametrize("change", MISSED, ids=lambda one: f"{one.sign} {one.kind} {one.name}")
def test_others_may_change_what_is_out_of_reach(change: Change) -> None:
    assert reach().misses(change)


@pytest.mark.parametrize(
    "told, heard",
    [
        ("table column public.t.b", True),
        ("g on public.t", True),
        ("function public.f(integer)", False),
        ('function public."T"(integer)', True),
        ("index public.v_x_idx", False),
        ("place of table public.w", False),
        ("something was dropped: fewer rows in pg_class", False),
    ],
)
def test_what_the_server_tells_of(told: str, heard: bool) -> None:
    assert reach().hears(told) is heard


@pytest.mark.parametrize("change", REACHED, ids=lambda one: f"{one.sign} {one.kind} {one.name}")
def test_others_may_not_change_what_it_runs(change: Change) -> None:
    assert not reach().misses(change)
