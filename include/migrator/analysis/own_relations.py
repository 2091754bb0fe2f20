"""Relations that the migration has made itself, with nobody else's rows behind them: what it does to them harms nobody.

New is not enough. A view is new and its rows are another table's, so are those of a table that was attached as a
partition, and CREATE TABLE IF NOT EXISTS makes nothing where there is one already.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from migrator.analysis.effects.world import World
from migrator.analysis.walk.subject import Subject
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, commands, enum

_WITH_ROWS = frozenset(["r", "p"])
"""pg_class.relkind of what has its rows itself, or in its partitions."""


@frozen
class OwnRelations:
    windows: Set[str]
    """New ones that show the rows of others: views, foreign tables."""
    shared: Set[str]
    """Those that have got what was there as a partition."""

    def made(self, name: str, world: World) -> bool:
        """Whether dropping or altering it concerns nothing that was there before."""
        return name not in self.shared and world.is_certainly_new(name)

    def has(self, name: str, world: World) -> bool:
        """Whether its rows are the migration's own, too."""
        if name in self.windows or not self.made(name, world):
            return False
        facts = world.relation(name)
        return facts is None or (facts.kind in _WITH_ROWS and all(map(world.is_new, world.leaves(name))))


def own_relations(subjects: Iterable[Subject]) -> OwnRelations:
    windows: set[str] = set()
    shared: set[str] = set()
    for subject in subjects:
        name, tree, world = subject.statement.name, subject.statement.tree, subject.world
        if name == "view_stmt":
            windows.add(world.name(tree.view))
        elif name == "create_foreign_table_stmt":
            windows.add(world.name(tree.base_stmt.relation))
        elif name == "alter_table_stmt" and _attaches_others(tree, world):
            shared.add(world.name(tree.relation))
    return OwnRelations(windows, shared)


def _attaches_others(tree: Node, world: World) -> bool:
    return any(not world.is_new(name) for name in attached(tree, world))


def attached(tree: Node, world: World) -> tuple[str, ...]:
    """What an ALTER TABLE makes a partition."""
    found = (item for item in commands(tree) if enum(item, "subtype") == "AT_AttachPartition")
    return tuple(world.name(getattr(item, "def").partition_cmd.name) for item in found)
