"""What goes on around the objects that a migration touches: who a statement would wait for, and how near limits are.

Read with the catalog facts. On a standby its sessions are left out: they lock nothing on the primary.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from migrator.frozen import frozen


@frozen
class OpenTransaction:
    """A transaction of the database that holds a snapshot or locks."""

    who: str
    """ "pid 4711 (idle in transaction)", "prepared transaction 'x'", "replication slot s"."""
    seconds: float | None = None


@frozen
class SequenceUse:
    """How far a sequence is through what its column can hold."""

    sequence: str
    column: str
    """Qualified: "public.users.id"."""
    type: str
    last_value: int
    limit: int
    """The largest value that both the sequence and the column's type have."""

    @property
    def used(self) -> float:
        return self.last_value / self.limit if self.limit else 0.0


@frozen
class Surroundings:
    standbys: int | None = None
    """Physical standbys that stream from this server; None when nobody knows."""
    transactions: tuple[OpenTransaction, ...] = ()
    """Oldest first."""
    wraparound: tuple[str, ...] = ()
    """Tables that autovacuum works on to prevent wraparound: there it does not give way."""
    freeze_max_age: int = 200_000_000
    ages: Mapping[str, int] = field(default_factory=dict)
    """By table: age of the oldest transaction id in it; at `freeze_max_age` such an autovacuum begins."""
    sequences: tuple[SequenceUse, ...] = ()


Ask = Callable[..., Sequence[Mapping[str, Any]]]


def read_surroundings(ask: Ask, names: Mapping[int, str], *, standby: bool) -> Surroundings:
    """:param ask: runs a query of surroundings.sql. :param names: the relations in question, by oid."""
    oids = "{" + ",".join(map(str, sorted(names))) + "}"  # a list of thousands takes far longer to write
    server = ask("replication")[0]
    transactions = () if standby else ask("transactions")
    return Surroundings(
        standbys=max(int(server["standbys"]), 1) if standby else int(server["standbys"]),
        transactions=tuple(OpenTransaction(row["who"], row["seconds"]) for row in transactions),
        wraparound=() if standby else tuple(names[row["oid"]] for row in ask("wraparound", oids=oids)),
        freeze_max_age=int(server["freeze_max_age"]),
        ages={names[row["oid"]]: int(row["age"]) for row in ask("ages", oids=oids)},
        sequences=tuple(
            SequenceUse(row["sequence"], row["name"], row["type"], int(row["last_value"]), int(row["highest"]))
            for row in ask("sequences", oids=oids)
        ),
    )
