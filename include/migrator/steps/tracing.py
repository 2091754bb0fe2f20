"""Watch statements as they really run: the hooks that apply's step code calls around statements and commits.

Production runs without a tracer; dry_run passes one, so that what it measures is the very code that production runs.
"""

from __future__ import annotations

from typing import Any, Protocol

import psycopg

from migrator.plan import Statement


class Tracer(Protocol):
    """Called by the step kinds around each statement, on the connection that runs it.

    For a transactional step `after` is called while the transaction is still open (its locks are still held). It is
    not called for a statement that failed.
    """

    def before(self, step: str, statement: Statement, conn: psycopg.Connection[Any]) -> None:
        """Just before `statement` of the step named `step` is sent."""

    def after(self, step: str, statement: Statement, conn: psycopg.Connection[Any], *, rows: int) -> None:
        """Just after it was done; `rows` is the cursor's row count, -1 when the server reported none."""

    def deferred(self, conn: psycopg.Connection[Any]) -> None:
        """After what the statements of a transaction have deferred has run, while the transaction is still open."""

    def committed(self, conn: psycopg.Connection[Any]) -> None:
        """Just after COMMIT, which runs what those have deferred in turn."""


class Watch(Protocol):
    """Looks at each moment at which an attempt may end."""

    def went_on(self) -> None:
        """A part has taken effect, and the ledger says so."""
