"""What a writer knows of its rows: what it has committed, what is open, and what it saw that cannot be.

A row that is still to be filled may be filled at any moment. Whoever reads it learns which of the two it is: anything
else is a row that was lost, changed by somebody, changed twice or from values that were no longer its own.
"""

from __future__ import annotations

from dataclasses import replace

from tests.torture import backfill
from tests.torture.table import Row


class Wrong(Exception):
    """The database holds what it cannot hold."""


class Model:
    """The rows of one owner. A transaction drafts its changes; `settle` keeps them, `forget` drops them.

    :param undone: whether what is filled may be taken back at any moment as well.
    """

    def __init__(self, form: str, rows: dict[int, Row], *, undone: bool = False) -> None:
        self.form, self.rows, self.undone = form, rows, undone
        self.gone: set[int] = set()
        """Keys that were there once, and may be there again."""
        self.draft: dict[int, Row | None] = {}

    def row(self, n: int) -> Row | None:
        return self.draft[n] if n in self.draft else self.rows.get(n)

    def there(self) -> list[int]:
        """Keys of the rows that this transaction knows of."""
        if not self.draft:
            return list(self.rows)
        return [n for n in {**self.rows, **self.draft} if self.row(n) is not None]

    def put(self, n: int, row: Row | None) -> None:
        self.draft[n] = row

    def saw(self, n: int, a: int, b: int | None, token: int, rank: int) -> Row:
        """The row as it was read, which is what it will be for the rest of the transaction.

        :raises Wrong: it cannot be so.
        """
        known = self.row(n)
        if known is None:
            raise Wrong(f"row {n} is there again, with token {token}, and nobody has written it")
        if (token, rank) != (known.token, known.rank):
            raise Wrong(f"row {n} has token and rank {token, rank}, written were {known.token, known.rank}")
        if (a, b) not in self.possible(known):
            raise Wrong(f"row {n} has {a, b} in a and b, and may have {self.possible(known)}; {known}")
        found = replace(known, filled=known.filled if b is None else b) if self.undone else replace(known, a=a, b=b)
        self.put(n, found)
        return found

    def possible(self, known: Row) -> list[tuple[int, int | None]]:
        """What `a` and `b` may hold."""
        if known.b is not None:
            return [(known.a, known.b)]
        filled = backfill.done(self.form, known.a)
        if filled is not None and known.filled is not None:
            filled = (filled[0], known.filled)
        return [(known.a, None), *([] if filled is None else [filled])]

    def missing(self, n: int) -> None:
        """It was looked for and is not there. :raises Wrong: it must be."""
        known = self.row(n)
        if known is None:
            return
        if self.form != "delete" or known.b is not None:
            raise Wrong(f"row {n} is lost: {known}")
        self.put(n, None)

    def settle(self, now: float) -> int:
        """The transaction is committed. Returns how many rows it has written."""
        for n, row in self.draft.items():
            if row is None:
                self.rows.pop(n, None)
                self.gone.add(n)
                continue
            self.gone.discard(n)
            known = self.rows.get(n)
            fresh = known is None or known.token != row.token
            self.rows[n] = replace(row, since=now) if fresh else row
        count = len(self.draft)
        self.forget()
        return count

    def forget(self) -> None:
        self.draft = {}
