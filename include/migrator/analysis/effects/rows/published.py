"""UPDATE and DELETE of rows that go to subscribers: the server refuses them when nothing names the rows."""

from __future__ import annotations

from collections.abc import Collection

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts

REFUSED = "has no replica identity to name the changed rows by"


def changed(facts: RelationFacts, events: Collection[str], world: World, out: Recorder) -> None:
    """CheckCmdReplicaIdentity in src/backend/executor/execReplication.c."""
    if facts.kind not in "rp" or not {"UPDATE", "DELETE"} & set(events):
        return
    names = publications(facts, world)
    key = any(index.primary or index.replica_identity for index in facts.indexes)
    if names and (facts.replica_identity == "n" or (facts.replica_identity in "di" and not key)):
        out.risk("55000", f"{facts.name} is in publication {', '.join(names)} and {REFUSED}")


def publications(facts: RelationFacts, world: World) -> tuple[str, ...]:
    """Those that publish its changes: because they list it, a table that it is a partition of, or its schema, or all
    tables."""
    if world.facts is None or facts.persistence != "p":
        return ()
    names, above = [*world.facts.publications_for_all], facts
    while True:
        names += above.publications
        names += world.facts.published_schemas.get(above.name.rpartition(".")[0], ())
        parent = world.relation(above.parent) if above.is_partition and above.parent else None
        if parent is None:
            return tuple(dict.fromkeys(name for name in names if name not in world.facts.publishing_inserts))
        above = parent
