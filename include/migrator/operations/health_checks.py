"""Is the server in a state in which it may be changed? Judges the facts that `health_facts` read. Pure.

What passes by itself (a transaction, a lag, a crowd) is `busy`: preflight tries again a few times before it gives up.
What our role may not see is UNVERIFIED. It stops nothing, because none of it can make the application wait: locks are
asked for in short tries. But it is said each time, with the grant that would end it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from migrator.database.activity import called_by
from migrator.database.vocabulary import told_program
from migrator.evidence import Check, EvidenceBundle, Verdict
from migrator.input.durations import format_duration
from migrator.operations.health_facts import Connections, InvalidIndex, OpenTransaction, ServerFacts
from migrator.plan import Plan
from migrator.steps.throttle import is_throttled
from migrator.targets.targets import Limits
from migrator.wording import count, size

GRANT = "grant pg_monitor to the role of the connection"
AGAIN = "clear snapshot with downstream"
WEAK = frozenset({"ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE"})
"""Lock modes that an autovacuum does not stand in the way of (PostgreSQL 13.3.1, SHARE UPDATE EXCLUSIVE)."""


@dataclass(frozen=True)
class HealthFinding:
    """One check. `busy`: it failed, but may pass by itself in a few minutes."""

    check: Check
    busy: bool = False


def server_checks(facts: ServerFacts, plan: Plan, limits: Limits, *, wal_bytes: int) -> Iterator[HealthFinding]:
    """In the order in which a person wants to read them."""
    yield recovery(facts)
    yield replication(facts, limits.max_replication_lag_bytes)
    yield transactions(facts, limits.max_transaction_age_seconds)
    yield connections(facts.connections, limits.min_free_connections)
    yield invalid_indexes(facts.invalid_indexes, plan)
    yield wraparound(facts)
    yield disk(facts, wal_bytes)
    if any(map(is_throttled, plan.steps)):
        yield signals(facts)


def recovery(facts: ServerFacts) -> HealthFinding:
    if facts.standby:
        return _failed("primary", "this server is a standby and read-only; point the connection to the primary")
    return _passed("primary", "not in recovery")


def replication(facts: ServerFacts, limit: int) -> HealthFinding:
    """Per standby, in bytes of WAL: DDL reaches a standby that lags late, and locks its readers then."""
    late = [one for one in facts.standbys if one.lag_bytes is not None and one.lag_bytes > limit]
    if late:
        text = "; ".join(f"{one.name!r} {one.state} and {size(one.lag_bytes or 0)} behind" for one in late)
        return _failed(
            "replication",
            f"{text} (limit {size(limit)}); wait until it has caught up, or drop the slot of a standby that is gone",
            busy=True,
        )
    hidden = [one for one in facts.standbys if one.lag_bytes is None]
    if hidden:
        return _unverified("replication", f"the lag of {_names(one.name for one in hidden)} is hidden; {GRANT}")
    if not facts.standbys:
        return _passed("replication", "no standbys")
    return _passed("replication", "; ".join(f"{one.name} {size(one.lag_bytes or 0)} behind" for one in facts.standbys))


def transactions(facts: ServerFacts, limit: float) -> HealthFinding:
    """Each may hold a lock that we need, and CREATE INDEX CONCURRENTLY waits for all of them."""
    old = [_session(one) for one in facts.transactions if one.seconds is not None and one.seconds > limit]
    old += [
        f"prepared transaction {one.gid!r} of {one.user_name}, since {_span(one.seconds)}"
        f" (COMMIT PREPARED or ROLLBACK PREPARED {one.gid!r})"
        for one in facts.prepared
        if one.seconds > limit
    ]
    if old:
        return _failed(
            "transactions",
            f"open for longer than {_span(limit)}: {'; '.join(old)}. wait for them, or end them",
            busy=True,
        )
    hidden = [one for one in facts.transactions if one.seconds is None]
    if hidden and not facts.sees_all:
        pids = ", ".join(str(one.pid) for one in hidden)
        return _unverified(
            "transactions", f"{count(len(hidden), 'session')} cannot be looked into (pid {pids}); {GRANT}"
        )
    ages = [one.seconds for one in facts.transactions if one.seconds is not None]
    ages += [one.seconds for one in facts.prepared]
    return _passed("transactions", f"{len(ages)} open, the oldest for {_span(max(ages))}" if ages else "none is open")


def connections(facts: Connections, wanted: int) -> HealthFinding:
    """The tightest of the server's, the database's and the role's limit."""
    rooms = [("the server", facts.usable, facts.taken)]
    if facts.database_limit >= 0:
        rooms.append(("the database", facts.database_limit, facts.taken_of_database))
    if facts.role_limit >= 0:
        rooms.append(("the role", facts.role_limit, facts.taken_of_role))
    name, room, taken = min(rooms, key=lambda one: one[1] - one[2])
    free = max(0, room - taken)
    if free >= wanted:
        return _passed("connections", f"{free} of {room} connections of {name} are free")
    if wanted > room:
        return _failed(
            "connections",
            f"{wanted} free connections are asked for (min_free_connections), but {name} accepts {room} at all; lower"
            " the one or raise the other",
        )
    return _failed("connections", f"{free} of {room} connections of {name} are free, {wanted} are asked for", busy=True)


def invalid_indexes(found: Sequence[InvalidIndex], plan: Plan) -> HealthFinding:
    """Left over by somebody's failed build. Those that the plan itself builds or drops are its own business."""
    texts = "\n".join(statement.sql for step in plan.steps for statement in step.statements)
    left = [one for one in found if not re.search(rf"(?<!\w){re.escape(one.bare_name)}(?!\w)", texts)]
    if left:
        text = "; ".join(f"{one.index_name} on {one.table_name}" for one in left)
        return _failed(
            "invalid_indexes",
            f"not valid, so they cost every write and serve no query: {text}. REINDEX INDEX CONCURRENTLY or DROP INDEX"
            " CONCURRENTLY them first",
        )
    mended = _names(one.index_name for one in found)
    return _passed("invalid_indexes", f"{mended} is not valid, which this migration takes care of" if found else "none")


def wraparound(facts: ServerFacts) -> HealthFinding:
    if facts.wraparound:
        text = "; ".join(
            f"{one.table_name} (pid {one.pid}{f', for {_span(one.seconds)}' if one.seconds is not None else ''})"
            for one in facts.wraparound
        )
        return _failed(
            "autovacuum", f"vacuums to prevent wraparound, and does not give way: {text}. let it end", busy=True
        )
    if not facts.sees_all:
        return _unverified("autovacuum", f"what autovacuum does is hidden; {GRANT}")
    return _passed("autovacuum", "nothing vacuums these tables to prevent wraparound")


def disk(facts: ServerFacts, wal_bytes: int) -> HealthFinding:
    """No SQL function tells how much is free, so a person reads what will be needed."""
    need = f"the dry run wrote {size(wal_bytes)} of WAL"
    if facts.rewrite_bytes:
        need += f", and rewritten tables need {size(facts.rewrite_bytes)} once more until COMMIT"
    return _unverified("disk", f"PostgreSQL does not tell how much space is free; {need}")


def signals(facts: ServerFacts) -> HealthFinding:
    """A step of many batches goes on without what its role may not see; a person should know that beforehand."""
    if facts.hidden_signals:
        return _unverified("throttle", f"the steps in batches will not see {', '.join(facts.hidden_signals)}; {GRANT}")
    return _passed("throttle", "the steps in batches see all that they wait for")


def snapshot_age(bundle: EvidenceBundle, max_age: timedelta, now: datetime) -> HealthFinding:
    """The way back: what was written since the snapshot would be lost with it."""
    taken = bundle.snapshot.taken_at
    age = now - taken
    detail = f"{bundle.snapshot.id} of {taken:%Y-%m-%d %H:%M:%S %Z}, {format_duration(max(age, timedelta(0)))} old"
    if bundle.snapshot.expires_at is not None and bundle.snapshot.expires_at <= now:
        return _failed(
            "snapshot", f"{detail}, expired at {bundle.snapshot.expires_at:%Y-%m-%d %H:%M %Z}; take a new one"
        )
    if age > max_age:
        return _failed("snapshot", f"{detail}, snapshot.max_age is {format_duration(max_age)}; {AGAIN}")
    return _passed("snapshot", detail)


def touched_tables(plan: Plan, bundle: EvidenceBundle) -> frozenset[str]:
    """Relations on which the migration takes more than the lock of an ordinary write, foreseen or observed."""
    locks = [
        (lock.relation, lock.mode) for step in plan.steps for statement in step.statements for lock in statement.locks
    ]
    locks += [(lock.relation, lock.mode) for trace in bundle.dry_run.statements for lock in trace.locks]
    return frozenset(relation for relation, mode in locks if _words(mode) not in WEAK)


def rewritten_tables(plan: Plan, bundle: EvidenceBundle) -> frozenset[str]:
    foreseen = [name for step in plan.steps for statement in step.statements for name in statement.rewrites]
    return frozenset((*foreseen, *(name for trace in bundle.dry_run.statements for name in trace.rewrites)))


def _words(mode: str) -> str:
    """pg_locks writes AccessExclusiveLock, the documentation ACCESS EXCLUSIVE."""
    if mode.isupper():
        return mode
    spaced = "".join(f" {char}" if char.isupper() else char for char in mode.removesuffix("Lock"))
    return spaced.strip().upper()


def _session(one: OpenTransaction) -> str:
    called = called_by(told_program(one.application_name), one.application_name)
    return (
        f"pid {one.pid} ({called}user {one.user_name or 'hidden'}, {one.state or 'state hidden'}) since"
        f" {_span(one.seconds or 0.0)}"
    )


def _span(seconds: float) -> str:
    return format_duration(timedelta(seconds=max(0.0, seconds)))


def _names(names: Iterator[str]) -> str:
    return ", ".join(map(repr, names))


def _passed(name: str, detail: str) -> HealthFinding:
    return HealthFinding(Check(name, Verdict.PASSED, detail))


def _failed(name: str, detail: str, *, busy: bool = False) -> HealthFinding:
    return HealthFinding(Check(name, Verdict.FAILED, detail), busy=busy)


def _unverified(name: str, detail: str) -> HealthFinding:
    return HealthFinding(Check(name, Verdict.UNVERIFIED, detail))
