"""The tracer of the dry run: what each statement really locks, rewrites, reads in full and writes.

Inside a transaction everything is read on the statement's own connection while its locks are still held. A statement
that runs outside one has given its locks back when it returns, so a second connection samples pg_locks meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import kwargs_row

from migrator.database import queries, session
from migrator.database.lock_sampler import LockSampler, mode_name
from migrator.database.schema import LEDGER_SCHEMA
from migrator.database.session import Endpoint
from migrator.database.told import tell
from migrator.evidence import ObservedLock, StatementTrace
from migrator.lock_modes import AX, MODES, RX, SUX, X, strength
from migrator.plan import Statement
from migrator.rehearsal import skipped, taking, usage
from migrator.rehearsal.built import Built
from migrator.rehearsal.comparison import judged
from migrator.rehearsal.skipped import Skipped
from migrator.rehearsal.taking import TABLES
from migrator.rehearsal.traffic import Traffic

QUERIES = queries.load("migrator.database", "observe")

WRITING_MODES = frozenset({RX, X, AX})
"""Whoever changes rows holds one of these."""

COMMITS_BY_ITSELF = ("CALL", "DO")
"""Outside a transaction these have many of their own: what they write may be over between two samples."""

INDEXES = ("i", "I")
MOST_HELD = 50
"""Where nothing is predicted, all tables are held for a moment, unless they are this many."""
Lock = tuple[int, str]
"""OID of the relation, and mode as MODES names it."""


@dataclass(frozen=True)
class Relation:
    oid: int
    name: str
    """Quoted, as SQL wants it."""
    plain: str
    """Not quoted, as predictions have it."""
    kind: str
    file: int
    table_oid: int | None
    root_oid: int | None
    """Of a partition: the table that statements name."""


@dataclass(frozen=True)
class Before:
    """What was noted just before a statement was sent."""

    pid: int
    transactional: bool
    relations: Mapping[int, Relation]
    """Those that existed before the transaction, with their files as of now."""
    locks: frozenset[Lock]
    use: Mapping[int, usage.Use]
    wal: int
    started: float
    notices: list[str] = field(default_factory=list)
    noticed: list[skipped.Notice] = field(default_factory=list)


@dataclass
class Open:
    """A transaction in which statements have run, as the last of them has left it."""

    pid: int
    ran: list[tuple[tuple[str, int], Statement]] = field(default_factory=list)
    locks: frozenset[Lock] = frozenset()
    use: Mapping[int, usage.Use] = field(default_factory=dict)
    so_far: Mapping[int, usage.Use] | None = None
    """Before COMMIT, which will have something to do."""


class Observer:
    """A `tracing.Tracer`; a context manager, because it keeps a second connection. One migration at a time."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        version: str,
        exclude: Iterable[str] = (LEDGER_SCHEMA,),
        beside: Traffic | None = None,
    ) -> None:
        """
        :param beside: another writer, whose rows the server's statistics count, too.
        """
        self._beside = beside
        self._exclude = list(exclude)
        self._sampler = LockSampler(endpoint, version=version)
        self._traces: dict[tuple[str, int], StatementTrace] = {}
        self._skipped: dict[tuple[str, int], tuple[Skipped, ...]] = {}
        self.built = Built()
        self._names: dict[int, str] = {}
        self._written: set[int] = set()
        self._taken: set[int] = set()
        self._overwritten: dict[int, frozenset[str]] = {}
        self._transaction: tuple[Any, ...] | None = None
        self._base: frozenset[int] = frozenset()
        self._before: Before | None = None
        self._open: Open | None = None
        self._listening: tuple[psycopg.Connection[Any], Any] | None = None

    def __enter__(self) -> Observer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._sampler.close()

    @property
    def traces(self) -> tuple[StatementTrace, ...]:
        """In the order in which they ran; of a statement that was repeated, the last time."""
        return tuple(self._traces.values())

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """Statements that did nothing, because of IF NOT EXISTS or IF EXISTS."""
        return tuple(one for found in self._skipped.values() for one in found)

    @property
    def written(self) -> frozenset[str]:
        """Relations on which a lock was held under which rows can change, by the names that they had at first: the
        schema that a table is in gets another one without a lock on it."""
        return frozenset(self._names[oid] for oid in self._written)

    @property
    def taken(self) -> frozenset[int]:
        """Tables from which rows were deleted, or may have been if there had been any, by oid."""
        return frozenset(self._taken)

    @property
    def overwritten(self) -> dict[int, frozenset[str]]:
        """By the oid of a table the columns of which values were written over, or may have been likewise."""
        return dict(self._overwritten)

    def before(self, step: str, statement: Statement, conn: psycopg.Connection[Any]) -> None:
        self._stop_listening()
        self._sampler.stop()
        transactional = conn.info.transaction_status == TransactionStatus.INTRANS
        with session.translated():
            now = self._relations(conn)
            self.built.see(conn)
            mark = conn.execute(QUERIES["transaction"]).fetchone()
            if not transactional or mark != self._transaction:
                self._base, self._transaction = frozenset(now), mark
                self._open = None
                if transactional:
                    self._open = Open(conn.info.backend_pid)
                    usage.flush(conn)
            pid = conn.info.backend_pid
            locks = self._locks(conn, pid) if transactional else frozenset()
            use = usage.read(conn, transactional)
            wal = _wal(conn)
        relations = {oid: relation for oid, relation in now.items() if oid in self._base}
        if not transactional:
            predicted = {lock.relation: lock.mode for lock in statement.locks}
            expected = {oid: predicted[item.plain] for oid, item in relations.items() if item.plain in predicted}
            with nullcontext() if self._beside is None else self._beside.paused():
                self._sampler.start(pid, held=_to_hold(statement, relations), expected=expected)
        before = Before(pid, transactional, relations, locks, use, wal, time.monotonic())
        self._before = before
        self._listen(conn, statement, before)

    def after(self, step: str, statement: Statement, conn: psycopg.Connection[Any], *, rows: int) -> None:
        seconds = time.monotonic()
        before, self._before = self._before, None
        self._stop_listening()
        sampled = self._sampler.stop()
        if before is None:
            return
        with session.translated():
            wal = _wal(conn) - before.wal
            held = self._locks(conn, before.pid) if before.transactional else sampled
            use = usage.read(conn, before.transactional)
            now = self._relations(conn)
            self.built.see(conn)
        changed = self._by_us(usage.more(use, before.use), before, held)
        refiled = {oid for oid, old in before.relations.items() if oid in now and now[oid].file != old.file}
        self._written |= _written(statement, before, held, changed | refiled)
        self._taken |= taking.taken(statement, before.relations, before.locks, held, refiled)
        self._taken |= self._by_us(usage.deleted(use, before.use), before, held)
        for oid, columns in taking.overwritten(statement, before.relations, held).items():
            self._overwritten[oid] = self._overwritten.get(oid, frozenset()) | columns
        emptied = statement.kind.startswith("TRUNCATE")  # a new file and new indexes, but no row is read or written
        rewritten = () if emptied else _rewritten(before.relations, now)
        read = {oid for oid, one in use.items() if one.scans > before.use.get(oid, usage.UNUSED).scans}
        if self._beside is not None and not before.transactional:
            read -= self._beside.referencing
        trace = StatementTrace(
            step=step,
            statement=statement.index,
            kind=statement.kind,
            sql=statement.sql,
            line=statement.line,
            file=statement.file,
            seconds=seconds - before.started,
            rows=rows,
            wal_bytes=max(0, wal),
            locks=_observed(statement, before, held),
            rewrites=rewritten,
            scans=() if emptied else tuple(name for name in _names(before, read) if name not in rewritten),
            writes=_changed(statement, before.relations, changed),
            indexes_rebuilt=() if emptied else _rebuilt(before.relations, now),
            estimated_seconds=statement.estimated_seconds,
            predicted_locks=tuple(ObservedLock(lock.relation, lock.mode) for lock in statement.locks),
            notices=tuple(before.notices),
        )
        self._traces.pop((step, statement.index), None)
        self._traces[(step, statement.index)] = judged(statement, trace)
        self._skipped[(step, statement.index)] = tuple(skipped.look(statement, before.noticed, conn))
        if self._open is not None:
            self._open.ran.append(((step, statement.index), statement))
            self._open.locks, self._open.use = held, use

    def deferred(self, conn: psycopg.Connection[Any]) -> None:
        """COMMIT has something to do only where rows have changed now: what those deferred in turn, nobody sees any
        more but in the statistics, so any table may be written."""
        done = self._open
        if done is None:
            return
        with session.translated():
            locks, use = self._locks(conn, done.pid), usage.read(conn, True)
            changed = usage.more(use, done.use)
            if locks <= done.locks and not changed:
                return
            relations = self._old_ones(conn)
            self._taken |= usage.deleted(use, done.use) | {oid for oid, mode in locks - done.locks if mode == RX}
            if changed:
                done.so_far = usage.before_commit(conn)
                self._taken |= relations.keys() if done.so_far is None else set()
                self._written |= relations.keys()
        taken = _strongest(locks - done.locks, relations)
        self._written |= {oid for oid, mode in taken.items() if mode in WRITING_MODES}
        self._add(done, relations, taken, changed)
        done.use = use

    def committed(self, conn: psycopg.Connection[Any]) -> None:
        done, self._open = self._open, None
        if done is None or done.so_far is None:
            return
        with session.translated():
            use, relations = usage.read(conn, False), self._old_ones(conn)
        known = {oid: usage.together(oid, done.so_far, done.use) for oid in use}
        self._taken |= usage.deleted(use, known)
        others = frozenset() if self._beside is None else self._beside.tables
        self._add(done, relations, {}, usage.more(use, known) - others)

    def _by_us(self, changed: set[int], before: Before, held: frozenset[Lock]) -> set[int]:
        """Outside a transaction the statistics are everybody's; who writes to a table has a lock on it."""
        if self._beside is None or before.transactional:
            return changed
        locked = {oid for oid, mode in held if mode in WRITING_MODES}
        return changed - (self._beside.tables - locked)

    def _old_ones(self, conn: psycopg.Connection[Any]) -> dict[int, Relation]:
        return {oid: relation for oid, relation in self._relations(conn).items() if oid in self._base}

    def _add(self, done: Open, relations: Mapping[int, Relation], taken: Mapping[int, str], changed: set[int]) -> None:
        """To the statement of which it was predicted; else to one of which nothing is known; else to the last."""
        for oid in sorted(taken.keys() | changed):
            if oid not in relations or not done.ran:
                continue
            relation, mode = relations[oid], RX if oid in changed else taken[oid]
            names = {relation.plain, relations.get(relation.root_oid or oid, relation).plain}
            key, statement = next(
                (one for one in done.ran if _predicts(one[1], names, mode)),
                next((one for one in done.ran if not one[1].known), done.ran[-1]),
            )
            trace = self._traces[key]
            if oid in changed:
                writes = {*trace.writes, *_changed(statement, relations, [oid])}
                trace = replace(trace, writes=tuple(sorted(writes)))
            if oid in taken and (relation.kind not in INDEXES or strength(taken[oid]) >= strength(SUX)):
                trace = replace(trace, locks=_joined(trace.locks, ObservedLock(relation.plain, taken[oid])))
            self._traces[key] = judged(statement, trace)

    def _relations(self, conn: psycopg.Connection[Any]) -> dict[int, Relation]:
        with conn.cursor(row_factory=kwargs_row(Relation)) as cursor:
            found = cursor.execute(QUERIES["relations"], {"exclude": self._exclude}).fetchall()
        for relation in found:
            self._names.setdefault(relation.oid, relation.name)
        return {relation.oid: relation for relation in found}

    def _locks(self, conn: psycopg.Connection[Any], pid: int) -> frozenset[Lock]:
        rows = conn.execute(QUERIES["locks"], {"pid": pid}).fetchall()
        return frozenset((int(oid), mode_name(mode)) for oid, mode in rows)

    def _listen(self, conn: psycopg.Connection[Any], statement: Statement, before: Before) -> None:
        def listen(diagnostic: psycopg.errors.Diagnostic) -> None:
            said = tell(diagnostic, written=statement.sql).text  # what is left out, the step itself has kept
            before.noticed.append(skipped.Notice.of(diagnostic))
            before.notices.append(f"{diagnostic.severity_nonlocalized or 'NOTICE'}: {said}")

        conn.add_notice_handler(listen)
        self._listening = (conn, listen)

    def _stop_listening(self) -> None:
        if self._listening is not None:
            conn, listen = self._listening
            conn.remove_notice_handler(listen)
            self._listening = None


def _observed(statement: Statement, before: Before, held: frozenset[Lock]) -> tuple[ObservedLock, ...]:
    """The strongest lock per relation that this statement took, and those that it needs and an earlier one had taken.

    An index is mentioned from SHARE UPDATE EXCLUSIVE on: whoever reads or writes a table locks its indexes alike.
    """
    relations = before.relations
    strongest = _strongest(held, relations)
    new = _strongest(held - before.locks, relations)
    predicted = {lock.relation: lock.mode for lock in statement.locks}
    found = []
    for oid, mode in strongest.items():
        relation = relations[oid]
        shown = new.get(oid)
        wanted = predicted.get(relation.plain)
        if wanted in MODES and (shown is None or strength(shown) < strength(wanted) <= strength(mode)):
            shown = wanted if strength(wanted) <= strength(mode) else shown
        if shown is None or (relation.kind in INDEXES and strength(shown) < strength(SUX)):
            continue
        found.append(ObservedLock(relation.plain, shown))
    return _sorted(found)


def _sorted(locks: Iterable[ObservedLock]) -> tuple[ObservedLock, ...]:
    return tuple(sorted(locks, key=lambda lock: (-strength(lock.mode), lock.relation)))


def _joined(locks: tuple[ObservedLock, ...], more: ObservedLock) -> tuple[ObservedLock, ...]:
    there = next((lock for lock in locks if lock.relation == more.relation), None)
    if there is not None and strength(there.mode) >= strength(more.mode):
        return locks
    return _sorted([*(lock for lock in locks if lock is not there), more])


def _predicts(statement: Statement, names: Collection[str], mode: str) -> bool:
    return any(lock.relation in names and strength(lock.mode) >= strength(mode) for lock in statement.locks)


def _written(statement: Statement, before: Before, held: frozenset[Lock], changed: set[int]) -> set[int]:
    if not before.transactional and statement.kind in COMMITS_BY_ITSELF:
        return {*before.relations}
    found = changed | {oid for oid, mode in held if mode in WRITING_MODES}
    return found & before.relations.keys()


def _to_hold(statement: Statement, relations: Mapping[int, Relation]) -> dict[int, str]:
    """The tables that a statement outside a transaction is expected to lock; with an index, its table."""
    tables = {oid: relation.name for oid, relation in relations.items() if relation.kind in TABLES}
    predicted = {lock.relation for lock in statement.locks}
    expected = {oid for oid, relation in relations.items() if relation.plain in predicted}
    expected |= {relations[oid].table_oid or oid for oid in expected}
    found = {oid: name for oid, name in tables.items() if oid in expected}
    return found or (tables if len(tables) <= MOST_HELD else {})


def _strongest(locks: Iterable[Lock], relations: Mapping[int, Relation]) -> dict[int, str]:
    found: dict[int, str] = {}
    for oid, mode in locks:
        if oid in relations and mode in MODES and (oid not in found or strength(mode) > strength(found[oid])):
            found[oid] = mode
    return found


def _rewritten(before: Mapping[int, Relation], now: Mapping[int, Relation]) -> tuple[str, ...]:
    """Tables and materialized views that are still there with another file. A sequence has but one row."""
    changed = (old for oid, old in before.items() if oid in now and now[oid].file != old.file)
    return tuple(sorted(old.plain for old in changed if old.kind not in (*INDEXES, "S")))


def _rebuilt(before: Mapping[int, Relation], now: Mapping[int, Relation]) -> tuple[str, ...]:
    """Indexes with another file. A change of type drops an index and makes it anew, with the old file if it can."""
    files = {index.plain: index.file for index in now.values() if index.kind in INDEXES}
    old = (index for index in before.values() if index.kind in INDEXES and index.table_oid in now)
    return tuple(sorted(index.plain for index in old if files.get(index.plain, index.file) != index.file))


def _names(before: Before, oids: Iterable[int]) -> tuple[str, ...]:
    return tuple(sorted(before.relations[oid].plain for oid in oids if oid in before.relations))


def _changed(statement: Statement, relations: Mapping[int, Relation], oids: Iterable[int]) -> tuple[str, ...]:
    """The tables as the prediction names them: a partition, or its root."""
    predicted = {lock.relation for lock in statement.locks}
    found = set()
    for one in (relations[oid] for oid in oids if oid in relations):
        root = relations.get(one.root_oid or one.oid, one)
        found.add(one.plain if one.plain in predicted else root.plain)
    return tuple(sorted(found))


def _wal(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute(QUERIES["wal_position"]).fetchone()
    return int(row[0]) if row else 0
