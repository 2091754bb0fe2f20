"""Helper objects whose migration is over: what is to be done with each, and by which statement. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql as quoting

from migrator.documents import StrEnum
from migrator.gates.reach import Reach
from migrator.ledger.rows import Helper, LedgerMigration, LedgerObject, MigrationStatus, ObjectClass
from migrator.steps.helpers import INDEXES, There
from migrator.steps.real_state import qualified

ORDER = (
    *(ObjectClass.INDEX, ObjectClass.INDEX_COPIES, ObjectClass.TRIGGER, ObjectClass.FUNCTION, ObjectClass.TABLE),
    *(ObjectClass.CONSTRAINT, ObjectClass.SLOT),
)
"""What calls another, or writes to it, goes before it."""


class Todo(StrEnum):
    LEAVE = "leave"
    """Its migration, or another one that can reach it, is not over; or the next attempt needs it."""
    WAIT = "wait"
    """Somebody keeps it from being dropped now."""
    PERSON = "person"
    """Nobody but a person can tell, or has the right."""
    DISABLE = "disable"
    DROP = "drop"


MEANT = frozenset({Todo.DISABLE, Todo.DROP})


@dataclass(frozen=True)
class Decision:
    todo: Todo
    why: str


@dataclass(frozen=True)
class Orphan:
    """What was found: a registered object that its migration does not need any more, or an unknown one like it."""

    what: str
    """With its class and its whole name, as it may be told: "index public.t_v_ccnew"."""
    todo: Todo
    why: str
    statement: str
    """That removes it, as it may be told; empty: it may not go."""
    bytes: int = 0
    """On disk; of a slot, the WAL that it retains."""
    version: str | None = None
    """None: the ledger does not know it."""
    step: str | None = None
    run_id: str | None = None
    since: datetime | None = None
    done: bool = False
    """It is disabled, or dropped, as `todo` says."""

    @property
    def is_open(self) -> bool:
        """Whether somebody has something to do about it."""
        return not self.done and self.todo in (*MEANT, Todo.PERSON)


def decide(
    found: LedgerObject,
    there: There,
    *,
    migrations: Mapping[str, LedgerMigration],
    sharing: Collection[str],
    running: Mapping[str, Reach | None],
    triggers: Collection[str],
) -> Decision:
    """What to do with a registered object that is there.

    :param sharing: versions that have registered the same object.
    :param running: what each version that is not finished can reach; None: it is at work, or nobody knows.
    :param triggers: those of its version that are there, as they may be told.
    """
    helper = found.helper
    if (kept := _kept(found, migrations, sharing)) is not None:
        return kept
    for version, reach in running.items():
        if reach is None or reach.everything or not reach.words.isdisjoint(_words(helper)):
            return Decision(Todo.LEAVE, f"{version} is not finished and may touch it")
    if there.kept:
        return Decision(Todo.PERSON, there.kept)
    if helper.kind is ObjectClass.TRIGGER and not there.disabled:
        return Decision(Todo.DISABLE, f"{found.version} is over, and each write still runs it")
    if helper.kind in (ObjectClass.FUNCTION, ObjectClass.TABLE) and triggers:
        return Decision(Todo.WAIT, f"{', '.join(triggers)} may use it")
    if there.busy:
        return Decision(Todo.WAIT, there.busy)
    return Decision(Todo.DROP, f"{found.version} is {_status(migrations[found.version])}")


def _kept(found: LedgerObject, migrations: Mapping[str, LedgerMigration], sharing: Collection[str]) -> Decision | None:
    for version in (found.version, *sorted(sharing)):
        if migrations[version].status is MigrationStatus.RUNNING:
            return Decision(Todo.LEAVE, f"{version} is not finished")
    status = migrations[found.version].status
    if status is MigrationStatus.ROLLBACK_FAILED:
        return Decision(
            Todo.PERSON,
            f'the rollback of {found.version} has failed: put the database in order, then "migrator ledger repair'
            f' {found.version}"',
        )
    if status is MigrationStatus.FAILED and found.helper.needed and found.disabled_at is None:
        return Decision(Todo.LEAVE, f"{found.version} has failed, and goes on with it: go on, or roll it back")
    return None


def _status(row: LedgerMigration) -> str:
    return {
        MigrationStatus.SUCCESS: "applied",
        MigrationStatus.ROLLED_BACK: "rolled back",
        MigrationStatus.FAILED: "failed, and its next attempt makes it anew",
    }.get(row.status, row.status.value)


def _words(helper: Helper) -> frozenset[str]:
    """As a reach has them."""
    return frozenset(name.lower() for name in (helper.name, helper.table) if name)


def name_of(kind: ObjectClass, there: There) -> str:
    """With its class: "trigger migrator_x of public.t"."""
    word = "index" if kind in INDEXES else kind.value.replace("_", " ")
    if kind in (ObjectClass.TRIGGER, ObjectClass.CONSTRAINT):
        return f"{word} {qualified(there.name)} of {qualified(there.schema, there.table)}"
    return f"replication slot {there.name}" if kind is ObjectClass.SLOT else f"{word} {there.qualified}"


def statement_of(kind: ObjectClass, there: There, todo: Todo) -> str:
    """That does it. All but what is of indexes and slots is for a transaction."""
    table, name = qualified(there.schema, there.table), qualified(there.name)
    if kind in INDEXES:
        return f"DROP INDEX CONCURRENTLY IF EXISTS {there.qualified}"
    if kind is ObjectClass.TRIGGER:
        if todo is Todo.DISABLE:
            return f"ALTER TABLE {table} DISABLE TRIGGER {name}"
        return f"DROP TRIGGER IF EXISTS {name} ON {table}"
    if kind is ObjectClass.CONSTRAINT:
        return f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"
    if kind is ObjectClass.FUNCTION:
        return f"DROP FUNCTION IF EXISTS {there.qualified}()"
    if kind is ObjectClass.SLOT:
        return f"SELECT pg_catalog.pg_drop_replication_slot({quoting.Literal(there.name).as_string(None)})"
    return f"DROP TABLE IF EXISTS {there.qualified}"
