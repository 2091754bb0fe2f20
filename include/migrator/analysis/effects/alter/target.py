"""The table that an ALTER is about, with everything below it that the same command reaches."""

from __future__ import annotations

from collections.abc import Iterable

from migrator.analysis.effects.model import Failure, Recorder
from migrator.analysis.effects.names.dependents import indexes_of
from migrator.analysis.effects.world import World
from migrator.facts.facts import ColumnFacts, ConstraintFacts, RelationFacts
from migrator.frozen import frozen
from migrator.lock_modes import AX

WITHOUT_ROWS = ("p", "f", "v", "I")


@frozen
class Target:
    name: str
    """Qualified."""
    world: World
    out: Recorder
    only: bool = False
    """ALTER TABLE ONLY."""

    @property
    def bare(self) -> str:
        return self.name.rsplit(".", 1)[-1]

    @property
    def schema(self) -> str:
        return self.name.rsplit(".", 1)[0]

    @property
    def facts(self) -> RelationFacts | None:
        return self.world.relation(self.name)

    @property
    def kind(self) -> str:
        """pg_class.relkind; of an unknown relation that of a table."""
        return self.facts.kind if self.facts is not None else "r"

    @property
    def is_new(self) -> bool:
        return self.world.is_new(self.name)

    @property
    def is_told(self) -> bool:
        return self.world.is_told(self.name)

    @property
    def below(self) -> tuple[str, ...]:
        """Partitions and inheritance children at every depth; none with ONLY."""
        return () if self.only else self.world.leaves(self.name)

    @property
    def family(self) -> tuple[str, ...]:
        return (self.name, *self.below)

    def with_rows(self, names: Iterable[str] | None = None) -> tuple[str, ...]:
        """Those of the family that hold rows themselves."""
        found = ((name, self.world.relation(name)) for name in (self.family if names is None else names))
        return tuple(name for name, facts in found if facts is None or facts.kind not in WITHOUT_ROWS)

    @property
    def is_empty(self) -> bool:
        """Nothing was ever written, as far as is known: a new table, or one without a page."""
        names = self.with_rows()
        facts = [None if self.world.made_by(name) else self.world.relation(name) for name in names]
        return self.is_new or all(item is not None and item.bytes == 0 for item in facts)

    def column(self, name: str) -> ColumnFacts | None:
        """What is known of a column; one that does not exist fails the statement."""
        facts = self.facts
        if facts is None or self.is_told:
            return self.world.column(self.name, name)
        found = facts.columns.get(name)
        if found is None:
            self.out.fail("42703", f'column "{name}" of relation "{self.bare}" does not exist')
        return found

    def constraint(self, name: str) -> ConstraintFacts | None:
        """What is known of a constraint; one that does not exist fails the statement."""
        found = self.world.constraint(self.name, name)
        if found is None and self.facts is not None and not self.is_told:
            self.out.fail("42704", f'constraint "{name}" of relation "{self.bare}" does not exist')
        return found

    def rewrite(self, names: Iterable[str] | None = None) -> None:
        """Every table of the family gets a new file, and so does every index of it."""
        self.row_type_is_free()
        for name in self.with_rows(names):
            self.out.rewrite(name)
            for index in indexes_of(self.world, name):
                self.out.lock(index.name, AX)
                self.out.rebuild(index.name)

    def row_type_is_free(self) -> None:
        """Values of the table's row type that are stored elsewhere cannot be changed."""
        if any(facts is not None and facts.row_type_used for facts in map(self.world.relation, self.family)):
            self.out.fail("0A000", f'cannot alter table "{self.bare}" because a column uses its row type')

    def scan(self, names: Iterable[str] | None = None) -> None:
        for name in self.with_rows(names):
            self.out.scan(name)

    def needs(self, major: int, what: str) -> None:
        """Syntax or behaviour that came with a major."""
        if self.world.major < major:  # the parser comes first, whatever else is wrong
            self.out.fails = Failure("42601", f"{what} needs PostgreSQL {major} or later")
        else:
            self.out.differs(f"{what} needs PostgreSQL {major} or later; older ones answer with a syntax error")
            if self.world.facts is None:
                self.out.assume(f"the server is PostgreSQL {self.world.major}, which has {what}")
