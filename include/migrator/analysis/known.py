"""What an analysis is of, and what is known meanwhile: one value each, made once and handed on."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from migrator.analysis.effects import ASSUMED, Assumed
from migrator.analysis.walk.pending import NOTHING_BEFORE, Before
from migrator.facts.facts import CatalogFacts
from migrator.frozen import frozen
from migrator.parsing.statements import ParsedFile

if TYPE_CHECKING:
    from migrator.analysis.estimate import Basis
    from migrator.analysis.walk.lock_order import LockOrder
    from migrator.catalogue.metadata import Allow


@frozen
class Sources:
    """The files of one migration, or a bare file, with what the metadata says about how they run."""

    sql: tuple[ParsedFile, ...]
    """In the order in which they run."""
    rollback: ParsedFile | None = None
    transaction: bool | None = None
    """The metadata's `transaction`."""
    allow: tuple[Allow, ...] = ()
    has_metadata: bool = False
    assertions: tuple[ParsedFile, ...] = ()
    """The queries of the metadata's `verify`, each a text of its own."""

    @property
    def files(self) -> tuple[ParsedFile, ...]:
        """All of them, the rollback script last."""
        return (*self.sql, *((self.rollback,) if self.rollback else ()))


@frozen
class Known:
    """Of the database, of other migrations, and of the day."""

    facts: CatalogFacts | None = None
    """None: without a connection."""
    basis: Basis | None = None
    """Of the estimates, which are made with `facts` only; None takes default costs."""
    assumed: Assumed = ASSUMED
    """What to take for granted without `facts`."""
    before: Before = NOTHING_BEFORE
    """Migrations that come first and may not be applied yet."""
    pending: tuple[LockOrder, ...] = ()
    """How all others that are still to be applied lock relations."""
    today: date | None = None
    """None means that no allowance ever expires."""


NOTHING_KNOWN = Known()
