"""`@frozen` makes dataclasses as `@dataclass(frozen=True)` does, only faster."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from migrator.facts.facts import ColumnFacts, altered
from migrator.frozen import frozen


@frozen
class Point:
    x: int
    y: int = 2
    tags: dict[str, int] = field(default_factory=dict)
    memo: list[int] = field(default_factory=list, init=False, compare=False, repr=False)


def test_it_takes_what_the_dataclass_takes() -> None:
    assert Point(1) == Point(x=1, y=2, tags={}) != Point(1, 3)
    assert repr(Point(1, tags={"a": 1})) == "Point(x=1, y=2, tags={'a': 1})"
    assert [item.name for item in fields(Point)] == ["x", "y", "tags", "memo"]
    with pytest.raises(TypeError, match=r"Point.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'memo'"):
        Point(1, memo=[])  # type: ignore[call-arg]


def test_nothing_can_be_set_afterwards() -> None:
    with pytest.raises(FrozenInstanceError):
        Point(1).x = 2  # type: ignore[misc]


def test_each_instance_has_defaults_of_its_own() -> None:
    first, second = Point(1), replace(Point(1), y=3)
    first.tags["a"], _ = 1, first.memo.append(1)
    assert (second.tags, second.memo, replace(first).memo) == ({}, [], [])
    assert pickle.loads(pickle.dumps(first)) == first


def test_a_field_can_have_any_name() -> None:
    @frozen
    class Listed:
        values: tuple[int, ...] = ()

    assert Listed((1, 2)).values == (1, 2)
    assert Listed().values == ()


def test_post_init_is_refused() -> None:
    class Checked:
        x: int

        def __post_init__(self) -> None:
            raise AssertionError

    with pytest.raises(TypeError, match="Checked: @frozen knows no __post_init__"):
        frozen(Checked)


def test_altered_facts_are_what_replace_makes() -> None:
    facts = ColumnFacts("integer", False, default="0")
    assert altered(facts, not_null=True) == replace(facts, not_null=True)
    assert facts == ColumnFacts("integer", False, default="0")


def test_a_dataclass_alike_compares_by_type() -> None:
    @dataclass(frozen=True)
    class Other:
        x: int
        y: int = 2

    assert Point(1) != Other(1)
