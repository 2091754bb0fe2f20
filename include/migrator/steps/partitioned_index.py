"""CREATE INDEX CONCURRENTLY on a partitioned table, which PostgreSQL has not: an empty index on the parent alone, one
on each partition CONCURRENTLY, and each attached as soon as it is there.

https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE

Where it stands is read from the catalog, so that it goes on at any partition. A partition that is made meanwhile gets
its index from the server, because the parent has one by then.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from migrator.database import naming, queries, session
from migrator.database.vocabulary import told_name
from migrator.errors import StatementFailed
from migrator.parsing import statements
from migrator.parsing.nodes import Node
from migrator.plan import Statement, Step
from migrator.steps import concurrent_index
from migrator.steps.context import StatementOutcome, StatementResult, StepContext
from migrator.steps.patience import in_transaction
from migrator.steps.real_state import Connection, State, qualified, relation, tree_of
from migrator.steps.transaction import failure

QUERIES = queries.load(__package__, "partitioned_index")
LONGEST = 63
"""Bytes of a name (NAMEDATALEN - 1)."""


@dataclass(frozen=True)
class Part:
    """The table itself, or one of its partitions, parents first."""

    oid: int
    schema: str
    table: str
    kind: str
    parent: int
    index: int
    """Oid of its part of the index, 0: there is none yet."""
    index_name: str
    usable: bool


def is_partitioned(statement: Statement, conn: Connection) -> bool:
    """Whether PostgreSQL has no CONCURRENTLY for it."""
    tree = tree_of(statement)
    if statement.kind != concurrent_index.KIND or not tree.relation.inh:
        return False
    with session.translated(statement=statement):
        rows = naming.ask(conn, QUERIES["kind"], {"table": relation(tree.relation)}).rows
    return bool(rows and rows[0][0] == "p")


def build(
    statement: Statement,
    step: Step,
    ctx: StepContext,
    conn: Connection,
    *,
    cursor: dict[str, Any] | None,
    tried: bool,
) -> StatementResult:
    """Until the parent's index is valid.

    :param tried: the ledger knows of an earlier attempt at this very statement.

    :raises StatementFailed: a partition is a foreign table, or a name is another index's.
    """
    tree = tree_of(statement)
    if not tree.idxname:
        raise failure("the index of a partitioned table needs a name: its parts are named after it", statement, step)
    alone = replace(ctx, tracer=None)  # which looks at all parts together
    ctx.trace_before(step, statement, conn)
    _require_free(_parts(statement, step, conn)[0], statement, step, conn, tried=tried)
    built = 0
    while True:
        parts = _parts(statement, step, conn)
        todo = next((part for part in parts if not part.index), None)
        if todo is None:
            break
        above = {part.oid: part for part in parts}.get(todo.parent)
        _add(todo, above, statement, step, alone, conn, cursor)
        built += 1
        have = sum(bool(part.index) for part in parts) + 1
        ctx.log.info("step %s: %s of %s tables have the index", step.name, have, len(parts))
        ctx.went_on()
    ctx.trace_after(step, statement, conn, -1)
    root = parts[0]
    if not root.usable:
        raise failure(
            f"all partitions have the index, and that of {told_name(qualified(root.schema, root.table))} is not valid;"
            " a partition was detached meanwhile: drop the index and try again",
            statement,
            step,
        )
    outcome = StatementOutcome.EXECUTED if built else StatementOutcome.ALREADY_DONE
    return StatementResult(statement.index, statement.kind, outcome, note=f"on {len(parts) - 1} partitions")


def _require_free(root: Part, statement: Statement, step: Step, conn: Connection, *, tried: bool) -> None:
    """The name is free, or what has it is of an earlier attempt, or the very index that IF NOT EXISTS means."""
    if not root.index:
        return
    differing = concurrent_index.differences(_on(root, root.index_name, statement, concurrently=False), conn)
    if differing:
        raise _taken(root.index_name, root, differing, statement, step)
    if not tried and not tree_of(statement).if_not_exists:
        name = told_name(qualified(root.schema, root.index_name))
        raise failure(f"index {name} is there already", statement, step, sqlstate=concurrent_index.EXISTS)


def part_name(index: str, table: str) -> str:
    """Of the index on a partition: the same one in each attempt. Pure."""
    whole = f"{table}_{index}"
    if len(whole.encode()) <= LONGEST:
        return whole
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole.encode()[: LONGEST - 9].decode(errors='ignore')}_{mark}"


def _parts(statement: Statement, step: Step, conn: Connection) -> list[Part]:
    tree = tree_of(statement)
    with session.translated(statement=statement):
        asked = {"table": relation(tree.relation), "index": tree.idxname}
        parts = [Part(*row) for row in naming.ask(conn, QUERIES["parts"], asked).rows]
    foreign = [told_name(qualified(part.schema, part.table)) for part in parts if part.kind == "f"]
    if foreign:
        text = f"{', '.join(foreign)} is a foreign table, which can have no part of an index: detach it first"
        raise failure(text, statement, step, sqlstate="0A000")
    return parts


def _add(
    part: Part,
    above: Part | None,
    statement: Statement,
    step: Step,
    ctx: StepContext,
    conn: Connection,
    cursor: dict[str, Any] | None,
) -> None:
    tree = tree_of(statement)
    name = tree.idxname if above is None else part_name(tree.idxname, part.table)
    own = _on(part, name, statement, concurrently=part.kind != "p")
    if part.kind == "p":
        if concurrent_index.look(own, conn).state is not State.DONE:
            shell = concurrent_index.differences(own, conn)
            if shell is None:
                in_transaction(own, step, ctx, conn)
            elif shell:
                raise _taken(name, part, shell, statement, step)
    elif concurrent_index.look(own, conn).state is not State.DONE:
        differing = concurrent_index.differences(own, conn)
        if differing:
            raise _taken(name, part, differing, statement, step)
        concurrent_index.build(own, step, ctx, conn, cursor=cursor, tried=True)
    if above is not None:
        sql = f"ALTER INDEX {qualified(above.schema, above.index_name)} ATTACH PARTITION {qualified(part.schema, name)}"
        in_transaction(replace(statement, sql=sql, kind="ALTER INDEX", transactional=True), step, ctx, conn)


def _taken(name: str, part: Part, differing: tuple[str, ...], statement: Statement, step: Step) -> StatementFailed:
    return failure(
        f"an index {told_name(qualified(part.schema, name))} is there and is another one than the partition needs: it"
        f" differs in {', '.join(differing)}. rename it, or give the new index another name",
        statement,
        step,
        sqlstate=concurrent_index.EXISTS,
    )


def _on(part: Part, name: str, statement: Statement, *, concurrently: bool) -> Statement:
    """The statement for one table alone."""
    node: Node = statements.parse(statement.sql, file=statement.file).statements[0].node
    index = node.index_stmt
    index.relation.schemaname, index.relation.relname = part.schema, part.table
    index.relation.inh = concurrently
    index.concurrent, index.if_not_exists, index.idxname = concurrently, False, name
    kind = concurrent_index.KIND if concurrently else "CREATE INDEX"
    return replace(statement, sql=statements.deparse(node), kind=kind, transactional=not concurrently)
