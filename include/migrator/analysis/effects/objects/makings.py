"""Types and routines: no relation is locked but a composite type's own, and much can be wrong with them.

src/backend/commands/functioncmds.c, typecmds.c; ProcedureCreate in src/backend/catalog/pg_proc.c.
"""

from __future__ import annotations

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names import column_names, routines
from migrator.analysis.effects.names.named import composite, may_create_in, superuser_only
from migrator.analysis.effects.objects.tables import types_exist
from migrator.analysis.effects.rows import queries
from migrator.analysis.effects.world import World
from migrator.parsing.nodes import Node, enum, name_of, option, option_text, strings


def change_owner(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER ... OWNER TO of what is no relation."""
    if enum(stmt, "object_type") == "OBJECT_TYPE" and stmt.object.HasField("list"):
        composite(strings(stmt.object.list.items), world, out)
    if world.facts is not None and not world.facts.superuser:
        out.risk("42501", "it needs membership in the new role, which must be allowed to create such objects there")


def alter_function(stmt: Node, world: World, out: Recorder) -> None:
    routine_is_there(stmt.func, world, out)


def routine_is_there(named: Node, world: World, out: Recorder) -> None:
    name = strings(named.objname)
    if world.facts is not None and world.facts.complete and not world.functions(name):
        out.fail("42883", f"function {'.'.join(name)} does not exist")


def alter_enum(stmt: Node, world: World, out: Recorder) -> None:
    """Locks no table. A new label cannot be used in the transaction that adds it."""
    parts = strings(stmt.type_name)
    found = world.type(parts)
    if found is None:
        if world.facts is not None and world.facts.complete:
            out.fail("42704", f'type "{parts[-1]}" does not exist')
        return
    if found.kind != "e":
        out.fail("42809", f"{parts[-1]} is not an enum")
        return
    if not found.owned:
        out.fail("42501", f"must be owner of type {parts[-1]}")
    if stmt.old_val:
        if stmt.old_val not in found.labels:
            out.fail("22023", f'"{stmt.old_val}" is not an existing enum label')
        elif stmt.new_val in found.labels:
            out.fail("42710", f'enum label "{stmt.new_val}" already exists')
    elif stmt.new_val in found.labels:
        if not stmt.skip_if_new_val_exists:
            out.fail("42710", f'enum label "{stmt.new_val}" already exists')
    elif stmt.new_val_neighbor and stmt.new_val_neighbor not in found.labels:
        out.fail("22023", f'"{stmt.new_val_neighbor}" is not an existing enum label')


def create_type(stmt: Node, world: World, out: Recorder) -> None:
    """Enum, range, composite type, domain."""
    name = getattr(stmt, "type_name", None) if stmt.DESCRIPTOR.name != "CreateDomainStmt" else stmt.domainname
    parts = strings(name) if name is not None else ()
    if not parts:
        return
    schema = parts[0] if len(parts) > 1 else world.schema
    may_create_in(schema, world, out)
    types_exist(stmt, world, out)
    found = world.type(parts)
    if found is not None and found.name == f"{schema}.{parts[-1]}":
        out.fail("42710", f'type "{parts[-1]}" already exists')


def create_function(stmt: Node, world: World, out: Recorder) -> None:
    """A function in SQL is checked when it is made: what it mentions is looked at."""
    may_create_in(strings(stmt.funcname)[0] if len(stmt.funcname) > 1 else world.schema, world, out)
    _language(stmt, world, out)
    types_exist(stmt, world, out)
    _signature_is_free(stmt, world, out)
    given = [item.function_parameter.name for item in stmt.parameters if item.function_parameter.name]
    if stmt.HasField("sql_body"):
        queries.query(stmt.sql_body, world, out, planned=False)
        return
    if world.state.get(("setting", "check_function_bodies"), None) == "off":
        return
    if (option_text(stmt.options, "language") or "").lower() != "sql":
        return
    body = option(stmt.options, "as")
    if body is None or name_of(body.arg) != "list":
        return
    from migrator.parsing.statements import parse

    parsed = parse("".join(strings(body.arg.list.items)[:1]), file="function")
    for statement in parsed.statements:
        if statement.name in ("select_stmt", "insert_stmt", "update_stmt", "delete_stmt", "merge_stmt"):
            queries.query(statement.node, world, out, planned=False)
            column_names.check(statement.node, world, out, variables=given)


def _language(stmt: Node, world: World, out: Recorder) -> None:
    language = (option_text(stmt.options, "language") or "").lower()
    if language in ("c", "internal"):
        superuser_only(stmt, world, out)
    elif language not in ("", "sql", "plpgsql"):
        out.risk("42704", f'language "{language}" does not exist')


def _signature_is_free(stmt: Node, world: World, out: Recorder) -> None:
    """CREATE needs a new signature; OR REPLACE keeps the names of arguments and the type of the result."""
    name = strings(stmt.funcname)[-1]
    if routines.same(stmt, world) is None:
        return
    if not stmt.replace:
        out.fail("42723", f'function "{name}" already exists with same argument types')
    else:
        out.risk("42P13", f"{name} has another result type, or other names of its arguments")
