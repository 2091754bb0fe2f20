"""Many states of one mapping, each made from the one before it, in the memory of one.

A file of a hundred thousand statements has as many worlds, and each statement keeps its own: copies would take memory
and time by the square.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.frozen import frozen

MISSING = object()
"""Nothing was written under this key."""


@dataclass
class Journal:
    """What was written under each key, and at which version. Only `State.with_changes` writes."""

    versions: dict[Hashable, list[int]] = field(default_factory=dict)
    values: dict[Hashable, list[Any]] = field(default_factory=dict)
    last: int = 0
    below: State | None = None
    """What counts where nothing is written here."""
    log: list[tuple[Hashable, ...]] = field(default_factory=list)
    """The keys that each version wrote, the first version first."""

    def up_to(self, version: int) -> Journal:
        """A copy without what was written later."""
        copy = Journal(last=version, below=self.below, log=self.log[:version])
        for key, versions in self.versions.items():
            count = bisect_right(versions, version)
            if count:
                copy.versions[key] = versions[:count]
                copy.values[key] = self.values[key][:count]
        return copy


@frozen
class State:
    """One version of a journal. Never changes: a later state writes behind it, or into a copy when another has."""

    journal: Journal = field(default_factory=Journal)
    version: int = 0

    def get(self, key: Hashable, default: Any = MISSING) -> Any:
        versions = self.journal.versions.get(key)
        if versions is not None:
            if versions[-1] <= self.version:
                return self.journal.values[key][-1]
            count = bisect_right(versions, self.version)
            if count:
                return self.journal.values[key][count - 1]
        return default if self.journal.below is None else self.journal.below.get(key, default)

    def written(self) -> Iterator[Hashable]:
        """Keys that this version has something under."""
        mine = dict.fromkeys(self.written_since(0))
        yield from mine
        if self.journal.below is not None:
            yield from (key for key in self.journal.below.written() if key not in mine)

    def written_since(self, version: int) -> Iterator[Hashable]:
        """Keys that this journal got after that version of it."""
        yield from dict.fromkeys(key for keys in self.journal.log[version : self.version] for key in keys)

    def branch(self) -> State:
        """The same, with a journal of its own for what comes: nothing is copied, and this one can go on as well."""
        return State(Journal(below=self))

    def with_changes(self, changes: Mapping[Hashable, Any]) -> State:
        if not changes:
            return self
        journal = self.journal if self.journal.last == self.version else self.journal.up_to(self.version)
        journal.last = version = self.version + 1
        journal.log.append(tuple(changes))
        for key, value in changes.items():
            journal.versions.setdefault(key, []).append(version)
            journal.values.setdefault(key, []).append(value)
        return State(journal, version)
