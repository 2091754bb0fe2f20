"""Relations that the migration has made itself, with nobody else's rows behind them: what it does to them harms nobody.

New is not enough. A view is new and its rows are another table's, so are those of a table that was attached as a
partition, and CREATE TABLE IF NOT EXISTS makes nothing where there is one already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

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
    """Those that have got what was there as a partition or child."""

    def made(self, name: str, world: World) -> bool:
        """Whether dropping or altering it concerns nothing that was there before."""
        return name not in self.shared and world.is_certainly_new(name)

    def has(self, name: str, world: World) -> bool:
        """Whether its rows are the migration's own, too."""
        if name in self.windows or not self.made(name, world):
            return False
        facts = world.relation(name)
        return facts is None or (facts.kind in _WITH_ROWS and all(map(world.is_certainly_new, world.leaves(name))))

    def along(self, names: Iterable[str], world: World, actions: Set[str] | None = None) -> tuple[str, ...]:
        """Tables of others whose rows go or change with all rows of these: by TRUNCATE ... CASCADE, or where a foreign
        key says so.

        :param actions: of pg_constraint.confdeltype, for DELETE; None: all, for TRUNCATE.
        """
        found: dict[str, None] = {}
        stack = list(names)
        passed = set(stack)
        while stack:
            known = world.relation(stack.pop())
            for other in known.referenced_by if known is not None else ():
                facts = world.partial(other)
                keys = (item for item in facts.constraints if item.referenced == known.name) if facts and known else ()
                if other in passed or not (actions is None or any(item.on_delete in actions for item in keys)):
                    continue
                passed.add(other)
                stack += (other, *world.leaves(other))
                if not self.has(other, world):
                    found[other] = None
        return tuple(found)


def own_relations(subjects: Iterable[Subject]) -> OwnRelations:
    windows: set[str] = set()
    shared: set[str] = set()
    for subject in subjects:
        name, tree, world = subject.statement.name, subject.statement.tree, subject.world
        if name == "view_stmt":
            windows.add(world.name(tree.view))
        elif name == "create_foreign_table_stmt":
            windows.add(world.name(tree.base_stmt.relation))
        elif name == "alter_table_stmt":
            shared.update(_gets_others(tree, world))
    return OwnRelations(windows, shared)


def _gets_others(tree: Node, world: World) -> Iterator[str]:
    """Tables that an ALTER TABLE puts others' rows below."""
    table = world.name(tree.relation)
    if any(not world.is_certainly_new(name) for name in attached(tree, world)):
        yield table
    if not world.is_certainly_new(table):
        for item in commands(tree):
            if enum(item, "subtype") == "AT_AddInherit":
                yield world.name(getattr(item, "def").range_var)


def attached(tree: Node, world: World) -> tuple[str, ...]:
    """What an ALTER TABLE makes a partition."""
    found = (item for item in commands(tree) if enum(item, "subtype") == "AT_AttachPartition")
    return tuple(world.name(getattr(item, "def").partition_cmd.name) for item in found)
