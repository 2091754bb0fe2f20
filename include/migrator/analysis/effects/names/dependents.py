"""What goes away with a dropped object, what that locks, and what forbids it.

PostgreSQL walks pg_depend from the object to everything that depends on it (findDependentObjects in
src/backend/catalog/dependency.c): a normal dependency stops DROP without CASCADE, the others go along.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names import routines
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.types import types
from migrator.analysis.effects.world import World
from migrator.facts.facts import IndexFacts, ObjectFacts
from migrator.facts.names import RELATIONS, ROUTINES
from migrator.lock_modes import AX, SUX
from migrator.parsing.nodes import Node, content, enum

OWNED_BY_ITS_TABLE = ("pg_constraint", "pg_attrdef", "pg_trigger", "pg_rewrite", "pg_policy")
"""Their removal locks the table that they are on: RemoveConstraintById, RemoveTriggerById, ..."""
_LABELS = {
    "OBJECT_SCHEMA": "schema",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_FOREIGN_SERVER": "server",
    "OBJECT_FDW": "fdw",
}


def roots_of(stmt: Node, world: World) -> tuple[str, ...]:
    """Keys of the objects that a DROP names, as far as the catalog told."""
    kind = enum(stmt, "remove_type")
    return tuple(key for item in stmt.objects for key in _roots(item, kind, world))


def _roots(item: Node, kind: str, world: World) -> Iterator[str]:
    if world.facts is None:
        return
    parts = object_name(item)
    if kind in RELATIONS:
        facts = world.relation(world.dotted(parts))
        if facts is not None and facts.oid:
            yield f"pg_class:{facts.oid}:0"
    elif kind in ("OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY"):
        catalog = {"OBJECT_TRIGGER": "pg_trigger", "OBJECT_RULE": "pg_rewrite", "OBJECT_POLICY": "pg_policy"}[kind]
        yield from part_of(world.dotted(parts[:-1]), catalog, parts[-1], world)
    elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        found = world.type(parts)
        if found is not None and found.oid:
            yield f"pg_type:{found.oid}:0"
    elif kind in ROUTINES:
        found_routines = routines.named(content(item), world)
        if len(found_routines) == 1 and found_routines[0].oid:
            yield f"pg_proc:{found_routines[0].oid}:0"
    elif kind in _LABELS:
        yield from world.facts.roots.get(f"{_LABELS[kind]} {parts[-1]}", ())


def part_of(relation: str, catalog: str, name: str, world: World) -> Iterator[str]:
    """Keys of a constraint, trigger, rule or policy of a relation."""
    for item in world.facts.objects.values() if world.facts is not None else ():
        if item.catalog == catalog and item.name == name and present(item, world) == relation:
            yield item.key


def column_of(relation: str, column: str, world: World) -> Iterator[str]:
    """Key of a column that something depends on."""
    for item in world.facts.objects.values() if world.facts is not None else ():
        if item.catalog == "pg_class" and item.column and item.name == column and present(item, world) == relation:
            yield item.key


def users(keys: Iterable[str], world: World) -> Iterator[ObjectFacts]:
    """What depends on objects at first hand."""
    objects = world.facts.objects if world.facts is not None else {}
    for key in keys:
        yield from (objects[edge.key] for edge in objects[key].dependents if edge.key in objects)


def present(item: ObjectFacts, world: World) -> str | None:
    """The relation of an object under its name of now; None when it has none, or it is gone."""
    if item.relation is None or world.relation(item.relation) is not None:
        return item.relation
    moved = world.state.get(("bare", item.relation.partition(".")[2]), None)
    return str(moved) if moved else None


def reached(roots: Iterable[str], world: World) -> dict[str, ObjectFacts]:
    """Everything that goes away with the roots, themselves included, by key."""
    found: dict[str, ObjectFacts] = {}
    begin = tuple(roots)
    stack = list(begin)
    while stack:
        key = stack.pop()
        item = world.facts.objects.get(key) if world.facts is not None else None
        if key in found or item is None or world.state.get(("gone", key), False):
            continue
        found[key] = item
        stack.extend(
            edge.key for edge in item.dependents if not _moved(edge.key, item, world, whole=_whole(key) in found)
        )
        if key not in begin:  # a rule takes its view along, a member its extension
            stack.extend(owner for owner, kind in item.needed_by if kind in "ie" and _whole(owner) not in found)
    return found


def sequences_given(table: str, column: str, world: World) -> tuple[str, ...]:
    """Sequences that this migration gave to the column by OWNED BY: they go with it."""
    given = dict.fromkeys(world.state.get(("owned", table, column), ()))
    return tuple(name for name in given if world.state.get(("owner", name), None) == (table, column))


def _moved(key: str, owner: ObjectFacts, world: World, *, whole: bool) -> bool:
    """Whether it is a sequence that this migration gave to another column. :param whole: the table itself goes."""
    item = world.facts.objects.get(key) if world.facts is not None else None
    if item is not None and item.catalog == "pg_attrdef" and owner.catalog == "pg_class" and not owner.column:
        return _has_other_defaults(item, owner, world)
    if item is None or item.relation is None or item.catalog != "pg_class" or owner.catalog != "pg_class":
        return False
    moved = world.state.get(("owner", item.relation), None)
    if moved is None or (whole and moved[0] == present(owner, world)):
        return False
    return bool(moved != (present(owner, world), owner.name if owner.column else ""))


def _has_other_defaults(item: ObjectFacts, sequence: ObjectFacts, world: World) -> bool:
    """Whether this migration has taken the sequence out of the table's defaults."""
    table, name = present(item, world), present(sequence, world)
    facts, known = world.relation(table or ""), world.relation(name or "")
    if facts is None or known is None or known.kind != "S":
        return False
    return not any(name in column.sequences for column in facts.columns.values())


def drop_objects(roots: Iterable[str], world: World, out: Recorder, *, cascade: bool, what: str) -> None:
    """Locks of a DROP, and whether it fails with 2BP01."""
    named = tuple(roots)
    found = reached(named, world)
    for key in named:
        item = found.get(key)
        for owner, _ in item.needed_by if item is not None else ():
            if owner not in found and _whole(owner) not in found:
                out.fail("2BP01", f"cannot drop {what}: something else requires it")
    if not cascade:
        along = _along(named, found)
        left = (item for key, item in found.items() if key not in along and _whole(key) not in along)
        stubborn = sorted({item.name or item.catalog for item in left})
        if stubborn:
            out.fail("2BP01", f"cannot drop {what} because other objects depend on it: {', '.join(stubborn)}")
            return
    for item in found.values():
        lock_object(item, world, out)


def _along(named: tuple[str, ...], found: dict[str, ObjectFacts]) -> set[str]:
    """What goes away without CASCADE: the roots, and what depends on those by anything but a normal dependency."""
    along: set[str] = set()
    stack = list(named)
    while stack:
        key = stack.pop()
        if key in along or key not in found:
            continue
        along.add(key)
        stack.extend(edge.key for edge in found[key].dependents if edge.kind != "n")
    return along


def _whole(key: str) -> str:
    """Of a column, the key of its table."""
    return f"{key.rpartition(':')[0]}:0"


def lock_object(item: ObjectFacts, world: World, out: Recorder) -> None:
    relation = present(item, world)
    if relation is None:
        return
    if item.catalog == "pg_class":
        facts = world.relation(relation)
        out.lock(relation, AX)
        if facts is None or item.column:
            return
        out.lock(facts.table, AX)
        if facts.is_partition and facts.parent:
            out.lock(facts.parent, AX)
            above = world.relation(facts.parent)
            out.lock(above.default_partition if above is not None else None, AX)
    elif item.catalog in OWNED_BY_ITS_TABLE:
        out.lock(relation, AX)
    elif item.catalog == "pg_statistic_ext":
        out.lock(relation, SUX)


def indexes_of(world: World, table: str) -> tuple[IndexFacts, ...]:
    facts = world.relation(table)
    return facts.indexes if facts is not None else ()


def uses_column(world: World, table: str, column: str) -> tuple[str, ...]:
    """Indexes of a table that mention a column in their key, their expressions or their predicate."""
    found = []
    for index in indexes_of(world, table):
        known = (*index.columns, *index.mentions)
        if column in known or column in types.words(index.definition.partition(" USING ")[2]):
            found.append(index.name)
    return tuple(found)
