"""Rows that others have written since a migration was applied, in tables from which its rollback takes rows.

Which those are, the rehearsal has seen, whatever the form of the script. A row says which transaction has written it,
and the ledger's event, which came right after the last step that is done. What was written meanwhile by a transaction
that had begun before is not seen.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field

from psycopg import sql as quoting

from migrator import documents, wording
from migrator.database import held, plain, queries, session
from migrator.database.vocabulary import told_name
from migrator.errors import MigratorError, TransientError
from migrator.frozen import frozen
from migrator.ledger.rows import took_effect
from migrator.steps.context import StepContext
from migrator.steps.real_state import qualified

MOST_ROWS = 1000
"""More are not counted."""
MOST_PAGES = 32_768
"""Of a larger table the end is looked at, where new rows come."""
QUERIES = queries.load(__package__, "newer_rows")


@frozen
class Newer:
    """What was found at one moment."""

    rows: Mapping[int, int] = field(default_factory=dict)
    """By the oid of their table, of those that have some."""
    names: Mapping[int, str] = field(default_factory=dict)
    """As they may be told."""
    unseen: tuple[str, ...] = ()
    """Tables at which nobody may look, and why."""
    since: str = ""
    until: str = ""
    """Transactions between which they were written."""


NOTHING = Newer()


@frozen
class _Table:
    oid: int
    schema: str
    name: str
    pages: int
    goes_with: tuple[str, ...]
    """Names that it has, that those have of which it is a part, and its schema's."""

    @property
    def told(self) -> str:
        return told_name(f"{self.schema}.{self.name}")


def look(ctx: StepContext, taken: Collection[str] | None) -> Newer:
    """
    :param taken: digests of names of tables and schemas, as the rehearsal has noted them; None: look everywhere.
    """
    done = [row.step for row in ctx.ledger.steps(ctx.plan.version) if took_effect(row)]
    since = ctx.ledger.written_by(ctx.plan.version, done[-1]) if done and taken != [] else None
    if since is None:
        return NOTHING
    with _looking(ctx) as conn, session.translated():
        ((until,),) = conn.execute(QUERIES["next_transaction"]).fetchall()
        return _newer(ctx, conn, taken, since, until)


def lost(ctx: StepContext, before: Newer) -> tuple[str, ...]:
    """What of it is gone, or was changed, since. That nobody can look is told."""
    if not before.rows:
        return ()
    try:
        with _looking(ctx) as conn, session.translated():
            now = _newer(ctx, conn, None, before.since, before.until)
    except MigratorError as exc:
        ctx.log.warning("nobody could look what became of rows that others have written since: %s", exc)
        return ()
    return tuple(
        _told(count - now.rows.get(oid, 0), before.names[oid])
        for oid, count in before.rows.items()
        if now.rows.get(oid, 0) < count
    )


def reason(found: Newer) -> str:
    """Why a person has to decide; empty: there is nothing to decide. Pure."""
    if found.rows:
        said = "; ".join(_told(count, found.names[oid]) for oid, count in found.rows.items())
        return (
            "others have written rows since, in tables that the rollback drops, or from which it deletes, as it was"
            f" rehearsed: {said}. take them along to where they belong, or go on with the migration"
        )
    if found.unseen:
        return (
            "the rollback drops tables, or deletes from them, as it was rehearsed, and nobody may look whether others"
            f" have written rows there since: {'; '.join(found.unseen)}"
        )
    return ""


def _told(count: int, name: str) -> str:
    return f"{f'more than {MOST_ROWS:,} rows' if count > MOST_ROWS else wording.count(count, 'row')} of {name}"


def _looking(ctx: StepContext) -> session.Connection:
    return session.connect(ctx.endpoint, purpose="validate", version=ctx.plan.version, lock_timeout_ms=held.WAIT_MS)


def _newer(ctx: StepContext, conn: session.Connection, taken: Collection[str] | None, since: str, until: str) -> Newer:
    """:raises TransientError: somebody keeps a table of which it must be known."""
    found = conn.execute(QUERIES["tables"], {"ledger": ctx.ledger.schema}).fetchall()
    tables = [_Table(oid, schema, name, pages, tuple(parts)) for oid, schema, name, pages, parts in found]
    rows, names, unseen = dict[int, int](), dict[int, str](), list[str]()
    for table in tables:
        if taken is not None and not {documents.digest(part) for part in table.goes_with} & {*taken}:
            continue
        try:
            with session.translated():
                count = _count(table, since, until, conn)
        except TransientError:
            if taken is not None:
                raise
            unseen.append(f"{table.told}: somebody keeps it")
        except MigratorError as exc:
            unseen.append(f"{table.told}: {exc}")
        else:
            if count:
                rows[table.oid], names[table.oid] = count, table.told
    return Newer(rows, names, tuple(unseen), since, until)


def _count(table: _Table, since: str, until: str, conn: session.Connection) -> int:
    with plain.as_they_lie(conn):
        held.hold(conn, [qualified(table.schema, table.name)])
        query = quoting.SQL(
            "select pg_catalog.count(*) from (select from only {table} as t where pg_catalog.age(t.xmin)"
            " < pg_catalog.age({since}::pg_catalog.text::pg_catalog.xid) and pg_catalog.age(t.xmin)"
            " > pg_catalog.age({until}::pg_catalog.text::pg_catalog.xid) and t.ctid >= {first}::pg_catalog.tid"
            " limit {most}) as newer"
        ).format(
            table=quoting.Identifier(table.schema, table.name),
            since=quoting.Literal(since),
            until=quoting.Literal(until),
            first=quoting.Literal(f"({max(0, table.pages - MOST_PAGES)},0)"),
            most=quoting.Literal(MOST_ROWS + 1),
        )
        row = conn.execute(query).fetchone()
        return int(row[0]) if row else 0
