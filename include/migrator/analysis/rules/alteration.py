"""One subcommand of an ALTER TABLE on a table that others use, with what it alone does."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from migrator.analysis.effects import Effects, World, effects_of
from migrator.analysis.effects.alter.table import after, alone, in_order
from migrator.analysis.rules.model import severity_by_size, size_text
from migrator.analysis.rules.skips import skips_column
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import RelationFacts
from migrator.frozen import frozen
from migrator.parsing.nodes import Node, commands, copy_of, enum
from migrator.plan import Severity


@frozen
class Alteration:
    subject: Subject
    command: Node
    """The AlterTableCmd."""
    table: str
    world: World
    """What is known when it runs: after those of the statement that PostgreSQL runs before it."""
    position: int
    """Among the subcommands as they are written."""

    @property
    def relation(self) -> Node:
        """The RangeVar, as the statement writes it."""
        return self.subject.statement.tree.relation

    @property
    def subtype(self) -> str:
        return enum(self.command, "subtype")

    @property
    def facts(self) -> RelationFacts | None:
        return self.world.relation(self.table)

    @property
    def column_def(self) -> Node:
        return getattr(self.command, "def").column_def

    @property
    def constraint(self) -> Node:
        return getattr(self.command, "def").constraint

    @property
    def is_partitioned(self) -> bool:
        return self.facts is not None and self.facts.kind == "p"

    @functools.cached_property
    def alone(self) -> Node:
        """The statement with nothing but this subcommand."""
        return alone(self.subject.statement.tree, self.command)

    @functools.cached_property
    def effects(self) -> Effects:
        if len(self.subject.statement.tree.cmds) == 1:
            return self.subject.effects
        return effects_of(self.alone, self.world)

    @property
    def heavy(self) -> bool:
        """Whether it reads or writes all rows of a relation."""
        return bool(self.effects.rewrites or self.effects.scans)

    @property
    def size(self) -> str:
        return size_text(self.subject, self.table)

    @property
    def doubt(self) -> str:
        """For the end of a message: what was assumed, "" when nothing was."""
        return f"; that is assumed: {'; '.join(self.effects.assumptions)}" if self.effects.assumptions else ""

    @property
    def severity(self) -> Severity:
        """By size; `info` when only an assumption makes it heavy."""
        return self.severity_of(assumed=bool(self.effects.assumptions))

    def severity_of(self, *, assumed: bool) -> Severity:
        return Severity.INFO if assumed else severity_by_size(self.subject, self.table)


def alterations(subject: Subject, *subtypes: str) -> Iterator[Alteration]:
    """The subcommands of these subtypes that do something; none when the migration itself has created the table."""
    if "alterations" not in subject.memo:
        subject.memo["alterations"] = tuple(_all(subject))
    for subtype, item in subject.memo["alterations"]:
        if not subtypes or subtype in subtypes:
            yield item


def _all(subject: Subject) -> Iterator[tuple[str, Alteration]]:
    if subject.statement.name != "alter_table_stmt":
        return
    tree, world = subject.statement.tree, subject.world
    table = world.name(tree.relation)
    if world.is_new(table):
        return
    written, before = commands(tree), None
    for command in in_order(tree):
        world = world if before is None else after(tree, before, world)
        position = next((place for place, item in enumerate(written) if item is command), 0)
        before = None if skips_column(command, table, world) else command
        if before is not None:
            yield enum(command, "subtype"), Alteration(subject, command, table, world, position)


def foreign_keys(subject: Subject) -> Iterator[tuple[Alteration, Node]]:
    """Foreign keys that are added, to the table or with a new column, as constraints of the table."""
    for item in added_constraints(subject, "FOREIGN"):
        yield item, item.constraint
    for item in alterations(subject, "AT_AddColumn"):
        for part in item.column_def.constraints:
            if enum(part.constraint, "contype") == "CONSTR_FOREIGN":
                constraint = copy_of(part.constraint)
                constraint.fk_attrs.add().string.sval = item.column_def.colname
                yield item, constraint


def added_constraints(subject: Subject, *kinds: str) -> Iterator[Alteration]:
    """ADD CONSTRAINT of these kinds ("CHECK", "FOREIGN", "UNIQUE", "PRIMARY", "NOTNULL", "EXCLUSION")."""
    for item in alterations(subject, "AT_AddConstraint"):
        if enum(item.constraint, "contype").removeprefix("CONSTR_") in kinds:
            yield item
