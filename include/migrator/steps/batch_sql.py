"""One UPDATE or DELETE of many rows as the same statement for a range of pages: what a batch sends.

A range is one of ctid: no key is needed, and a TID range scan reads each page once (PostgreSQL 14 and later,
https://www.postgresql.org/docs/14/release-14.html). What the author has written stands in each batch as it was written;
only the table's name is that of the very partition where that makes no difference, and the condition has the range
beside it.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrator.frozen import frozen
from migrator.parsing.build import name_text, relation_text
from migrator.parsing.nodes import Node, find, name_of, walk
from migrator.parsing.statements import ParsedStatement
from migrator.parsing.tokens import Token, fold, tokens
from migrator.steps.reads_itself import reads_itself

VERBS = {"update_stmt": "UPDATE", "delete_stmt": "DELETE FROM"}
SPREAD = {"update_stmt": "FROM", "delete_stmt": "USING"}
"""What introduces the other tables."""


@frozen
class BatchSql:
    """Parts of the statement, as they are written; a comment may end each of them."""

    verb: str
    relation: str
    """The name as it is written, for to_regclass()."""
    only: bool
    """Without partitions and children."""
    alias: str
    """Quoted as need be: what the statement calls the table."""
    aliased: bool
    """By a name that it gives it."""
    middle: str
    """SET and what follows, or USING, up to WHERE."""
    others: str
    """The other tables that it reads, with their keyword, for a query that looks for the rows that are left."""
    condition: str
    again: bool
    """Whether a row that it has changed must not meet the condition any more: a deleted one is gone."""

    columns: tuple[str, ...]
    """Those that SET names."""

    def batch(self, table: str, first: int, end: int) -> str:
        """Pages `first` to before `end` of `table`, as FROM writes it. One row: how many rows it has changed, and how
        many of them still meet the condition."""
        returning = f"({self.condition}\n)" if self.again else "false"
        change = f"{self.verb} {self._named(table)} {self.middle}\nWHERE {self._within(first, end)}"
        counts = "pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE again)"
        return f"WITH batch AS ({change} RETURNING {returning} AS again) SELECT {counts} FROM batch"  # noqa: S608

    def trial(self, table: str) -> str:
        """A batch that nobody executes: the server says whether it could be."""
        return f"EXPLAIN (FORMAT JSON) {self.batch(table, 0, 1)}"

    def found(self, table: str, first: int, end: int, most: int) -> str:
        """One row: the places of the first and the last row within these pages that meet the condition, and how many
        do, of the first so many. Places are NULL where none does."""
        rows = f"FROM {self._named(table)}{self.others}\nWHERE {self._within(first, end)}"
        places = f"SELECT {self.alias}.ctid AS place {rows}\nORDER BY 1 LIMIT {most}"
        low, high, number = "pg_catalog.min(place)", "pg_catalog.max(place)", "pg_catalog.count(*)"
        text = "::pg_catalog.text"
        return f"SELECT ARRAY[{low}{text}, {high}{text}, {number}{text}] FROM ({places}) AS found"  # noqa: S608

    def left(self) -> str:
        """One row: whether any row still meets the condition."""
        return f"SELECT EXISTS (SELECT {self._all()})"

    def count(self) -> str:
        """One row: how many rows the statement itself would change now, however many partners each has."""
        row = f"DISTINCT {self.alias}.tableoid, {self.alias}.ctid" if self.others else ""
        return f"SELECT pg_catalog.count(*) FROM (SELECT {row} {self._all()}) AS found"  # noqa: S608

    def _all(self) -> str:
        table = f"ONLY {self.relation}" if self.only else self.relation
        return f"FROM {self._named(table)}{self.others}\nWHERE ({self.condition}\n)"

    def _named(self, table: str) -> str:
        """As it is written where it is the table that is written: columns may be named with its schema."""
        written = not self.aliased and table.removeprefix("ONLY ") == self.relation
        return table if written else f"{table} AS {self.alias}"

    def _within(self, first: int, end: int) -> str:
        return (
            f"({self.condition}\n)"
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.>=) '({first},0)'::pg_catalog.tid"
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.<) '({end},0)'::pg_catalog.tid"
        )


def refusal(statement: ParsedStatement) -> tuple[str, str] | None:
    """Why it cannot be done in batches, and what to do."""
    kind = name_of(statement.node)
    if kind not in VERBS:
        return f"{statement.kind} cannot be done in batches", "write one UPDATE or DELETE with its WHERE"
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
    words = _outer_words(text)
    sources = tree.from_clause if kind == "update_stmt" else tree.using_clause
    where = _before(words, "WHERE", [tree.where_clause], text)
    words = words[: words.index(where)]
    spread = _before(words, SPREAD[kind], sources, text) if len(sources) else where
    middle = _before(words, "SET", tree.target_list, text) if kind == "update_stmt" else spread
    relation = tree.relation
    return BatchSql(
        verb=VERBS[kind],
        relation=".".join(name_text(part) for part in (relation.schemaname, relation.relname) if part),
        only=not relation.inh,
        alias=name_text(relation.alias.aliasname if relation.HasField("alias") else relation.relname),
        aliased=relation.HasField("alias"),
        middle=text[middle.start : where.start].rstrip(),
        others=f", {text[spread.end : where.start].strip()}" if len(sources) else "",
        condition=text[where.end :].strip(),
        again=kind == "update_stmt",
        columns=tuple(item.res_target.name for item in tree.target_list) if kind == "update_stmt" else (),
    )


def _outer_words(text: str) -> list[Token]:
    """Those that stand in no parentheses."""
    depth, found = 0, []
    for token in tokens(text):
        depth += (token.kind == "left") - (token.kind == "right")
        if depth == 0 and token.kind == "word":
            found.append(token)
    return found


def _before(words: list[Token], word: str, parts: Sequence[Node], text: str) -> Token:
    """The word that introduces these parts of the tree: the last one like it in front of all that they consist of. What
    else is called so stands earlier, as a column of SET, or later."""
    places = [getattr(node, "location", 0) for part in parts for node in walk(part)]
    written = text.encode()
    first = len(written[: min((place for place in places if place > 0), default=len(written))].decode())
    return next(token for token in reversed(words) if token.start < first and fold(token.text) == fold(word))
