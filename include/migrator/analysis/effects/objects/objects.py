"""Triggers, policies, rules, comments, statistics, publications, types, grants: what locks relations for an instant."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.analysis.effects.model import Recorder
from migrator.analysis.effects.names.definitions import object_name
from migrator.analysis.effects.names.named import bare, may_create_in, must_own, of_kind, schema_is_there, there
from migrator.analysis.effects.objects.makings import routine_is_there
from migrator.analysis.effects.rows import queries
from migrator.analysis.effects.world import World
from migrator.facts.facts import RelationFacts
from migrator.lock_modes import AS as ACCESS_SHARE
from migrator.lock_modes import AX, SRX, SUX
from migrator.parsing.nodes import Node, enum, flag, option, option_text, strings

RELATIONS = (
    "OBJECT_TABLE",
    "OBJECT_VIEW",
    "OBJECT_MATVIEW",
    "OBJECT_SEQUENCE",
    "OBJECT_FOREIGN_TABLE",
    "OBJECT_INDEX",
)
PARTS = ("OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY")


def trigger(stmt: Node, world: World, out: Recorder) -> None:
    """On a partitioned table a row trigger is made for each partition."""
    table = world.name(stmt.relation)
    if not there(table, world, out) or not of_kind(table, "rpvf", world, out, "a table, view or foreign table"):
        return
    facts = world.relation(table)
    out.lock(table, SRX)
    if stmt.row and facts is not None and facts.kind == "p":
        for leaf in facts.partitions:
            out.lock(leaf, SRX)
    if stmt.HasField("constrrel"):
        other = world.name(stmt.constrrel)
        if there(other, world, out):
            out.lock(other, ACCESS_SHARE)
    _timing(stmt, table, facts, out)
    if facts is not None:
        if facts.privileges is not None and "TRIGGER" not in facts.privileges:
            out.fail("42501", f"permission denied for {bare(table)}: it needs TRIGGER")
        if not stmt.replace and any(item.name == stmt.trigname for item in facts.triggers):
            out.fail("42710", f'trigger "{stmt.trigname}" for relation "{bare(table)}" already exists')
    if world.facts is not None and world.facts.complete and not world.functions(strings(stmt.funcname)):
        out.fail("42883", f"function {'.'.join(strings(stmt.funcname))}() does not exist")


def _timing(stmt: Node, table: str, facts: RelationFacts | None, out: Recorder) -> None:
    """Where and when triggers can be: CreateTriggerFiringOn in src/backend/commands/trigger.c."""
    instead, before = stmt.timing & 64, stmt.timing & 2
    kind = facts.kind if facts is not None else None
    if kind in ("r", "p") and instead:
        out.fail("42809", f'"{bare(table)}" is a table: tables cannot have INSTEAD OF triggers')
    if kind == "v" and stmt.row and not instead:
        out.fail("42809", f'"{bare(table)}" is a view: views cannot have row-level BEFORE or AFTER triggers')
    if kind == "p" and stmt.row and len(stmt.transition_rels) and not before:
        out.fail("0A000", f'"{bare(table)}" is a partitioned table: no ROW triggers with transition tables')
    for column in strings(stmt.columns):
        if facts is not None and facts.lacks(column):
            out.fail("42703", f'column "{column}" of relation "{bare(table)}" does not exist')


def policy(stmt: Node, world: World, out: Recorder) -> None:
    """CREATE and ALTER POLICY."""
    table = world.name(stmt.table)
    if not there(table, world, out) or not of_kind(table, "rp", world, out, "a table"):
        return
    out.lock(table, AX)
    must_own(table, world, out)
    facts = world.relation(table)
    known = facts is not None and stmt.policy_name in facts.policies
    if stmt.DESCRIPTOR.name == "AlterPolicyStmt":
        if facts is not None and not known:
            out.fail("42704", f'policy "{stmt.policy_name}" for table "{bare(table)}" does not exist')
    elif known:
        out.fail("42710", f'policy "{stmt.policy_name}" for table "{bare(table)}" already exists')
    for expression in (stmt.qual, stmt.with_check):
        queries.query(expression, world, out, planned=False)


def rule(stmt: Node, world: World, out: Recorder) -> None:
    table = world.name(stmt.relation)
    if not there(table, world, out) or not of_kind(table, "rpv", world, out, "a table or view"):
        return
    out.lock(table, AX)
    must_own(table, world, out)
    facts = world.relation(table)
    if facts is not None and facts.kind != "v" and enum(stmt, "event") == "CMD_SELECT" and world.major >= 16:
        out.fail("42809", f'relation "{bare(table)}" cannot have ON SELECT rules')
    if facts is not None and not stmt.replace and any(item.name == stmt.rulename for item in facts.rules):
        out.fail("42710", f'rule "{stmt.rulename}" for relation "{bare(table)}" already exists')
    for action in stmt.actions:
        queries.query(action, world, out, planned=False)


def comment(stmt: Node, world: World, out: Recorder) -> None:
    """COMMENT and SECURITY LABEL: get_object_address in src/backend/catalog/objectaddress.c."""
    kind = enum(stmt, "objtype")
    parts = object_name(stmt.object)
    if kind in RELATIONS or kind == "OBJECT_COLUMN":
        name = world.dotted(parts if kind in RELATIONS else parts[:-1])
        if not there(name, world, out):
            return
        facts = world.relation(name)
        out.lock(name, SUX)
        must_own(name, world, out)
        if kind == "OBJECT_COLUMN" and facts is not None and facts.lacks(parts[-1]):
            out.fail("42703", f'column "{parts[-1]}" of relation "{bare(name)}" does not exist')
        _of_its_kind(kind, name, facts, out)
    elif kind in PARTS:
        name = world.dotted(parts[:-1])
        if there(name, world, out):
            out.lock(name, ACCESS_SHARE)
            must_own(name, world, out)
            _has_part(kind, name, parts[-1], world, out)
    elif kind == "OBJECT_EXTENSION":
        _owns_extension(parts[-1], world, out)
    elif world.facts is not None and not world.facts.superuser:
        out.risk("42501", "only its owner may describe it")
    if stmt.DESCRIPTOR.name == "SecLabelStmt":
        out.risk("22023", "no security label provider may be loaded")


_KINDS = {
    "OBJECT_TABLE": "rp",
    "OBJECT_VIEW": "v",
    "OBJECT_MATVIEW": "m",
    "OBJECT_SEQUENCE": "S",
    "OBJECT_FOREIGN_TABLE": "f",
    "OBJECT_INDEX": "iI",
}


def _of_its_kind(kind: str, name: str, facts: RelationFacts | None, out: Recorder) -> None:
    wanted = _KINDS.get(kind)
    if wanted is not None and facts is not None and facts.kind not in wanted:
        out.fail("42809", f'"{bare(name)}" is not a {kind.removeprefix("OBJECT_").lower()}')


def _has_part(kind: str, table: str, name: str, world: World, out: Recorder) -> None:
    facts = world.relation(table)
    if facts is None:
        return
    names = {
        "OBJECT_TABCONSTRAINT": [item.name for item in facts.constraints],
        "OBJECT_TRIGGER": [item.name for item in facts.triggers],
        "OBJECT_RULE": [item.name for item in facts.rules],
        "OBJECT_POLICY": list(facts.policies),
    }[kind]
    if name not in names and not (kind == "OBJECT_RULE" and name == "_RETURN"):
        out.fail("42704", f'"{name}" of "{bare(table)}" does not exist')


def create_statistics(stmt: Node, world: World, out: Recorder) -> None:
    name = world.dotted(strings(stmt.defnames)) if len(stmt.defnames) else ""
    if name and world.table_of_statistics(name) is not None and not stmt.if_not_exists:
        out.fail("42710", f'statistics object "{bare(name)}" already exists')
    if len(stmt.exprs) == 1 and stmt.exprs[0].stats_elem.name:
        out.fail("42P17", "extended statistics require at least 2 columns")
    for item in stmt.relations:
        table = world.name(item.range_var)
        if there(table, world, out) and of_kind(table, "rpmf", world, out, "a table or materialized view"):
            out.lock(table, SUX)
            must_own(table, world, out)
            facts = world.relation(table)
            for element in stmt.exprs:
                column = element.stats_elem.name
                if column and facts is not None and facts.lacks(column):
                    out.fail("42703", f'column "{column}" does not exist')


def privileged(stmt: Node, world: World, out: Recorder) -> None:
    """Roles that are no superuser may have been given the right."""
    if world.facts is not None and not world.facts.superuser:
        out.risk("42501", "permission denied: it needs a superuser, or a right that few roles have")


def alter_statistics(stmt: Node, world: World, out: Recorder) -> None:
    name = world.dotted(strings(stmt.defnames))
    asked = world.facts is not None and world.facts.complete
    if asked and not stmt.missing_ok and world.table_of_statistics(name) is None:
        out.fail("42704", f'statistics object "{bare(name)}" does not exist')


def publication(stmt: Node, world: World, out: Recorder) -> None:
    """CREATE and ALTER PUBLICATION. Tables are locked like by VACUUM, inheritance children as well."""
    facts = world.facts
    known = facts.publications.get(stmt.pubname) if facts is not None else None
    creates = stmt.DESCRIPTOR.name == "CreatePublicationStmt"
    action = "" if creates else enum(stmt, "action")
    if facts is not None and facts.complete:
        before = stmt.pubname in facts.publications or stmt.pubname in facts.publications_for_all
        exists = world.has("publication", stmt.pubname, before)
        if creates and exists:
            out.fail("42710", f'publication "{stmt.pubname}" already exists')
        if not creates and not exists:
            out.fail("42704", f'publication "{stmt.pubname}" does not exist')
        if creates and stmt.for_all_tables and not facts.superuser:
            out.fail("42501", "must be superuser to create FOR ALL TABLES publication")
    for item in stmt.pubobjects:
        spec = item.publication_obj_spec
        if enum(spec, "pubobjtype") != "PUBLICATIONOBJ_TABLE":
            if world.major < 15:
                out.fail("42601", "syntax error: tables in schema need PostgreSQL 15")
            elif facts is not None and not facts.superuser:
                out.fail("42501", "must be superuser to publish TABLES IN SCHEMA")
            continue
        if world.major < 15 and (spec.pubtable.HasField("where_clause") or len(spec.pubtable.columns)):
            out.fail("42601", "syntax error: columns and row filters of publications need PostgreSQL 15")
        table = world.name(spec.pubtable.relation)
        if not there(table, world, out):
            continue
        out.lock(table, SUX)
        found = world.relation(table)
        if found is not None and found.kind == "r" and spec.pubtable.relation.inh:
            for child in found.partitions:
                out.lock(child, SUX)
        if action != "AP_DropObjects":
            must_own(table, world, out)
            of_kind(table, "rp", world, out, "a table", sqlstate="22023")
            if action == "AP_AddObjects" and known is not None and table in known:
                out.fail("42710", f'relation "{bare(table)}" is already member of publication "{stmt.pubname}"')
        elif known is not None and table not in known:
            out.fail("42704", f'relation "{bare(table)}" is not part of the publication')
    if action == "AP_SetObjects":
        for table in known or ():
            out.lock(table, SUX)


def subscription(stmt: Node, world: World, out: Recorder) -> None:
    """With a connection to the publisher tables are looked up here, too, and copied later."""
    connects = stmt.DESCRIPTOR.name == "CreateSubscriptionStmt" and flag(stmt.options, "connect", True)
    if connects or (
        stmt.DESCRIPTOR.name == "AlterSubscriptionStmt"
        and enum(stmt, "kind") not in ("ALTER_SUBSCRIPTION_OPTIONS", "ALTER_SUBSCRIPTION_ENABLED")
    ):
        out.known = False
        out.assume("which tables are subscribed is known to the publisher only")
    if world.facts is not None and not world.facts.superuser:
        out.risk("42501", "it needs a superuser, or from PostgreSQL 16 on a member of pg_create_subscription")


def set_schema(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER ... SET SCHEMA; the sequences that a table owns move along."""
    facts = world.facts
    if facts is not None and facts.complete:
        may_create_in(stmt.newschema, world, out)
    if stmt.newschema == "pg_temp":
        out.fail("0A000", "cannot move objects into or out of temporary schemas")
    if not stmt.HasField("relation"):
        return
    name = world.name(stmt.relation)
    if not there(name, world, out, missing_ok=stmt.missing_ok):
        return
    out.lock(name, AX)
    must_own(name, world, out)
    known = world.relation(name)
    if known is not None and known.kind == "S" and known.owned_by:
        out.fail("0A000", "cannot move an owned sequence into another schema")
    if world.exists(f"{stmt.newschema}.{bare(name)}"):
        out.fail("42P07", f'relation "{bare(name)}" already exists in schema "{stmt.newschema}"')
    if known is not None:
        for sequence in owned_sequences(known, world):
            out.lock(sequence, AX)


def owned_sequences(facts: RelationFacts, world: World) -> Iterator[str]:
    for column in facts.columns.values():
        for sequence in column.sequences:
            known = world.relation(sequence)
            if known is not None and known.owned_by == facts.name:
                yield sequence


def depends(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER ... DEPENDS ON EXTENSION."""
    if not stmt.HasField("relation"):
        return
    name = world.name(stmt.relation)
    if there(name, world, out):
        out.lock(name, ACCESS_SHARE if enum(stmt, "object_type") == "OBJECT_TRIGGER" else AX)


def grant(stmt: Node, world: World, out: Recorder) -> None:
    """Since PostgreSQL 18 the relations are held while it runs; before, two at once fail with "tuple concurrently
    updated"."""
    if any(item.role_spec.rolename for item in stmt.grantees):
        out.risk("42704", "the role may not exist")
    if enum(stmt, "targtype") != "ACL_TARGET_OBJECT":
        return
    for item in stmt.objects:
        if item.HasField("object_with_args"):
            routine_is_there(item.object_with_args, world, out)
        if item.HasField("range_var"):
            name = world.name(item.range_var)
            if there(name, world, out) and world.major >= 18:
                out.lock(name, ACCESS_SHARE)


def default_privileges(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER DEFAULT PRIVILEGES: of what will be created."""
    schemas = option(stmt.options, "schemas")
    for schema in strings(schemas.arg.list.items) if schemas is not None else ():
        schema_is_there(schema, world, out)


def create_extension(stmt: Node, world: World, out: Recorder) -> None:
    known = world.facts.extensions.get(stmt.extname) if world.facts is not None else None
    if known is None:
        return
    if world.has("extension", stmt.extname, known.installed is not None):
        if not stmt.if_not_exists:
            out.fail("42710", f'extension "{stmt.extname}" already exists')
    elif not known.available:
        state = "0A000" if world.major >= 15 else "58P01"
        out.fail(state, f'extension "{stmt.extname}" is not available on this server')
    elif world.facts is not None and not world.facts.superuser:
        out.risk("42501", f'only a superuser may create an extension that is not trusted, as "{stmt.extname}" may be')


def alter_extension(stmt: Node, world: World, out: Recorder) -> None:
    """Its update script can do anything, unless there is nothing newer."""
    known = world.facts.extensions.get(stmt.extname) if world.facts is not None else None
    if known is not None and not world.has("extension", stmt.extname, known.installed is not None):
        out.fail("42704", f'extension "{stmt.extname}" does not exist')
        return
    _owns_extension(stmt.extname, world, out)
    wanted = option_text(stmt.options, "new_version")
    if known is not None and (wanted == known.installed or set(known.versions) == {known.installed}):
        return
    out.known = False
    out.assume(f"the update script of the extension {stmt.extname} was not read")


def extension_member(stmt: Node, world: World, out: Recorder) -> None:
    """ALTER EXTENSION ADD and DROP."""
    _owns_extension(stmt.extname, world, out)
    if enum(stmt, "objtype") in RELATIONS and stmt.object.HasField("list"):
        name = world.dotted(object_name(stmt.object))
        if there(name, world, out):
            out.lock(name, SUX)


def _owns_extension(name: str, world: World, out: Recorder) -> None:
    known = world.facts.extensions.get(name) if world.facts is not None else None
    if known is not None and known.installed is not None and not known.owned:
        out.fail("42501", f"must be owner of extension {name}")


def roles(stmt: Node, world: World, out: Recorder) -> None:
    """CREATE, ALTER, DROP and GRANT of roles."""
    if world.facts is not None and not world.facts.superuser:
        out.risk("42501", "it needs CREATEROLE, and ADMIN on the role")
    out.risk("42704", "the role may not exist")
