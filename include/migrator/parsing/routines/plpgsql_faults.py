"""Finds the statement that keeps a PL/pgSQL body from being compiled: the parser itself does not tell its place."""

from __future__ import annotations

from collections.abc import Collection

from migrator.parsing import lexer
from migrator.parsing.nodes import assign, name_of
from migrator.parsing.routines.body import Body
from migrator.parsing.routines.contents import Fault
from migrator.parsing.routines.sql_body import place
from migrator.parsing.statements import deparse, parse

_VERBS = frozenset(
    ["insert", "update", "delete", "merge", "select", "alter", "create", "drop", "truncate", "grant", "with"]
)
_BEFORE = frozenset(["begin", "loop", "then", "else", ">>"])
"""What may stand before the first word of a statement, other than a semicolon."""


def find(body: Body, messages: Collection[str]) -> Fault | None:
    """The first statement that the SQL grammar refuses with one of these very messages; None when it is not SQL."""
    for segment in lexer.scan(body.text).segments:
        start = _statement_start(body.text, segment.start, segment.end)
        if start is None:
            continue
        sql = body.text[start : segment.end]
        problem = next(iter(parse(sql, file="").problems), None)
        if problem is None or problem.message not in messages:
            continue
        offset = place(sql, problem.line or 1, problem.column or 1)
        alternative = without_limit(sql, offset)
        hint = problem.hint or ""
        if alternative is not None:
            hint = (
                f"choose the rows in a subquery: {alternative}; a block that commits nothing in between is one"
                " transaction, and all batches together hold their locks until its end"
            )
        return Fault(body.offset + start + offset, problem.message, hint, alternative)
    return None


def without_limit(sql: str, offset: int) -> str | None:
    """UPDATE or DELETE with LIMIT (and ORDER BY), as other databases have it, the way PostgreSQL does it.

    `offset`: where the parser stopped, at ORDER or LIMIT. None when the statement is another one.
    """
    tail = sql[offset:]
    if not tail.lower().startswith(("limit", "order")):
        return None
    head = parse(sql[:offset], file="")
    if head.problems or len(head.statements) != 1 or head.statements[0].name not in ("update_stmt", "delete_stmt"):
        return None
    node = type(head.statements[0].node)()
    assign(node, head.statements[0].node)
    tree = getattr(node, name_of(node))
    chosen = parse(f"DELETE FROM t WHERE ctid IN (SELECT ctid FROM t {tail})", file="")  # noqa: S608 -- only parsed
    if chosen.problems or len(chosen.statements) != 1 or tree.with_clause.ctes:
        return None
    where = type(node)()
    assign(where, chosen.statements[0].tree.where_clause)
    select = where.sub_link.subselect.select_stmt
    assign(select.from_clause[0].range_var, tree.relation)
    if tree.HasField("where_clause"):
        assign(select.where_clause, tree.where_clause)
    assign(tree.where_clause, where)
    return deparse(node)


def _statement_start(text: str, start: int, end: int) -> int | None:
    """Where the last SQL statement of a segment begins, after the words that open a block, a loop or a branch."""
    found, before = None, ""
    for token in lexer.tokens(text, start):
        if token.start >= end:
            break
        if token.kind in ("space", "comment"):
            continue
        word = token.text.lower()
        if word in _VERBS and (before in _BEFORE or before == ""):
            found = token.start
        before = word
    return found
