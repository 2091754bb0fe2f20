"""What the other statements leave behind: names, types, functions, triggers, settings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from migrator.analysis.effects.names import definitions, routines
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.replay.draft import Draft, Replay
from migrator.analysis.effects.types import types
from migrator.analysis.effects.world import SETTINGS
from migrator.facts.facts import (
    ConstraintFacts,
    DomainFacts,
    FunctionFacts,
    OperatorFacts,
    RelationFacts,
    RuleFacts,
    TriggerFacts,
    TypeFacts,
    altered,
)
from migrator.facts.names import ROUTINES
from migrator.parsing.nodes import Node, content, enum, name_of, option, strings

RELATIONS = (
    "OBJECT_TABLE",
    "OBJECT_VIEW",
    "OBJECT_MATVIEW",
    "OBJECT_INDEX",
    "OBJECT_SEQUENCE",
    "OBJECT_FOREIGN_TABLE",
)
_EVENTS = ((4, "INSERT"), (8, "DELETE"), (16, "UPDATE"), (32, "TRUNCATE"))
"""TRIGGER_TYPE_* of src/include/catalog/pg_trigger.h."""
_RULE_EVENTS = {"CMD_UPDATE": "UPDATE", "CMD_INSERT": "INSERT", "CMD_DELETE": "DELETE"}


def add_functions(name: str, more: tuple[FunctionFacts, ...], draft: Draft) -> None:
    draft.changes[("function", name)] = (*draft.collected("function", name), *more)


def unknown_function(parts: tuple[str, ...], draft: Draft) -> FunctionFacts:
    return routines.unknown(parts[-2] if len(parts) > 1 else draft.world.schema)


def drop_functions(name: str, going: Collection[FunctionFacts], draft: Draft) -> None:
    signatures = [(one.schema, one.arguments) for one in going]
    mine = draft.collected("function", name)
    draft.changes[("function", name)] = tuple(one for one in mine if (one.schema, one.arguments) not in signatures)
    draft.changes[("functions gone", name)] = (*draft.collected("functions gone", name), *signatures)


def move_routine(function: Node, schema: str | None, name: str | None, draft: Draft) -> None:
    """To another schema or name."""
    parts, world = strings(function.objname), draft.world
    found = tuple(item for item in routines.named(function, world) if item.schema != "pg_catalog")
    drop_functions(parts[-1], found, draft)
    place = {} if schema is None else {"schema": schema, "position": world.position(schema)}
    moved = tuple(altered(item, **place) for item in found or (unknown_function(parts, draft),))
    add_functions(name or parts[-1], moved, draft)


def set_schema(stmt: Node, draft: Draft) -> None:
    kind = enum(stmt, "object_type")
    if kind in ("OBJECT_TYPE", "OBJECT_DOMAIN"):
        move_type(object_name(stmt.object), stmt.newschema, None, draft)
        return
    if kind == "OBJECT_STATISTIC_EXT":
        move_statistics(object_name(stmt.object), stmt.newschema, None, draft)
        return
    if kind in ROUTINES:
        move_routine(stmt.object.object_with_args, stmt.newschema, None, draft)
        return
    if kind not in RELATIONS or not stmt.HasField("relation"):
        return
    name = draft.world.name(stmt.relation)
    facts = draft.relation(name)
    moving = [name]
    if facts is not None:
        moving += [index.name for index in facts.indexes]
        moving += [
            sequence
            for column in facts.columns.values()
            for sequence in column.sequences
            if (owned := draft.relation(sequence)) is not None and owned.owned_by == name
        ]
    for old in moving:
        draft.rename(old, f"{stmt.newschema}.{old.partition('.')[2]}")


def move_statistics(parts: tuple[str, ...], schema: str | None, name: str | None, draft: Draft) -> None:
    old = draft.world.dotted(parts)
    old_schema, _, old_name = old.rpartition(".")
    table = draft.world.table_of_statistics(old)
    draft.changes[("statistics", old)] = None
    draft.changes[("statistics", f"{schema or old_schema}.{name or old_name}")] = table


def move_type(parts: tuple[str, ...], schema: str | None, name: str | None, draft: Draft) -> None:
    known, domain = draft.world.type(parts), draft.world.domain(parts)
    old = known.name if known is not None else draft.world.dotted(parts)
    old_schema, _, old_name = old.rpartition(".")
    new = f"{schema or old_schema}.{name or old_name}"
    draft.changes[("type", old)] = None
    draft.changes[("domain", old)] = None
    draft.changes[("type", new)] = altered(known, name=new) if known is not None else None
    draft.changes[("domain", new)] = domain
    draft.changes[("created type", new)] = draft.world.is_new_type(parts)
    if known is not None and known.kind == "c":
        draft.rename(old, new)


def _create_type(
    parts: tuple[str, ...], kind: str, draft: Draft, labels: tuple[str, ...] = (), made_of: Iterable[Node] = ()
) -> str:
    """:param made_of: its TypeNames."""
    name = ".".join(parts[-2:]) if len(parts) > 1 else f"{draft.world.schema}.{parts[-1]}"
    below = (draft.world.type(strings(one.names)) for one in made_of)
    inside = tuple(dict.fromkeys(one.name for one in below if one is not None))
    draft.changes[("type", name)] = TypeFacts(name, kind, labels, parts=inside)
    draft.changes[("created type", name)] = True
    return name


def create_enum(stmt: Node, draft: Draft) -> None:
    _create_type(strings(stmt.type_name), "e", draft, strings(stmt.vals))


def create_composite(stmt: Node, draft: Draft) -> None:
    parts = tuple(part for part in (stmt.typevar.schemaname, stmt.typevar.relname) if part)
    name = _create_type(parts, "c", draft, made_of=(item.column_def.type_name for item in stmt.coldeflist))
    columns = (item.column_def for item in stmt.coldeflist)
    own = {item.colname: definitions.column(item, draft.world, name) for item in columns}
    draft.create(RelationFacts(name, "c", columns=own))


def create_range(stmt: Node, draft: Draft) -> None:
    subtype = option(stmt.params, "subtype")
    _create_type(strings(stmt.type_name), "r", draft, made_of=[subtype.arg.type_name] if subtype is not None else ())


def create_domain(stmt: Node, draft: Draft) -> None:
    name = _create_type(strings(stmt.domainname), "d", draft, made_of=[stmt.type_name])
    kinds = [enum(item.constraint, "contype") for item in stmt.constraints]
    own = tuple(
        ConstraintFacts(item.constraint.conname, "c", True, "")
        for item in stmt.constraints
        if enum(item.constraint, "contype") == "CONSTR_CHECK"
    )
    not_null = "CONSTR_NOTNULL" in kinds
    made = DomainFacts(
        not_null or bool(own), (), str(types.from_node(stmt.type_name)), not_null=not_null, constraints=own
    )
    draft.changes[("domain", name)] = made


def alter_enum(stmt: Node, draft: Draft) -> None:
    known = draft.world.type(strings(stmt.type_name))
    if known is None:
        return
    labels = known.labels
    if stmt.old_val:
        labels = tuple(stmt.new_val if label == stmt.old_val else label for label in labels)
    elif stmt.new_val not in labels:
        near = labels.index(stmt.new_val_neighbor) if stmt.new_val_neighbor in labels else len(labels)
        place = near + 1 if stmt.new_val_is_after else near
        labels = (*labels[:place], stmt.new_val, *labels[place:])
        draft.changes[("new label", known.name, stmt.new_val)] = True
    draft.changes[("type", known.name)] = altered(known, labels=labels)


def alter_domain(stmt: Node, draft: Draft) -> None:
    parts = strings(stmt.type_name)
    facts, known = draft.world.domain(parts), draft.world.type(parts)
    if facts is None:
        return
    subtype, constraints, not_null = stmt.subtype, facts.constraints, facts.not_null
    if subtype == "C":
        node = getattr(stmt, "def").constraint
        if enum(node, "contype") == "CONSTR_NOTNULL":
            not_null = True
        else:
            constraints = (*constraints, ConstraintFacts(node.conname, "c", not node.skip_validation, ""))
    elif subtype == "X":
        constraints = tuple(item for item in constraints if item.name != stmt.name)
    elif subtype == "V":
        constraints = tuple(altered(item, validated=True) if item.name == stmt.name else item for item in constraints)
    elif subtype in ("N", "O"):
        not_null = subtype == "O"
    made = altered(facts, constraints=constraints, not_null=not_null, constrained=not_null or bool(constraints))
    draft.changes[("domain", known.name if known is not None else draft.world.dotted(parts))] = made


def create_function(stmt: Node, draft: Draft) -> None:
    """One that is replaced stays the same object."""
    name, made = strings(stmt.funcname)[-1], routines.made(stmt, draft.world)
    old = routines.same(stmt, draft.world)
    if old is not None:
        stays = ("arguments", "position", "oid", "owned", "kept", "restored", "used")
        made = altered(made, **{key: getattr(old, key) for key in stays})
    mine = draft.collected("function", name)
    kept = tuple(item for item in mine if (item.schema, item.arguments) != (made.schema, made.arguments))
    draft.changes[("function", name)] = (*kept, made)


def alter_function(stmt: Node, draft: Draft) -> None:
    name, mine = strings(stmt.func.objname)[-1], dict[tuple[str, tuple[str, ...]], FunctionFacts]()
    for item in draft.collected("function", name):
        mine[item.schema, item.arguments] = item
    for item in routines.named(stmt.func, draft.world):
        mine[item.schema, item.arguments] = routines.changed(item, stmt.actions)
    draft.changes[("function", name)] = tuple(mine.values())


def trigger(stmt: Node, draft: Draft) -> None:
    events = frozenset(name for bit, name in _EVENTS if stmt.events & bit)
    made = TriggerFacts(stmt.trigname, draft.world.dotted(strings(stmt.funcname)), events, for_each_row=stmt.row)
    table = draft.world.name(stmt.relation)
    for name in (table, *draft.world.leaves(table)) if stmt.row else (table,):
        facts = draft.relation(name)
        if facts is not None:
            kept = tuple(item for item in facts.triggers if item.name != made.name)
            draft.put(altered(facts, triggers=(*kept, altered(made, inherited=name != table))))


def policy(stmt: Node, draft: Draft) -> None:
    facts = draft.relation(draft.world.name(stmt.table))
    if facts is not None:
        draft.put(altered(facts, policies=(*facts.policies, stmt.policy_name)))


def rule(stmt: Node, draft: Draft) -> None:
    facts = draft.relation(draft.world.name(stmt.relation))
    event = _RULE_EVENTS.get(enum(stmt, "event"))
    if facts is not None and event is not None:
        kept = tuple(item for item in facts.rules if item.name != stmt.rulename)
        made = RuleFacts(stmt.rulename, event, bool(stmt.instead), routines.definition(stmt, "rule_stmt"))
        draft.put(altered(facts, rules=(*kept, made)))


def role(stmt: Node, draft: Draft) -> None:
    draft.changes[("role", stmt.role)] = True


def server(stmt: Node, draft: Draft) -> None:
    draft.changes[("server", stmt.servername)] = True


def define(stmt: Node, draft: Draft) -> None:
    """CREATE COLLATION, AGGREGATE, and their like."""
    if enum(stmt, "kind") == "OBJECT_AGGREGATE":
        parts = strings(stmt.defnames)
        add_functions(parts[-1], (unknown_function(parts, draft),), draft)
    elif enum(stmt, "kind") == "OBJECT_OPERATOR":
        operator(stmt, draft)
    elif enum(stmt, "kind") == "OBJECT_COLLATION":
        draft.changes[("collation", strings(stmt.defnames)[-1])] = True


def operator(stmt: Node, draft: Draft) -> None:
    given = option(stmt.definition, "function") or option(stmt.definition, "procedure")
    operands = (option(stmt.definition, side) for side in ("leftarg", "rightarg"))
    if given is None:
        return
    parts, name = strings(stmt.defnames), strings(given.arg.type_name.names)
    schema = (
        name[-2] if len(name) > 1 else next((one.schema for one in draft.world.functions(name)), draft.world.schema)
    )
    made = OperatorFacts(
        parts[-2] if len(parts) > 1 else draft.world.schema,
        (schema, name[-1]),
        tuple(str(types.from_node(one.arg.type_name)) for one in operands if one is not None),
    )
    key = ("operator", parts[-1])
    draft.changes[key] = (*draft.world.state.get(key, ()), made)


def statistics(stmt: Node, draft: Draft) -> None:
    for item in stmt.relations:
        if len(stmt.defnames) and item.HasField("range_var"):
            name, table = draft.world.dotted(strings(stmt.defnames)), draft.world.name(item.range_var)
            facts = draft.relation(table)
            draft.changes[("statistics", name)] = table
            draft.change(table, statistics=(*(facts.statistics if facts is not None else ()), name))


def extension(stmt: Node, draft: Draft) -> None:
    known = draft.world.facts.extensions.get(stmt.extname) if draft.world.facts is not None else None
    before = known is not None and known.installed is not None
    if not (stmt.if_not_exists and draft.world.has("extension", stmt.extname, before)):
        draft.changes[("extension", stmt.extname)] = True


def wrapper(stmt: Node, draft: Draft) -> None:
    draft.changes[("fdw", stmt.fdwname)] = True


def publication(stmt: Node, draft: Draft) -> None:
    draft.changes[("publication", stmt.pubname)] = True


def setting(stmt: Node, draft: Draft) -> None:
    """SET search_path, TIME ZONE and check_function_bodies: the later statements run under them."""
    name = stmt.name.lower()
    if name not in SETTINGS:
        return
    kind = enum(stmt, "kind")
    values = tuple(_text(item) for item in stmt.args)
    if name == "check_function_bodies":
        off = kind == "VAR_SET_VALUE" and all(value in ("off", "false", "no", "f", "n", None) for value in values)
        draft.changes[("setting", name)] = "off" if off else None
        return
    if kind != "VAR_SET_VALUE" or not all(values):
        draft.changes[("setting", name)] = None
    elif name == "timezone":
        draft.changes[("setting", name)] = values[0]
    else:
        draft.changes[("setting", name)] = tuple(value for value in values if value and value != "$user")


def _text(node: Node) -> str | None:
    if name_of(node) != "a_const":
        return None
    value = content(node)
    return str(value.sval.sval) if value.HasField("sval") else None


HANDLERS: Mapping[str, Replay] = {
    "alter_object_schema_stmt": set_schema,
    "create_enum_stmt": create_enum,
    "composite_type_stmt": create_composite,
    "create_range_stmt": create_range,
    "create_domain_stmt": create_domain,
    "alter_enum_stmt": alter_enum,
    "alter_domain_stmt": alter_domain,
    "create_function_stmt": create_function,
    "alter_function_stmt": alter_function,
    "create_trig_stmt": trigger,
    "create_policy_stmt": policy,
    "rule_stmt": rule,
    "variable_set_stmt": setting,
    "create_stats_stmt": statistics,
    "create_publication_stmt": publication,
    "create_extension_stmt": extension,
    "create_fdw_stmt": wrapper,
    "create_role_stmt": role,
    "create_foreign_server_stmt": server,
    "define_stmt": define,
}
