"""Drop an index without blocking anybody, and build it again as it was.

What it was stands in the step's cursor before anything happens: pg_get_indexdef, and what that leaves out. So it can be
undone from any point, also after a kill between the halves of DROP INDEX CONCURRENTLY.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from psycopg import sql as quoting
from psycopg.rows import dict_row

from migrator import wording
from migrator.database import naming, queries, session
from migrator.database.vocabulary import told_name
from migrator.errors import NeedsHuman, StatementFailed
from migrator.ledger.rows import LedgerStep
from migrator.parsing import statements
from migrator.plan import Phase, Statement, Step
from migrator.steps import concurrent_index, patience, piecewise
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.real_state import Connection, qualified
from migrator.steps.transaction import failure

QUERIES = queries.load(__package__, "dropped_index")
KEPT = (
    *("oid", "schema_name", "index_name", "table_schema", "table_name", "definition", "tablespace", "comment"),
    *("statistics", "clustered"),
)
"""Of the query `index`: what it takes to make it again."""


def execute(step: Step, phase: Phase, ctx: StepContext) -> tuple[StatementResult, ...]:
    """See `kinds.drop_index.execute`."""
    notes: list[str] = []

    def remember(conn: Connection, earlier: Mapping[str, Any] | None) -> Mapping[str, Any]:
        found = _look(str(step.params["index"]), conn)
        if earlier is not None:
            _require_the_same(earlier, found, step, ctx)
            return earlier
        if found is None:
            raise failure(f"there is no index {step.params['index']}", step.statements[0], step, sqlstate="42704")
        _require_unneeded(found, step)
        notes.extend(_said(found))
        for note in notes:
            ctx.log.info("step %s: %s", step.name, note)
        return {key: found[key] for key in KEPT}

    results = piecewise.execute(step, phase, ctx, remember=remember)
    return tuple(replace(one, note="; ".join(filter(None, (*notes, one.note)))) for one in results)


def half_dropped(step: Step, conn: Connection) -> tuple[str, ...]:
    """An interrupted DROP INDEX CONCURRENTLY leaves an index that every write still pays for."""
    found = _look(str(step.params["index"]), conn)
    return () if found is None or found["usable"] else (f"index {step.params['index']} is half dropped",)


def build_again(step: Step, row: LedgerStep, ctx: StepContext, conn: Connection) -> tuple[StatementResult, ...]:
    """From any point: nothing, when it was never begun."""
    before = row.cursor.get(piecewise.BEFORE)
    if before is None:
        return ()
    name = qualified(before["schema_name"], before["index_name"])
    patient = replace(step, params={})  # the deadline was for the way there
    statement = _made("CREATE INDEX CONCURRENTLY", _definition(before), step)
    found = _look(name, conn)
    if found is not None and found["usable"]:
        if found["oid"] == before["oid"]:
            note = f"index {told_name(name)} was not dropped"
            return (StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE, note=note),)
        differing = concurrent_index.differences(statement, conn)
        if differing != ():
            why = f"it differs in {', '.join(differing)}" if differing else "nobody can compare it"
            raise NeedsHuman(
                f"index {told_name(name)} was made by somebody since it was dropped, and is not as it was: {why}. drop"
                " it or rename it, then try again",
                step=step.name,
            )
        built = StatementResult(statement.index, statement.kind, StatementOutcome.ALREADY_DONE)
    else:
        built = concurrent_index.build(statement, patient, ctx, conn, cursor=None, tried=True)
    rest = [patience.in_transaction(one, patient, ctx, conn) for one in _attributes(before, name, step)]
    return (built, *rest)


def _look(name: str, conn: Connection) -> dict[str, Any] | None:
    """None: there is no index of the name."""
    with session.translated():
        oids = naming.ask(conn, QUERIES["oid_of_index"], {"index": name}).rows
        if not oids:
            return None
        with conn.cursor(row_factory=dict_row) as cursor:  # under our own path, so that the definition has whole names
            return cursor.execute(QUERIES["index"], {"oid": oids[0][0]}).fetchone()


def _require_the_same(earlier: Mapping[str, Any], found: dict[str, Any] | None, step: Step, ctx: StepContext) -> None:
    if found is not None and found["oid"] != earlier["oid"]:
        raise NeedsHuman(
            f"index {step.params['index']} was made by somebody since an earlier attempt has looked at it; find out"
            " what it is for, then roll this migration back, or take the step out",
            version=ctx.plan.version,
            step=step.name,
        )


def _require_unneeded(found: Mapping[str, Any], step: Step) -> None:
    """:raises StatementFailed: the server would refuse it, or rows could not be replicated, or it goes another way."""
    name = step.params["index"]
    if found["constraints"]:
        raise _refused(
            f"index {name} belongs to constraint {told_name(found['constraints'])}; drop the constraint with ALTER"
            " TABLE ... DROP CONSTRAINT, its index goes with it",
            step,
        )
    if found["kind"] == "I":
        raise _refused(
            f"index {name} is that of a partitioned table, which has no CONCURRENTLY: DROP INDEX {name} in a step of"
            " kind sql drops it with those of all partitions, in a moment, but locks all of them ACCESS EXCLUSIVE",
            step,
        )
    if found["part_of"]:
        raise _refused(
            f"index {name} is a part of {told_name(found['part_of'])} of the partitioned table, and cannot be dropped"
            " without it",
            step,
        )
    if found["replica_identity"]:
        raise _refused(
            f"index {name} is the replica identity of its table: without it UPDATE and DELETE fail as soon as it is"
            " published. give the table another one first with ALTER TABLE ... REPLICA IDENTITY",
            step,
        )


def _refused(text: str, step: Step) -> StatementFailed:
    return failure(text, step.statements[0], step, sqlstate="2BP01")


def _said(found: Mapping[str, Any]) -> list[str]:
    """Who might miss it, as far as this server knows."""
    since = f"since {found['reset']}" if found["reset"] else "since its statistics began"
    last = f", the last time at {found['last_scan']}" if found["last_scan"] else ""
    notes = [
        f"index of {found['bytes']:,} bytes, scanned {wording.count(found['scans'] or 0, 'time')} {since}{last};"
        " what standbys have scanned is not counted here"
    ]
    if found["is_unique"]:
        notes.append("it was unique: equal keys may come from now on, and keep it from being built again")
    for key in found["foreign_keys"]:
        notes.append(f"foreign key {told_name(key)} has no other index: DELETE in the table it refers to will scan")
    return notes


def _definition(before: Mapping[str, Any]) -> str:
    node = statements.parse(before["definition"], file="the definition").statements[0].node
    node.index_stmt.concurrent = True
    node.index_stmt.table_space = before["tablespace"] or ""
    return statements.deparse(node)


def _attributes(before: Mapping[str, Any], name: str, step: Step) -> list[Statement]:
    """What CREATE INDEX does not say."""
    made = []
    if before["comment"]:
        text = quoting.Literal(before["comment"]).as_string(None)
        made.append(_made("COMMENT", f"COMMENT ON INDEX {name} IS {text}", step))
    for number, target in before["statistics"]:
        sql = f"ALTER INDEX {name} ALTER COLUMN {int(number)} SET STATISTICS {int(target)}"
        made.append(_made("ALTER INDEX", sql, step))
    if before["clustered"]:
        table = qualified(before["table_schema"], before["table_name"])
        sql = f"ALTER TABLE {table} CLUSTER ON {qualified(before['index_name'])}"
        made.append(_made("ALTER TABLE", sql, step))
    return made


def _made(kind: str, sql: str, step: Step) -> Statement:
    """A statement of ours, in the place of the one that it undoes."""
    alone = not kind.endswith("CONCURRENTLY")
    return replace(step.statements[0], sql=sql, kind=kind, transactional=alone, digest="")
