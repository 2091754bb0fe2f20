"""Roles, collations, servers and constraints that a statement names and the server does not have.

get_rolespec_oid in src/backend/utils/adt/acl.c, get_collation_oid in src/backend/catalog/namespace.c. Asked only where
the catalog lacks one of the names in the files, which is hardly ever.
"""

from __future__ import annotations

from migrator.analysis.effects.model import Failure, Recorder
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.world import World
from migrator.facts.constants import constant_text, large_object
from migrator.parsing.nodes import Node, enum, find, strings

_GUARDED = ("drop_role_stmt",)
"""Refused to those who may not do it before any role is looked up."""
_FOUND_LATER = ("0A000", "2BP01", "23514", "42P07", "42710")
"""Failures that come after the names of collations have been looked up."""


def absent(name: str, stmt: Node, world: World, out: Recorder) -> None:
    if getattr(stmt, "missing_ok", False):
        return
    ours = world.facts is None or world.facts.superuser or name not in _GUARDED
    for item in find(stmt, "RoleSpec", "CollateClause", "IndexElem"):
        if item.DESCRIPTOR.name == "RoleSpec":
            if ours and item.rolename and _lacks("role", item.rolename, world):
                out.fail("42704", f'role "{item.rolename}" does not exist')
        else:
            parts = item.collation if item.DESCRIPTOR.name == "IndexElem" else item.collname
            _collation(strings(parts), world, out)
    server = getattr(stmt, "servername", "") or getattr(stmt, "server_name", "")
    if server and name != "create_foreign_server_stmt" and _lacks("server", server, world):
        out.fail("42704", f'server "{server}" does not exist')
    check = _CHECKS.get(name)
    if check is not None:
        check(stmt, world, out)


def _lacks(kind: str, name: str, world: World) -> bool:
    facts = world.facts
    return facts is not None and not world.has(kind, name, f"{kind} {name}" not in facts.absent)


def _collation(parts: tuple[str, ...], world: World, out: Recorder) -> None:
    if not parts or not _lacks("collation", parts[-1], world):
        return
    if out.fails is None or out.fails.sqlstate in _FOUND_LATER:
        out.fails = Failure("42704", f'collation "{parts[-1]}" does not exist')


def _setting(stmt: Node, world: World, out: Recorder) -> None:
    """SET ROLE and SET SESSION AUTHORIZATION."""
    role = constant_text(stmt.args[0]) if len(stmt.args) else None
    if stmt.name in ("role", "session_authorization") and role and _lacks("role", role, world):
        out.fail("22023", f'role "{role}" does not exist')


def _constraints(stmt: Node, world: World, out: Recorder) -> None:
    """SET CONSTRAINTS; of a constraint that the migration may have made nothing is said."""
    for item in stmt.constraints:
        name = item.range_var.relname
        if not _lacks("constraint", name, world):
            continue
        message = f'constraint "{name}" does not exist'
        if any(key[0] in ("relation", "partial") for key in world.state.written() if isinstance(key, tuple)):
            out.risk("42704", message)
        else:
            out.fail("42704", message)


def _named(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER and COMMENT ON of such an object; a function of the migration may have made a large object."""
    field = next(f for f in ("objtype", "object_type", "rename_type") if f in stmt.DESCRIPTOR.fields_by_name)
    kind = enum(stmt, field)
    if kind == "OBJECT_COLLATION":
        _collation(object_name(stmt.object), world, out)
    elif kind == "OBJECT_ROLE" and _lacks("role", object_name(stmt.object)[-1], world):
        out.fail("42704", f'role "{object_name(stmt.object)[-1]}" does not exist')
    elif kind == "OBJECT_LARGEOBJECT" and _lacks("large object", large_object(stmt.object), world):
        out.risk("42704", f"large object {large_object(stmt.object)} does not exist")


def _dropped(stmt: Node, world: World, out: Recorder) -> None:
    if enum(stmt, "remove_type") == "OBJECT_COLLATION":
        for item in stmt.objects:
            _collation(object_name(item), world, out)


_CHECKS = {
    "variable_set_stmt": _setting,
    "constraints_set_stmt": _constraints,
    "comment_stmt": _named,
    "alter_owner_stmt": _named,
    "rename_stmt": _named,
    "drop_stmt": _dropped,
}
