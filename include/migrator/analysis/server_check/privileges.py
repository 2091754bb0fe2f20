"""Statements that the migration's role may not run, by what the catalog says of owners and privileges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from migrator.analysis.effects.world import World
from migrator.analysis.walk.subject import Subject
from migrator.facts.facts import RelationFacts
from migrator.parsing.nodes import enum, strings

_OWNER_OF = {
    "alter_table_stmt": "relation",
    "index_stmt": "relation",
    "rule_stmt": "relation",
    "create_policy_stmt": "table",
    "alter_policy_stmt": "table",
    "cluster_stmt": "relation",
    "rename_stmt": "relation",
    "alter_object_schema_stmt": "relation",
}
"""Statements for which one must own the relation. Those that a role may also get by GRANT MAINTAIN or from pg_maintain
(VACUUM, ANALYZE, REINDEX, REFRESH, CLUSTER of PostgreSQL 17) are left out or only a warning."""
_NEEDS = {
    "insert_stmt": "INSERT",
    "update_stmt": "UPDATE",
    "delete_stmt": "DELETE",
}
_DROPPED = ("OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE")


@dataclass(frozen=True)
class Missing:
    message: str
    help: str
    certain: bool = True


def missing_privileges(subject: Subject) -> Iterator[Missing]:
    """What the role of the catalog facts lacks for this statement."""
    facts, statement, world = subject.world.facts, subject.statement, subject.world
    if facts is None or facts.superuser or not facts.complete:
        return
    tree = statement.tree
    if statement.name in _OWNER_OF and getattr(tree, _OWNER_OF[statement.name]).relname:
        found = _known(world, world.name(getattr(tree, _OWNER_OF[statement.name])))
        if found is not None and not found.owned:
            yield _not_owner(found, facts.role, certain=statement.name != "cluster_stmt")
    elif statement.name == "drop_stmt" and enum(tree, "remove_type") in _DROPPED:
        for item in tree.objects:
            found = _known(world, world.dotted(strings(item.list.items)))
            if found is not None and not found.owned:
                yield _not_owner(found, facts.role)
    elif statement.name in _NEEDS:
        found = _known(world, world.name(tree.relation))
        needed = _NEEDS[statement.name]
        if found is not None and found.privileges is not None and needed not in found.privileges and not found.owned:
            yield Missing(
                f"role {facts.role} has no {needed} privilege on {found.name}",
                f"GRANT {needed} ON {found.name} TO {facts.role}, unless its privileges on single columns are enough",
                certain=needed == "DELETE",
            )
    yield from _schema(subject)


def _schema(subject: Subject) -> Iterator[Missing]:
    facts, tree = subject.world.facts, subject.statement.tree
    relation = {"create_stmt": "relation", "create_seq_stmt": "sequence", "view_stmt": "view"}.get(
        subject.statement.name
    )
    if facts is None or relation is None or getattr(tree, relation).relpersistence == "t":
        return
    name = getattr(tree, relation).schemaname or facts.schema
    found = facts.schemas.get(name)
    if found is not None and not found.create:
        yield Missing(
            f"role {facts.role} may not create objects in schema {name}",
            f"GRANT CREATE ON SCHEMA {name} TO {facts.role}, or let the schema's owner run it (the target's `role`)",
        )


def _known(world: World, name: str) -> RelationFacts | None:
    return world.relation(name)


def _not_owner(found: RelationFacts, role: str, *, certain: bool = True) -> Missing:
    return Missing(
        f"role {role} must be owner of {found.name}, which belongs to {found.owner}",
        f"let {found.owner} run it (the target's `role`), or GRANT {found.owner} TO {role}",
        certain=certain,
    )
