"""Find what migrations that are over have left in a target, and take it away.

The ledger's registry says whose a helper object is. What it does not know is told, with the statement that removes it,
and never touched. A trigger is disabled first: that takes SHARE ROW EXCLUSIVE, which readers pass, and which no writer
that has run the trigger holds out against, so that afterwards no session can need it, nor what it calls or writes to.

Each statement is looked at again right before it, and what it drops under its lock: what is another one by then, or
was made whole, stays. It is the same when it is repeated, so a janitor may be killed anywhere: the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from psycopg.rows import dict_row

from migrator.custody.orphans import MEANT, ORDER, Orphan, Todo, decide, name_of, statement_of
from migrator.database import queries, session, withheld
from migrator.database.locking import migration_lock, with_lock_retries
from migrator.database.session import Connection, Endpoint
from migrator.database.told import are_names_known, names_known
from migrator.database.vocabulary import told_name, vocabulary_of
from migrator.errors import HeldByOther, MigratorError, TransientError
from migrator.gates import beside
from migrator.gates.reach import Reach
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import LedgerMigration, LedgerObject, MigrationStatus, ObjectClass
from migrator.run import RunContext
from migrator.steps import as_found, helpers
from migrator.steps.helpers import INDEXES, There
from migrator.steps.names import HELPER_PREFIX
from migrator.steps.real_state import OF_TOAST, told_removal

LOG = logging.getLogger(__name__)
QUERIES = queries.load(__package__, "janitor")

DISABLED, DROPPED, GONE = "janitor_disabled", "janitor_dropped", "janitor_found_gone"
"""Events of the chain; their detail names the object, its step, and the run that made it."""
LOCK_SECONDS = 15.0
"""For the migration lock: one that rests looks every two seconds whether somebody asks for it."""
LOCK_TIMEOUT_MS = 200
"""For a table's lock: so long others queue behind each try."""
DEADLINE_SECONDS = 10.0
"""For all tries at one statement."""
DROP_INDEX_MS = 60_000
"""Ended then, it leaves the index as it was: not valid."""
NAMED = f"^{HELPER_PREFIX}.*_[0-9a-f]{{8}}$"
UNKNOWN = "the ledger does not know it: find out whose it is"


@dataclass(frozen=True)
class Report:
    """What was found on one target."""

    target: str
    orphans: tuple[Orphan, ...]
    held: str = ""
    """Why nothing was done although it was asked for."""

    @property
    def is_clean(self) -> bool:
        return not any(one.is_open for one in self.orphans)


@dataclass(frozen=True)
class Known:
    """What the ledger says while the janitor looks."""

    objects: tuple[LedgerObject, ...]
    migrations: dict[str, LedgerMigration]
    running: dict[str, Reach | None]

    @classmethod
    def read(cls, ledger: Ledger) -> Known:
        if not ledger.exists():
            return cls((), {}, {})
        rows = {row.version: row for row in ledger.migrations()}
        running = [row for row in rows.values() if row.status is MigrationStatus.RUNNING]
        reaches = {row.version: beside.kept(ledger.events(row.version)) if row.rests else None for row in running}
        return cls(ledger.objects(), rows, reaches)


def run(*, endpoint: Endpoint, ledger: Ledger, run: RunContext, drop: bool, log: logging.Logger = LOG) -> Report:
    """Look, and with `drop` disable and drop what may go.

    :param run: of the janitor itself: `actor` and `run_id` go into the events.
    :raises LedgerTampered, LedgerForeign, LedgerOlder, LedgerNewer: nothing that it says can be relied on.
    """
    if ledger.exists():
        ledger.check()
    known = Known.read(ledger)
    with nullcontext() if are_names_known() else names_known(vocabulary_of(_written(known)).knows):
        return _run(endpoint, ledger, run, drop, log, known)


def _written(known: Known) -> Iterator[str]:
    """What people have written of what the ledger has. The copies of a table's indexes have names out of the catalog: a
    migration may have made those of rows."""
    for row in known.migrations.values():
        yield from (row.version, row.filename, row.description)
    for one in known.objects:
        yield from (one.step, one.helper.schema, one.helper.table)
        if one.helper.kind is not ObjectClass.INDEX_COPIES:
            yield one.helper.name


def _run(endpoint: Endpoint, ledger: Ledger, run: RunContext, drop: bool, log: logging.Logger, known: Known) -> Report:
    with session.connect(endpoint, purpose="observe") as conn:
        found = [one for row in _ordered(known.objects) for one in _of(row, known, conn)]
    held, there = "", {row.id for row, _, _ in found}
    gone = any(row.id not in there and _is_over(row, known) for row in known.objects)
    if drop and (gone or any(one.todo in MEANT for _, _, one in found)):
        try:
            with migration_lock(endpoint, run=run, deadline_seconds=LOCK_SECONDS) as lock:
                found = list(_work(endpoint, ledger, run, lock.check, log))
        except HeldByOther as exc:
            held = f"nothing is dropped now: {exc}"
            log.info("%s", held)
    orphans = tuple(one for _, _, one in found)
    with session.connect(endpoint, purpose="observe") as conn:
        orphans += tuple(_strays(ledger, conn, {name_of(row.helper.kind, there) for row, there, _ in found}))
    return Report(run.target, orphans, held)


Found = tuple[LedgerObject, There, Orphan]


def _ordered(rows: Sequence[LedgerObject]) -> list[LedgerObject]:
    """As they may go."""
    return sorted(rows, key=lambda row: (ORDER.index(row.helper.kind), row.id))


def _of(row: LedgerObject, known: Known, conn: Connection) -> Iterator[Found]:
    same = {one.version for one in known.objects if replace(one.helper, needed=False, spared=()) == _plain(row)}
    triggers = [one for one in known.objects if one.version == row.version and one.helper.kind is ObjectClass.TRIGGER]
    used_by = tuple(
        told_name(name_of(ObjectClass.TRIGGER, there))
        for one in triggers
        for there in (helpers.look(one.helper, conn) if row.helper.kind is not ObjectClass.TRIGGER else ())
    )
    for there in helpers.look(row.helper, conn):
        if there.whole:
            continue
        decision = decide(
            row, there, migrations=known.migrations, sharing=same, running=known.running, triggers=used_by
        )
        yield row, there, _orphan(row, there, decision.todo, decision.why)


def _plain(row: LedgerObject) -> Any:
    return replace(row.helper, needed=False, spared=())


def _orphan(row: LedgerObject, there: There, todo: Todo, why: str) -> Orphan:
    kind = row.helper.kind
    return Orphan(
        what=_told(name_of(kind, there), statement_of(kind, there, todo)),
        todo=todo,
        why=why,
        statement="" if todo is Todo.LEAVE else told_name(statement_of(kind, there, todo)),
        bytes=there.bytes,
        version=row.version,
        step=row.step,
        run_id=row.run_id,
        since=row.made_at,
    )


def _work(
    endpoint: Endpoint, ledger: Ledger, run: RunContext, check_lock: Callable[[], None], log: logging.Logger
) -> Iterator[Found]:
    """Under the migration lock; each object as it is by then, after those before it are gone."""
    with (
        session.connect(endpoint, purpose="janitor", lock_timeout_ms=LOCK_TIMEOUT_MS) as conn,
        session.connect(endpoint, purpose="observe") as looking,
    ):
        for row in _ordered(Known.read(ledger).objects):
            found = list(_of(row, Known.read(ledger), looking))
            left = False
            for _, there, orphan in found:
                done = orphan
                while not left and done.todo in MEANT:
                    check_lock()
                    done = _do(row, there, done, conn, looking, endpoint, ledger, run, log)
                    if not done.done or done.todo is Todo.DROP:
                        break
                    again = next(iter(_of(row, Known.read(ledger), looking)), None)  # a disabled trigger may be dropped
                    if again is None:
                        break
                    _, there, done = again
                left = left or not (done.done and done.todo is Todo.DROP)
                yield row, there, done
            if not left and _is_over(row, Known.read(ledger)):
                ledger.object_changed(row, DROPPED if found else GONE, run=run)


def _is_over(row: LedgerObject, known: Known) -> bool:
    """What a migration that runs has announced may come yet."""
    return known.migrations[row.version].status is not MigrationStatus.RUNNING


def _do(
    row: LedgerObject,
    there: There,
    orphan: Orphan,
    conn: Connection,
    looking: Connection,
    endpoint: Endpoint,
    ledger: Ledger,
    run: RunContext,
    log: logging.Logger,
) -> Orphan:
    statement = statement_of(row.helper.kind, there, orphan.todo)

    def send() -> None:
        if row.helper.kind in INDEXES:
            given: dict[str, Any] = {"lock_timeout_ms": 0, "statement_timeout_ms": DROP_INDEX_MS}
            with session.connect(endpoint, purpose="janitor", **given) as keeping:
                as_found.drop_index(statement, row.helper, there, conn, keeping)
        elif row.helper.kind is ObjectClass.SLOT:
            with session.translated():
                conn.execute(statement.encode())
        else:
            mode = "SHARE ROW EXCLUSIVE" if orphan.todo is Todo.DISABLE else "ACCESS EXCLUSIVE"
            as_found.in_transaction(statement, row.helper, there, conn, looking, mode=mode)

    log.warning("%s: %s (%s)", run.target, orphan.statement, orphan.why)
    try:
        if row.helper.kind in INDEXES:
            with session.translated():
                conn.execute(f"SET lock_timeout = 0; SET statement_timeout = {DROP_INDEX_MS}".encode())
        with_lock_retries(
            send,
            observer_endpoint=endpoint,
            pid_of=lambda: conn.info.backend_pid,
            deadline_seconds=DEADLINE_SECONDS,
            log=log,
        )
    except as_found.Exchanged as exc:
        log.warning("%s stays: %s", orphan.what, exc)
        return replace(orphan, todo=Todo.LEAVE, why=str(exc), statement="")
    except MigratorError as exc:
        log.warning("%s stays: %s", orphan.what, exc)
        passes = isinstance(exc, TransientError) or exc.fields.get("sqlstate") == helpers.CANCELLED
        return replace(orphan, todo=Todo.WAIT if passes else Todo.PERSON, why=str(exc))
    finally:
        if not conn.closed:
            conn.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}; SET statement_timeout = 0".encode())
    if orphan.todo is Todo.DISABLE:
        ledger.object_changed(row, DISABLED, run=run, disabled=True)
    return replace(orphan, done=True)


def _strays(ledger: Ledger, conn: Connection, registered: Collection[str]) -> Iterator[Orphan]:
    """What looks like a helper object, and is none that the registry has. A name of which nobody knows who wrote it
    is not told: an oid finds it as well."""
    with session.translated(), conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(QUERIES["strays"], {"ledger": ledger.schema, "named": NAMED}).fetchall()
    for row in rows:
        kind = ObjectClass(row["class"])
        there = There(row["schema_name"], row["table_name"], row["name"], row["bytes"], False, False, row["kept"], "")
        name, statement = name_of(kind, there), statement_of(kind, there, Todo.DROP)
        if name in registered:
            continue
        why = "; ".join(filter(None, (there.kept, UNKNOWN)))
        what = _told(name, statement)
        if what != name:
            what = f"{kind.value} with oid {row['oid']}" if row["oid"] else f"{kind.value}, whose name is withheld"
        yield Orphan(what, Todo.PERSON, why, told_removal(statement) if what == name else "", there.bytes)


def _told(name: str, statement: str) -> str:
    """As it may be told; the rest is put where the run keeps what may hold rows."""
    told = name if OF_TOAST.fullmatch(statement) else told_name(name)
    if told != name:
        withheld.keep(f"{name}: {statement}")
    return told
