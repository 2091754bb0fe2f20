"""Reading the ledger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any

from migrator.errors import LedgerMissing, LedgerNewer, LedgerTampered
from migrator.ledger import chain, claims, controls, review_backing, seals, shape
from migrator.ledger.connection import LedgerConnection
from migrator.ledger.events import TAMPERED
from migrator.ledger.rows import (
    LedgerEvent,
    LedgerIdentity,
    LedgerMigration,
    LedgerReview,
    LedgerStep,
    MigrationStatus,
    StepStatus,
    took_effect,
)
from migrator.ledger.states import LastStates
from migrator.ledger.version import SCHEMA_VERSION
from migrator.ledger.work import Work

PAGE = 1000


class LedgerReader(LedgerConnection):
    """Questions only. Nothing here writes, so a no-op run leaves no trace."""

    _seen = False

    def exists(self) -> bool:
        """Asked until it is there: nobody takes a ledger away under a stage that works."""
        if not self._seen:
            self._seen = bool(self.read("exists", schema=self.schema)[0]["found"])
        return self._seen

    def identity(self) -> LedgerIdentity:
        """:raises LedgerMissing: no ledger. :raises LedgerNewer: its layout is not ours to read."""
        if not self.exists():
            raise LedgerMissing(
                f"the database has no ledger in schema {self.schema!r}; the first apply or "
                '"migrator baseline" installs it'
            )
        versions = self.read("schema_version")
        if not versions:
            raise LedgerTampered(f"the ledger in schema {self.schema!r} has lost its identity row")
        if versions[0]["schema_version"] > SCHEMA_VERSION:
            raise LedgerNewer(
                f"the ledger has layout {versions[0]['schema_version']}, this engine knows {SCHEMA_VERSION}: "
                "upgrade the engine"
            )
        return LedgerIdentity(**self.read("identity")[0])

    def head(self) -> tuple[int, str]:
        """Number of events and the last hash. Written down elsewhere, it proves the chain even against the owner."""
        identity = self.identity()
        return identity.head_count, identity.head_hash

    def baselined(self) -> bool:
        """Whether this ledger has a history: a migration, or a person's word on what was there before."""
        return bool(self.read("baselined")[0]["found"])

    def work(self, version: str) -> tuple[Work, ...]:
        """Of the steps that took effect, in their order. Not for a ledger that was copied."""
        done = {row.step for row in self.steps(version) if took_effect(row)}
        return tuple(Work.of(row) for row in self.read("work", version=version) if row["step"] in done)

    def own_transactions(self, version: str, step: str) -> tuple[int, ...]:
        """Numbers, as rows have them, of those that a step has committed by now, without their parts."""
        row = next(row for row in self.read("work", version=version) if row["step"] == step)
        return Work.of(row).numbers

    def migration(self, version: str) -> LedgerMigration | None:
        rows = self._migrations(version=version)
        return rows[0] if rows else None

    def migrations(self) -> tuple[LedgerMigration, ...]:
        """In the order in which they were applied; those that are not, last."""
        return self._migrations()

    def server_time(self) -> datetime:
        """The database's clock. There need not be a ledger yet."""
        now: datetime = self.read("server_time")[0]["now"]
        return now

    def all_running(self) -> tuple[LedgerMigration, ...]:
        """Those that are begun and not verified: one, and others beside which it rests, or that rest."""
        return self._migrations(status=MigrationStatus.RUNNING.value)

    def steps(self, version: str) -> tuple[LedgerStep, ...]:
        return tuple(step_of(row) for row in self.read("steps", version=version, step=None))

    def reviews(self, version: str | None, *, plan_digest: str | None = None) -> tuple[LedgerReview, ...]:
        """Oldest first.

        :raises LedgerTampered: a review that no event of the chain backs, or one that is gone: it must not count,
            nor be passed over.
        """
        rows = self.read("reviews", version=version, plan_digest=plan_digest)
        found = review_backing.problems(rows)
        if plan_digest is None:
            found += review_backing.lost(self.read("lost_reviews", version=version))
        if found:
            raise LedgerTampered("; ".join(found), problems=found)
        return tuple(review_backing.review_of(row, self.seal_key) for row in rows)

    def events(self, version: str | None = None) -> tuple[LedgerEvent, ...]:
        """Oldest first; of one version, or all."""
        return tuple(self.iterate_events(version))

    def iterate_events(self, version: str | None = None, kinds: Collection[str] | None = None) -> Iterator[LedgerEvent]:
        """The same, a page at a time; of some kinds, or all."""
        wanted = None if kinds is None else list(kinds)
        after = 0
        while rows := self.read("events", after=after, version=version, kinds=wanted, limit=PAGE):
            for row in rows:
                yield LedgerEvent(**row)
            after = rows[-1]["id"]

    def is_sealed(self, event: LedgerEvent) -> bool:
        """Whether who wrote it knew the secret that this connection has; without one nobody can tell."""
        return seals.is_sealed(event, self.seal_key)

    def passed_gates(self, version: str) -> frozenset[str]:
        """Steps of which a sealed record says that they have opened for the run and the plan that the row has."""
        row = self.migration(version)
        if row is None:
            return frozenset()
        attempts = {step.step: step.attempts for step in self.steps(version)}
        told = claims.passed(self.iterate_events(version), row, attempts)
        return frozenset(name for name, event in told.items() if self.is_sealed(event))

    def require_passed(self, version: str, *names: str) -> None:
        """:raises LedgerTampered: of one of these gates nothing but its row says that it has opened."""
        found = claims.not_passed(version, sorted(set(names) - self.passed_gates(version))) if names else ()
        if found:
            raise LedgerTampered("; ".join(found), problems=found)

    def control(self, version: str) -> controls.Control:
        """What people have asked of it while it runs."""
        return controls.control_of(self.iterate_events(version, controls.KINDS))

    def verify_chain(self) -> tuple[str, ...]:
        """Every problem of the chain, of the reviews' backing, and of states that no event explains; empty = intact.

        One snapshot for all, so that a writer at work is no problem; it lives as long as the events take to read.
        """
        with self.transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            count, head = self.head()
            states, done = LastStates(), claims.Claims()
            events = done.watch(states.watch(self.iterate_events()))
            found = list(chain.problems(events, head_count=count, head_hash=head))
            found += review_backing.problems(self.read("reviews", version=None, plan_digest=None))
            found += review_backing.lost(self.read("lost_reviews", version=None))
            found += states.problems(self.migrations())
            found += done.problems(map(step_of, self.read("steps", version=None, step=None)))
            found += unanswered(self.iterate_events())
        return tuple(found)

    def require_intact(self) -> None:
        """:raises LedgerTampered: the chain, a review or a state is not what the engine has written."""
        found = self.verify_chain()
        if found:
            raise LedgerTampered(
                f"{shape.told(found)}. nothing is applied on the word of such a ledger; find out who did it, then see"
                " migrator ledger verify",
                problems=found,
            )

    def shape_problems(self) -> tuple[str, ...]:
        """What lies in the ledger's schema and is not the engine's, or is no more what the engine has made; empty =
        nothing."""
        with self.transaction() as connection:
            return shape.problems(shape.read(connection, self.schema), SCHEMA_VERSION)

    def require_shape(self) -> None:
        """:raises LedgerTampered: somebody has changed what the ledger consists of, or hung something onto it."""
        found = self.shape_problems()
        if found:
            raise LedgerTampered(
                f"what the ledger in schema {self.schema!r} consists of was changed: {shape.told(found)}. put it back"
                " as it was; nothing but the engine has a business there, and others may only read",
                problems=found,
            )

    def check_head(self) -> None:
        """:raises LedgerTampered: the last event is not the recorded head. Cheap: one query, two rows."""
        row = self.read("head_and_last_event")[0]
        last = (row["id"], row["hash"]) if row["id"] is not None else (0, chain.GENESIS)
        if last != (row["head_count"], row["head_hash"]):
            raise LedgerTampered(
                f"the ledger's events end at number {last[0]}, but {row['head_count']} were written (or the last one "
                "was replaced); look with: migrator ledger verify",
                problems=(f"head is {row['head_count']} {row['head_hash']}, last event is {last[0]} {last[1]}",),
            )

    def _migrations(self, version: str | None = None, status: str | None = None) -> tuple[LedgerMigration, ...]:
        return tuple(migration_of(row) for row in self.read("migrations", version=version, status=status))


def migration_of(row: dict[str, Any]) -> LedgerMigration:
    return LedgerMigration(**{**row, "status": MigrationStatus(row["status"])})


def step_of(row: dict[str, Any]) -> LedgerStep:
    return LedgerStep(
        **{**row, "status": StepStatus(row["status"]), "statement_digests": tuple(row["statement_digests"])}
    )


def unanswered(events: Iterable[LedgerEvent]) -> tuple[str, ...]:
    """Migrations that have written here, and for which no person has answered since. Pure."""
    found: dict[str, LedgerEvent] = {}
    for event in events:
        if event.kind == TAMPERED and event.version is not None:
            found[event.version] = event
        elif event.kind == "repair" and event.version is not None:
            found.pop(event.version, None)
    return tuple(
        f"event {event.id} tells that {version} has written to the ledger ({'; '.join(event.detail['problems'])}), and"
        f' nobody has answered for it: look at it, then "migrator ledger repair {version}"'
        for version, event in found.items()
    )
