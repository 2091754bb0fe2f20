"""The order of safe work: what may share a transaction, and what must wait for the migration before it.

A lock is held until the transaction ends, so nothing that reads all rows may follow a strong lock in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from migrator.nodes import Node
from migrator.rules.rewrite import script


@dataclass(frozen=True)
class Steps:
    """Statements by phase; phases run one after another. Each phase is one transaction, or one for each statement."""

    expand: tuple[Node, ...] = ()
    """Instant changes of the catalog: one transaction."""
    fill: tuple[Node, ...] = ()
    """Batches that commit by themselves: each a migration of its own, outside a transaction."""
    constrain: tuple[Node, ...] = ()
    """NOT VALID constraints, once old rows obey them: one transaction."""
    refer: tuple[Node, ...] = ()
    """NOT VALID foreign keys: they lock two tables, so each is a migration of its own."""
    validate: tuple[Node, ...] = ()
    """VALIDATE CONSTRAINT: each a migration of its own."""
    index: tuple[Node, ...] = ()
    """CONCURRENTLY: each a migration of its own, outside a transaction."""
    finish: tuple[Node, ...] = ()
    """What is instant now, because of all that: one transaction."""
    after: tuple[Node, ...] = ()
    """VALIDATE CONSTRAINT of what `finish` added: each a migration of its own."""

    def __add__(self, other: Steps) -> Steps:
        return Steps(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))

    def migrations(self) -> tuple[Sequence[Node], ...]:
        return (
            self.expand,
            *((node,) for node in self.fill),
            self.constrain,
            *((node,) for node in (*self.refer, *self.validate, *self.index)),
            self.finish,
            *((node,) for node in self.after),
        )

    def script(self) -> str:
        return script(*self.migrations())
