"""Does an UPDATE or DELETE read what it writes, beside the row that it changes? Then its batches would not do what the
one statement does: the second one reads what the first has left."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.parsing.nodes import Node, enum, find, name_of, relations, strings
from migrator.steps.batch_statement import qualified_name

MOVED = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax"})
"""What a row has otherwise once it was changed, whichever column was."""


def reads_itself(tree: Node) -> bool:
    """Of what an UPDATE reads elsewhere in its table only the columns count that it sets: the others are as they were,
    unless a trigger changes them, or they are generated from those.
    What a view or a function reads nobody sees here, nor which table is a part of this one: see `batch_readings`."""
    written = None
    if type(tree).__name__ == "UpdateStmt":
        written = frozenset(item.res_target.name for item in tree.target_list) | MOVED
    return any(_sees(scope, item, tree, written) for scope, item in _mentions(tree))


def seen_of_itself(tree: Node) -> tuple[str, ...]:
    """Columns that it may read of other rows of its table, by their names."""
    target = tree.relation.alias.aliasname or tree.relation.relname
    names = [strings(column.fields) for scope, _ in _mentions(tree) for column in find(scope, "ColumnRef")]
    return tuple(dict.fromkeys(one[-1] for one in names if one and one[-2:-1] != (target,)))


def numbers_rows(tree: Node) -> bool:
    """Whether it puts rows into an order, or chooses some of all: each batch would do that anew, and rows that are
    equal in it may change places."""
    if any(call.HasField("over") for call in find(tree, "FuncCall")):
        return True
    queries = [one.subquery.select_stmt for one in find(tree, "RangeSubselect") if not one.lateral]
    queries += [one.subselect.select_stmt for one in find(tree, "SubLink") if enum(one, "sub_link_type") in _OF_SETS]
    return any(one.HasField("limit_count") or (len(one.distinct_clause) > 0 and _is_on(one)) for one in queries)


_OF_SETS = ("ANY_SUBLINK", "ALL_SUBLINK")


def _is_on(query: Node) -> bool:
    """DISTINCT ON, which has its columns; DISTINCT alone has an empty one."""
    return any(name_of(item) for item in query.distinct_clause)


def _mentions(tree: Node) -> Iterator[tuple[Node, Node]]:
    """Where it names its own table once more, each with the query that does."""
    found = {item.location for item in relations(tree) if is_same(item, tree.relation)} - {tree.relation.location}
    for scope in (tree, *find(tree, "SelectStmt")):
        yield from ((scope, item) for item in _own(scope) if item.location in found)


def _own(scope: Node) -> Iterator[Node]:
    """The relations that this query reads, as far as no query within it does."""
    inner = {item.location for one in find(scope, "SelectStmt") if one is not scope for item in find(one, "RangeVar")}
    return (item for item in find(scope, "RangeVar") if item.location not in inner)


def needs_all(tree: Node, table: Node) -> bool:
    """Whether it may name the row itself, or a column with the schema before it."""
    alias = table.alias.aliasname or table.relname
    for column in find(tree, "ColumnRef"):
        names = strings(column.fields)
        if len(column.fields) > 2 or names == (alias,):
            return True
    return bool(len(table.alias.colnames))


def named(tree: Node, target: Node) -> tuple[str, ...]:
    """The relations beside it, for to_regclass()."""
    names = (qualified_name(item) for item in relations(tree) if not is_same(item, target))
    return tuple(dict.fromkeys(names))


def called(tree: Node) -> tuple[tuple[str, str], ...]:
    """The functions, each with its schema, or nothing before it."""
    calls = (["", *strings(call.funcname)] for call in find(tree, "FuncCall"))
    return tuple(dict.fromkeys((names[-2], names[-1]) for names in calls))


def is_same(other: Node, target: Node) -> bool:
    """As far as the names tell."""
    schemas = {name for name in (other.schemaname, target.schemaname) if name}
    return bool(other.relname == target.relname and len(schemas) < 2)


def _sees(scope: Node, other: Node, tree: Node, written: frozenset[str] | None) -> bool:
    """Whether the query that reads `other` may name a column of it that the statement writes."""
    if written is None or len(other.alias.colnames) or any(_joins(join, written) for join in find(scope, "JoinExpr")):
        return True
    target = tree.relation.alias.aliasname or tree.relation.relname
    alias = other.alias.aliasname or other.relname
    for column in find(scope, "ColumnRef"):
        names = strings(column.fields)
        if len(names) > 1 and names[-2] == target != alias:
            continue  # of the row that is changed
        if scope is tree and len(names) == 1 and names[0] != alias:
            continue  # of neither: it would not be clear of which
        if len(names) < len(column.fields) or names[-1] in written or names == (alias,):
            return True
    return False


def _joins(join: Node, written: frozenset[str]) -> bool:
    return bool(join.is_natural) or bool(written & set(strings(join.using_clause)))
