"""DROP of anything, DROP OWNED and REASSIGN OWNED: what is locked, and what it fails on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names import dependents, routines
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.names.named import bare, there
from migrator.analysis.effects.objects.indexes import drop_indexes
from migrator.analysis.effects.world import World
from migrator.facts.facts import ObjectFacts, RelationFacts
from migrator.facts.names import ROUTINES, cascades
from migrator.lock_modes import AX, SUX
from migrator.parsing.nodes import Node, content, enum

KINDS: Mapping[str, tuple[str, str]] = {
    "OBJECT_TABLE": ("rp", "table"),
    "OBJECT_VIEW": ("v", "view"),
    "OBJECT_MATVIEW": ("m", "materialized view"),
    "OBJECT_SEQUENCE": ("S", "sequence"),
    "OBJECT_FOREIGN_TABLE": ("f", "foreign table"),
}
"""relkinds, and what the message calls them."""
ON_TABLES: Mapping[str, str] = {"OBJECT_TRIGGER": "trigger", "OBJECT_RULE": "rule", "OBJECT_POLICY": "policy"}
LABELS: Mapping[str, tuple[str, str]] = {
    "OBJECT_SCHEMA": ("schema", "3F000"),
    "OBJECT_EXTENSION": ("extension", "42704"),
    "OBJECT_FOREIGN_SERVER": ("server", "42704"),
    "OBJECT_FDW": ("fdw", "42704"),
}
FOLLOWED = ("OBJECT_PUBLICATION",)
"""Nothing depends on these."""


def drop(stmt: Node, world: World, out: Recorder) -> None:
    kind = enum(stmt, "remove_type")
    if kind == "OBJECT_INDEX":
        drop_indexes(stmt, world, out)
    elif kind in KINDS:
        _relations(stmt, kind, world, out)
    elif kind in ON_TABLES:
        _on_tables(stmt, kind, world, out)
    elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        _types(stmt, kind, world, out)
    elif kind in ROUTINES:
        _routines(stmt, world, out)
    elif kind in LABELS:
        _labelled(stmt, kind, world, out)
    elif kind == "OBJECT_STATISTIC_EXT":
        _statistics(stmt, world, out)
    elif kind not in FOLLOWED:
        if cascades(stmt):
            out.known = False
            out.assume("CASCADE may reach tables by way of this object; that was not followed")
        out.risk("2BP01", "other objects may depend on it")


def _relations(stmt: Node, kind: str, world: World, out: Recorder) -> None:
    wanted, what = KINDS[kind]
    names = []
    for item in stmt.objects:
        name = world.dotted(object_name(item))
        if not there(name, world, out, missing_ok=stmt.missing_ok, what=what):
            continue
        facts = world.relation(name)
        if facts is not None and facts.kind not in wanted:
            out.fail("42809", f'"{bare(name)}" is not a {what}')
        if facts is not None and not facts.owned:
            out.fail("42501", f"must be owner of {what} {bare(name)}")
        names.append(name)
    for name in names:
        facts = world.relation(name)
        out.lock(name, AX)
        if facts is None:
            out.assume(f"what refers to {name} is unknown without a connection, and is locked as well")
        else:
            _table(facts, frozenset(names), world, out, cascade=cascades(stmt))
    roots = dependents.roots_of(stmt, world)
    dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what=", ".join(names))


def _table(facts: RelationFacts, names: frozenset[str], world: World, out: Recorder, *, cascade: bool) -> None:
    """What the catalog's dependencies do not tell: those that the migration itself made."""
    for item in facts.constraints:
        if item.kind == "f" and item.referenced and (facts.oid == 0 or world.is_told(item.referenced)):
            for other in (item.referenced, *world.leaves(item.referenced)):
                out.lock(other, AX)
    new = [view.name for view in facts.views if world.is_told(view.name) and view.name not in names]
    new += [other for other in facts.referenced_by if world.is_told(other) and other not in names]
    if new and not cascade:
        out.fail("2BP01", f"cannot drop {bare(facts.name)} because {', '.join(new)} depends on it")
    if cascade and facts.oid == 0:
        new += [other for other in facts.referenced_by if other not in names]
    for name in (*new, *_along(facts, world)):
        out.lock(name, AX)


def _along(facts: RelationFacts, world: World) -> Iterator[str]:
    """What a table that the migration itself made, or an index or sequence that it gave to it, takes along."""
    yield from (index.name for index in facts.indexes if world.is_new(index.name))
    for column in facts.columns.values():
        yield from (sequence for sequence in column.sequences if world.is_new(sequence))
    for child in facts.children:
        below = world.relation(child)
        if below is not None and world.is_new(child):
            yield child
            yield from _along(below, world)


def _on_tables(stmt: Node, kind: str, world: World, out: Recorder) -> None:
    what = ON_TABLES[kind]
    for item in stmt.objects:
        parts = object_name(item)
        table, name = world.dotted(parts[:-1]), parts[-1]
        if not there(table, world, out, missing_ok=stmt.missing_ok):
            continue
        facts = world.relation(table)
        if facts is not None and not facts.owned:
            out.fail("42501", f"must be owner of relation {bare(table)}")
        if facts is not None:
            own = {
                "trigger": [trigger.name for trigger in facts.triggers],
                "rule": [rule.name for rule in facts.rules],
                "policy": list(facts.policies),
            }[what]
            if name not in own:
                if not stmt.missing_ok:
                    out.fail("42704", f'{what} "{name}" for table "{bare(table)}" does not exist')
                continue
        out.lock(table, AX)
    roots = dependents.roots_of(stmt, world)
    dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what=f"the {what}")


def _types(stmt: Node, kind: str, world: World, out: Recorder) -> None:
    what = kind.removeprefix("OBJECT_").lower()
    for item in stmt.objects:
        parts = object_name(item)
        found = world.type(parts)
        if found is None and world.facts is not None and world.facts.complete:
            if not stmt.missing_ok:
                out.fail("42704", f'type "{parts[-1]}" does not exist')
        elif found is not None:
            if kind == "OBJECT_DOMAIN" and found.kind != "d":
                out.fail("42809", f'"{parts[-1]}" is not a domain')
            if not found.owned:
                out.fail("42501", f"must be owner of type {parts[-1]}")
        elif not world.is_new_type(parts):
            out.assume(f"which tables use the {what} {parts[-1]} is unknown without a connection")
    roots = dependents.roots_of(stmt, world)
    dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what=f"the {what}")


def _routines(stmt: Node, world: World, out: Recorder) -> None:
    for item in stmt.objects:
        parts = object_name(item)
        if world.facts is None or not world.facts.complete:
            if cascades(stmt):
                out.assume(f"what uses {parts[-1]}() is unknown without a connection, and is locked as well")
            continue
        found = routines.named(content(item), world)
        if not found and not stmt.missing_ok:
            out.fail("42883", f"function {parts[-1]} does not exist")
        elif len(found) > 1:
            out.fail("42725", f'function name "{parts[-1]}" is not unique')
        elif found and not found[0].owned:
            out.fail("42501", f"must be owner of function {parts[-1]}")
    roots = dependents.roots_of(stmt, world)
    dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what="the function")


def _labelled(stmt: Node, kind: str, world: World, out: Recorder) -> None:
    label, sqlstate = LABELS[kind]
    for item in stmt.objects:
        name = object_name(item)[-1]
        if world.facts is None or not world.facts.complete:
            out.assume(f"what is in the {label} {name} is unknown without a connection, and is locked as well")
            if cascades(stmt):
                out.known = False
        elif not world.has(label, name, f"{label} {name}" in world.facts.roots):
            if not stmt.missing_ok:
                out.fail(sqlstate, f'{label} "{name}" does not exist')
        elif world.has(label, name, False):
            continue  # the migration's own
        elif label == "extension" and name in world.facts.extensions and not world.facts.extensions[name].owned:
            out.fail("42501", f"must be owner of extension {name}")
        elif label == "schema" and name in world.facts.schemas and not world.facts.schemas[name].owned:
            out.fail("42501", f"must be owner of schema {name}")
    roots = dependents.roots_of(stmt, world)
    dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what=f"the {label}")


def _statistics(stmt: Node, world: World, out: Recorder) -> None:
    for item in stmt.objects:
        name = world.dotted(object_name(item))
        table = world.table_of_statistics(name)
        if table is not None:
            out.lock(table, SUX)
        elif world.facts is not None and world.facts.complete:
            if not stmt.missing_ok:
                out.fail("42704", f'statistics object "{bare(name)}" does not exist')
        else:
            out.assume(f"the table of the statistics {name} is locked {SUX}")


def drop_owned(stmt: Node, world: World, out: Recorder) -> None:
    """Everything of a role, and what was granted to it: shdepDropOwned in src/backend/catalog/pg_shdepend.c."""
    _asked(world, out)
    roots = [key for role in _roles(stmt, world) for key in _labelled_roots(f"owned by {role}", world)]
    dependents.drop_objects(roots, world, out, cascade=cascades(stmt), what="what the role owns")
    for role in _roles(stmt, world):
        for key in _labelled_roots(f"granted to {role}", world):
            item = world.facts.objects.get(key) if world.facts is not None else None
            if item is not None and item.catalog == "pg_policy" and item.relation:
                out.lock(item.relation, AX)


def reassign_owned(stmt: Node, world: World, out: Recorder) -> None:
    """As ALTER ... OWNER of each: relations with their indexes and sequences."""
    _asked(world, out)
    (to,) = _named([stmt.newrole], world) or ("",)
    for role in _roles(stmt, world):
        for key in _labelled_roots(f"owned by {role}", world):
            item = world.facts.objects.get(key) if world.facts is not None else None
            for relation in _given_away(item, world) if item is not None else ():
                out.lock(relation, AX)
                facts = world.relation(relation)
                for index in facts.indexes if facts is not None and role != to else ():
                    out.lock(index.name, AX)


def _given_away(item: ObjectFacts, world: World) -> Iterator[str]:
    """The relation that an object is; a composite type has one, which belongs to whom the type belongs."""
    if item.catalog == "pg_class" and item.relation is not None:
        yield item.relation
    elif item.catalog == "pg_type":
        for part in dependents.users([item.key], world):
            facts = world.relation(part.relation or "")
            if part.catalog == "pg_class" and facts is not None and facts.kind == "c":
                yield facts.name


def _roles(stmt: Node, world: World) -> list[str]:
    return _named([item.role_spec for item in stmt.roles], world)


def _named(roles: Iterable[Node], world: World) -> list[str]:
    """By name; CURRENT_USER and its like is the role that runs the migration."""
    mine = [world.facts.role] if world.facts is not None else []
    return [name for role in roles for name in ([role.rolename] if role.rolename else mine)]


def _labelled_roots(label: str, world: World) -> tuple[str, ...]:
    return world.facts.roots.get(label, ()) if world.facts is not None else ()


def _asked(world: World, out: Recorder) -> None:
    if world.facts is None or not world.facts.complete:
        out.known = False
        out.assume("what the role owns is unknown without a connection")
