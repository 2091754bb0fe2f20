"""ALTER TABLE: constraints are added, validated, altered and dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.analysis.effects.alter import foreign_keys, keys
from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.expressions import mentioned
from migrator.analysis.effects.names import dependents, misplaced
from migrator.facts.facts import ConstraintFacts
from migrator.lock_modes import AX, SRX, SUX
from migrator.parsing.nodes import Node, enum, strings

DROP_CASCADE = "DROP_CASCADE"


def add_constraint(command: Node, target: Target) -> None:
    constraint = getattr(command, "def").constraint
    kind = enum(constraint, "contype")
    if kind == "CONSTR_FOREIGN":
        _name_is_free(constraint, target)
        foreign_keys.add(constraint, target)
    elif kind == "CONSTR_CHECK":
        _add_check(constraint, target)
    elif kind == "CONSTR_NOTNULL":
        _add_not_null(constraint, target)
    elif kind in ("CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_EXCLUSION"):
        keys.add(constraint, target)


def _add_check(constraint: Node, target: Target) -> None:
    """Every row is read, unless NOT VALID; the constraint is inherited by all tables below."""
    out = target.out
    _name_is_free(constraint, target)
    misplaced.misplaced(constraint.raw_expr, misplaced.CHECK, target.world, out)
    for name in dict.fromkeys(mentioned(constraint.raw_expr)):
        target.column(name)
    if not constraint.is_enforced:
        target.needs(18, "NOT ENFORCED")
    if target.only and not constraint.is_no_inherit and target.facts is not None and target.facts.children:
        out.fail("42P16", "constraint must be added to child tables too")
    if constraint.is_no_inherit and target.kind == "p":
        out.fail("42P16", f'cannot add NO INHERIT constraint to partitioned table "{target.bare}"')
    inherits = not constraint.is_no_inherit
    for name in target.family if inherits or target.world.major >= 18 else ():
        out.lock(name, AX)
    if not constraint.skip_validation:
        target.scan((target.name,) if constraint.is_no_inherit else target.family)
        out.risk("23514", "the check is violated by some row")


def _add_not_null(constraint: Node, target: Target) -> None:
    out, facts = target.out, target.facts
    target.needs(18, "ADD CONSTRAINT ... NOT NULL")
    for name in target.family:
        out.lock(name, AX)
    for column in strings(constraint.keys):
        target.column(column)
        there = [item for item in facts.constraints if item.kind == "n" and column in item.columns] if facts else []
        if there and constraint.conname and there[0].name != constraint.conname:
            out.fail("55000", f'column "{column}" has the not-null constraint "{there[0].name}" already')
        for name in target.family:
            if not constraint.skip_validation and not target.world.proves_not_null(name, column):
                target.scan((name,))
                out.risk("23502", f'column "{column}" of "{name}" contains null values')


def _name_is_free(constraint: Node, target: Target) -> None:
    facts = target.facts
    if facts is not None and constraint.conname and any(c.name == constraint.conname for c in facts.constraints):
        target.out.fail("42710", f'constraint "{constraint.conname}" for relation "{target.bare}" already exists')


def validate_constraint(command: Node, target: Target) -> None:
    """SHARE UPDATE EXCLUSIVE lets readers and writers go on while every row is read."""
    known = target.constraint(command.name)
    if known is None:
        if target.facts is None or target.is_told:
            target.scan()
        return
    if known.kind not in "cfn":
        target.out.fail("42809", f'cannot validate constraint "{known.name}" of relation "{target.bare}"')
    if known.validated:
        return
    if not known.enforced:
        target.out.fail("42809", f'cannot validate NOT ENFORCED constraint "{known.name}"')
    reached = target.family if known.kind != "f" or target.kind == "p" else (target.name,)
    for name in reached:
        target.out.lock(name, SUX)
    target.scan(name for name in reached if not _is_valid(name, known, target))
    target.out.risk({"c": "23514", "f": "23503", "n": "23502"}[known.kind], f'"{known.name}" is violated by some row')
    if known.kind == "f":
        foreign_keys.validate(known, target)


def _is_valid(table: str, known: ConstraintFacts, target: Target) -> bool:
    """A table below the one that is named may have the constraint validated already."""
    found = target.world.constraint(table, known.name) if known.kind != "f" else None
    return found is not None and found.validated


def drop_constraint(command: Node, target: Target) -> None:
    """An instant; a foreign key locks both tables, a key its index and, with CASCADE, those that refer to it."""
    known = target.world.constraint(target.name, command.name)
    if known is None:
        if not command.missing_ok:
            target.constraint(command.name)
        return
    if known.inherited:
        target.out.fail("42P16", f'cannot drop inherited constraint "{known.name}" of relation "{target.bare}"')
    if known.kind in "cn" or target.kind == "p":
        children = target.facts.children if target.only and target.facts is not None else ()
        for name in (*target.family, *children):
            target.out.lock(name, AX)
    if known.kind == "f":
        foreign_keys.drop(known, target)
    starts = tuple(dependents.part_of(target.name, "pg_constraint", known.name, target.world))
    cascade = enum(command, "behavior") == DROP_CASCADE
    what = f'constraint "{known.name}" on table "{target.bare}"'
    dependents.drop_objects(starts, target.world, target.out, cascade=cascade, what=what)
    if starts:
        return
    if known.kind in "pux" and known.index:
        target.out.lock(known.index, AX)


def alter_constraint(command: Node, target: Target) -> None:
    """DEFERRABLE changes triggers of the foreign key; [NOT] ENFORCED (18) removes or makes them."""
    change = getattr(command, "def").atalter_constraint
    known = target.constraint(change.conname)
    if change.alter_enforceability:
        target.needs(18, "ALTER CONSTRAINT ... ENFORCED")
    if known is None:
        return
    inherits = change.alter_inheritability and known.kind == "n"
    if known.kind != "f" and not inherits:
        target.out.fail("42809", f'constraint "{known.name}" of relation "{target.bare}" is not a foreign key')
        return
    for name in target.family if target.kind == "p" else ():
        target.out.lock(name, AX)
    if not change.alter_enforceability or known.referenced is None or change.is_enforced == known.enforced:
        return
    mode = SRX if change.is_enforced else AX
    for name in (known.referenced, *target.world.leaves(known.referenced)):
        target.out.lock(name, mode)
    if change.is_enforced:
        target.scan()
        target.scan(target.world.storage(known.referenced))
        target.out.risk("23503", f"a row has no counterpart in {known.referenced}")


HANDLERS: Mapping[str, Callable[[Node, Target], None]] = {
    "AT_AddConstraint": add_constraint,
    "AT_ValidateConstraint": validate_constraint,
    "AT_DropConstraint": drop_constraint,
    "AT_AlterConstraint": alter_constraint,
}
