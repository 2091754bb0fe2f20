"""What the catalog says of a backfill: whether its batches, one by one, may do other than its one statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from migrator.database import naming, queries
from migrator.parsing import statements
from migrator.parsing.running_functions import READ_NAMED, RUN_TEXTS
from migrator.plan import Finding, Plan, Severity, Statement
from migrator.steps.batch_sql import batch_sql
from migrator.steps.batch_statement import BatchSql
from migrator.steps.transaction import Connection

QUERIES = queries.load(__package__, "batch_readings")
BACKFILL = "backfill"
NOT_IN_BATCHES = "not-in-batches"
"""Rule of what is foretold."""
OWN_TABLE = "write what it finds there into a table of its own, in a step before, and read that"


def hidden(conn: Connection, sql: BatchSql) -> str | None:
    """Why rows may be left as they are, and nothing would tell that."""
    found = _ask(conn, "hidden", {"tables": [sql.relation, sql.written, *sql.reads]})
    if not found:
        return None
    return (
        f"row security is in force for our role, and a policy may hide rows of {found[0]['name']}: they would be left"
        " as they are, and the step would pass for done. let a role do it that sees all of them: one with BYPASSRLS,"
        " the owner while row security is not forced, or one with a policy FOR ALL USING (true)"
    )


def others(conn: Connection, sql: BatchSql) -> tuple[str | None, bool]:
    """Why it reads what it writes, or may, and whether it calls functions that are somebody's own."""
    named = {
        "written": sql.written, "by_itself": sql.writes_only, "reads": list(sql.reads),
        "columns": list(sql.columns),
        "schemas": [schema for schema, _ in sql.calls], "calls": [name for _, name in sql.calls],
        "runs": sorted(RUN_TEXTS | READ_NAMED),
    }  # fmt: skip
    found = _ask(conn, "others", named)
    owned = any(row["owned"] for row in found)
    return next((_other(row, sql) for row in found if row["reads"] or row["opaque"]), None) or _beside(conn, sql), owned


def _beside(conn: Connection, sql: BatchSql) -> str | None:
    """Why what it reads of other rows of its table may change though it does not set that."""
    beside = _ask(conn, "changes_beside", {"written": sql.written, "sees": list(sql.sees)}) if sql.sees else []
    if not beside:
        return None
    return (
        f"it reads other rows of {sql.written}, and {beside[0]['name']} may change what it reads there: a batch would"
        f" see what those before it have done. {OWN_TABLE}"
    )


def read_tables(conn: Connection, sql: BatchSql) -> list[str]:
    """Those that it reads beside the one whose rows it goes through, for FROM ONLY."""
    reads = [name for name in sql.reads if name != sql.relation]
    return [row["name"] for row in _ask(conn, "read_tables", {"reads": reads, "written": sql.written})]


def _other(row: dict[str, Any], sql: BatchSql) -> str:
    if row["reads"]:
        return (
            f"it reads {sql.written} beside the row that it writes, by {row['name']}: a batch would see what those"
            " before it have done, and all of them together would do something else than this one statement."
            f" {OWN_TABLE}"
        )
    return (
        f"nobody can tell whether {row['name']} reads {sql.written}: what it calls is in another language, or runs"
        f" a text that it puts together; then a batch would see what those before it have done. {OWN_TABLE}; or"
        " declare IMMUTABLE what reads no table"
    )


def refused(conn: Connection, text: str) -> str | None:
    """Why a step of kind backfill would not do what this statement does, as things are now."""
    sql = batch_sql(statements.parse(text, file="its file").statements[0])
    return hidden(conn, sql) or others(conn, sql)[0]


def may_repeat(conn: Connection, sql: BatchSql) -> bool:
    """Whether two rows that it inserts may have the same key, as far as indexes tell. The one statement fails for them;
    a batch finds what the one before it has inserted."""
    if not sql.is_whole or sql.unique is None:
        return False
    table, columns = sql.unique
    copied = {"source": sql.relation, "by_itself": sql.only, "given": list(sql.given)}
    asked = {**copied, "table": table, "columns": list(columns)}
    return not sql.given or not _ask(conn, "are_apart", asked)[0]["found"]


def key_types(conn: Connection, sql: BatchSql) -> list[str]:
    return types(conn, *(sql.unique or ("", ())))


def types(conn: Connection, table: str, columns: Sequence[str]) -> list[str]:
    """Of these columns, not quoted, as a cast has them."""
    return [row["type"] for row in _ask(conn, "types", {"table": table, "columns": list(columns)})]


def foretold(conn: Connection, plan: Plan) -> tuple[Finding, ...]:
    """What the dry run will refuse, as things are now: a step before, or another migration, may change them."""
    return tuple(_foretold(conn, plan))


def _foretold(conn: Connection, plan: Plan) -> Iterator[Finding]:
    for step in plan.steps:
        if step.kind != BACKFILL:
            continue
        statement = step.statements[0]
        sql = batch_sql(statements.parse(statement.sql, file=statement.file).statements[0])
        for text in (hidden(conn, sql), others(conn, sql)[0]):
            if text is not None:
                message, _, cure = text.partition(". ")
                yield _finding(statement, Severity.WARNING, f"the dry run will refuse it: {message}", cure)
        if may_repeat(conn, sql) and key_types(conn, sql):
            columns = ", ".join((sql.unique or ("", ()))[1])
            message = (
                f"no index says that no two rows that it inserts have the same ({columns}): all of them are looked"
                " through before the first batch, and where two have, it is refused, as the one statement fails"
            )
            severity = Severity.WARNING if sql.given else Severity.INFO
            yield _finding(statement, severity, message, "write ON CONFLICT DO NOTHING, where any of them is enough")


def _finding(statement: Statement, severity: Severity, message: str, cure: str) -> Finding:
    return Finding(
        NOT_IN_BATCHES,
        severity,
        message,
        cure,
        file=statement.file,
        line=statement.line,
        column=statement.column,
        statement=statement.index,
    )


def _ask(conn: Connection, name: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    return naming.ask(conn, QUERIES[name], values).named
