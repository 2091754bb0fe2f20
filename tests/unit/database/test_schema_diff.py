"""Differences between schemas: what they are called, what they imply, and that they can be carried over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import documents
from migrator.database.schema import Schema
from migrator.database.schema_diff import SHOWN, diff, patch

TABLE = "table public.t"


def make(objects: dict[str, dict[str, str]], part_of: dict[str, str] | None = None) -> Schema:
    return Schema.from_dict({"objects": objects, "part_of": part_of or {}})


BEFORE = make(
    {
        "table": {"public.t": "table"},
        "column": {"public.t.a": "integer", "public.t.b": "text"},
        "column_order": {"public.t": "a, b"},
        "index": {"public.t_a": "CREATE INDEX t_a ON public.t USING btree (a)"},
    },
    {
        "column public.t.a": TABLE,
        "column public.t.b": TABLE,
        "column_order public.t": TABLE,
        "index public.t_a": TABLE,
    },
)


def test_equal_schemas_have_no_difference() -> None:
    found = diff(BEFORE, BEFORE)
    assert not found
    assert found.lines() == ()
    assert not found.only_column_order


def test_each_sort_of_change_reads_as_a_person_would_say_it() -> None:
    after = make(
        {
            "table": {"public.t": "table"},
            "column": {"public.t.a": "bigint", "public.t.c": "text default 'x'"},
            "column_order": {"public.t": "a, c"},
        },
        {"column public.t.a": TABLE, "column public.t.c": TABLE, "column_order public.t": TABLE},
    )
    found = diff(BEFORE, after)
    assert found.lines() == (
        "~ column public.t.a: integer -> bigint",
        "- column public.t.b: text",
        "+ column public.t.c: text default 'x'",
        "- index public.t_a: CREATE INDEX t_a ON public.t USING btree (a)",
    )
    assert found.added == {"column": ("public.t.c",)}
    assert found.removed == {"column": ("public.t.b",), "index": ("public.t_a",)}
    assert found.changed == {"column": ("public.t.a",), "column_order": ("public.t",)}
    assert found.to_dict()["dropped"] == {"column": ["public.t.b"], "index": ["public.t_a"]}


def test_only_the_order_of_columns_is_told_apart() -> None:
    moved = make({**documents.to_dict(BEFORE.objects), "column_order": {"public.t": "b, a"}}, dict(BEFORE.part_of))
    found = diff(BEFORE, moved)
    assert found.only_column_order
    assert found.lines() == ("~ column order public.t: a, b -> b, a",)
    assert BEFORE.fingerprint != moved.fingerprint
    assert BEFORE.tolerant_fingerprint == moved.tolerant_fingerprint


def test_what_goes_with_a_whole_table_is_not_essential() -> None:
    gone = diff(BEFORE, make({}))
    assert [change.kind for change in gone.essential().changes] == ["table"]
    assert [change.kind for change in gone.changes] == ["table", "column", "column", "column_order", "index"]


def test_what_something_uses_is_a_change_of_it() -> None:
    uses = {"column public.t.b": "function public.f()"}
    known = {**BEFORE.part_of, "used_by column public.t.b": TABLE}
    found = diff(BEFORE, make({**documents.to_dict(BEFORE.objects), "used_by": uses}, known))
    assert found.lines() == ("+ used by column public.t.b: function public.f()",)
    (change,) = found.of_objects().changes
    assert (change.sign, change.kind, change.name, change.part_of) == ("~", "column", "public.t.b", TABLE)
    gone = diff(make({**documents.to_dict(BEFORE.objects), "used_by": uses}, known), make({}))
    assert [change.kind for change in gone.essential().changes] == ["table"]


def test_a_long_function_shows_the_lines_that_differ() -> None:
    body = "\n".join(f"line {number} of the function" for number in range(60))
    found = diff(
        make({"function": {"public.f()": body}}), make({"function": {"public.f()": body.replace("line 7 ", "row 7 ")}})
    )
    (line,) = found.lines()
    assert line == "~ function public.f(): -line 7 of the function | +row 7 of the function"
    (new,) = diff(make({}), make({"function": {"public.f()": body}})).lines()
    assert len(new) < SHOWN + 60


def test_the_role_that_owns_an_object_is_not_portable() -> None:
    one = make({"table": {"public.t": "table"}, "owner": {"table public.t": "app"}, "grant": {"table public.t": "+x"}})
    other = make({"table": {"public.t": "table"}, "owner": {"table public.t": "me"}, "grant": {"table public.t": "+x"}})
    assert one.fingerprint != other.fingerprint
    assert one.portable.fingerprint == other.portable.fingerprint
    assert "grant" in one.portable.objects
    defaults = make({"default_privileges": {"for app on tables": "x"}, "grant": {"table public.t": "+x"}})
    assert "grant" not in defaults.portable.objects, "whoever makes a table grants what its own defaults say"


NAMES = st.sampled_from(["public.a", "public.b", "public.c"])
OBJECTS = st.dictionaries(
    st.sampled_from(["table", "index", "view"]), st.dictionaries(NAMES, st.text("xyz", max_size=3)), max_size=3
)


@given(OBJECTS, OBJECTS)
def test_a_difference_carries_one_schema_into_the_other(before: dict, after: dict) -> None:
    old, new = make(before), make({kind: names for kind, names in after.items() if names})
    assert patch(old, diff(old, new)).fingerprint == new.fingerprint
    assert not diff(patch(old, diff(old, new)), new)


@given(OBJECTS)
def test_a_schema_survives_its_document(objects: dict) -> None:
    schema = make(objects)
    assert Schema.from_dict(documents.to_dict(schema.to_dict())).fingerprint == schema.fingerprint


def test_a_patch_leaves_alone_what_it_does_not_know() -> None:
    """The copy lacks what a restore leaves out; production keeps it."""
    production = make({"table": {"public.t": "table"}, "publication": {"all": "for all tables"}})
    copy, changed = make({"table": {"public.t": "table"}}), make({"table": {"public.t": "table", "public.u": "table"}})
    patched = patch(production, diff(copy, changed))
    assert patched.names("table") == ("public.t", "public.u")
    assert patched.names("publication") == ("all",)


@pytest.mark.parametrize("filling", ["", "x" * 300])
def test_carriage_returns_are_seen(filling: str) -> None:
    before, after = f"AS $$\r\n{filling} select 1\r\n$$", f"AS $$\n{filling} select 1\n$$"
    (line,) = diff(Schema({"function": {"f()": before}}), Schema({"function": {"f()": after}})).lines()
    assert "$$\\r" in line
    assert "select 1\\r" in line
