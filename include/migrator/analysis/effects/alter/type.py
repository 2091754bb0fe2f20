"""ALTER COLUMN TYPE: whether the table is written anew, which indexes are built again and which checks read it.

ATExecAlterColumnType, ATColumnChangeRequiresRewrite and ATPostAlterTypeCleanup in src/backend/commands/tablecmds.c,
CheckIndexCompatible in indexcmds.c.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping

from migrator.analysis.effects.alter.target import Target
from migrator.analysis.effects.names import dependents
from migrator.analysis.effects.names.dependents import indexes_of, uses_column
from migrator.analysis.effects.types import casts, types
from migrator.analysis.effects.types.types import SqlType
from migrator.facts.facts import ColumnFacts, IndexFacts
from migrator.lock_modes import AS, AX, SRX
from migrator.parsing.nodes import Node, name_of, strings

FORBIDDEN = {
    "pg_rewrite": "used by a view or rule",
    "pg_trigger": "used in a trigger definition",
    "pg_policy": "used in a policy definition",
    "pg_proc": "used by a function or procedure",
    "pg_publication_rel": "used by a publication WHERE clause",
}


def alter_type(command: Node, target: Target) -> None:
    definition = getattr(command, "def").column_def
    name, world, out = command.name, target.world, target.out
    column = target.column(name)
    parts = strings(definition.type_name.names)
    if not types.is_known(parts, world):
        out.risk("42704", f'type "{".".join(parts)}" does not exist')
    if column is None:
        if target.facts is None and not target.is_told:
            out.assume(f"the present type of {target.name}.{name} is unknown: a rewrite is assumed")
            target.rewrite()
        return
    _can_change(name, target)
    new = types.resolved(types.from_node(definition.type_name), parts, world)
    old = types.of_column(column)
    using = definition.raw_default if definition.HasField("raw_default") else None
    _can_be_cast(name, column, old, new, using=using is not None, target=target)
    if _rewrites(name, old, new, using, target):
        target.rewrite()
        out.risk("22P02", "a value cannot be converted")
        out.risk("22003", "a number is out of the new range")
        out.risk("22001", "a value is too long for the new type")
        _sequences(column, target)
        _checks(name, target)
        _foreign_keys(name, target, changed=True)
        return
    collation = strings(definition.coll_clause.collname) if definition.HasField("coll_clause") else ()
    _rebuild_indexes(name, old, new, column, collation[-1] if collation else "", target)
    _sequences(column, target)
    _checks(name, target)
    _foreign_keys(name, target, changed=types.base_operators(old) != types.base_operators(new))


def _can_change(name: str, target: Target) -> None:
    facts, world, out = target.facts, target.world, target.out
    if facts is None:
        return
    parent = world.relation(facts.parent) if facts.parent else None
    if facts.of_type:
        out.fail("42809", "cannot alter column type of typed table")
    if parent is not None and name in parent.columns:
        out.fail("42P16", f'cannot alter inherited column "{name}"')
    for member in target.family:
        item = world.relation(member)
        if item is not None and name in types.words(item.partition_key or "") & set(item.columns):
            out.fail("42P16", f'cannot alter column "{name}" because it is part of the partition key of "{member}"')
    if target.only and facts.children:
        out.fail("42P16", f'type of inherited column "{name}" must be changed in child tables too')
    if facts.columns[name].generated == "" and any(
        item.generated and name in types.words(item.default or "") for item in facts.columns.values()
    ):
        sqlstate = "0A000" if world.major >= 15 else "42601"
        out.fail(sqlstate, "cannot alter type of a column used by a generated column")
    target.row_type_is_free()
    for user in dependents.users(dependents.column_of(target.name, name, world), world):
        gone = world.state.get(("gone", user.key), False) or (user.relation and world.exists(user.relation) is False)
        if user.catalog in FORBIDDEN and not gone:
            out.fail("0A000", f"cannot alter type of a column {FORBIDDEN[user.catalog]}: {user.name}")


def _can_be_cast(name: str, column: ColumnFacts, old: SqlType, new: SqlType, *, using: bool, target: Target) -> None:
    possible = casts.assignable(old, new)
    if not using and possible is False:
        target.out.fail("42804", f'column "{name}" cannot be cast automatically to type {new}; USING is needed')
    if not using and possible is None:
        target.out.risk("42804", f'column "{name}" cannot be cast automatically to type {new}')
    if column.default is None or column.generated:
        return
    if possible is False:
        target.out.fail("42804", f'default for column "{name}" cannot be cast automatically to type {new}')
    elif possible is None:
        target.out.risk("42804", f'default for column "{name}" cannot be cast automatically to type {new}')


def _rewrites(name: str, old: SqlType, new: SqlType, using: Node | None, target: Target) -> bool:
    """USING that only casts the same column is followed from type to type; anything else is computed row by row."""
    if new.constrained:
        return True
    chain = [old]
    if using is not None:
        inner, layers = using, []
        while name_of(inner) == "type_cast":
            parts = strings(inner.type_cast.type_name.names)
            layers.append(types.resolved(types.from_node(inner.type_cast.type_name), parts, target.world))
            inner = inner.type_cast.arg
        if name_of(inner) != "column_ref" or strings(inner.column_ref.fields)[-1:] != (name,):
            return True
        chain += reversed(layers)
    chain.append(new)
    zone = target.world.timezone
    pairs = itertools.pairwise(chain)
    return any(before.constrained or types.needs_rewrite(before, after, timezone=zone) for before, after in pairs)


def _rebuild_indexes(
    name: str, old: SqlType, new: SqlType, column: ColumnFacts, collation: str, target: Target
) -> None:
    """Each index of the column is dropped and made anew; with the old file where it stays the same."""
    wanted = collation or ("default" if types.has_collation(new) else "")
    same_operators = types.base_operators(old) == types.base_operators(new)
    same_collation = wanted == column.collation
    for member in target.family:
        used = uses_column(target.world, member, name)
        for index in indexes_of(target.world, member):
            if index.name not in used:
                continue
            target.out.lock(index.name, AX)
            kept = same_operators and (same_collation or _has_own_collation(index, name))
            if not index.partitioned and not (kept and _is_plain(index)):
                target.out.rebuild(index.name)
                target.scan((member,))


def _has_own_collation(index: IndexFacts, column: str) -> bool:
    """Whether the index sorts by a collation of its own, whatever the column's is."""
    own = dict(zip(index.columns, index.collations, strict=False))
    return bool(own.get(column))


def _is_plain(index: IndexFacts) -> bool:
    return not index.expressions and index.predicate is None and index.valid and index.method != "exclusion"


def _sequences(column: ColumnFacts, target: Target) -> None:
    """The sequence of an identity column changes with it."""
    for sequence in column.sequences if column.identity else ():
        target.out.lock(sequence, SRX)
    if target.world.major == 17:  # the default of a serial is looked up again
        for sequence in column.sequences if column.default is not None else ():
            target.out.lock(sequence, AS)


def _checks(name: str, target: Target) -> None:
    """A CHECK on the column is added again, and so every row is read."""
    for member in target.family:
        facts = target.world.relation(member)
        for item in facts.constraints if facts is not None else ():
            if item.kind == "c" and name in item.columns and item.validated and item.enforced:
                target.scan((member,))


def _foreign_keys(name: str, target: Target, *, changed: bool) -> None:
    """Foreign keys of the column, on either side, are made anew under ACCESS EXCLUSIVE on the other table."""
    world, facts = target.world, target.facts
    if facts is None:
        return
    for item in facts.constraints:
        if item.kind == "f" and name in item.columns and item.referenced:
            target.out.lock(item.referenced, AX)
            if changed and item.validated:
                target.scan((target.name,))
                target.scan(world.storage(item.referenced))
    for other in facts.referenced_by:
        found = world.relation(other)
        for item in found.constraints if found is not None else ():
            key = next((index for index in facts.indexes if index.name == item.index), None)
            if item.kind == "f" and item.referenced == target.name and key is not None and name in key.columns:
                target.out.lock(other, AX)
                if changed and item.validated:
                    target.scan(world.storage(other))
                    target.scan((target.name,))


HANDLERS: Mapping[str, Callable[[Node, Target], None]] = {"AT_AlterColumnType": alter_type}
