"""What DROP and TRUNCATE leave behind."""

from __future__ import annotations

from collections.abc import Mapping

from migrator.analysis.effects.names import dependents, routines
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.replay.draft import Draft, Replay
from migrator.analysis.effects.replay.other import drop_functions
from migrator.facts.facts import altered
from migrator.facts.names import RELATIONS, ROUTINES
from migrator.parsing.nodes import Node, enum

_LABELS = {
    "OBJECT_SCHEMA": "schema",
    "OBJECT_EXTENSION": "extension",
    "OBJECT_PUBLICATION": "publication",
    "OBJECT_FOREIGN_SERVER": "server",
    "OBJECT_FDW": "fdw",
}


def drop(stmt: Node, draft: Draft) -> None:
    kind = enum(stmt, "remove_type")
    world = draft.world
    for item in stmt.objects:
        parts = object_name(item)
        if kind in RELATIONS:
            name = world.dotted(parts)
            for below in world.leaves(name):
                draft.drop(below)
            draft.drop(name)
        elif kind == "OBJECT_TRIGGER":
            facts = draft.relation(world.dotted(parts[:-1]))
            if facts is not None:
                draft.put(altered(facts, triggers=tuple(t for t in facts.triggers if t.name != parts[-1])))
        elif kind == "OBJECT_POLICY":
            facts = draft.relation(world.dotted(parts[:-1]))
            if facts is not None:
                draft.put(altered(facts, policies=tuple(name for name in facts.policies if name != parts[-1])))
        elif kind == "OBJECT_RULE":
            facts = draft.relation(world.dotted(parts[:-1]))
            if facts is not None:
                draft.put(altered(facts, rules=tuple(rule for rule in facts.rules if rule.name != parts[-1])))
        elif kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            known = world.type(parts)
            names = {".".join(parts[-2:]) if len(parts) > 1 else f"{world.schema}.{parts[0]}"}
            names |= {known.name} if known is not None else set()
            for name in names:
                draft.changes[("type", name)] = None
                draft.changes[("domain", name)] = None
            if known is not None and known.kind == "c":
                draft.drop(known.name)
        elif kind in ROUTINES:
            drop_functions(parts[-1], routines.named(item.object_with_args, world), draft)
        elif kind == "OBJECT_STATISTIC_EXT":
            draft.changes[("statistics", world.dotted(parts))] = None
        elif kind in _LABELS:
            draft.changes[(_LABELS[kind], parts[-1])] = False
    for key in dependents.reached(dependents.roots_of(stmt, world), world):
        draft.changes[("gone", key)] = True
        item = world.facts.objects[key] if world.facts is not None else None
        if item is not None and item.catalog == "pg_class" and not item.column and item.relation:
            draft.drop(item.relation)


def truncate(stmt: Node, draft: Draft) -> None:
    for item in stmt.relations:
        name = draft.world.name(item.range_var)
        for table in (name, *draft.world.leaves(name)):
            draft.change(table, rows=0, bytes=0)


HANDLERS: Mapping[str, Replay] = {"drop_stmt": drop, "truncate_stmt": truncate}
