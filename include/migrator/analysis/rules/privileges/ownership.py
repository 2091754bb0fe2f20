"""Whose objects are."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects import World
from migrator.analysis.effects.names import routines
from migrator.analysis.effects.names.schema_elements import schema_of
from migrator.analysis.rules.model import DOCS, Hit, Rule
from migrator.analysis.rules.online.expressions import statement_of
from migrator.analysis.rules.privileges.roles import called
from migrator.analysis.walk.spots import Spot
from migrator.facts.facts import FunctionFacts
from migrator.parsing.kinds import object_name
from migrator.parsing.nodes import Node, enum, flag, strings
from migrator.plan import Severity

ROUTINES = ("OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE")
TYPES = ("create_enum_stmt", "create_range_stmt", "composite_type_stmt", "create_domain_stmt")
SHARED = ("OBJECT_DATABASE", "OBJECT_TABLESPACE")
"""`changes-the-server`'s."""


def check(spot: Spot) -> Iterator[Hit]:
    node = spot.node
    if spot.kind == "AlterTableStmt":
        for item in node.cmds:
            command = item.alter_table_cmd
            if enum(command, "subtype") == "AT_ChangeOwner":
                table = spot.world.name(node.relation)
                yield _given(table, called(command.newowner), new=spot.world.is_certainly_new(table))
    elif spot.kind == "AlterOwnerStmt":
        about = enum(node, "object_type")
        if about not in SHARED:
            yield _given(f"the {object_name(about).lower()}", called(node.newowner), new=_made(spot, about))
    elif spot.kind == "ReassignOwnedStmt":
        roles = ", ".join(called(item.role_spec) for item in node.roles)
        yield _given(f"all that {roles} owns, in this database and of the server,", called(node.newrole), new=False)
    else:
        roles = ", ".join(called(item.role_spec) for item in node.roles)
        yield Hit(f"all that {roles} owns is dropped, and all of its privileges are taken, in this database")


def _made(spot: Spot, about: str) -> bool:
    """Whether the file itself makes it, before. A function that works with the rights of its owner is another
    matter."""
    named = spot.node.object
    for item in spot.around.script.subjects:
        tree, kind, world = item.statement.tree, item.statement.name, item.world
        if item.statement.index >= spot.around.index:
            break
        if kind == "create_schema_stmt" and about == "OBJECT_SCHEMA":
            same = schema_of(tree) == named.string.sval and not _may_be_there(tree, world)
        elif kind == "create_function_stmt" and about in ROUTINES:
            known = routines.named(named.object_with_args, spot.world)
            same = routines.same(tree, world, known) is not None and not _replaces(tree, world)
            same = same and not any(map(_is_definer, (tree, *map(_definition, known))))
        elif kind in TYPES and about in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
            names = strings(named.list.items) or strings(named.type_name.names)
            same = _qualified(_type_name(tree, kind), world) == _qualified(names, spot.world)
        else:
            continue
        if same:
            return True
    return False


def _definition(function: FunctionFacts) -> Node | None:
    """As it is by then: ALTER FUNCTION may have said more."""
    made = statement_of(function.body) if function.body else None
    return made.create_function_stmt if made is not None else None


def _is_definer(made: Node | None) -> bool:
    return made is not None and flag(made.options, "security", False)


def _may_be_there(tree: Node, world: World) -> bool:
    return bool(tree.if_not_exists) and (world.facts is None or schema_of(tree) in world.facts.schemas)


def _replaces(tree: Node, world: World) -> bool:
    return bool(tree.replace) and (world.facts is None or routines.same(tree, world) is not None)


def _qualified(names: tuple[str, ...], world: World) -> str:
    return ".".join((world.schema, *names)[-2:])


def _type_name(tree: Node, statement: str) -> tuple[str, ...]:
    if statement == "create_domain_stmt":
        return strings(tree.domainname)
    if statement == "composite_type_stmt":
        return tuple(filter(None, (tree.typevar.schemaname, tree.typevar.relname)))
    return strings(tree.type_name)


def _given(what: str, owner: str, *, new: bool) -> Hit:
    """Of what the migration itself makes nobody loses anything."""
    severity = Severity.INFO if new else None
    return Hit(f"{what} is {owner}'s from then on: no privilege and no policy binds it", severity=severity)


RULE = Rule(
    id="changes-the-owner",
    severity=Severity.WARNING,
    condition="ALTER ... OWNER TO of what exists, REASSIGN OWNED, DROP OWNED",
    effect="an owner may do everything, and hand it on; a function with SECURITY DEFINER, a view and a trigger's"
    " function work with the rights of its owner",
    alternative="GRANT what is needed; let the target's role own what migrations make",
    without_sql="always: whether it is right is no matter of SQL",
    source=DOCS + "ddl-priv.html",
    spot=check,
    kinds=("AlterTableStmt", "AlterOwnerStmt", "ReassignOwnedStmt", "DropOwnedStmt"),
    in_rollback=True,
)
