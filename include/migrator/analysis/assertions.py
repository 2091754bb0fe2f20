"""The queries of the metadata's `verify`: they may read, and nothing else. Pure.

They go to production like every statement, so they are judged like every statement.
"""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.types.builtin_functions import VOLATILE
from migrator.analysis.walk.script import Script
from migrator.lock_modes import AS
from migrator.parsing.nodes import find, strings
from migrator.parsing.statements import ParsedStatement
from migrator.plan import Finding, Severity

RULE = "assertion-only-reads"
"""Rule id; never allowed."""

READS = ("select_stmt", "variable_show_stmt")
WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "IntoClause", "LockingClause")
HARMLESS = frozenset(
    [
        "clock_timestamp",
        "timeofday",
        "random",
        "random_normal",
        "gen_random_uuid",
        "uuidv4",
        "uuidv7",
        "currval",
        "lastval",
        "pg_sequence_last_value",
        "pg_relation_size",
        "pg_table_size",
        "pg_indexes_size",
        "pg_total_relation_size",
        "pg_database_size",
        "pg_is_in_recovery",
        "pg_partition_tree",
        "pg_partition_ancestors",
        "pg_get_sequence_data",
        "pg_current_wal_lsn",
        "pg_last_wal_replay_lsn",
        "pg_sleep",
        "pg_sleep_for",
        "pg_sleep_until",
    ]
)
"""Volatile, because the answer changes, but they do nothing; statement_timeout ends what sleeps."""


def faults(script: Script, what: str = "assertion") -> Iterator[Finding]:
    """What is wrong with the query of one assertion.

    :param what: it is called.
    """
    file, statements = script.parsed.file, script.parsed.statements

    def finding(text: str) -> Finding:
        return Finding(
            RULE, Severity.ERROR, f"this {what} {text}", "write a query that gives one true value", file=file
        )

    if len(statements) != 1:
        if not script.parsed.problems:
            yield finding(f"must be one query, and is {len(statements)} statements")
        return
    (statement,) = statements
    if statement.name not in READS:
        yield finding(f"must be a query (SELECT, VALUES, TABLE or SHOW), and is {statement.kind}")
        return
    for kind in sorted({item.DESCRIPTOR.name for item in find(statement.tree, *WRITES)}):
        yield finding(f"must only read, and has a part that does not ({kind.removesuffix('Stmt')})")
    for name in sorted(_called(statement) & (VOLATILE - HARMLESS)):
        yield finding(f"must only read, and calls {name}()")
    for subject in script.subjects:
        for lock in subject.all_effects.locks:
            if lock.mode != AS:
                yield finding(f"must only read, and takes {lock.mode} on {lock.relation}")


def _called(statement: ParsedStatement) -> set[str]:
    return {strings(item.funcname)[-1] for item in find(statement.tree, "FuncCall")}
