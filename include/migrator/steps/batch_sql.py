"""One UPDATE or DELETE of many rows as the same statement for a range of pages: what a batch sends.

A range is one of ctid: no key is needed, and a TID range scan reads each page once (PostgreSQL 14 and later,
https://www.postgresql.org/docs/14/release-14.html). What the author has written stands in each batch as it was written;
only the table's name is that of the very table or partition, and the condition has the range beside it.

A row that somebody else has locked is left out: whoever waits for one while it holds others makes everybody wait who
wants those, and may be in a deadlock that the application loses. Such rows are waited for one at a time, with nothing
held (`one`).
"""

from __future__ import annotations

from migrator.frozen import frozen
from migrator.parsing.build import name_text
from migrator.parsing.nodes import name_of
from migrator.parsing.statements import ParsedStatement
from migrator.parsing.tokens import Token, fold, tokens

LOCKS = {"UPDATE ONLY": "FOR NO KEY UPDATE", "DELETE FROM ONLY": "FOR UPDATE"}
"""As the statement itself locks rows. One that changes a key takes more later, against those that refer to the row."""
VERBS = {"update_stmt": "UPDATE ONLY", "delete_stmt": "DELETE FROM ONLY"}
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
    middle: str
    """SET and what follows, or USING, up to WHERE."""
    others: str
    """The other tables that it reads, with their keyword, for queries that look for the rows that need it."""
    condition: str
    again: bool
    """Whether a row that it has changed must not meet the condition any more: a deleted one is gone."""

    def batch(self, table: str, first: int, end: int) -> str:
        """Pages `first` to before `end` of `table`, quoted and qualified. One row: how many rows it has changed, and
        how many of them still meet the condition."""
        pages = (
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.>=) '({first},0)'::pg_catalog.tid"
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.<) '({end},0)'::pg_catalog.tid"
        )
        return self._change(table, f"{pages} {LOCKS[self.verb]} OF {self.alias} SKIP LOCKED")

    def one(self, table: str) -> str:
        """As `batch`, of any one row that needs it, for which it waits."""
        return self._change(table, f" LIMIT 1 {LOCKS[self.verb]} OF {self.alias}")

    def _change(self, table: str, which: str) -> str:
        returning = f"({self.condition}\n)" if self.again else "false"
        source = f"{table} AS {self.alias}{self.others}"
        rows = f"SELECT {self.alias}.ctid FROM ONLY {source}\nWHERE ({self.condition}\n){which}"  # noqa: S608
        change = (
            f"{self.verb} {table} AS {self.alias} {self.middle}\nWHERE ({self.condition}\n)"
            f" AND {self.alias}.ctid OPERATOR(pg_catalog.=) ANY (ARRAY({rows}))"
        )
        counts = "pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE again)"
        return f"WITH batch AS ({change} RETURNING {returning} AS again) SELECT {counts} FROM batch"  # noqa: S608

    def left(self) -> str:
        """One row: whether any row still meets the condition."""
        table = f"{'ONLY ' if self.only else ''}{self.relation} AS {self.alias}"
        return f"SELECT EXISTS (SELECT FROM {table}{self.others}\nWHERE ({self.condition}\n))"  # noqa: S608


def refusal(statement: ParsedStatement) -> tuple[str, str] | None:
    """Why it cannot be done in batches, and what to do."""
    kind = name_of(statement.node)
    if kind not in VERBS:
        return f"{statement.kind} cannot be done in batches", "write one UPDATE or DELETE with its WHERE"
    tree = statement.tree
    if tree.HasField("with_clause"):
        return "WITH cannot stand in what is done in batches", "write the query into WHERE or FROM"
    if tree.HasField("returning_clause") and len(tree.returning_clause.exprs):
        return "RETURNING has no meaning in what is done in batches", "leave it out"
    if not tree.HasField("where_clause"):
        cure = "write WHERE so that it is true of the rows that still need it, such as WHERE col IS NULL"
        return f"{statement.kind} without WHERE cannot be done in batches: nobody knows what is left to do", cure
    if name_of(tree.where_clause) == "current_of_expr":
        return "WHERE CURRENT OF cannot be done in batches", "write a condition"
    return None


def batch_sql(statement: ParsedStatement) -> BatchSql:
    """:raises ValueError: see `refusal`."""
    refused = refusal(statement)
    if refused:
        raise ValueError(refused[0])
    kind, tree, text = name_of(statement.node), statement.tree, statement.sql
    top = _outer(text)
    where = next(token for token in top if _is(token, "WHERE"))
    spread = next((one for one, before in zip(top[1:], top, strict=False) if _spreads(one, before, kind)), None)
    after = next(token for token in _after_name(top, kind) if _is(token, "SET", "USING", "WHERE"))
    relation = tree.relation
    return BatchSql(
        verb=VERBS[kind],
        relation=".".join(name_text(part) for part in (relation.schemaname, relation.relname) if part),
        only=not relation.inh,
        alias=name_text(relation.alias.aliasname if relation.HasField("alias") else relation.relname),
        middle=text[after.start : where.start].rstrip(),
        others="" if spread is None else f", {text[spread.end : where.start].strip()}",
        condition=text[where.end :].strip(),
        again=kind == "update_stmt",
    )


def _outer(text: str) -> list[Token]:
    """The tokens that stand in no parentheses, without white space and comments."""
    depth, found = 0, []
    for token in tokens(text):
        depth -= token.kind == "right"
        if depth == 0 and token.kind not in ("space", "comment", "block", "right"):
            found.append(token)
        depth += token.kind == "left"
    return found


def _after_name(top: list[Token], kind: str) -> list[Token]:
    """What follows the table's name and its alias, either of which may be called like a keyword."""
    position = 1 if kind == "update_stmt" else 2
    position += _is(top[position], "ONLY")
    position += 1
    while top[position].text == ".":
        position += 2
    position += top[position].text == "*"
    if _is(top[position], "AS"):
        return top[position + 2 :]
    return top[position + (not _is(top[position], "SET", "USING", "WHERE")) :]


def _spreads(token: Token, before: Token, kind: str) -> bool:
    return _is(token, SPREAD[kind]) and not _is(before, "DISTINCT")


def _is(token: Token, *words: str) -> bool:
    return token.kind == "word" and fold(token.text) in {fold(word) for word in words}
