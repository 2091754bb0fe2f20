"""Has a migration reached for the ledger? Asked inside its own transaction, before the ledger's row is written there.

What the text of a migration shows is refused by the analysis. A statement that is put together at run time shows
nothing, so it is looked at what it did: which locks on the ledger's relations its transaction holds (nobody writes a
row, alters a table or takes a guard off without one, and it is held until the end), what lies in the ledger's schema,
and whether the chain went on from where it was, with the same reviews of this version.

A statement that commits by itself cannot be taken back. Then the same is asked right after it, but for the locks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from migrator.database import naming, session
from migrator.database.session import Connection
from migrator.database.vocabulary import told_name
from migrator.errors import LedgerTampered
from migrator.ledger import chain, shape, states
from migrator.ledger.reader import PAGE, LedgerReader
from migrator.ledger.rows import LedgerEvent
from migrator.ledger.version import SCHEMA_VERSION


@dataclass(frozen=True)
class Mark:
    """How the ledger was when the first statement had not been sent yet."""

    version: str
    head_count: int
    head_hash: str
    reviews: int
    """Number of the version's reviews. They are all given before it is applied, so there is none to come."""
    others: str
    """Digest of the rows of all other versions. Nobody but a person who repairs changes them meanwhile."""


Version = tuple[str, str, int]
"""Relation, place and writer of a row."""


@dataclass(frozen=True)
class Sealed:
    """What the ledger holds when everything is written that belongs to a transaction, right before its COMMIT."""

    after: int
    """Event from which on rows are listed."""
    own: int
    """The transaction, without its epoch."""
    next: int
    """The first transaction, or part of one, that did not exist yet."""
    rows: frozenset[Version]


class GuardedLedger(LedgerReader):
    """A ledger beside which somebody else's statements run."""

    _before: Mark | None = None

    def watch(self, version: str, connection: Connection | None = None) -> None:
        """From here on `require_untouched` compares with what the ledger holds now: before the first statement is sent.

        :param connection: with an open transaction of the ledger, to be asked in it.
        """
        self._before = self._mark_now(self.connection if connection is None else connection, version)
        self.prepare_turn()

    def require_untouched(self, *, on: Connection | None = None) -> None:
        """The statements of a migration have left the ledger alone. With `on` it is their open transaction that is
        asked, once, before the engine's own first write there and after deferred triggers were made to run; without, it
        is what they have committed by themselves.

        :raises LedgerTampered: they have not. With `on` nothing may be committed then.
        """
        if on is None:
            with self.transaction() as connection:
                found = self._unlike_before(connection)
        else:
            found = self._of_transaction(on) or self._unlike_before(on)
        self._refuse(found, on)

    def require_unlocked(self, on: Connection) -> None:
        """Before the turn is waited for: an open transaction that has locked the ledger, or dropped some of it, would
        keep us waiting for it. All else of its shape is looked at in the turn.

        :raises LedgerTampered: it has.
        """
        found = self._of_transaction(on)
        if not found and not shape.is_there(on, self.schema, SCHEMA_VERSION):
            found = self._shape_on(on)
        self._refuse(found, on)

    def ready(self, on: Connection) -> None:
        """Before a transaction that takes locks: what is asked while it holds them is asked once, in the same session.
        The first time costs three times as much, for the catalogs that the server has to read."""
        with session.translated(), on.transaction(force_rollback=True):
            self._of_transaction(on)
            self._shape_on(on)
            self.before_commit(on)

    def is_light(self, on: Connection) -> bool:
        """Whether an open transaction, in which deferred triggers were made to run, has written rows of tables and
        nothing else, by its own counters, and no trigger can have been deferred anew: COMMIT runs nobody's code."""
        return bool(shape.ask(on, "is_light", schema=self.schema)[0]["found"])

    def require_unlocked_lightly(self, on: Connection) -> None:
        """Of a transaction that is light, one of many like it: the chain is looked at between them, every now and then,
        by `require_untouched`.

        :raises LedgerTampered: it holds locks there.
        """
        self._refuse(self._of_transaction(on), on)

    def _refuse(self, found: tuple[str, ...], on: Connection | None) -> None:
        if not found:
            return
        after = "it is rolled back" if on is not None else "what it has committed stays: put the ledger back as it was"
        raise LedgerTampered(
            f"the migration reached for its own ledger: {shape.told(found)}. {after}, and take that out of the"
            f" migration: the engine alone writes there{'' if on is None else self._led_there(on)}",
            problems=found,
        )

    def _led_there(self, on: Connection) -> str:
        """Whether a name without a schema was enough: then nobody has meant to."""
        path = naming.path_of(on)
        users = {on.info.user, self.endpoint.role}
        if path is None or not any(
            part == self.schema or (part == "$user" and self.schema in users) for part in naming.names_in(path)
        ):
            return ""
        return (
            f". its search_path was {told_name(path)}, and through that names without a schema lead to the ledger's"
            f' schema "{self.schema}": write the schema before the names, or give search_path the one that is meant'
        )

    def before_commit(self, on: Connection) -> Sealed:
        """To be asked in the open transaction, after the engine's last write there.

        COMMIT still runs what a deferred trigger has deferred anew. It runs as the migration's role, so it could write
        here, with hashes that fit; but what it writes carries this transaction, or a part of it that begins only then.
        """
        after = self._before.head_count if self._before is not None else 0
        horizon = self.fetch(on, "horizon")[0]
        return Sealed(after, horizon["own"] or -1, horizon["next"], self._rows_now(on, after))

    def require_only(self, sealed: Sealed, version: str) -> None:
        """The COMMIT has written nothing more than was there before it. To be asked in the same turn.

        :raises LedgerTampered: it has; that is written down, and nothing is applied until a person has answered for it.
        """
        with self.transaction() as connection:
            now = self._rows_now(connection, sealed.after)
            end = self.fetch(connection, "horizon")[0]["next"]
        found = sorted({row[0] for row in now - sealed.rows if _is_of(row[2], sealed, end)})
        found += sorted(name for name, lost in _lost(sealed.rows, now).items() if lost)
        if not found:
            return
        problems = tuple(f"its COMMIT has written to {name}" for name in dict.fromkeys(found))
        self.tampered(version, problems)
        raise LedgerTampered(
            f"the migration reached for its own ledger: {'; '.join(problems)}. what it has committed stays: find out"
            f' what it wrote, put the ledger back as it was, then say so with "migrator ledger repair {version}"',
            problems=problems,
        )

    def tampered(self, version: str, problems: tuple[str, ...]) -> None:
        """Write it down. Of a ledger that only reads: nothing."""

    @contextmanager
    def kept_from_others(self, version: str) -> Iterator[None]:
        """While a procedure of `version` runs that commits by itself, nobody writes to the ledger. It would wait, and
        fail.

        :raises LedgerTampered: it has ended the session that keeps it so; that is written down.
        """
        keeping = session.connect(self.endpoint, purpose="ledger")
        try:
            with session.translated():
                keeping.execute("BEGIN")
                self.execute(keeping, "keep_from_others")
            try:
                yield
            finally:
                self._require_kept(keeping, version)
        finally:
            keeping.close()

    def _require_kept(self, keeping: Connection, version: str) -> None:
        try:
            keeping.execute("SELECT 1")
        except psycopg.Error:
            problem = "the session that kept the ledger from others was ended while its procedure ran"
            self.tampered(version, (problem,))
            raise LedgerTampered(
                f"the migration may have reached for its own ledger: {problem}. look what it has committed there, put"
                f' the ledger back as it was, then say so with "migrator ledger repair {version}"',
                problems=(problem,),
            ) from None

    def _rows_now(self, connection: Connection, after: int) -> frozenset[Version]:
        rows = self.fetch(connection, "versions", after=after)
        return frozenset((row["relation"], row["place"], row["written_by"]) for row in rows)

    def _shape_on(self, connection: Connection) -> tuple[str, ...]:
        return shape.problems(shape.read(connection, self.schema), SCHEMA_VERSION)

    def _of_transaction(self, connection: Connection) -> tuple[str, ...]:
        """What the open transaction has done to rows and tables, or will do at COMMIT."""
        locked = shape.ask(connection, "locked", schema=self.schema)
        cursors = shape.ask(connection, "held_cursors", schema=self.schema)
        return (
            *(f"its transaction has written to or locked {row['name']} ({row['mode']})" for row in locked),
            *(
                f"its cursor {row['name']!r} WITH HOLD would run its query at COMMIT, after all was looked at: CLOSE it"
                for row in cursors
            ),
        )

    def _unlike_before(self, connection: Connection) -> tuple[str, ...]:
        """With the head held, so that an honest writer of events comes before all that is read here, or after it."""
        if found := self._shape_on(connection):
            return found
        self.take_head(connection)
        return self._since_mark(connection)

    def _since_mark(self, connection: Connection) -> tuple[str, ...]:
        """Whether the chain goes on from the mark. Others may add events meanwhile, and reviews of other versions."""
        before = self._before
        if before is None:
            return ()
        now = self._mark_now(connection, before.version)
        events = list(self._events_from(connection, before.head_count))
        if not events or (events[0].id, events[0].hash) != (before.head_count, before.head_hash):
            return (f"event {before.head_count} is not the one that was there before the first statement",)
        found = list(
            chain.problems(
                events[1:],
                head_count=now.head_count,
                head_hash=now.head_hash,
                after=(before.head_count, before.head_hash),
            )
        )
        if now.reviews != before.reviews:
            found.append(f"{before.version} has {now.reviews} reviews now, {before.reviews} before its first statement")
        told = any(event.version != before.version and states.STATUS in event.detail for event in events[1:])
        if now.others != before.others and not told:
            found.append("rows of schema_migrations of other versions were changed, and no event tells of it")
        return tuple(found)

    def _mark_now(self, connection: Connection, version: str) -> Mark:
        rows = self.fetch(connection, "mark", version=version)
        if not rows:
            raise LedgerTampered(f"the ledger in schema {self.schema!r} has lost its identity row")
        return Mark(version=version, **rows[0])

    def _events_from(self, connection: Connection, first: int) -> Iterator[LedgerEvent]:
        after = first - 1
        while rows := self.fetch(connection, "events", after=after, version=None, kinds=None, limit=PAGE):
            for row in rows:
                yield LedgerEvent(**row)
            after = rows[-1]["id"]


def _is_of(writer: int, sealed: Sealed, end: int) -> bool:
    """Whether the transaction itself has written it, or a part of it that its COMMIT has begun. Numbers come round."""
    return writer == sealed.own or (writer - sealed.next) % _NUMBERS < (end - sealed.next) % _NUMBERS


def _lost(before: Iterable[Version], now: Iterable[Version]) -> dict[str, int]:
    """How many rows of a relation are gone: the engine deletes none."""
    were, are = (Counter(row[0] for row in rows) for rows in (before, now))
    return {name: were[name] - are[name] for name in were if were[name] > are[name]}


_NUMBERS = 2**32
