"""The SQL statements that a body runs, and what of it cannot be known before it runs."""

from __future__ import annotations

from migrator.frozen import frozen
from migrator.parsing.routines.drafts import Draft


@frozen
class Piece:
    """One SQL statement of a body. `offset` is its place in the file, in characters."""

    sql: str
    offset: int
    conditional: bool = False
    """Inside IF, CASE or an exception handler: it may not run."""
    looped: bool = False
    """Inside a loop: it may run many times."""
    value: bool = False
    """Not a statement: SELECT of an expression that the language evaluates (a condition, an assignment)."""
    caught: tuple[str, ...] = ()
    """What the EXCEPTION blocks around it catch, as it is written there: "duplicate_object", "42710", "others"."""


@frozen
class Gap:
    """Something that runs but was not analysed."""

    offset: int
    what: str
    why: str


@frozen
class Fault:
    """The body cannot be right. `alternative`: the statement as PostgreSQL takes it, where that is known."""

    offset: int
    message: str
    hint: str = ""
    alternative: str | None = None


@frozen
class Contents:
    pieces: tuple[Piece, ...] = ()
    """In the order of the text."""
    gaps: tuple[Gap, ...] = ()
    faults: tuple[Fault, ...] = ()
    drafts: tuple[Draft, ...] = ()
    """What is known of the texts that it runs and puts together before."""
