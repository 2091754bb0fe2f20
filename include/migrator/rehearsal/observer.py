"""The tracer of the dry run: what each statement really locks, rewrites, reads in full and writes.

Inside a transaction everything is read on the statement's own connection while its locks are still held. A statement
that runs outside one has given its locks back when it returns, so a second connection samples pg_locks meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
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
from migrator.lock_modes import RX, SUX, strength
from migrator.plan import Statement
from migrator.rehearsal import hidden, overwriting, skipped, taking, usage
from migrator.rehearsal.built import Built
from migrator.rehearsal.comparison import judged
from migrator.rehearsal.observed import (
    INDEXES,
    WRITING_MODES,
    Before,
    Lock,
    Relation,
    changed_by,
    joined,
    names_of,
    observed,
    predicts,
    rebuilt,
    rewritten,
    strongest,
    to_hold,
    written_by,
)
from migrator.rehearsal.overwriting import Column, Moved, Numbers
from migrator.rehearsal.skipped import Skipped
from migrator.rehearsal.traffic import Traffic

QUERIES = queries.load("migrator.database", "observe")


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
        self._overwritten: dict[int, Numbers] = {}
        self._moved: dict[int, frozenset[Moved]] = {}
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
    def overwritten(self) -> dict[int, Numbers]:
        """By the oid of a table the numbers of the columns whose values were written over, or may have been."""
        return dict(self._overwritten)

    @property
    def moved(self) -> dict[int, frozenset[Moved]]:
        """By the oid of a table what was taken along from one column to another."""
        return dict(self._moved)

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
            columns = self._columns(conn, statement)
            self._taken |= taking.of_names(hidden.taken(statement.kind, statement.sql, conn), now)
        relations = {oid: relation for oid, relation in now.items() if oid in self._base}
        if not transactional:
            predicted = {lock.relation: lock.mode for lock in statement.locks}
            expected = {oid: predicted[item.plain] for oid, item in relations.items() if item.plain in predicted}
            with nullcontext() if self._beside is None else self._beside.paused():
                self._sampler.start(pid, held=to_hold(statement, relations), expected=expected)
        before = Before(pid, transactional, relations, locks, use, wal, time.monotonic(), columns)
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
            columns = self._columns(conn, statement) if before.columns else ()
        changed = self._by_us(usage.more(use, before.use), before, held)
        refiled = {oid for oid, old in before.relations.items() if oid in now and now[oid].file != old.file}
        self._written |= written_by(statement, before, held, changed | refiled)
        self._taken |= taking.taken(statement, before.relations, before.locks, held, refiled)
        self._taken |= self._by_us(usage.deleted(use, before.use), before, held)
        anew = refiled | {oid for oid, one in now.items() if one.kind == "p"}
        written_over = (
            taking.overwritten(statement, now, before.locks, held, before.columns),
            overwriting.converted(statement, before.columns, columns, anew),
        )
        for oid, numbers in (item for found in written_over for item in found.items()):
            self._overwritten[oid] = self._overwritten.get(oid, frozenset()) | numbers
        for oid, pairs in overwriting.moved(statement, before.columns).items():
            self._moved[oid] = self._moved.get(oid, frozenset()) | pairs
        emptied = statement.kind.startswith("TRUNCATE")  # a new file and new indexes, but no row is read or written
        filed_anew = () if emptied else rewritten(before.relations, now)
        read = {oid for oid, one in use.items() if one.scans > before.use.get(oid, usage.UNUSED).scans}
        if self._beside is not None and not before.transactional:
            predicted = {oid for oid, item in before.relations.items() if item.plain in statement.scans}
            read -= self._beside.referencing - predicted
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
            locks=observed(statement, before, held),
            rewrites=filed_anew,
            scans=() if emptied else tuple(name for name in names_of(before, read) if name not in filed_anew),
            writes=changed_by(statement, before.relations, changed),
            indexes_rebuilt=() if emptied else rebuilt(before.relations, now),
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
        taken = strongest(locks - done.locks, relations)
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
                (one for one in done.ran if predicts(one[1], names, mode)),
                next((one for one in done.ran if not one[1].known), done.ran[-1]),
            )
            trace = self._traces[key]
            if oid in changed:
                writes = {*trace.writes, *changed_by(statement, relations, [oid])}
                trace = replace(trace, writes=tuple(sorted(writes)))
            if oid in taken and (relation.kind not in INDEXES or strength(taken[oid]) >= strength(SUX)):
                trace = replace(trace, locks=joined(trace.locks, ObservedLock(relation.plain, taken[oid])))
            self._traces[key] = judged(statement, trace)

    def _columns(self, conn: psycopg.Connection[Any], statement: Statement) -> tuple[Column, ...]:
        names = overwriting.named(statement)
        rows = conn.execute(QUERIES["columns"], {"names": names}).fetchall() if names else ()
        return tuple(Column(*row) for row in rows)

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


def _wal(conn: psycopg.Connection[Any]) -> int:
    row = conn.execute(QUERIES["wal_position"]).fetchone()
    return int(row[0]) if row else 0
