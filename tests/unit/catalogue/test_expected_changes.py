"""schema_changes.yaml against what really changed: both ways, and with a line that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.catalogue.expected_changes import ExpectedChanges
from migrator.catalogue.expected_changes_model import load_expected
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff, diff
from migrator.errors import InvalidInput
from migrator.gates.expected_changes import compare


def changes(added: dict[str, dict[str, str]], part_of: dict[str, str] | None = None) -> SchemaDiff:
    return diff(Schema({}), Schema(added, part_of or {}))


TABLE = changes(
    {
        "table": {"public.t": "table"},
        "column": {"public.t.id": "bigint"},
        "column_order": {"public.t": "id"},
        "constraint": {"public.t.t_pkey": "PRIMARY KEY (id)"},
        "index": {"public.t_more": "CREATE INDEX"},
        "sequence": {"public.t_id_seq": "as bigint identity of public.t.id"},
        "comment": {"table public.t": "what it is"},
        "owner": {"table public.t": "app"},
    },
    {
        "column public.t.id": "table public.t",
        "column_order public.t": "table public.t",
        "constraint public.t.t_pkey": "table public.t",
        "index public.t_more": "table public.t",
        "owner table public.t": "table public.t",
    },
)


def test_no_file_promises_nothing() -> None:
    assert compare(None, TABLE) == ()


def test_an_added_table_covers_everything_that_comes_with_it() -> None:
    assert compare(ExpectedChanges(added={"table": ("public.t",)}), TABLE) == ()


def test_a_plan_carries_the_promise_as_a_document() -> None:
    assert compare({"added": {"table": ["public.t"]}}, TABLE) == ()


def test_an_empty_promise_is_one() -> None:
    problems = compare(ExpectedChanges(), TABLE)
    assert "happened, but is not declared: + table public.t (add it under added.tables)" in problems
    assert len(problems) == len(TABLE.changes)


def test_a_promise_that_was_not_kept_names_what_is_near() -> None:
    (first, *_) = compare(ExpectedChanges(added={"table": ("public.tt",)}), TABLE)
    assert first == "declared, but did not happen: + table public.tt; did you mean 'public.t'?"
    problems = compare(ExpectedChanges(dropped={"table": ("public.t",)}), TABLE)
    assert problems[0] == "declared, but did not happen: - table public.t; what happened is: + table public.t"


def test_an_index_on_an_older_table_needs_its_own_line() -> None:
    found = changes({"index": {"public.t_more": "CREATE INDEX"}}, {"index public.t_more": "table public.t"})
    assert compare(ExpectedChanges(changed={"table": ("public.t",)}), found) != ()
    assert compare(ExpectedChanges(added={"index": ("public.t_more",)}), found) == ()


def test_what_a_view_uses_is_a_change_of_the_view() -> None:
    """Where its text changes, too, that line is enough."""
    view = {"view": {"public.v": "SELECT f(1)"}, "used_by": {"view public.v": "function public.f(integer)"}}
    part_of = {"used_by view public.v": "view public.v"}
    assert compare(ExpectedChanges(added={"view": ("public.v",)}), changes(view, part_of)) == ()
    hidden = diff(Schema({"view": view["view"]}), Schema(view, part_of))
    assert compare(ExpectedChanges(changed={"view": ("public.v",)}), hidden) == ()
    (line,) = compare(ExpectedChanges(), hidden)
    assert line == "happened, but is not declared: ~ view public.v (add it under changed.views)"


def test_the_order_of_columns_follows_from_a_column() -> None:
    before = Schema(
        {"column": {"public.t.a": "int"}, "column_order": {"public.t": "a"}},
        {"column public.t.a": "table public.t", "column_order public.t": "table public.t"},
    )
    after = Schema(
        {"column": {"public.t.a": "int", "public.t.b": "int"}, "column_order": {"public.t": "a, b"}},
        {"column public.t.a": "table public.t", "column public.t.b": "table public.t"},
    )
    assert compare(ExpectedChanges(added={"column": ("public.t.b",)}), diff(before, after)) == ()


def test_the_file_is_read_into_kinds(tmp_path: Path) -> None:
    path = tmp_path / "schema_changes.yaml"
    path.write_text("added:\n  tables: [public.t]\n  indexes: [public.i]\ndropped:\n  columns: [public.t.c]\n")
    expected = load_expected(path)
    assert expected.declared() == {("+", "table public.t"), ("+", "index public.i"), ("-", "column public.t.c")}


@pytest.mark.parametrize(
    "text, key",
    [
        ("added:\n  tabels: [public.t]\n", "tabels"),
        ("added:\n  tables: [t]\n", "added.tables"),
        ("appended: {}\n", "appended"),
        ("added:\n  tables: public.t\n", "added.tables"),
        ("- added\n", ""),
    ],
)
def test_what_is_wrong_in_the_file_has_its_place(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "schema_changes.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load_expected(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path)
    assert key in (problem.key or "")
