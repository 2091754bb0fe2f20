"""Documents come back from JSON as they went in, and their digest is that of their meaning."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator import documents
from migrator.documents import StrEnum


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Leaf:
    name: str
    colour: Colour = Colour.RED
    weight: float = 0.0


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...]
    at: datetime
    counts: dict[str, int] = field(default_factory=dict)
    first: Leaf | None = None
    pair: tuple[str, int] | None = None


leaves = st.builds(
    Leaf, name=st.text(), colour=st.sampled_from(Colour), weight=st.floats(allow_nan=False, allow_infinity=False)
)
trees = st.builds(
    Tree,
    leaves=st.lists(leaves).map(tuple),
    at=st.datetimes(timezones=st.just(timezone.utc)),
    counts=st.dictionaries(st.text(), st.integers()),
    first=st.none() | leaves,
    pair=st.none() | st.tuples(st.text(), st.integers()),
)


@given(trees)
def test_round_trip(tree: Tree) -> None:
    assert documents.from_dict(Tree, documents.to_dict(tree)) == tree


@given(trees)
def test_digest_does_not_depend_on_the_order_of_keys(tree: Tree) -> None:
    data = documents.to_dict(tree)
    turned = dict(reversed(data.items()))
    assert documents.digest(turned) == documents.digest(tree)


@pytest.mark.parametrize("value", [{1, 2}, b"x", float("nan"), float("inf"), object()])
def test_values_without_a_json_form_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="no JSON form"):
        documents.to_dict(value)


def test_unknown_keys_are_ignored_and_missing_ones_take_the_default() -> None:
    assert documents.from_dict(Leaf, {"name": "a", "later": 1}) == Leaf("a")


@pytest.mark.parametrize(
    "data, place",
    [
        ({"leaves": []}, "Tree"),
        ({"leaves": [], "at": "yesterday"}, "Tree.at"),
        ({"leaves": [{"name": "a", "colour": "blue"}], "at": "2026-01-01T00:00:00+00:00"}, "Tree.leaves"),
        ({"leaves": 3, "at": "2026-01-01T00:00:00+00:00"}, "Tree.leaves"),
    ],
)
def test_a_wrong_shape_names_the_field(data: dict[str, Any], place: str) -> None:
    with pytest.raises(ValueError, match=place):
        documents.from_dict(Tree, data)
