"""Helper objects in the ledger's registry: which ones a statement may leave, and which of those registered are there.

What works CONCURRENTLY is registered before it begins, because it commits by itself; what a transaction makes, in that
transaction (`ObjectRegistry.register` with `on`). A later kind that makes triggers, tables, functions or slots of its
own names them by `names.helper_name` and registers them so; then rollback, janitor and people know whose they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.rows import dict_row

from migrator.database import naming, queries, session
from migrator.errors import MigratorError
from migrator.ledger.rows import Helper, ObjectClass
from migrator.parsing.nodes import strings
from migrator.plan import Statement, Step
from migrator.steps import real_state
from migrator.steps.context import StepContext
from migrator.steps.real_state import Connection, qualified, relation, tree_of

QUERIES = queries.load(__package__, "helpers")
INDEXES = (ObjectClass.INDEX, ObjectClass.INDEX_COPIES)
CANCELLED = "57014"
"""query_canceled: by statement_timeout"""
_ASKED = {ObjectClass.TABLE: "relation"}
"""Where the query is not called like the class."""


@dataclass(frozen=True)
class There:
    """What the catalog says of a registered object."""

    schema: str
    table: str
    name: str
    bytes: int
    """On disk; of a slot, the WAL that it retains."""
    whole: bool
    """An index that is valid: it is no helper any more."""
    disabled: bool
    """A trigger that nothing runs."""
    kept: str
    """Why nobody drops it alone. Empty: it can be."""
    busy: str
    """Who keeps it from being dropped now. Empty: nobody."""
    identity: str = ""
    """Which one it is, and in what state: what is another one by now, or was made whole, is not dropped for it."""

    @property
    def qualified(self) -> str:
        """As SQL writes it."""
        return qualified(self.schema, self.name)


def interrupted(statement: Statement, conn: Connection, spared: Sequence[int] = ()) -> tuple[Helper, ...]:
    """What a statement leaves that commits by itself and is interrupted; of an index whose name the server chooses
    nothing is known.

    :param spared: see `Helper`.
    """
    kind = statement.kind
    if not kind.endswith("CONCURRENTLY"):
        return ()
    tree = tree_of(statement)
    if kind == "CREATE INDEX CONCURRENTLY" and tree.idxname:
        table = table_named(relation(tree.relation), conn)
        return () if table is None else (Helper(ObjectClass.INDEX, table[0], tree.idxname, table[1]),)
    if kind == "DROP INDEX CONCURRENTLY":
        names = [qualified(*strings(item.list.items)) for item in tree.objects]
        found = [row for one in names for row in _ask("dropped", one, conn)]
        return tuple(Helper(ObjectClass.INDEX, schema, name, table) for schema, table, name in found)
    if real_state.is_gentle_reindex(statement) and tree.HasField("relation"):
        found = _ask("rebuilt", relation(tree.relation), conn)
        given: dict[str, Any] = {"spared": tuple(spared)}
        return tuple(Helper(ObjectClass.INDEX_COPIES, schema, name, table, **given) for schema, table, name in found)
    return ()


def table_named(name: str, conn: Connection) -> tuple[str, str] | None:
    """Schema and name of a table, not quoted.

    :param name: as SQL writes it.
    """
    rows = _ask("table", name, conn)
    return (rows[0][0], rows[0][1]) if rows else None


def constraint_of(schema: str, table: str, name: str, conn: Connection) -> Helper:
    """As it is registered, in the transaction that has added it."""
    with session.translated():
        rows = conn.execute(QUERIES["added"], {"schema": schema, "table": table, "name": name}).fetchall()
    own = tuple(int(oid) for (oid,) in rows)
    return Helper(ObjectClass.CONSTRAINT, schema, name, table, needed=True, spared=own)


def intend(made: Sequence[Helper], step: Step, ctx: StepContext) -> None:
    """Before they are made by what commits by itself."""
    ctx.ledger.register(made, version=ctx.plan.version, step=step.name, run=ctx.run)


def whole(made: Sequence[Helper], ctx: StepContext) -> None:
    """They are gone, or are what the migration is for."""
    ctx.ledger.unregister(made, version=ctx.plan.version)


def look(helper: Helper, conn: Connection) -> tuple[There, ...]:
    """What of it is there; of INDEX_COPIES there may be several."""
    asked = {"schema": helper.schema, "table": helper.table, "name": helper.name, "spared": list(helper.spared)}
    with session.translated(), conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(QUERIES[_ASKED.get(helper.kind, helper.kind.value)], asked).fetchall()
    return tuple(_there(row) for row in rows)


def settle(ctx: StepContext) -> None:
    """After a rollback: what is not there any more, or is whole, leaves the registry. That nobody can look does not
    undo the rollback: the janitor looks again."""
    try:
        rows = ctx.ledger.objects(ctx.plan.version)
        if not rows:
            return
        with session.connect(ctx.endpoint, purpose="observe", version=ctx.plan.version) as conn:
            left = [row for row in rows if any(not there.whole for there in look(row.helper, conn))]
        whole([row.helper for row in rows if row not in left], ctx)
    except MigratorError as exc:
        ctx.log.warning("nobody could look which helper objects are gone: %s", exc)


def _ask(query: str, name: str, conn: Connection) -> list[tuple[Any, ...]]:
    with session.translated():
        return naming.ask(conn, QUERIES[query], {"name": name}).rows


def _there(row: dict[str, Any]) -> There:
    found = {key: row[key] for key in ("name", "bytes", "whole", "disabled", "kept", "busy", "identity")}
    return There(schema=row["schema_name"], table=row["table_name"], **found)
