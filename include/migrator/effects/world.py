"""What is known about the database while a migration is walked through, statement by statement."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from migrator.facts import CatalogFacts, ColumnFacts, ConstraintFacts, IndexFacts, RelationFacts
from migrator.nodes import Node, content, enum, name_of, strings

UNKNOWN_VERSION = 180000
"""Assumed without a connection: the newest server that the grammar knows."""


@dataclass(frozen=True)
class Assumed:
    """What is taken for granted without a connection."""

    server_version_num: int = UNKNOWN_VERSION
    schema: str = "public"
    """Where unqualified names are looked up."""


ASSUMED = Assumed()


@dataclass(frozen=True)
class World:
    """Facts of the catalog plus what earlier statements of the same migration did."""

    facts: CatalogFacts | None = None
    assumed: Assumed = ASSUMED
    created: frozenset[str] = frozenset()
    """Relations that this migration created: nobody else uses them, so locks on them harm nobody."""
    dropped: frozenset[str] = frozenset()
    renamed: frozenset[str] = frozenset()
    """Names that no longer mean what the catalog says."""
    validated: frozenset[tuple[str, str]] = frozenset()
    """(table, constraint) that this migration has validated."""
    not_valid: frozenset[tuple[str, str]] = frozenset()
    """(table, constraint) that this migration added NOT VALID."""
    checks: tuple[tuple[str, str, frozenset[str]], ...] = field(default=())
    """(table, constraint, columns that it proves to be not null) that this migration added."""

    @property
    def major(self) -> int:
        return (self.facts or self.assumed).server_version_num // 10000

    @property
    def schema(self) -> str:
        """Where an unqualified name is looked up first."""
        return (self.facts or self.assumed).schema

    def name(self, range_var: Node) -> str:
        """Qualified name of a RangeVar."""
        return f"{range_var.schemaname or self.schema}.{range_var.relname}"

    def dotted(self, parts: tuple[str, ...]) -> str:
        """Qualified name of a dotted name given as its parts."""
        return ".".join(parts[-2:]) if len(parts) >= 2 else f"{self.schema}.{parts[-1] if parts else ''}"

    def is_new(self, relation: str) -> bool:
        return relation in self.created

    def relation(self, name: str) -> RelationFacts | None:
        """What the catalog knows of it; None for unknown, new and renamed relations."""
        if self.facts is None or name in self.created or name in self.renamed:
            return None
        return self.facts.relations.get(name)

    def column(self, table: str, column: str) -> ColumnFacts | None:
        relation = self.relation(table)
        return relation.columns.get(column) if relation else None

    def index_of(self, name: str) -> tuple[RelationFacts, IndexFacts] | None:
        """The table and the facts of an index."""
        if self.facts is None:
            return None
        index = self.facts.relations.get(name)
        table = self.facts.relations.get(index.table) if index and index.table else None
        if table is None:
            return None
        return next(((table, item) for item in table.indexes if item.name == name), None)

    def constraint(self, table: str, name: str) -> ConstraintFacts | None:
        relation = self.relation(table)
        return next((item for item in relation.constraints if item.name == name), None) if relation else None

    def leaves(self, table: str) -> tuple[str, ...]:
        """All partitions below a partitioned table."""
        relation = self.relation(table)
        return relation.partitions if relation else ()

    def proves_not_null(self, table: str, column: str) -> bool | None:
        """Whether a valid constraint makes SET NOT NULL a formality; None when nobody knows."""
        if any(t == table and column in columns and (t, name) in self.validated for t, name, columns in self.checks):
            return True
        relation = self.relation(table)
        if relation is None:
            return None if self.facts is None else False
        facts = relation.columns.get(column)
        if facts is not None and facts.not_null:
            return True
        for item in relation.constraints:
            valid = item.validated or (table, item.name) in self.validated
            if item.kind in ("c", "n") and valid and column in not_null_columns(item.definition):
                return True
        return False

    def after(self, node: Node) -> World:
        """The world once this statement has run."""
        name, stmt = name_of(node), content(node)
        if name == "create_stmt":
            return self._create(self.name(stmt.relation))
        if name == "create_table_as_stmt":
            return self._create(self.name(stmt.into.rel))
        if name == "select_stmt" and stmt.HasField("into_clause"):
            return self._create(self.name(stmt.into_clause.rel))
        if name == "view_stmt":
            return self if self.relation(self.name(stmt.view)) else self._create(self.name(stmt.view))
        if name == "create_seq_stmt":
            return self._create(self.name(stmt.sequence))
        if name == "create_foreign_table_stmt":
            return self._create(self.name(stmt.base_stmt.relation))
        if name == "index_stmt" and stmt.idxname:
            return self._create(f"{self.name(stmt.relation).rsplit('.', 1)[0]}.{stmt.idxname}")
        if name == "rename_stmt" and enum(stmt, "rename_type") in (
            "OBJECT_TABLE",
            "OBJECT_VIEW",
            "OBJECT_MATVIEW",
            "OBJECT_INDEX",
            "OBJECT_SEQUENCE",
        ):
            return self._rename(self.name(stmt.relation), stmt.newname)
        if name == "drop_stmt":
            gone = frozenset(self.dotted(strings(item.list.items)) for item in stmt.objects if item.HasField("list"))
            return replace(self, dropped=self.dropped | gone, created=self.created - gone, renamed=self.renamed | gone)
        if name == "alter_table_stmt":
            return self._alter(self.name(stmt.relation), stmt)
        return self

    def _create(self, name: str) -> World:
        return replace(self, created=self.created | {name})

    def _rename(self, old: str, new: str) -> World:
        target = f"{old.rsplit('.', 1)[0]}.{new}"
        created = (self.created - {old}) | {target} if old in self.created else self.created
        return replace(self, created=created, renamed=self.renamed | {old, target})

    def _alter(self, table: str, stmt: Node) -> World:
        world = self
        for command in commands(stmt):
            subtype = enum(command, "subtype")
            if subtype == "AT_AddConstraint":
                constraint = getattr(command, "def").constraint
                key = (table, constraint.conname)
                kind = enum(constraint, "contype")
                proven = frozenset[str]()
                if kind == "CONSTR_CHECK":
                    proven = frozenset(proven_not_null(constraint.raw_expr))
                elif kind == "CONSTR_NOTNULL":
                    proven = frozenset(strings(constraint.keys))
                world = replace(world, checks=(*world.checks, (table, constraint.conname, proven)))
                if constraint.skip_validation:
                    world = replace(world, not_valid=world.not_valid | {key})
                elif constraint.is_enforced or kind not in ("CONSTR_CHECK", "CONSTR_FOREIGN"):
                    world = replace(world, validated=world.validated | {key})
            elif subtype == "AT_ValidateConstraint":
                key = (table, command.name)
                world = replace(world, validated=world.validated | {key}, not_valid=world.not_valid - {key})
            elif subtype == "AT_DropConstraint":
                key = (table, command.name)
                world = replace(
                    world,
                    validated=world.validated - {key},
                    not_valid=world.not_valid - {key},
                    checks=tuple(item for item in world.checks if item[:2] != key),
                )
        return world


def commands(stmt: Node) -> Iterator[Node]:
    """The subcommands of an ALTER TABLE."""
    for item in stmt.cmds:
        if item.HasField("alter_table_cmd"):
            yield item.alter_table_cmd


def proven_not_null(expression: Node) -> Iterator[str]:
    """Columns that an expression proves to be not null, the way PostgreSQL looks at it: IS NOT NULL, alone or in AND
    (NotNullImpliedByRelConstraints in tablecmds.c)."""
    stack = [expression]
    while stack:
        current = stack.pop()
        name = name_of(current)
        if name == "bool_expr" and enum(current.bool_expr, "boolop") == "AND_EXPR":
            stack.extend(current.bool_expr.args)
        elif name == "null_test" and enum(current.null_test, "nulltesttype") == "IS_NOT_NULL":
            column = name_of(current.null_test.arg) == "column_ref"
            if column:
                yield from strings(current.null_test.arg.column_ref.fields)[-1:]


def not_null_columns(definition: str) -> frozenset[str]:
    """The same for a constraint as pg_get_constraintdef() prints it."""
    from migrator.statements import parse

    parsed = parse(f"ALTER TABLE t ADD CONSTRAINT c {definition}", file="catalog")
    if not parsed.statements:
        return frozenset()
    for command in commands(parsed.statements[0].tree):
        constraint = getattr(command, "def").constraint
        if enum(constraint, "contype") == "CONSTR_NOTNULL":
            return frozenset(strings(constraint.keys))
        return frozenset(proven_not_null(constraint.raw_expr))
    return frozenset()
