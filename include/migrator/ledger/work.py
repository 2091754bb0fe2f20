"""Which transactions a step is made of, and which others went on beside it: those may write later what is as old by its
number.

A batch notes its own number; it has no part in which anything but triggers writes. What else writes in a transaction of
the ledger notes that one and its parts, under a number that comes after all that this work has used. What a statement
writes that ends transactions itself, as a procedure may, nobody notes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from migrator.database.session import Connection
from migrator.frozen import frozen
from migrator.ledger import events
from migrator.ledger.connection import LedgerConnection

MOST_PARTS = 50_000
"""Numbers since the transaction began; so many are asked for within 20 ms."""

NUMBERS = 2**32
_SPAN = re.compile(r"\[(\d+),(\d+)\)")


@frozen
class Work:
    """Transactions as rows name them, without an epoch; ranges with it."""

    first: str | None
    """From which on it may have written; None: it writes no rows."""
    own: str
    """Its transactions, as an int8multirange."""
    parts: str
    """Parts of them; but where others were writing, a part of theirs may be among them."""
    others: tuple[str, ...]
    """Went on when it began, or when it ended."""
    written: Mapping[int, str]
    """By the oid of a table that one of those may have written when it ended, the oldest of them."""
    is_noted: bool
    """False: an older engine has done it, and nobody knows the others."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of its own transactions, without their epoch."""
        spans = ((int(first), int(end)) for first, end in _SPAN.findall(self.own))
        return tuple(number % NUMBERS for first, end in spans for number in range(first, end))

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Work:
        noted: Mapping[str, Any] = row["others"] or {}
        return cls(
            first=row["first"],
            own=row["own"] or "{}",
            parts=row["parts"] or "{}",
            others=tuple(dict.fromkeys([*noted.get("before", ()), *noted.get("after", ())])),
            written={int(oid): oldest for oid, oldest in noted.get("written", {}).items()},
            is_noted="last" in noted,
        )


def write(
    ledger: LedgerConnection,
    connection: Connection,
    change: str,
    *,
    version: str,
    step: str,
    begins: bool = False,
    within: bool = False,
    **values: Any,
) -> int:
    """Make a change of the step's row; the number of rows that it met.

    :param within: it is made in a transaction of the step itself.
    """
    with connection.transaction():
        met = ledger.execute(connection, change, version=version, step=step, **values)
        for found in ledger.fetch(connection, "others_at_work", version=version, step=step) if met else ():
            known = found["before"] if found["has_begun"] or not begins else ()
            before = [*(known or ()), *(found["going"] if begins else ())]
            going, last = found["going"], found["last"]
            others = {"before": before, "last": last, "after": going, "written": found["written"]}
            ledger.execute(connection, "note_others", version=version, step=step, others=events.as_json(others))
            if within:
                ledger.execute(
                    connection, "note_own", version=version, step=step, last=last, going=going, most=MOST_PARTS
                )
    return met
