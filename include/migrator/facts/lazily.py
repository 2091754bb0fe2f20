"""A mapping whose values are made when they are first looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

K = TypeVar("K")
A = TypeVar("A")
V = TypeVar("V")
D = TypeVar("D")


class Lazily(Mapping[K, V], Generic[K, A, V]):
    """Of tens of thousands of facts about a schema, a migration looks at a few; making each of them takes longer than
    reading them. `make` must give equal values for equal arguments."""

    __slots__ = ("_given", "_made", "_make")

    def __init__(self, given: Mapping[K, A], make: Callable[[A], V]) -> None:
        self._given = given
        self._make = make
        self._made: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._made:
            self._made[key] = self._make(self._given[key])
        return self._made[key]

    def get(self, key: K, default: Any = None) -> Any:
        return self[key] if key in self._given else default

    def __contains__(self, key: object) -> bool:
        return key in self._given

    def __iter__(self) -> Iterator[K]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)

    def __repr__(self) -> str:
        return repr(dict(self))
