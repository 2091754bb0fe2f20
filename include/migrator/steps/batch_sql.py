"""One UPDATE or DELETE of many rows in batches: which can be, and what they send."""

from __future__ import annotations

from migrator.parsing.build import name_text, relation_text
from migrator.parsing.clauses import before, outer_words
from migrator.parsing.nodes import Node, find, name_of
from migrator.parsing.statements import ParsedStatement
from migrator.steps import batch_insert
from migrator.steps.batch_statement import BatchSql, qualified_name
from migrator.steps.reads_itself import called, named, needs_all, numbers_rows, reads_itself, seen_of_itself

INSERT = "insert_stmt"
VERBS = {"update_stmt": "UPDATE", "delete_stmt": "DELETE FROM"}
SPREAD = {"update_stmt": "FROM", "delete_stmt": "USING"}
"""What introduces the other tables."""


def refusal(statement: ParsedStatement) -> tuple[str, str] | None:
    """Why it cannot be done in batches, and what to do."""
    kind = name_of(statement.node)
    if kind == INSERT:
        return batch_insert.refusal(statement)
    if kind not in VERBS:
        cure = "write one UPDATE, DELETE or INSERT ... SELECT with its WHERE"
        return f"{statement.kind} cannot be done in batches", cure
    return unfit(kind, statement.tree)


def unfit(kind: str, tree: Node) -> tuple[str, str] | None:
    """The same of an UPDATE or DELETE that is a tree only."""
    if tree.HasField("with_clause"):
        return "WITH cannot stand in what is done in batches", "write the query into WHERE or FROM"
    if tree.HasField("returning_clause") and len(tree.returning_clause.exprs):
        return "RETURNING has no meaning in what is done in batches", "leave it out"
    if not tree.HasField("where_clause"):
        cure = "write WHERE so that it is true of the rows that still need it, such as WHERE col IS NULL"
        verb = VERBS[kind].partition(" ")[0]
        return f"{verb} without WHERE cannot be done in batches: nobody knows what is left to do", cure
    if name_of(tree.where_clause) == "current_of_expr":
        return "WHERE CURRENT OF cannot be done in batches", "write a condition"
    if tree.relation.catalogname:
        return "the table's name cannot have the database before it in what is done in batches", "leave it out"
    if next(find(tree, "LockingClause"), None) is not None:
        return "what is done in batches cannot lock rows of other queries", "take FOR UPDATE and its like out"
    if numbers_rows(tree):
        return (
            "it puts rows into an order, or chooses some of all of them, and each batch would do that anew: rows that"
            " are equal in it may change places, so that a number is given twice, or never",
            "write what it gives into a table of its own, in a step before, and read that",
        )
    if reads_itself(tree):
        name = relation_text(tree.relation)
        return (
            f"it reads {name} beside the row that it changes: a batch would see what those before it have done, and all"
            " of them together would do something else than this one statement",
            f"write what it finds there into a table of its own, in a step before, and read that; where another table"
            f" than {name} is meant, write the schema of both",
        )
    return None


def batch_sql(statement: ParsedStatement) -> BatchSql:
    """:raises ValueError: see `refusal`."""
    refused = refusal(statement)
    if refused:
        raise ValueError(refused[0])
    kind, tree, text = name_of(statement.node), statement.tree, statement.sql
    if kind == INSERT:
        return batch_insert.insert_sql(statement)
    words = outer_words(text)
    sources = tree.from_clause if kind == "update_stmt" else tree.using_clause
    where = before(words, "WHERE", [tree.where_clause], text)
    words = words[: words.index(where)]
    spread = before(words, SPREAD[kind], sources, text) if len(sources) else where
    middle = before(words, "SET", tree.target_list, text) if kind == "update_stmt" else spread
    relation = tree.relation
    return BatchSql(
        verb=VERBS[kind],
        relation=qualified_name(relation),
        only=not relation.inh,
        alias=name_text(relation.alias.aliasname if relation.HasField("alias") else relation.relname),
        aliased=relation.HasField("alias"),
        middle=text[middle.start : where.start].rstrip(),
        others=f", {text[spread.end : where.start].strip()}" if len(sources) else "",
        condition=text[where.end :].strip(),
        again=kind == "update_stmt",
        columns=tuple(item.res_target.name for item in tree.target_list) if kind == "update_stmt" else (),
        locks_first=len(sources) > 0 or next(find(tree, "SubLink"), None) is not None,
        is_together=needs_all(tree, relation),
        reads=named(tree, relation),
        calls=called(tree),
        sees=seen_of_itself(tree),
    )
