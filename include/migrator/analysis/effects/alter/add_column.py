"""ALTER TABLE ADD COLUMN: an instant, unless a value has to be computed for every row, or every row to be checked.

https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES, ATExecAddColumn in tablecmds.c.
"""

from __future__ import annotations

from migrator.analysis.effects.alter import foreign_keys, keys
from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.names import misplaced, virtual_columns
from migrator.analysis.effects.types import literals, types
from migrator.analysis.effects.types.volatility import (
    missing_functions,
    sequences_used,
    unsteady_functions,
    volatile_functions,
)
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import RX
from migrator.parsing.nodes import Node, enum, strings

SYSTEM_COLUMNS = ("tableoid", "cmax", "xmax", "cmin", "xmin", "ctid")


def add_column(command: Node, target: Target) -> None:
    """Without a default, or with one that is computed once, only the catalog changes (PostgreSQL 11 and later)."""
    out, facts = target.out, target.facts
    column = getattr(command, "def").column_def
    name = column.colname
    if facts is not None and name in facts.columns:
        if not command.missing_ok:
            out.fail("42701", f'column "{name}" of relation "{target.bare}" already exists')
        return
    if name in SYSTEM_COLUMNS:
        out.fail("42701", f'column name "{name}" conflicts with a system column name')
    if facts is not None:
        _may_have_more_columns(facts, target)
    _type_is_there(column, target)
    misplaced.in_constraints(column.constraints, target.world, out)
    if column.storage_name:
        target.needs(16, "STORAGE in ADD COLUMN")
    work = _Column(column, target)
    if work.filled or work.not_null:
        target.row_type_is_free()
    if work.rewrites:
        target.rewrite()
        for sequence in work.sequences:
            out.lock(sequence, RX)
    if work.not_null and not work.filled and not target.is_empty:
        out.risk("23502", f'column "{name}" contains null values: the table has rows, and there is no default')
    if work.not_null and not (work.filled or work.rewrites):
        target.scan()
    for constraint, kind in work.constraints:
        if kind == "CONSTR_FOREIGN":
            foreign_keys.add(constraint, target, columns=(name,), checks=work.filled)
        elif kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY"):
            keys.add(constraint, target, columns=(name,), new=True)
        else:
            target.scan()
            out.risk("23514", f'the check of "{name}" is violated by some row')


class _Column:
    """What a ColumnDef asks for."""

    def __init__(self, column: Node, target: Target) -> None:
        world, out = target.world, target.out
        parts = strings(column.type_name.names)
        domain = None if len(column.type_name.array_bounds) else world.domain(parts)
        serial = types.is_serial(column.type_name)
        self.rewrites = serial or (domain is not None and domain.constrained)
        self.filled = serial
        """Rows get something other than NULL."""
        self.not_null = domain is not None and domain.not_null
        self.sequences: list[str] = []
        self.constraints: list[tuple[Node, str]] = []
        if domain is not None and domain.constrained:
            out.risk("23514", "the domain's checks refuse the default")
            if domain.not_null:
                out.risk("23502", "the domain does not allow NULL, and has no default")
                self.filled = True  # checked while the rows are rewritten
        for item in column.constraints:
            constraint = item.constraint
            kind = enum(constraint, "contype")
            if kind == "CONSTR_DEFAULT":
                literals.does_not_fit(constraint.raw_expr, types.from_node(column.type_name), out, stored=True)
                self._default(constraint.raw_expr, target)
            elif kind == "CONSTR_IDENTITY":
                self.rewrites = self.filled = True
            elif kind == "CONSTR_GENERATED":
                self._generated(constraint, column, target)
            elif kind == "CONSTR_NOTNULL":
                self.not_null = True
            elif kind in ("CONSTR_FOREIGN", "CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_CHECK"):
                self.not_null = self.not_null or kind == "CONSTR_PRIMARY"
                self.constraints.append((constraint, kind))

    def _default(self, expression: Node, target: Target) -> None:
        if expression.WhichOneof("node") == "a_const" and expression.a_const.isnull:
            return
        for name in missing_functions(expression, target.world):
            target.out.risk("42883", f"function {name}() does not exist")
        sure, assumed = volatile_functions(expression, target.world)
        for name in assumed:
            target.out.assume(f"{name}() is taken for volatile; a connection would tell")
        self.filled = True
        if sure or assumed:
            self.rewrites = True
            self.sequences += sequences_used(expression, target.world)

    def _generated(self, constraint: Node, column: Node, target: Target) -> None:
        unsteady = unsteady_functions(constraint.raw_expr, target.world)
        if unsteady:
            target.out.fail("42P17", f"generation expression is not immutable: {', '.join(unsteady)}")
        if constraint.generated_kind == "v":
            target.needs(18, "a virtual generated column")
            virtual_columns.allowed(column, constraint.raw_expr, world=target.world, out=target.out)
        else:
            self.rewrites = self.filled = True


def _may_have_more_columns(facts: RelationFacts, target: Target) -> None:
    if facts.is_partition:
        target.out.fail("42809", "cannot add column to a partition")
    elif facts.of_type:
        target.out.fail("42809", "cannot add column to typed table")
    elif target.only and facts.children:
        target.out.fail("42P16", "column must be added to child tables too")


def _type_is_there(column: Node, target: Target) -> None:
    parts = strings(column.type_name.names)
    world = target.world
    if world.facts is None and world.type(parts) is None and may_be_domain(column.type_name):
        target.out.assume(f"{'.'.join(parts)} is no domain with a constraint, which would rewrite the table")
    if not types.is_known(parts, target.world):
        target.out.risk("42704", f'type "{".".join(parts)}" does not exist')


def may_be_domain(type_name: Node) -> bool:
    """Whether it is neither an array nor a type of the server's own."""
    own = types.is_serial(type_name) or types.is_builtin(types.from_node(type_name).name)
    return bool(len(type_name.names)) and not own and not len(type_name.array_bounds)
