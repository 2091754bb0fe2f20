"""One INSERT ... SELECT of many rows as the same statement for a range of pages of the table that it reads.

It is exact where each row says by itself whether it is done: a NOT EXISTS on a key of the table that is written, which
the inserted row makes false. A unique index on that key keeps the application from inserting the same row beside it, so
nothing is there twice. The rows that are read are locked as an UPDATE would lock them: whoever changes or deletes one
comes before its copy is made, which then shows that, or after the batch, and finds the copy to change as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from migrator.frozen import frozen
from migrator.lock_modes import AS, RS
from migrator.parsing.build import expression_text, name_text, relation_text
from migrator.parsing.clauses import before, outer_words
from migrator.parsing.nodes import Node, copy_of, enum, find, name_of, relations, strings
from migrator.parsing.statements import ParsedStatement
from migrator.parsing.tokens import tokens
from migrator.plan import Statement
from migrator.steps import copy_sql
from migrator.steps.batch_statement import BatchSql, qualified_name
from migrator.steps.copy_sql import CopySql
from migrator.steps.reads_itself import called, is_same, named, needs_all

Refusal = tuple[str, str]
"""Why it cannot be done in batches, and what to do."""

WHOLE = {
    "distinct_clause": "DISTINCT",
    "group_clause": "GROUP BY",
    "having_clause": "HAVING",
    "window_clause": "WINDOW",
    "sort_clause": "ORDER BY",
    "limit_count": "LIMIT",
    "limit_offset": "OFFSET",
    "locking_clause": "FOR UPDATE and its like",
    "into_clause": "INTO",
}
"""What means all rows of a query, not each."""
CALLS = ("FuncCall", "SQLValueFunction", "SubLink", "ParamRef")
"""What may give another value each time."""


@frozen
class InsertSql(BatchSql):
    sources: str = ""
    """What stands behind FROM."""
    place: tuple[int, int] = (0, 0)
    """Of the name there, in `sources`; the alias stands behind it."""
    conflict: str = ""
    """ON CONFLICT DO NOTHING, or nothing."""
    into: str = ""
    """The table that is written, for to_regclass()."""
    found_by: tuple[str, ...] = ()
    """Its columns by which a row says that it is done."""
    values: tuple[str, ...] = ()
    """What is inserted there."""
    copies: CopySql | None = None
    """How a copy is made again; None: nothing is copied but a key."""
    copied: tuple[str, ...] = ()
    """The columns of the only table that is read, where these are no more than that."""

    def batch(self, table: str, first: int, end: int, more: str = "") -> str:
        rows = f"{self._from(table)}\nWHERE {self._within(first, end)}{more}\nFOR {self.lock} OF {self.alias}"
        whole = f"{self.middle} {rows} {self.conflict}\nRETURNING false AS again"
        return f"WITH batch AS ({whole}) SELECT pg_catalog.count(*), 0 FROM batch"  # noqa: S608

    @property
    def lock(self) -> str:
        return "NO KEY UPDATE"

    def still(self, table: str, first: int, end: int, more: str = "") -> str:
        mine = f"{self.alias}.xmax OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid"
        return (
            f"SELECT 0, pg_catalog.count(*) FROM {self._from(table)}\nWHERE {self._within(first, end)}{more} AND {mine}"  # noqa: S608
        )

    def count(self) -> str:
        return f"SELECT pg_catalog.count(*) {self._all()}"

    @property
    def written(self) -> str:
        return self.into

    @property
    def writes_only(self) -> bool:
        return False

    @property
    def is_read(self) -> bool:
        return True

    @property
    def is_whole(self) -> bool:
        return not self.conflict

    @property
    def given(self) -> tuple[str, ...]:
        return self.copied

    def repeated(self, types: Sequence[str]) -> str:
        key = ", ".join(f"({value})::{of}" for value, of in zip(self.values, types, strict=True))
        return (
            f"SELECT EXISTS (SELECT {self._all()} GROUP BY {key} HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1)"
        )

    @property
    def unique(self) -> tuple[str, tuple[str, ...]] | None:
        return self.into, self.found_by

    def _from(self, table: str) -> str:
        start, end = self.place
        written = self.is_together or table.removeprefix("ONLY ") == self.relation
        name = self.sources[start:end] if written else table if self.aliased else f"{table} AS {self.alias}"
        return f"{self.sources[:start]}{name}{self.sources[end:]}"


def refusal(statement: ParsedStatement) -> Refusal | None:
    tree = statement.tree
    query = tree.select_stmt.select_stmt if tree.HasField("select_stmt") else None
    if query is None or len(query.values_lists):
        return "INSERT of single rows is not done in batches", "write INSERT INTO ... SELECT ... FROM ... WHERE"
    found = _whole(tree, query) or _target(tree)
    if found is not None:
        return found
    source = _source(query)
    if source is None:
        return (
            "in batches it goes through one table, the first after FROM, and keeps each of its rows",
            "begin FROM with that table, and join others to it by JOIN or LEFT JOIN",
        )
    return _done(tree, query, source)


def with_row_locks(parsed: ParsedStatement, statement: Statement) -> Statement:
    """The statement of the plan, with the lock that its batches take on the table whose rows they go through."""
    if parsed.name != "insert_stmt" or refusal(parsed) is not None:
        return statement
    source = _source(parsed.tree.select_stmt.select_stmt)
    name = "" if source is None else source.relname
    locks = (
        replace(lock, mode=RS) if lock.mode == AS and lock.relation.rpartition(".")[2] == name else lock
        for lock in statement.locks
    )
    return replace(statement, locks=tuple(locks))


def insert_sql(statement: ParsedStatement) -> InsertSql:
    """Of a statement that is not refused."""
    tree, text = statement.tree, statement.sql
    query = tree.select_stmt.select_stmt
    source = _source(query)
    if source is None:
        raise ValueError("the first of FROM is no table")
    there = _there(tree, query, source)
    words = outer_words(text)
    where = before(words, "WHERE", [query.where_clause], text)
    clause = tree.on_conflict_clause
    end = len(text)
    if tree.HasField("on_conflict_clause"):
        end = len(text.encode()[: clause.location].decode())
    source_words = words[: words.index(where)]
    start = before(source_words, "FROM", query.from_clause, text).end
    found_by = () if there is None else _found_by(tree, there, source)
    given = _given(tree, query)
    values = [given[column] for column in found_by]
    sources = text[start : where.start].strip()
    first, last, star = _place(sources, len(text.encode()[: source.location].decode()) - text.index(sources, start))
    return InsertSql(
        verb="INSERT INTO",
        relation=qualified_name(source),
        only=not source.inh,
        alias=name_text(source.alias.aliasname if source.HasField("alias") else source.relname),
        aliased=source.HasField("alias"),
        middle=text[:start].rstrip(),
        others="",
        condition=text[where.end : end].strip(),
        again=False,
        columns=(),
        locks_first=True,
        is_together=not source.inh or star or needs_all(tree, source),
        reads=named(tree, tree.relation),
        calls=called(tree),
        sources=sources,
        place=(first, last),
        conflict=text[end:].strip(),
        into=qualified_name(tree.relation),
        found_by=found_by,
        values=tuple(expression_text(value) for value in values),
        copied=_copied(query, values),
        copies=None
        if there is None
        else copy_sql.of(
            tree,
            source,
            there,
            sources,
            {column: value for column, value in given.items() if column not in found_by},
            list(_conjuncts(query.where_clause)),
        ),
    )


def _place(text: str, first: int) -> tuple[int, int, bool]:
    """Of a name with what is before it: from where to where, and whether a star behind it says that children count."""
    last, dot = first, True
    for token in tokens(text, first):
        if token.kind in ("space", "comment"):
            continue
        if token.text == "*":
            return first, last, True
        if (token.text == ".") is dot:
            break
        last, dot = token.end, not dot
    return first, last, False


def _copied(query: Node, values: Sequence[Node]) -> tuple[str, ...]:
    """The columns, of the only table that is read."""
    alone = len(query.from_clause) == 1 and name_of(query.from_clause[0]) == "range_var"
    names = [strings(value.column_ref.fields) for value in values if name_of(value) == "column_ref"]
    return tuple(name[-1] for name in names) if alone and len(names) == len(values) else ()


def _whole(tree: Node, query: Node) -> Refusal | None:
    if tree.HasField("with_clause") or query.HasField("with_clause"):
        return "WITH cannot stand in what is done in batches", "write the query into FROM or WHERE"
    if enum(query, "op") != "SETOP_NONE":
        return "UNION and its like cannot stand in what is done in batches", "write a step for each of the queries"
    for field, name in WHOLE.items():
        there = query.HasField(field) if field in ("having_clause", "limit_count", "limit_offset", "into_clause") else 0
        if there or (not isinstance(there, bool) and len(getattr(query, field))):
            return f"{name} is of all rows that it reads, and a batch reads a part of them", "leave it out"
    if any(call.HasField("over") for call in find(query, "FuncCall")):
        return "a window function is of all rows that it reads, and a batch reads a part of them", (
            "write what it gives into a table of its own, in a step before, and read that"
        )
    if next(find(query, "LockingClause"), None) is not None:
        return "what is done in batches cannot lock rows of other queries", "take FOR UPDATE and its like out"
    return None


def _target(tree: Node) -> Refusal | None:
    if tree.HasField("returning_clause") and len(tree.returning_clause.exprs):
        return "RETURNING has no meaning in what is done in batches", "leave it out"
    if tree.HasField("on_conflict_clause") and enum(tree.on_conflict_clause, "action") != "ONCONFLICT_NOTHING":
        return "ON CONFLICT DO UPDATE would change a row again in each round", (
            "write ON CONFLICT DO NOTHING here, and the UPDATE into a step of its own"
        )
    if enum(tree, "override") == "OVERRIDING_USER_VALUE":
        return "OVERRIDING USER VALUE inserts other values than it looks for, so nobody knows which rows are done", (
            "leave it out; where the table is to give the keys itself, look in NOT EXISTS by another one"
        )
    if tree.relation.catalogname:
        return "the table's name cannot have the database before it in what is done in batches", "leave it out"
    if not len(tree.cols):
        return "it does not name the columns that it fills, so nobody can tell which is the key", (
            f"write INSERT INTO {relation_text(tree.relation)} (column, ...)"
        )
    return None


def _source(query: Node) -> Node | None:
    """The table whose rows it goes through: each of them is in what FROM makes."""
    node = query.from_clause[0] if len(query.from_clause) else None
    while node is not None and name_of(node) == "join_expr":
        join = node.join_expr
        if enum(join, "jointype") not in ("JOIN_INNER", "JOIN_LEFT") or join.HasField("alias"):
            return None
        node = join.larg
    if node is None or name_of(node) != "range_var" or node.range_var.catalogname:
        return None
    return node.range_var


def _done(tree: Node, query: Node, source: Node) -> Refusal | None:
    """Whether a row that is inserted makes the condition false."""
    table = relation_text(tree.relation)
    there = _there(tree, query, source)
    if there is None:
        return (
            f"nobody could tell which rows are left: its WHERE has no NOT EXISTS that looks in {table} by the very"
            " values that it inserts into the columns of a key",
            f"write WHERE NOT EXISTS (SELECT FROM {table} WHERE {table}.key = source.key), each column with its table"
            " before it; ON CONFLICT DO NOTHING may stand behind it",
        )
    allowed = there.from_clause[0].range_var.location
    if any(is_same(item, tree.relation) and item.location != allowed for item in relations(query)):
        return (
            f"it reads {table} beside the row that it writes: a batch would see what those before it have done, and all"
            " of them together would do something else than this one statement",
            "write what it finds there into a table of its own, in a step before, and read that; where another table"
            f" than {table} is meant, write the schema of both",
        )
    return None


def _there(tree: Node, query: Node, source: Node) -> Node | None:
    """The query within NOT EXISTS that finds the inserted row."""
    for part in _conjuncts(query.where_clause):
        if name_of(part) != "bool_expr" or enum(part.bool_expr, "boolop") != "NOT_EXPR":
            continue
        inner = part.bool_expr.args[0]
        if name_of(inner) != "sub_link" or enum(inner.sub_link, "sub_link_type") != "EXISTS_SUBLINK":
            continue
        found = inner.sub_link.subselect.select_stmt
        if _is_simple(tree, found) and _found_by(tree, found, source):
            return found
    return None


def _is_simple(tree: Node, query: Node) -> bool:
    sources = query.from_clause
    plain = enum(query, "op") == "SETOP_NONE" and not any(
        query.HasField(name) for name in ("with_clause", "having_clause", "limit_count", "limit_offset")
    )
    if not plain or len(query.group_clause) or len(sources) != 1 or name_of(sources[0]) != "range_var":
        return False
    return is_same(sources[0].range_var, tree.relation)


def _found_by(tree: Node, there: Node, source: Node) -> tuple[str, ...]:
    """Columns that are compared with the value that is inserted; empty when there is anything else in the condition."""
    query = tree.select_stmt.select_stmt
    inner = there.from_clause[0].range_var
    name = inner.alias.aliasname or inner.relname
    names, given = [item.res_target.name for item in tree.cols], _given(tree, query)
    if not given:
        return ()
    alone = len(query.from_clause) == 1 and name_of(query.from_clause[0]) == "range_var"
    own = source.alias.aliasname or source.relname if alone else ""
    found = []
    for part in _conjuncts(there.where_clause):
        sides = _sides(part, name, names)
        if sides is None:
            return ()
        column, value = sides
        if column not in given or _text(value, own) != _text(given[column], own):
            return ()
        found.append(column)
    return tuple(found)


def _given(tree: Node, query: Node) -> dict[str, Node]:
    """What each column gets; empty: that is not clear."""
    names = [item.res_target.name for item in tree.cols]
    values = [item.res_target.val for item in query.target_list]
    return dict(zip(names, values, strict=True)) if len(names) == len(values) else {}


def _sides(part: Node, name: str, names: Sequence[str]) -> tuple[str, Node] | None:
    """Of `t.column = value`: the column and the value, all of whose columns say whose they are: others would be those
    of the table within."""
    if name_of(part) != "a_expr" or enum(part.a_expr, "kind") != "AEXPR_OP" or strings(part.a_expr.name)[-1] != "=":
        return None
    for side, value in ((part.a_expr.lexpr, part.a_expr.rexpr), (part.a_expr.rexpr, part.a_expr.lexpr)):
        if name_of(side) != "column_ref":
            continue
        column = strings(side.column_ref.fields)
        others = [strings(ref.fields) for ref in find(value, "ColumnRef")]
        plain = all(len(other) > 1 and other[-2] != name for other in others)
        plain = plain and next(find(value, *CALLS), None) is None
        if plain and (column[-2:-1] == (name,) or (len(column) == 1 and column[0] in names)):
            return column[-1], value
    return None


def _conjuncts(node: Node) -> Iterator[Node]:
    if name_of(node) == "bool_expr" and enum(node.bool_expr, "boolop") == "AND_EXPR":
        for part in node.bool_expr.args:
            yield from _conjuncts(part)
    else:
        yield node


def _text(value: Node, own: str) -> str:
    """As SQL, the name of the only table that is read left out."""
    copied = copy_of(value)
    for ref in find(copied, "ColumnRef"):
        parts = strings(ref.fields)
        if own and len(parts) == 2 and parts[0] == own:
            del ref.fields[0]
    return expression_text(copied)
