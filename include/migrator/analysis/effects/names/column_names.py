"""Columns that a query names and none of its tables has: 42703, where the columns of all that it could mean are known.

colNameToVar and transformColumnRef in src/backend/parser/parse_relation.c and parse_expr.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.named import is_system
from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, content, name_of, strings

SYSTEM_COLUMNS = frozenset(["tableoid", "cmax", "xmax", "cmin", "xmin", "ctid"])
Columns = frozenset[str] | None
"""None: not known."""
_DML = ("insert_stmt", "update_stmt", "delete_stmt", "merge_stmt")
_OPAQUE = ("range_function", "range_table_func", "json_table")


@dataclass
class Names:
    """What a column can be at one level of a query."""

    tables: dict[str, Columns] = field(default_factory=dict)
    """By alias."""
    common: Mapping[str, Columns] = field(default_factory=dict)
    """Of WITH."""
    above: Names | None = None
    others: frozenset[str] = frozenset()
    """What else a bare name can be: parameters, names of output columns."""

    def lacks(self, parts: tuple[str, ...], world: World) -> bool:
        """Whether no table has it for sure."""
        if len(parts) > 2 or (world.facts is not None and parts[-1] in world.facts.row_functions):
            return False
        level: Names | None = self
        while level is not None:
            found = level._has(parts)
            if found is not False:
                return found is None
            level = level.above
        return len(parts) == 1

    def _has(self, parts: tuple[str, ...]) -> bool | None:
        """False: look further up. None: its table is here, and has no such column."""
        if len(parts) == 2:
            columns = self.tables.get(parts[0], frozenset())
            return (columns is None or parts[1] in columns or None) if parts[0] in self.tables else False
        if parts[0] in self.others or parts[0] in self.tables:
            return True
        return any(columns is None or parts[0] in columns for columns in self.tables.values())


def check(query: Node, world: World, out: Recorder, *, variables: Iterable[str] = ()) -> None:
    """:param variables: names of a function's parameters."""
    if world.facts is None or not world.facts.complete or out.fails is not None:
        return
    _Check(world, out).statement(query, Names(others=frozenset(variables)))


@dataclass
class _Check:
    world: World
    out: Recorder

    def statement(self, node: Node, above: Names) -> Columns:
        """Looks at a query, and says which columns it has."""
        kind, stmt = name_of(node), content(node)
        if kind == "select_stmt":
            return self._select(stmt, above)
        if kind in _DML:
            self._change(stmt, above)
        return None

    def _with(self, stmt: Node, above: Names) -> Names:
        """The level above, with the names that WITH gives."""
        if not stmt.HasField("with_clause"):
            return above
        common: dict[str, Columns] = {}
        names = Names(common=common, above=above)
        for item in stmt.with_clause.ctes:
            expression = item.common_table_expr
            common[expression.ctename] = None  # a recursive one names itself
            found = self.statement(expression.ctequery, names)
            given = frozenset(strings(expression.aliascolnames))
            common[expression.ctename] = given or found if not stmt.with_clause.recursive else given or None
        return names

    def _select(self, stmt: Node, above: Names) -> Columns:
        above = self._with(stmt, above)
        if stmt.HasField("larg"):
            columns = self._select(stmt.larg, above)
            self._select(stmt.rarg, above)
            return columns  # ORDER BY of a UNION names what comes out
        names = self._from(stmt.from_clause, above)
        self._expressions((stmt.where_clause, stmt.having_clause, *stmt.target_list), names)
        self._expressions(stmt.values_lists, names)
        out = frozenset(item.res_target.name for item in stmt.target_list if item.res_target.name)
        ordered = Names(names.tables, names.common, names.above, out)
        self._expressions((*stmt.sort_clause, *stmt.group_clause, *stmt.distinct_clause, *stmt.window_clause), ordered)
        return None if len(stmt.values_lists) else self._columns_of(stmt.target_list, names)

    def _columns_of(self, targets: Iterable[Node], names: Names) -> Columns:
        found: set[str] = set()
        for item in targets:
            target = item.res_target
            if target.name:
                found.add(target.name)
                continue
            if name_of(target.val) != "column_ref":
                return None
            fields = target.val.column_ref.fields
            if name_of(fields[-1]) != "a_star":
                found.add(strings(fields)[-1])
                continue
            which = names.tables if len(fields) == 1 else {"": names.tables.get(strings(fields)[-1])}
            for columns in which.values():
                if columns is None:
                    return None
                found |= columns
        return frozenset(found)

    def _change(self, stmt: Node, above: Names) -> None:
        above = self._with(stmt, above)
        kind = stmt.DESCRIPTOR.name
        beside = {"UpdateStmt": "from_clause", "DeleteStmt": "using_clause"}.get(kind)
        if kind == "InsertStmt" and stmt.HasField("select_stmt"):
            self.statement(stmt.select_stmt, above)
        if kind == "MergeStmt":
            return
        names = self._from(getattr(stmt, beside) if beside else (), above)
        target = stmt.relation
        names.tables[target.alias.aliasname or target.relname] = self._relation(target, Names())
        if kind == "UpdateStmt":
            self._expressions((item.res_target.val for item in stmt.target_list), names)
        if kind != "InsertStmt":
            self._expressions((stmt.where_clause,), names)
        self._expressions((item.res_target.val for item in stmt.returning_clause.exprs), names)

    def _from(self, items: Iterable[Node], above: Names) -> Names:
        names = Names(above=above)
        joins: list[Node] = []
        queries: list[Node] = []
        stack = list(items)
        while stack:
            item = stack.pop()
            kind, node = name_of(item), content(item)
            if kind == "join_expr":
                joins.append(node.quals)
                stack += [node.larg, node.rarg]
                if node.alias.aliasname:
                    names.tables[node.alias.aliasname] = None
            elif kind == "range_var":
                names.tables[node.alias.aliasname or node.relname] = self._relation(node, above)
            elif kind == "range_subselect":
                queries.append(node)
            elif kind == "range_table_sample":
                stack.append(node.relation)
            elif kind in _OPAQUE:
                names.tables[node.alias.aliasname or f"({len(names.tables)})"] = None
            elif kind:
                names.tables[f"({len(names.tables)})"] = None
        for node in queries:  # LATERAL ones see what stands beside them
            columns = self.statement(node.subquery, names)
            renamed = len(node.alias.colnames) > 0
            names.tables[node.alias.aliasname or f"({len(names.tables)})"] = None if renamed else columns
        self._expressions(joins, names)
        return names

    def _relation(self, node: Node, above: Names) -> Columns:
        level: Names | None = above
        while level is not None and not node.schemaname:
            if node.relname in level.common:
                return None if len(node.alias.colnames) else level.common[node.relname]
            level = level.above
        name = self.world.name(node)
        facts = self.world.relation(name)
        told = facts is None or self.world.is_told(name) or not facts.columns or facts.more_columns or is_system(name)
        return None if told or facts is None or len(node.alias.colnames) else frozenset(facts.columns) | SYSTEM_COLUMNS

    def _expressions(self, nodes: Iterable[Node], names: Names) -> None:
        """Column references, without those of sub-queries, which have names of their own."""
        stack = list(nodes)
        while stack:
            node = stack.pop()
            kind = node.DESCRIPTOR.name
            if kind == "SubLink":
                self.statement(node.subselect, names)
                stack.append(node.testexpr)
            elif kind == "ColumnRef":
                parts = strings(node.fields)
                if len(parts) == len(node.fields) and names.lacks(parts, self.world):
                    self.out.fail("42703", f'column "{".".join(parts)}" does not exist')
            else:
                stack.extend(_below(node))


def _below(node: Node) -> Iterator[Node]:
    for spec, value in node.ListFields():
        if spec.message_type is not None:
            yield from value if spec.is_repeated else (value,)
