"""Rows that others have written since a migration was applied, in tables of which its rollback takes or changes some.

Which those are, the rehearsal has seen, whatever the form of the script. A row says which transaction has written it,
and the ledger which were the migration's own, and which went on beside them: those may have written later. All others
since the migration's first are others', whether a step went on meanwhile or not. A table is read as a whole, since an
UPDATE stays where its row is.

What a step writes in no transaction of the ledger's, as a procedure with COMMIT does, counts as others'.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace

from psycopg import errors as server
from psycopg import sql as quoting

from migrator import documents, wording
from migrator.database import held, plain, queries, session
from migrator.database.vocabulary import told_name
from migrator.errors import MigratorError, Refused, TransientError
from migrator.frozen import frozen
from migrator.ledger.work import Work
from migrator.steps import newer_values
from migrator.steps.context import StepContext
from migrator.steps.newer_values import Values
from migrator.steps.real_state import qualified

MOST_ROWS = 1000
"""More are not counted."""
MOST_SECONDS = 60.0
"""For all tables together: so long the rollback may wait. Of what was not read by then a person has to decide."""
SHOWN = 5
OLDER = "any table (an older engine has applied it, and has not noted who was writing meanwhile)"
QUERIES = queries.load(__package__, "newer_rows")


@frozen
class Newer:
    """What was found at one moment."""

    rows: Mapping[int, int] = field(default_factory=dict)
    """By the oid of their table, of those that have some."""
    names: Mapping[int, str] = field(default_factory=dict)
    """As they may be told."""
    values: Mapping[int, Values] = field(default_factory=dict)
    """By the oid of those of which not all counts, but what stands in columns that are dropped."""
    unseen: tuple[str, ...] = ()
    """Tables at which nobody could look, and why."""
    since: tuple[Work, ...] = ()
    """The steps that were done."""
    until: str = ""
    """The transaction before which they were written."""


NOTHING = Newer()


@frozen
class _Table:
    oid: int
    schema: str
    name: str
    goes_with: tuple[str, ...]
    """Names that it has, that those have of which it is a part, and its schema's."""

    @property
    def told(self) -> str:
        return told_name(f"{self.schema}.{self.name}")


def look(ctx: StepContext, taken: Collection[str] | None) -> Newer:
    """
    :param taken: digests of names of tables and schemas, as the rehearsal has noted them; None: look everywhere.
    """
    since = ctx.ledger.work(ctx.plan.version) if taken != [] else ()
    if not since:
        return NOTHING
    if not all(step.is_noted for step in since):
        return Newer(unseen=(OLDER,))
    with _looking(ctx) as conn, session.translated():
        ((until,),) = conn.execute(QUERIES["next_transaction"]).fetchall()
        return _newer(ctx, conn, since, until, taken=taken)


def lost(ctx: StepContext, before: Newer) -> tuple[str, ...]:
    """What of it is gone, or was changed, since; and what may be."""
    unseen = list(before.unseen)
    now = before
    if before.rows:
        try:
            with _looking(ctx) as conn, session.translated():
                whole = before.rows.keys() - before.values.keys()
                now = _newer(ctx, conn, before.since, before.until, only=whole)
                left = before.values.keys() - newer_values.gone(conn, before.values)
                now = replace(now, rows={**now.rows, **{oid: before.rows[oid] for oid in left}})
        except MigratorError as exc:
            unseen.append(str(exc))
        else:
            unseen += now.unseen
    gone = [
        _told(count - now.rows.get(oid, 0), before.names[oid])
        for oid, count in before.rows.items()
        if now.rows.get(oid, 0) < count
    ]
    more = [f"{wording.count(len(unseen) - SHOWN, 'more table')}"] if len(unseen) > SHOWN else []
    return (*gone, *(f"perhaps some of {one}, at which nobody could look" for one in unseen[:SHOWN] + more))


def reason(found: Newer) -> str:
    """Why a person has to decide; empty: there is nothing to decide. Pure."""
    if found.rows:
        said = "; ".join(_told(count, found.names[oid]) for oid, count in found.rows.items())
        return (
            "others have written rows since, in tables or columns that the rollback drops, or of which it deletes or"
            f" overwrites rows, as it was rehearsed: {said}. take them along to where they belong, or go on with the"
            " migration"
        )
    if found.unseen:
        return (
            "the rollback drops tables, or deletes or overwrites rows of them, as it was rehearsed, and nobody could"
            f" look whether others have written rows there since: {'; '.join(found.unseen)}"
        )
    return ""


def _told(count: int, name: str) -> str:
    return f"{f'more than {MOST_ROWS:,} rows' if count > MOST_ROWS else wording.count(count, 'row')} of {name}"


def _looking(ctx: StepContext) -> session.Connection:
    return session.connect(ctx.endpoint, purpose="validate", version=ctx.plan.version, lock_timeout_ms=held.WAIT_MS)


def _newer(
    ctx: StepContext,
    conn: session.Connection,
    since: tuple[Work, ...],
    until: str,
    *,
    taken: Collection[str] | None = None,
    only: Collection[int] | None = None,
) -> Newer:
    """:raises TransientError: somebody keeps a table of which it must be known."""
    found = conn.execute(QUERIES["tables"], {"ledger": ctx.ledger.schema}).fetchall()
    tables = [_Table(oid, schema, name, tuple(parts)) for oid, schema, name, parts in found]
    parts = {table.oid: table.goes_with for table in tables}
    values = newer_values.dropped(conn, parts, taken) if taken else {}
    rows, names, unseen = dict[int, int](), dict[int, str](), list[str]()
    end = time.monotonic() + MOST_SECONDS
    for table in tables:
        if only is not None and table.oid not in only:
            continue
        if taken is not None and {documents.digest(part) for part in table.goes_with} & {*taken}:
            values.pop(table.oid, None)
        elif taken is not None and table.oid not in values:
            continue
        try:
            with session.translated():
                count = _count(table, since, until, conn, end - time.monotonic(), values.get(table.oid))
        except TransientError:
            if taken is not None:
                raise
            unseen.append(f"{table.told} (somebody keeps it)")
        except MigratorError as exc:
            unseen.append(f"{table.told} ({exc})")
        else:
            if count:
                of = values[table.oid].told if table.oid in values else ""
                rows[table.oid], names[table.oid] = count, f"{table.told}{of}"
    return Newer(rows, names, {oid: values[oid] for oid in rows if oid in values}, tuple(unseen), since, until)


def _count(
    table: _Table, since: Sequence[Work], until: str, conn: session.Connection, within: float, values: Values | None
) -> int:
    with plain.as_they_lie(conn):
        held.hold(conn, [qualified(table.schema, table.name)])
        query = quoting.SQL(
            "select pg_catalog.count(*) from (select from only {table} as t where {until} and ({newer})"
            " and ({those}) limit {most}) as newer"
        ).format(
            table=quoting.Identifier(table.schema, table.name),
            until=_age(">", until),
            newer=quoting.SQL(" or ").join(_newer_than(since, table.oid)),
            those=quoting.SQL("true") if values is None else values.condition,
            most=quoting.Literal(MOST_ROWS + 1),
        )
        try:
            conn.execute(QUERIES["within"], {"milliseconds": str(max(1, round(within * 1000)))})
            row = conn.execute(query).fetchone()
        except server.QueryCanceled:
            raise Refused(f"it could not be read within {wording.seconds(MOST_SECONDS)}") from None
        return int(row[0]) if row else 0


def _newer_than(since: Sequence[Work], oid: int) -> Iterator[quoting.Composable]:
    """What says of a row that others have written it since. Pure."""
    others = dict.fromkeys(number for step in since for number in step.others)
    yield quoting.SQL("t.xmin = any({}::pg_catalog.xid[])").format(f"{{{','.join(others)}}}")
    begun = [_age("<=", first) for first in dict.fromkeys(step.first for step in since) if first is not None]
    own = [step.own for step in since]
    if begun:
        yield _but(quoting.SQL("({})").format(quoting.SQL(" or ").join(begun)), [*own, *(one.parts for one in since)])
    # a part of such a transaction that had ended has a number of which nobody knows whose it is
    for oldest in dict.fromkeys(step.written[oid] for step in since if oid in step.written):
        yield _but(_age("<=", oldest), own)


def _but(condition: quoting.Composable, own: Iterable[str]) -> quoting.Composable:
    """Not written by any of these. They are looked up in a table of hashes."""
    numbers = (
        "not (t.xmin = any (select (n.number % 4294967296)::pg_catalog.text::pg_catalog.xid"
        " from pg_catalog.unnest({own}::pg_catalog._int8multirange) as m (ranges),"
        " pg_catalog.unnest(m.ranges) as r (numbers),"
        " pg_catalog.generate_series(pg_catalog.lower(r.numbers), pg_catalog.upper(r.numbers) - 1) as n (number)))"
    )
    found = [one for one in own if one != "{}"]
    if not found:
        return quoting.SQL("({})").format(condition)
    told = quoting.SQL(numbers).format(own=quoting.Literal(found))
    return quoting.SQL("({} and {})").format(condition, told)


def _age(than: str, number: str) -> quoting.Composable:
    """How far back it is, since numbers come round."""
    return quoting.SQL("pg_catalog.age(t.xmin) {} pg_catalog.age({}::pg_catalog.text::pg_catalog.xid)").format(
        quoting.SQL(than), quoting.Literal(number)
    )
