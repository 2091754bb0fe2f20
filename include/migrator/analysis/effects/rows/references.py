"""Both ends of foreign keys when rows are changed.

A foreign key reads the table it points to with FOR KEY SHARE (ROW SHARE); deleting from that table reads or writes
those that point to it, as ON DELETE says: src/backend/utils/adt/ri_triggers.c.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.partitions import routing
from migrator.analysis.effects.partitions.routing import Row
from migrator.analysis.effects.world import World
from migrator.facts.facts import ConstraintFacts, RelationFacts
from migrator.lock_modes import RS, RX

WRITES_BACK = "cnd"
"""ON DELETE and ON UPDATE: CASCADE, SET NULL, SET DEFAULT."""


def check(item: ConstraintFacts, world: World, out: Recorder, rows: Sequence[Row] | None = None) -> None:
    """New rows look for what they refer to. :param rows: when their values are known."""
    if item.kind != "f" or not item.referenced or not item.enforced:
        return
    out.risk("23503", f"rows may not be found in {item.referenced} (constraint {item.name})")
    out.lock(item.referenced, RS)
    for part in routing.looked_into(item, rows, world, out):
        out.lock(part, RS)


def checked(facts: RelationFacts, world: World) -> Iterator[ConstraintFacts]:
    """A foreign key to a partitioned table has one more for each partition, of which only the first is checked."""
    pairs = {(item.referenced, item.columns) for item in facts.constraints if item.kind == "f"}
    for item in facts.constraints:
        other = world.relation(item.referenced) if item.inherited and item.referenced else None
        if other is None or not other.is_partition or (other.parent, item.columns) not in pairs:
            yield item


def changed_key(other: str, item: ConstraintFacts, action: str, world: World, out: Recorder) -> None:
    """A row that `other` may refer to goes, or gets another key.

    :param action: pg_constraint.confdeltype or confupdtype.
    """
    mode = RX if action in WRITES_BACK else RS
    if action not in WRITES_BACK:
        out.risk("23503", f"rows of {other} may refer to it (constraint {item.name})")
    facts = world.relation(other)
    if facts is not None and facts.kind == "p" and routing.keyed_by(facts, item.columns, world):
        out.assume(f"in which partitions of {other} the constraint {item.name} looks depends on the rows")
    for name in (other, *world.leaves(other)):
        out.lock(name, mode)
        known = world.relation(name)
        if known is None or known.kind != "p":
            covered = known is not None and any(
                index.columns[: len(item.columns)] == item.columns for index in known.indexes
            )
            if not covered:
                out.scan(name)


def pointing(name: str, world: World) -> Iterator[tuple[str, ConstraintFacts]]:
    """Foreign keys to a table or to what it is part of, each once: those of partitions belong to their parents'."""
    chain = [name, *world.leaves(name)]
    facts = world.relation(name)
    while facts is not None and facts.is_partition and facts.parent:
        chain.append(facts.parent)
        facts = world.relation(facts.parent)
    for link in chain:
        known = world.relation(link)
        for other in known.referenced_by if known is not None else ():
            pointer = world.relation(other)
            for item in pointer.constraints if pointer is not None else ():
                if item.kind == "f" and item.referenced == link and not item.inherited and item.enforced:
                    yield other, item


def key_of(item: ConstraintFacts, facts: RelationFacts) -> tuple[str, ...]:
    """Columns that a foreign key points to: those of the index that it relies on."""
    index = next((index for index in facts.indexes if index.name == item.index), None)
    return index.columns if index is not None else ()


def exempt(item: ConstraintFacts, nulls: Collection[str]) -> bool:
    """Whether a foreign key has nothing to look for: with MATCH FULL only where all of its columns are NULL."""
    if " MATCH FULL" in item.definition:
        return bool(item.columns) and all(column in nulls for column in item.columns)
    return any(column in nulls for column in item.columns)
