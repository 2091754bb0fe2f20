"""Whether what a statement names is there, of the right kind, and ours to change."""

from __future__ import annotations

from collections.abc import Iterable

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.world import World
from migrator.lock_modes import AX
from migrator.parsing.nodes import Node

TABLES = "rp"
SYSTEM = ("pg_catalog.", "information_schema.", "pg_toast.")
"""Schemas whose relations nobody else waits for: what is read there is not listed."""


def bare(name: str) -> str:
    return name.rpartition(".")[2]


def is_system(name: str) -> bool:
    return name.startswith(SYSTEM)


def there(
    name: str, world: World, out: Recorder, *, missing_ok: bool = False, sqlstate: str = "42P01", what: str = "relation"
) -> bool:
    """False when there is no such relation; without `missing_ok` the statement fails then."""
    if world.exists(name) is not False or is_system(name):
        return True
    if not missing_ok:
        out.fail(sqlstate, f'{what} "{bare(name)}" does not exist')
    return False


def of_kind(name: str, kinds: str, world: World, out: Recorder, what: str, *, sqlstate: str = "42809") -> bool:
    """False, and a failure, when it is known to be of another pg_class.relkind."""
    facts = world.relation(name)
    if facts is None or facts.kind in kinds:
        return True
    out.fail(sqlstate, f'"{bare(name)}" is not {what}')
    return False


def must_own(name: str, world: World, out: Recorder) -> None:
    facts = world.relation(name)
    if facts is not None and not facts.owned:
        out.fail("42501", f"must be owner of {bare(name)}, which belongs to {facts.owner}")


def may(name: str, privilege: str, world: World, out: Recorder) -> None:
    facts = world.relation(name)
    if facts is not None and facts.privileges is not None and privilege not in facts.privileges:
        out.fail("42501", f"permission denied for {bare(name)}: it needs {privilege}")


def may_create_in(schema: str, world: World, out: Recorder) -> None:
    """The schema exists, and objects may be created in it."""
    facts = world.facts
    if facts is None or not facts.complete or world.has("schema", schema, False):
        return
    known = facts.schemas.get(schema) if world.has("schema", schema, True) else None
    if known is None:
        if not schema.startswith("pg_"):
            out.fail("3F000", f'schema "{schema}" does not exist')
    elif not known.create:
        out.fail("42501", f"permission denied for schema {schema}: it needs CREATE")


def composite(parts: tuple[str, ...], world: World, out: Recorder) -> None:
    """A composite type has a relation, which is locked as a table's would be."""
    found = world.type(parts)
    if found is not None and found.kind == "c":
        out.lock(found.name, AX)


def typed_tables(relation: Node, behaviors: Iterable[str], world: World, out: Recorder) -> None:
    """A composite type is changed together with the tables made OF it, and with CASCADE only."""
    parts = (relation.schemaname, relation.relname) if relation.schemaname else (relation.relname,)
    found = world.type(parts)
    for name in found.typed_tables if found is not None else ():
        if any(behavior != "DROP_CASCADE" for behavior in behaviors):
            out.fail("2BP01", f'cannot alter type "{relation.relname}" because it is the type of a typed table')
        out.lock(name, AX)


def schema_is_there(schema: str, world: World, out: Recorder) -> None:
    """Where the server looks for the schema first; a query does not."""
    facts = world.facts
    if not schema or facts is None or not facts.complete:
        return
    if not world.has("schema", schema, schema in facts.schemas) and not schema.startswith("pg_"):
        out.fail("3F000", f'schema "{schema}" does not exist')


def superuser_only(stmt: Node, world: World, out: Recorder) -> None:
    """Of statements that no right can be given for."""
    if world.facts is not None and world.facts.complete and not world.facts.superuser:
        out.fail("42501", "permission denied: it needs a superuser")


def is_free(name: str, world: World, out: Recorder) -> None:
    if world.exists(name):
        out.fail("42P07", f'relation "{bare(name)}" already exists')
