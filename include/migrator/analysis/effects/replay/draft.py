"""What a statement leaves behind: the changes to what is known of the database, for the statements after it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from migrator.analysis.effects.journal import MISSING
from migrator.analysis.effects.world import PERHAPS, TEMPORARY, TRANSACTION, World
from migrator.facts.facts import ConstraintFacts, RelationFacts, ViewUse, altered
from migrator.parsing.nodes import Node


@dataclass
class Draft:
    """Collects the changes of one statement; reads see them. Dropped after `world_after`."""

    world: World
    changes: dict[Hashable, Any] = field(default_factory=dict)

    def relation(self, name: str) -> RelationFacts | None:
        mine = self.changes.get(("relation", name), MISSING)
        return self.world.relation(name) if mine is MISSING else mine

    def collected(self, word: str, name: str) -> tuple[Any, ...]:
        """What the migration has put together under a name."""
        key = (word, name)
        found: tuple[Any, ...] = self.changes.get(key, self.world.state.get(key, ()))
        return found

    def put(self, facts: RelationFacts) -> None:
        self.changes[("relation", facts.name)] = facts

    def create(self, facts: RelationFacts, *, anyway: bool = False) -> None:
        """A relation that was not there. :param anyway: IF NOT EXISTS, OR REPLACE: it may have been."""
        self.put(facts)
        old = anyway and self.world.exists(facts.name) is None and not facts.name.startswith(f"{TEMPORARY}.")
        self.changes[("created", facts.name)] = PERHAPS if old else True
        self.changes[("created in", facts.name)] = self.world.state.get(TRANSACTION, 0)
        self.changes[("bare", facts.name.partition(".")[2])] = facts.name

    def change(self, name: str, **fields: Any) -> None:
        """Of a relation that is known; otherwise nothing."""
        facts = self.relation(name)
        if facts is not None:
            self.put(altered(facts, **fields))

    def extend(self, name: str, constraint: ConstraintFacts) -> None:
        """Another constraint, also on a relation of which nothing else is known."""
        facts = self.relation(name)
        if facts is not None:
            self.put(altered(facts, constraints=(*facts.constraints, constraint)))
        else:
            partial = self.partial(name)
            self.remember(altered(partial, constraints=(*partial.constraints, constraint)))

    def partial(self, name: str) -> RelationFacts:
        mine = self.changes.get(("partial", name), MISSING)
        if mine is MISSING:
            mine = self.world.state.get(("partial", name), None)
        return mine or RelationFacts(name, "?", more_columns=True)

    def remember(self, facts: RelationFacts) -> None:
        """What the migration tells of a relation that is otherwise unknown."""
        self.changes[("partial", facts.name)] = facts

    def drop(self, name: str) -> None:
        """A relation goes away, with its indexes, and out of what others say about it."""
        facts = self.relation(name)
        self.changes[("relation", name)] = None
        self.changes[("partial", name)] = None
        self.changes[("created", name)] = False
        self.changes[("made by", name)] = None
        if facts is None:
            return
        if facts.oid:
            self.changes[("gone", f"pg_class:{facts.oid}:0")] = True
        for sequence in (own for column in facts.columns.values() for own in column.sequences):
            known = self.relation(sequence)
            if known is not None and known.owned_by == name:
                self.drop(sequence)
        for statistics in facts.statistics:
            self.changes[("statistics", statistics)] = None
        for index in facts.indexes:
            self.changes[("relation", index.name)] = None
            self.changes[("created", index.name)] = False
        self._leave(facts)
        for other in facts.referenced_by:
            item = self.relation(other)
            if item is not None and other != name:
                self.put(altered(item, constraints=tuple(c for c in item.constraints if c.referenced != name)))
        for key in facts.constraints:
            if key.referenced and key.referenced != name:
                found = self.relation(key.referenced)
                if found is not None:
                    self.put(altered(found, referenced_by=tuple(n for n in found.referenced_by if n != name)))
        for read in facts.reads:
            found = self.relation(read)
            if found is not None:
                self.put(altered(found, views=tuple(view for view in found.views if view.name != name)))

    def _leave(self, facts: RelationFacts) -> None:
        if facts.table:
            table = self.relation(facts.table)
            if table is not None:
                self.put(altered(table, indexes=tuple(item for item in table.indexes if item.name != facts.name)))
        if facts.parent:
            self.detach(facts.name, facts.parent)

    def detach(self, name: str, parent: str) -> None:
        """Out of the tree above it."""
        facts = self.relation(name)
        gone = {name, *(facts.partitions if facts else ())}
        above: str | None = parent
        passed: set[str] = set()
        while above is not None and above not in passed:
            passed.add(above)
            item = self.relation(above)
            if item is None:
                return
            self.put(
                altered(
                    item,
                    partitions=tuple(n for n in item.partitions if n not in gone),
                    children=tuple(n for n in item.children if n != name),
                    default_partition=None if item.default_partition == name else item.default_partition,
                )
            )
            above = item.parent

    def attach(self, name: str, parent: str, *, default: bool = False) -> None:
        """Below a parent, and so below all that are above that."""
        facts = self.relation(name)
        below = (name, *(facts.partitions if facts else ()))
        if parent in below:
            return  # circular: the server refuses it (42P07)
        above: str | None = parent
        direct = True
        passed: set[str] = set()
        while above is not None and above not in passed:
            passed.add(above)
            item = self.relation(above)
            if item is None:
                return
            self.put(
                altered(
                    item,
                    partitions=tuple(dict.fromkeys((*item.partitions, *below))),
                    children=tuple(dict.fromkeys((*item.children, name))) if direct else item.children,
                    default_partition=name if default and direct else item.default_partition,
                )
            )
            above, direct = item.parent, False

    def rename(self, old: str, new: str) -> None:
        """Every mention of a relation, wherever it is known."""
        facts = self.relation(old)
        created = self.world.state.get(("created", old), False)
        self.changes[("created", old)] = False
        self.changes[("created", new)] = created
        self.changes[("created in", new)] = self.world.state.get(("created in", old), None)
        self.changes[("made by", new)] = self.world.made_by(old)
        self.changes[("bare", new.partition(".")[2])] = new
        self.changes[("relation", old)] = None
        if facts is None:
            self.changes[("partial", new)] = altered(self.partial(old), name=new)
            return
        self.put(renamed(altered(facts, name=new), old, new))
        for name in neighbours(facts):
            item = self.relation(name)
            if item is not None:
                self.put(renamed(item, old, new))


def neighbours(facts: RelationFacts) -> set[str]:
    """Relations whose facts mention this one."""
    found = {*facts.partitions, *facts.children, *facts.referenced_by, *facts.reads}
    found |= {view.name for view in facts.views} | {index.name for index in facts.indexes}
    found |= {item.referenced for item in facts.constraints if item.referenced}
    found |= {name for column in facts.columns.values() for name in column.sequences}
    found |= {name for name in (facts.parent, facts.table, facts.owned_by) if name}
    return found - {facts.name}


def renamed(facts: RelationFacts, old: str, new: str) -> RelationFacts:
    def one(name: str | None) -> Any:
        return new if name == old else name

    def many(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one(name) for name in names)

    return altered(
        facts,
        partitions=many(facts.partitions),
        children=many(facts.children),
        parent=one(facts.parent),
        default_partition=one(facts.default_partition),
        referenced_by=many(facts.referenced_by),
        table=one(facts.table),
        owned_by=one(facts.owned_by),
        reads=many(facts.reads),
        views=tuple(ViewUse(one(view.name), view.columns) for view in facts.views),
        constraints=tuple(
            altered(item, referenced=one(item.referenced), index=one(item.index)) for item in facts.constraints
        ),
        indexes=tuple(altered(item, name=one(item.name), parent=one(item.parent)) for item in facts.indexes),
        columns={
            name: altered(column, sequences=many(column.sequences)) if old in column.sequences else column
            for name, column in facts.columns.items()
        },
    )


Replay = Callable[[Node, Draft], None]
