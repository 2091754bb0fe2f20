"""Values that are made when they are first looked at, and rows without names of their columns."""

from __future__ import annotations

import pytest

from migrator.facts.facts import Edge
from migrator.facts.lazily import Lazily
from migrator.facts.objects import Objects, roots
from migrator.facts.relations import Found
from migrator.facts.table import Table

pytestmark = pytest.mark.unit


def test_each_value_is_made_once_and_only_when_it_is_looked_at() -> None:
    made = []

    def make(number: int) -> str:
        made.append(number)
        return str(number)

    lazily = Lazily({"a": 1, "b": 2}, make)
    assert (len(lazily), list(lazily), "a" in lazily, "c" in lazily, made) == (2, ["a", "b"], True, False, [])
    assert (lazily["b"], lazily.get("b"), lazily.get("c"), made) == ("2", "2", None, [2])
    assert lazily == {"a": "1", "b": "2"}
    assert sorted(made) == [1, 2]
    with pytest.raises(KeyError):
        lazily["c"]


def test_rows_get_names_when_they_are_looked_at() -> None:
    table = Table(("oid", "name"), [(1, "a"), (2, "b"), (1, "c")])
    assert table.named(table.rows[0]) == {"oid": 1, "name": "a"}
    assert table.several("name", "oid") == [("a", 1), ("b", 2), ("c", 1)]
    assert table.grouped("oid") == {1: [(1, "a"), (1, "c")], 2: [(2, "b")]}
    assert (Table().several("oid"), Table().grouped("oid")) == ([], {})


def test_objects_are_found_by_their_keys_and_listed_in_the_order_of_their_numbers() -> None:
    catalogs = {1259: "pg_class", 2606: "pg_constraint"}
    found = Found(Table(("oid", "schema", "name", "kind", "bytes", "parent_oid"), [(9, "public", "t", "r", 0, None)]))
    table = Table(
        (),
        [
            (2606, 11, 0, 9, "t_pkey", None, "i:1259:10:0", "i:1259:9:0"),
            (1259, 10, 0, 10, "", ["owned by x"], None, None),
            (1259, 9, 0, 9, "", ["owned by x"], "a:2606:11:0 n:1259:10:0 a:2606:11:0", None),
        ],
    )
    objects = Objects(table, catalogs, found)
    assert list(objects) == ["pg_class:9:0", "pg_class:10:0", "pg_constraint:11:0"]
    assert objects["pg_class:9:0"].name == "public.t"
    assert objects["pg_class:9:0"].dependents == (Edge("pg_constraint:11:0", "a"), Edge("pg_class:10:0", "n"))
    key = objects["pg_constraint:11:0"]
    assert (key.name, key.relation, key.needed_by) == ("t_pkey", "public.t", (("pg_class:9:0", "i"),))
    assert objects.get("pg_class:12:0") is None
    assert objects.get("pg_cast:12:0") is None
    assert roots(table, catalogs) == {"owned by x": ("pg_class:9:0", "pg_class:10:0")}
