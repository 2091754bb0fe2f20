"""Batches that all run in one transaction, and changes of many rows at once."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.rules.in_steps import filled
from migrator.analysis.rules.model import DOCS, LARGE_ROWS, Hit, Rule, rows_of, size_text
from migrator.analysis.walk.script import Script
from migrator.analysis.walk.subject import Subject
from migrator.parsing.nodes import Node, enum, name_of, strings
from migrator.plan import Severity, Suggestion

STEP = "backfill"
"""The step kind that does in batches what one statement says."""
CHANGES = ("update_stmt", "delete_stmt", "insert_stmt", "merge_stmt")


def check(script: Script) -> Iterator[Hit]:
    for outer in script.subjects:
        inner = list(outer.with_inner())[1:]
        commits = any(item.statement.kind == "COMMIT" and item.looped for item in inner)
        for item in inner:
            if item.looped and not commits and item.statement.name in ("update_stmt", "delete_stmt"):
                yield from _batches(item)
    if script.parsed.step_kind == STEP:
        return
    for subject in script.everything():
        if subject.statement.name in CHANGES and not subject.looped:
            yield from _at_once(subject)


def _batches(subject: Subject) -> Iterator[Hit]:
    table = subject.world.name(subject.statement.tree.relation)
    if not subject.world.is_new(table):
        yield Hit(
            f"the loop changes {table} batch after batch in one transaction: every row stays locked, and vacuum can"
            " clean nothing, until the last batch is done",
            help="write the change without the loop into a file of its own, which a step of kind backfill runs in"
            " batches; or COMMIT after each batch, in a file that does not run in a transaction (transaction: false)",
            subject=subject,
            suggestion=Suggestion(STEP, {"file": "fill.sql"}),
        )


def _at_once(subject: Subject) -> Iterator[Hit]:
    """With WHERE nobody knows how many; from a million rows on it is worth a look."""
    tree = subject.statement.tree
    table = subject.world.name(tree.relation)
    if subject.world.is_new(table) or subject.statement.name in ("insert_stmt",):
        return
    rows = rows_of(subject, table)
    chosen = "where_clause" in tree.DESCRIPTOR.fields_by_name and tree.HasField("where_clause")
    steps = filled(subject) if subject.statement.name in ("update_stmt", "delete_stmt") else ()
    if chosen and rows is not None and rows >= LARGE_ROWS and not _by_key(subject, table):
        yield Hit(
            f"{subject.statement.kind} may change many of the rows of {table}{size_text(subject, table)} in one"
            " statement; EXPLAIN on the restored copy tells how many",
            help="put it into a file of its own, which a step of kind backfill runs in batches: WHERE must be true of"
            " the rows that still need it, and false of one that is done",
            severity=Severity.INFO,
            subject=subject,
            suggestion=None if steps else Suggestion(STEP, {"file": "fill.sql"}),
            steps=steps,
        )


def _by_key(subject: Subject, table: str) -> bool:
    """WHERE names all columns of a unique index with "=": at most one row, or as many as are listed."""
    facts = subject.world.relation(table)
    where = subject.statement.tree.where_clause
    named = set(_equal_columns(where))
    return any(
        item.unique and item.predicate is None and item.columns and set(item.columns) <= named
        for item in (facts.indexes if facts else ())
    )


def _equal_columns(where: Node) -> Iterator[str]:
    stack = [where]
    while stack:
        current = stack.pop()
        name = name_of(current)
        if name == "bool_expr" and enum(current.bool_expr, "boolop") == "AND_EXPR":
            stack.extend(current.bool_expr.args)
        elif name == "a_expr" and strings(current.a_expr.name)[-1:] == ("=",) and _is_comparison(current.a_expr):
            yield from strings(current.a_expr.lexpr.column_ref.fields)[-1:]


def _is_comparison(expression: Node) -> bool:
    return enum(expression, "kind") in ("AEXPR_OP", "AEXPR_IN")


RULE = Rule(
    id="backfill-in-one-transaction",
    severity=Severity.WARNING,
    condition="UPDATE or DELETE in a loop without COMMIT, or one statement over a table of millions of rows",
    effect="rows stay locked and dead rows pile up all the time, standbys fall behind, and a failure undoes all of it",
    alternative="a step of kind `backfill`: batches by ranges of pages, each committed by itself",
    without_sql="always: the loop is code; a step of kind `backfill` (migration-metadata.yaml) does the same, each"
    " batch in a transaction of its own",
    source=DOCS + "sql-update.html#SQL-UPDATE-EXAMPLES",
    aliases=("pgfence:update-in-migration", "strong_migrations:backfill"),
    script=check,
)
