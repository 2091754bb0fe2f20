"""Build an index without blocking writers, and mend what an interrupted or failed build left behind.

CREATE INDEX CONCURRENTLY is several transactions: whatever stops it leaves an index that is not valid, costs every
write, and makes a plain retry fail (or, with IF NOT EXISTS, succeed without an index). No timeout may stop it, so
`lock_timeout` and `statement_timeout` are 0 here; it never makes the application wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql as quoting

from migrator.database import naming, session, withheld
from migrator.database.door import send as send_text
from migrator.database.told import words
from migrator.database.vocabulary import told_name
from migrator.errors import DriftDetected, MigratorError, NeedsHuman, TransientError
from migrator.parsing import statements
from migrator.parsing.nodes import Node
from migrator.parsing.unseen import one_line
from migrator.plan import Statement, Step
from migrator.steps import duplicates, helpers
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.progress import Watched, given_up, watching
from migrator.steps.real_state import QUERIES, Connection, Evidence, State, qualified, relation, tree_of
from migrator.steps.timeouts import set_timeouts
from migrator.steps.transaction import execute as send
from migrator.steps.transaction import failure

KIND = "CREATE INDEX CONCURRENTLY"

TRIES = 3
"""A deadlock with another session's DDL is worth another build; each try starts from a clean table."""

CLEANUP_TIMEOUT_MS = 60_000
"""For dropping our own invalid index after a failure; without success the next try drops it."""


EXISTS, UNIQUE = "42P07", "23505"
"""duplicate_table, unique_violation"""

_WORDS = {
    "indisunique": "being unique",
    "indnullsnotdistinct": "NULLs",
    "indnatts": "the number of columns",
    "indnkeyatts": "the number of key columns",
    "indclass": "operator classes",
    "class_options": "options of operator classes",
    "indcollation": "collations",
    "indoption": "sort order",
}
"""Of keys of `index_shape` that do not speak for themselves."""


@dataclass(frozen=True)
class FoundIndex:
    oid: int
    name: str
    """Quoted and qualified."""
    usable: bool
    same_table: bool
    definition: str

    @property
    def told(self) -> str:
        """The name as a message may have it: without one in the statement it is found by its shape."""
        return told_name(self.name)


def look(statement: Statement, conn: Connection) -> Evidence:
    """What an interrupted build of this index left."""
    found = _find(statement, conn)
    if found is None:
        return Evidence(State.REPEAT, "the index does not exist and gets built")
    if not found.usable:
        return Evidence(State.REPEAT, f"index {found.told} is not valid and gets built again")
    if differences(statement, conn) == ():
        return Evidence(State.DONE, f"index {found.told} is valid and is the one that was wanted")
    withheld.keep(f"index {found.name}: {found.definition}")
    return Evidence(
        State.UNKNOWN,
        f"a valid index {found.told} exists and is another one than was wanted: {told_name(found.definition)}",
    )


def another(statement: Statement, conn: Connection) -> str | None:
    """That an index of the name is there, and is another one than this CREATE INDEX makes; None: it is the very one, or
    nobody can say. What is told holds no value of a definition."""
    found = _find(statement, conn)
    differing = None if found is None else differences(statement, conn)
    if found is None or not differing:
        return None
    text = f"index {found.told} was there and is another one than the statement makes"
    return f"{text}: it differs in {', '.join(differing)}"


def differences(statement: Statement, conn: Connection) -> tuple[str, ...] | None:
    """In what an index that has the name is not the one that this CREATE INDEX makes; None: there is none, or nobody
    can say what this one would be. Within a transaction it sees what that has done, and leaves it as it is."""
    found = _find(statement, conn)
    wanted = None if found is None else _wanted_shape(statement, conn)
    if found is None or wanted is None:
        return None
    if not found.same_table:
        return ("its table",)
    shape = _shape(found.oid, conn) or {}
    differing = tuple(_WORDS.get(key, key) for key in wanted if shape.get(key) != wanted[key])
    return differing + _elsewhere(statement, found, conn)


def _elsewhere(statement: Statement, found: FoundIndex, conn: Connection) -> tuple[str, ...]:
    """A statement that names no tablespace takes the index wherever somebody has moved it."""
    named = tree_of(statement).table_space
    rows = naming.ask(conn, QUERIES["index_tablespace"], {"oid": found.oid}).rows if named else []
    return ("tablespace",) if rows and rows[0][0] != named else ()


def others(made: Sequence[Statement], conn: Connection) -> tuple[str, ...]:
    """What `another` says of these statements."""
    return tuple(found for statement in made if (found := another(statement, conn)) is not None)


def may_skip(statement: Statement) -> bool:
    """Whether it is a CREATE INDEX that takes whatever has the name for its index."""
    return statement.kind in (KIND, "CREATE INDEX") and bool(tree_of(statement).if_not_exists)


def build(
    statement: Statement,
    step: Step,
    ctx: StepContext,
    conn: Connection,
    *,
    cursor: dict[str, Any] | None,
    tried: bool = False,
) -> StatementResult:
    """Build the index; when this returns it is valid.

    :param cursor: what the step's ledger row keeps while progress is written into it; None writes no progress.
    :param tried: the ledger knows of an earlier attempt at this very statement.
    :raises StatementFailed: duplicates in a unique index, a bad expression, or the step's deadline is over; the invalid
        index has been dropped again, or the message says why not.
    :raises NeedsHuman: an index of the name is not valid, and is none that this statement makes.
    """
    note = _clear_invalid(statement, ctx, conn, tried=tried)
    _require_wanted(statement, step, conn)
    before = _find(statement, conn)
    if before is None:
        _require_unique(statement, step, ctx, conn)
    made = helpers.interrupted(statement, conn)
    helpers.intend(made, step, ctx)
    for attempt in range(1, TRIES + 1):
        set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=0)
        watched = Watched()
        try:
            with ctx.watching(statement, conn), watching(statement, step, ctx, conn, cursor=cursor) as watched:
                result = send(statement, step, ctx, conn)
            break
        except DriftDetected as exc:
            raise _spoiled(exc, statement, before, ctx, conn) from exc
        except MigratorError as exc:
            left = "" if exc.fields.get("sqlstate") == EXISTS else _clear_after_failure(statement, ctx, conn)
            if watched.overdue:
                raise given_up(watched, statement, step, left) from None
            if not isinstance(exc, TransientError) or conn.closed or attempt == TRIES:
                raise _explained(exc, statement, step, ctx, conn) from None
            ctx.log.warning("the build failed and is tried again (%s of %s): %s", attempt, TRIES, exc)
            ctx.handle.sleep(attempt)
    _require_valid(statement, step, conn)
    helpers.whole(made, ctx)
    if note:
        return replace(result, outcome=StatementOutcome.REPAIRED, note=note)
    return result


def _require_unique(statement: Statement, step: Step, ctx: StepContext, conn: Connection) -> None:
    """Before hours of work that must fail."""
    found = duplicates.look_for(statement, ctx, conn)
    if found is not None:
        text = f"the index is not begun: {found}. make them differ, or take them out, then try again"
        raise failure(text, statement, step, sqlstate=UNIQUE)


def _explained(
    exc: MigratorError, statement: Statement, step: Step, ctx: StepContext, conn: Connection
) -> MigratorError:
    """Of a unique index that cannot be built, how many rows are in the way by now."""
    if exc.fields.get("sqlstate") != UNIQUE or conn.closed or ctx.handle.cancelled:
        return exc
    found = duplicates.look_for(statement, ctx, conn)
    return exc if found is None else type(exc)(f"{exc}: {found}", **exc.fields)


def invalid(built: Sequence[Statement], conn: Connection) -> tuple[str, ...]:
    """Names, quoted and qualified, of those indexes of the statements that are there and not valid."""
    found = [_find(statement, conn) for statement in built if statement.kind == KIND]
    return tuple(index.name for index in found if index is not None and not index.usable)


def _find(statement: Statement, conn: Connection) -> FoundIndex | None:
    tree = tree_of(statement)
    table = relation(tree.relation)
    with session.translated(statement=statement):
        if tree.idxname:
            rows = naming.ask(conn, QUERIES["index_by_name"], {"table": table, "index": tree.idxname}).rows
        else:
            rows = naming.ask(conn, QUERIES["indexes_of_table"], {"table": table}).rows
    found = [FoundIndex(int(row[0]), qualified(row[1], row[2]), *row[3:]) for row in rows]
    if tree.idxname or not found:
        return found[0] if found else None
    wanted = _wanted_shape(statement, conn)
    alike = [index for index in found if wanted is not None and _shape(index.oid, conn) == wanted]
    # An invalid one first: it is what an interrupted build leaves, beside an older index of the same shape.
    return min(alike, key=lambda index: index.usable, default=None)


def _shape(oid: int, conn: Connection) -> Any:
    rows = naming.ask(conn, QUERIES["index_shape"], {"oid": oid}).rows
    return rows[0][0] if rows else None


def _wanted_shape(statement: Statement, conn: Connection) -> Any:
    """The shape that PostgreSQL itself gives this definition, tried on an empty temporary twin of the table, which
    belongs to the table's owner: what the index calls runs as the owner of its table.

    None when the twin cannot be made (no TEMPORARY privilege): then nobody can say whether two indexes are equal.
    """
    tree = tree_of(statement)
    parsed = statements.parse(statement.sql, file=statement.file).statements[0].node
    twin = type(parsed)()
    twin.CopyFrom(parsed)
    index: Node = twin.index_stmt
    index.concurrent = False
    index.if_not_exists = False
    index.idxname = "migrator_twin_index"
    index.table_space = ""
    index.relation.schemaname = "pg_temp"
    source, copy = relation(tree.relation), qualified("pg_temp", tree.relation.relname)
    try:
        with naming.passing(conn):
            conn.execute("SET TRANSACTION READ WRITE")  # verify's session is one that reads
            for (owner,) in naming.ask(conn, QUERIES["owner_of_table"], {"table": source}).rows:
                conn.execute(quoting.SQL("SET LOCAL ROLE {}").format(quoting.Identifier(owner)))
            with naming.names_of_target(conn):
                conn.execute(f"CREATE TEMPORARY TABLE {copy} (LIKE {source})".encode())
                send_text(conn, statements.deparse(twin))
            rows = naming.ask(conn, QUERIES["index_by_name"], {"table": copy, "index": "migrator_twin_index"}).rows
            return _shape(int(rows[0][0]), conn) if rows else None
    except psycopg.Error:
        if conn.closed:
            with session.translated(statement=statement):
                raise
        return None


def _clear_invalid(statement: Statement, ctx: StepContext, conn: Connection, *, tried: bool) -> str:
    """Drop an index of this name that some earlier attempt left invalid. Returns what was done, for the record."""
    found = _find(statement, conn)
    if found is None or found.usable:
        return ""
    builder = conn.execute(QUERIES["index_builder"], {"oid": found.oid}).fetchone()
    if builder is not None:
        raise NeedsHuman(
            f"index {found.told} is being built by backend {builder[0]}, which is not ours; wait for it or cancel it"
        )
    _require_ours(found, statement, conn, tried=tried)
    set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=0)
    _drop(found, ctx, conn)
    return f"index {found.told} was left invalid by an earlier attempt: dropped and built again"


def _require_ours(found: FoundIndex, statement: Statement, conn: Connection, *, tried: bool) -> None:
    """Somebody else's index may be invalid because its build goes on, or waits for a person.

    :raises NeedsHuman: it is another one than the statement makes, or nobody can say.
    """
    differing = differences(statement, conn)
    if differing == () or (differing is None and tried):
        return
    withheld.keep(f"index {found.name}: {found.definition}")
    why = f"it differs in {', '.join(differing)}" if differing else "nobody can compare it, without TEMPORARY rights"
    raise NeedsHuman(
        f"index {found.told} is there and not valid, and is none that an attempt at this statement left: {why}. find"
        f" out whose it is; then drop it with DROP INDEX CONCURRENTLY, or give this one another name"
    )


def _clear_after_failure(statement: Statement, ctx: StepContext, conn: Connection) -> str:
    """An invalid unique index still rejects the application's rows, so it goes at once. After a cancel time is short:
    the next attempt, or the rollback, drops it. Returns what became of it, for the message."""
    if conn.closed or ctx.handle.cancelled:
        return ""
    found = None
    try:
        found = _find(statement, conn)
        if found is None or found.usable or differences(statement, conn):
            return ""
        set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=CLEANUP_TIMEOUT_MS)
        _drop(found, ctx, conn)
        return f"the invalid index {found.told} is dropped"
    except (MigratorError, psycopg.Error) as exc:
        ctx.log.warning("the invalid index stays until the next try: %s", words(exc))
        name = found.told if found is not None else "of the statement"
        return f"the invalid index {name} could not be dropped, the next try or the rollback drops it: {words(exc)}"


def _spoiled(
    exc: DriftDetected, statement: Statement, before: FoundIndex | None, ctx: StepContext, conn: Connection
) -> DriftDetected:
    """What was built while somebody changed a function that it calls may lack rows, or find wrong ones, for ever;
    PostgreSQL takes it for valid, and so would the next try."""
    found = _find(statement, conn)
    if found is None or (before is not None and before.oid == found.oid):
        return exc
    try:
        set_timeouts(conn, ctx, local=False, lock_ms=0, statement_ms=CLEANUP_TIMEOUT_MS)
        _drop(found, ctx, conn)
    except (MigratorError, psycopg.Error) as other:
        ctx.log.error("index %s may be wrong and could not be dropped: %s", one_line(found.told), words(other))
        return DriftDetected(
            f"{exc}; but first drop index {found.told}, which was built meanwhile and may be wrong", **exc.fields
        )
    return DriftDetected(f"{exc}; index {found.told}, which was built meanwhile, is dropped", **exc.fields)


def _drop(found: FoundIndex, ctx: StepContext, conn: Connection) -> None:
    ctx.log.warning("dropping index %s, which is %s", one_line(found.told), "spoiled" if found.usable else "invalid")
    with session.translated():
        conn.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {found.name}".encode())
    if ctx.meanwhile is not None and not found.usable:
        ctx.meanwhile.went_on(KIND)


def _require_wanted(statement: Statement, step: Step, conn: Connection) -> None:
    """The server would say that it skips the statement, and report success."""
    problem = another(statement, conn) if may_skip(statement) else None
    if problem is not None:
        raise failure(f"{problem}. drop that one first, or give this one another name", statement, step)


def _require_valid(statement: Statement, step: Step, conn: Connection) -> None:
    found = _find(statement, conn)
    if found is None or not found.usable:
        raise failure("the server reported success, but the index is not valid", statement, step)
