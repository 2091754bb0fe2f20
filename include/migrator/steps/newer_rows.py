"""Rows that others have written since a migration was applied, in tables that its rollback script drops or empties.

A row says which transaction has written it, and the ledger's event, which came right after the last step that is done.
What was written meanwhile by a transaction that had begun before is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from psycopg import sql as quoting

from migrator import wording
from migrator.database import held, naming, plain, queries, session
from migrator.errors import MigratorError, TransientError
from migrator.frozen import frozen
from migrator.ledger.rows import took_effect
from migrator.parsing import statements
from migrator.parsing.nodes import Node, enum, relations, strings
from migrator.parsing.statements import ParsedStatement
from migrator.plan import Statement
from migrator.steps.context import StepContext
from migrator.steps.real_state import qualified

MOST_ROWS = 1000
"""More are not counted."""
MOST_PAGES = 32_768
"""Of a larger table the end is looked at, where new rows come."""

_READING = ("insert_stmt", "create_table_as_stmt", "merge_stmt", "update_stmt", "select_stmt", "copy_stmt")

Name = tuple[str, str]
"""Schema, or "", and name, as written."""


@frozen
class Loss:
    """What a script takes away with all its rows."""

    name: Name
    verb: str
    schema: bool = False


def losses(script: Sequence[Statement]) -> tuple[Loss, ...]:
    """By the names from before the script. A table that it has read before may have given its rows to another. Pure."""
    found: dict[Loss, None] = {}
    before: dict[Name, Name] = {}
    read: set[Name] = set()
    for statement in script:
        item = statements.parse(statement.sql, file=statement.file).statements[0]
        for loss in _losses(item.name, item.tree):
            name = before.get(loss.name, loss.name)
            if name not in read:
                found[Loss(name, loss.verb, loss.schema)] = None
        if item.name == "rename_stmt" and enum(item.tree, "rename_type") == "OBJECT_TABLE":
            old = _name(item.tree.relation)
            before[old[0], item.tree.newname] = before.get(old, old)
        read.update(before.get(name, name) for name in _read(item))
    return tuple(found)


def _losses(kind: str, tree: Node) -> Iterator[Loss]:
    if kind == "drop_stmt" and enum(tree, "remove_type") == "OBJECT_TABLE":
        for item in tree.objects:
            parts = ("", *strings(item.list.items))
            yield Loss((parts[-2], parts[-1]), "drops")
    elif kind == "drop_stmt" and enum(tree, "remove_type") == "OBJECT_SCHEMA":
        yield from (Loss((item.string.sval, ""), "drops", schema=True) for item in tree.objects)
    elif kind == "truncate_stmt":
        yield from (Loss(_name(item.range_var), "empties") for item in tree.relations)
    elif kind == "delete_stmt" and not tree.HasField("where_clause"):
        yield Loss(_name(tree.relation), "empties")


def _read(item: ParsedStatement) -> Iterator[Name]:
    if item.name in _READING:
        target = item.tree.relation if "relation" in item.tree.DESCRIPTOR.fields_by_name else None
        yield from (_name(one) for one in relations(item.node) if one is not target and one != target)
    if item.name == "copy_stmt" and not item.tree.is_from:
        yield _name(item.tree.relation)


def _name(relation: Node) -> Name:
    return relation.schemaname, relation.relname


def look(ctx: StepContext) -> tuple[str, ...]:
    """A phrase for each such table. That nobody can look is told, and keeps nothing from being undone."""
    script = [statement for step in ctx.plan.rollback_steps for statement in step.statements]
    found = losses(script)
    done = [row.step for row in ctx.ledger.steps(ctx.plan.version) if took_effect(row)]
    since = ctx.ledger.written_by(ctx.plan.version, done[-1]) if found and done else None
    if since is None:
        return ()
    try:
        version, patience = ctx.plan.version, held.WAIT_MS
        with (
            session.connect(ctx.endpoint, purpose="validate", version=version, lock_timeout_ms=patience) as conn,
            session.translated(),
        ):
            return tuple(filter(None, (_told(loss, since, conn) for loss in found)))
    except TransientError:
        raise
    except MigratorError as exc:
        ctx.log.warning("nobody could look for rows that others have written since: %s", exc)
        return ()


def reason(found: Sequence[str]) -> str:
    """Why a person has to decide; empty: there is nothing to decide. Pure."""
    if not found:
        return ""
    return (
        f"others have written rows since, and the rollback script would lose them: {'; '.join(found)}. take them"
        " along to where they belong, or go on with the migration"
    )


def _told(loss: Loss, since: str, conn: session.Connection) -> str:
    rows, many = _count(loss, since, conn)
    count = f"more than {MOST_ROWS:,} rows" if many else wording.count(rows, "row")
    return f"{count} of {'.'.join(filter(None, loss.name))}, which it {loss.verb}" if rows else ""


def _count(loss: Loss, since: str, conn: session.Connection) -> tuple[int, bool]:
    queries_ = queries.load(__package__, "newer_rows")
    name = qualified(*loss.name) if not loss.schema else None
    tables = naming.ask(conn, queries_["tables"], {"name": name, "schema": loss.name[0] if loss.schema else None}).rows
    rows = 0
    with plain.as_they_lie(conn):
        for schema, table, pages in tables:
            held.hold(conn, [qualified(schema, table)])
            query = quoting.SQL(
                "select pg_catalog.count(*) from (select from only {table} as t where pg_catalog.age(t.xmin)"
                " < pg_catalog.age({since}::pg_catalog.text::pg_catalog.xid) and t.ctid >= {first}::pg_catalog.tid"
                " limit {most}) as newer"
            ).format(
                table=quoting.Identifier(schema, table),
                since=quoting.Literal(since),
                first=quoting.Literal(f"({max(0, pages - MOST_PAGES)},0)"),
                most=quoting.Literal(MOST_ROWS + 1 - rows),
            )
            row = conn.execute(query).fetchone()
            rows += int(row[0]) if row else 0
            if rows > MOST_ROWS:
                return rows, True
    return rows, False
