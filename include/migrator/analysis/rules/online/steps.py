"""The order of safe work: what may share a transaction, and what must wait for the migration before it.

A lock is held until the transaction ends, so nothing that reads all rows may follow a strong lock in one transaction.
"""

from __future__ import annotations

from dataclasses import fields

from migrator.frozen import frozen
from migrator.parsing.build import NEXT, script
from migrator.parsing.nodes import Node


@frozen
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

    notes: tuple[str, ...] = ()
    """What the statements of `finish` leave to people: lines of comment before them."""

    def __add__(self, other: Steps) -> Steps:
        return Steps(*(getattr(self, name) + getattr(other, name) for name in _FIELDS))

    def script(self) -> str:
        before = (
            self.expand,
            *((node,) for node in self.fill),
            self.constrain,
            *((node,) for node in (*self.refer, *self.validate, *self.index)),
        )
        notes = "".join(f"-- {note}\n" for note in self.notes)
        finish = f"{notes}{script(self.finish)}" if self.finish else ""
        after = script(*((node,) for node in self.after))
        return f"\n{NEXT}\n".join(text for text in (script(*before), finish, after) if text)


_FIELDS = tuple(item.name for item in fields(Steps))
