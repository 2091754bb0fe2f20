"""Which transactions a step is made of, and which others went on beside it: those may write later what is as old by its
number.

Noted with each change of the step's row that may come with work of its own, under a number that comes after all that
this work has used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from migrator.database.session import Connection
from migrator.frozen import frozen
from migrator.ledger import events
from migrator.ledger.connection import LedgerConnection


@frozen
class Work:
    """Transactions as rows name them, without an epoch."""

    first: str
    last: str
    single: str | None
    """The only one, and its subtransactions; None: there may be several."""
    others: tuple[str, ...]
    """Went on when it began, or when it ended."""
    written: Mapping[int, str]
    """By the oid of a table that one of those may have written when it ended, the oldest of them."""
    is_noted: bool
    """False: an older engine has done it, and nobody knows the others."""

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Work:
        noted: Mapping[str, Any] = row["others"] or {}
        return cls(
            first=row["first"],
            last=noted.get("last", row["first"]),
            single=row["own"],
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
    whole: bool = False,
    **values: Any,
) -> int:
    """Make a change of the step's row; the number of rows that it met.

    :param whole: it is made in the transaction of the step itself, the last one that it has.
    """
    with connection.transaction():
        met = ledger.execute(connection, change, version=version, step=step, **values)
        for found in ledger.fetch(connection, "others_at_work", version=version, step=step) if met else ():
            known = found["before"] if found["has_begun"] or not begins else ()
            before = [*(known or ()), *(found["going"] if begins else ())]
            others = {"before": before, "last": found["last"], "after": found["going"], "written": found["written"]}
            own = found["own"] if whole else None
            ledger.execute(
                connection, "note_others", version=version, step=step, own=own, others=events.as_json(others)
            )
    return met
