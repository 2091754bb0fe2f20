"""ALTER TABLE: storage parameters, persistence, places, triggers, rules, row security, owner, replica identity.

Lock levels of the parameters: src/backend/access/common/reloptions.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.analysis.effects.alter.target import Target
from migrator.lock_modes import AS, AX, SRX, SUX
from migrator.lock_modes import S as SHARE
from migrator.parsing.nodes import Node, enum, strings

RELATION_OPTIONS = ("AT_SetRelOptions", "AT_ResetRelOptions", "AT_ReplaceRelOptions")
STRONG_OPTIONS = frozenset(
    {
        "user_catalog_table",
        "security_barrier",
        "security_invoker",
        "check_option",
        "fastupdate",
        "autosummarize",
        "buffering",
        "pages_per_range",
        "length",
    }
)
"""Take ACCESS EXCLUSIVE; all others SHARE UPDATE EXCLUSIVE."""
OPTIONS = STRONG_OPTIONS | {
    "fillfactor",
    "toast_tuple_target",
    "parallel_workers",
    "vacuum_index_cleanup",
    "vacuum_truncate",
    "vacuum_max_eager_freeze_failure_rate",
    "log_autovacuum_min_duration",
    "deduplicate_items",
    "gin_pending_list_limit",
}


INDEX_OPTIONS = {
    "btree": ("fillfactor", "deduplicate_items"),
    "hash": ("fillfactor",),
    "gist": ("fillfactor", "buffering"),
    "spgist": ("fillfactor",),
    "gin": ("fastupdate", "gin_pending_list_limit"),
    "brin": ("pages_per_range", "autosummarize"),
}
"""By access method: https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-STORAGE-PARAMETERS"""


def options_mode(command: Node) -> str:
    names = {item.def_elem.defname for item in getattr(command, "def").list.items}
    return AX if names & STRONG_OPTIONS else SUX


def set_options(command: Node, target: Target) -> None:
    if target.kind == "p":
        target.out.risk("42809", "cannot specify storage parameters for a partitioned table")
        target.out.risk("22023", "a partitioned table has no such parameter")
    if target.kind == "I":
        target.out.fail("42809", f'"{target.bare}" is a partitioned index, which has no storage parameters')
    method = index_method(target)
    for item in getattr(command, "def").list.items:
        name = item.def_elem.defname
        value = item.def_elem.arg.integer.ival if item.def_elem.arg.HasField("integer") else None
        if name == "fillfactor" and value is not None and not 10 <= value <= 100:
            target.out.fail("22023", f'value {value} out of bounds for option "fillfactor"')
        known = name in OPTIONS or name.startswith("autovacuum_") or target.kind == "i"
        if method in INDEX_OPTIONS and name not in INDEX_OPTIONS[method]:
            known = False
        if not known and enum(command, "subtype") == "AT_SetRelOptions":
            target.out.fail("22023", f'unrecognized parameter "{name}"')


def index_method(target: Target) -> str:
    """Of an index that is known; "" of anything else."""
    found = target.world.index_of(target.name) if target.kind == "i" else None
    return found[1].method if found is not None else ""


def set_persistence(command: Node, target: Target) -> None:
    """The table and its indexes are written anew, and so are the sequences of its columns."""
    wanted = "p" if enum(command, "subtype") == "AT_SetLogged" else "u"
    facts, world = target.facts, target.world
    if target.kind == "p":
        if world.major >= 18:
            target.out.fail("42809", "a partitioned table cannot be set LOGGED or UNLOGGED")
        return
    if facts is None:
        target.rewrite((target.name,))
        return
    if facts.persistence == wanted:
        return
    if facts.kind == "S":  # its one row is written to a new file: nothing to wait for
        return
    pointed_to = tuple(item.referenced for item in facts.constraints if item.kind == "f" and item.referenced)
    for other in pointed_to if wanted == "p" else facts.referenced_by:  # what is logged cannot point to what is not
        found = world.relation(other)
        if found is not None and found.name != target.name and found.persistence != wanted:
            target.out.fail("42P16", f'could not change table "{target.bare}", because of its foreign key with {other}')
    target.rewrite((target.name,))
    if world.major >= 15:
        for column in facts.columns.values():
            for sequence in column.sequences:
                target.out.lock(sequence, AX)


def set_tablespace(command: Node, target: Target) -> None:
    """The file is copied under ACCESS EXCLUSIVE; indexes stay where they are."""
    facts = target.facts
    target.out.risk("42704", f'tablespace "{command.name}" does not exist')
    if facts is not None and (facts.tablespace or "pg_default") == command.name:
        return
    if target.kind in "pI":
        return
    if target.kind == "i":
        target.out.rebuild(target.name)
    else:
        target.out.rewrite(target.name)


def set_access_method(command: Node, target: Target) -> None:
    if not command.name:
        target.needs(17, "SET ACCESS METHOD DEFAULT")
    target.needs(15, "SET ACCESS METHOD")
    target.out.risk("42704", f'access method "{command.name}" does not exist')
    if target.kind == "p":
        if target.world.major < 17:
            target.out.fail("42809", "a partitioned table has no access method before PostgreSQL 17")
        return
    facts = target.facts
    if facts is not None and facts.access_method == (command.name or "heap"):
        return
    target.rewrite((target.name,))


def trigger(command: Node, target: Target) -> None:
    facts = target.facts
    if facts is None:
        return
    found = next((item for item in facts.triggers if item.name == command.name), None)
    if command.name and found is None:
        target.out.fail("42704", f'trigger "{command.name}" for table "{target.bare}" does not exist')
    for name in target.below if target.kind == "p" else ():
        target.out.lock(name, SRX)
    catalog = target.world.facts
    system = any(item.kind == "f" for item in facts.constraints) or facts.referenced_by
    if enum(command, "subtype").endswith("TrigAll") and system and catalog is not None and not catalog.superuser:
        target.out.fail("42501", "permission denied: the triggers of foreign keys are system triggers")


def rule(command: Node, target: Target) -> None:
    if target.facts is not None and not any(item.name == command.name for item in target.facts.rules):
        target.out.fail("42704", f'rule "{command.name}" for relation "{target.bare}" does not exist')


def cluster_on(command: Node, target: Target) -> None:
    if target.kind == "p":
        target.out.fail("0A000", "cannot mark index clustered in partitioned table")
    name = f"{target.schema}.{command.name}"
    if target.facts is not None and not any(item.name == name for item in target.facts.indexes):
        target.out.fail("42704", f'index "{command.name}" for table "{target.bare}" does not exist')
    target.out.lock(name, SUX)


def replica_identity(command: Node, target: Target) -> None:
    identity = getattr(command, "def").replica_identity_stmt
    if identity.identity_type != "i":
        return
    name = f"{target.schema}.{identity.name}"
    found = target.world.index_of(name)
    if found is None:
        if target.world.exists(name) is False:
            target.out.fail("42704", f'index "{identity.name}" for table "{target.bare}" does not exist')
        return
    table, index = found
    target.out.lock(name, SHARE)
    nullable = [column for column in index.columns if not target.world.proves_not_null(target.name, column)]
    if table.name != target.name or not index.unique:
        target.out.fail("42809", f'cannot use index "{identity.name}" as replica identity')
    elif not index.immediate or index.expressions or index.predicate is not None:
        target.out.fail("0A000", f'cannot use index "{identity.name}" as replica identity')
    elif nullable:
        target.out.fail("42809", f'index "{identity.name}" cannot be used: column "{nullable[0]}" is nullable')


def owner(command: Node, target: Target) -> None:
    """Indexes and sequences of the table follow it."""
    facts = target.facts
    role = command.newowner.rolename
    target.out.risk("42704", f'role "{role}" does not exist')
    target.out.risk("42501", f'role "{role}" may not create in the schema, or cannot be given away to')
    if facts is None or facts.owner == role or facts.kind not in "rpm":
        return
    for index in facts.indexes:
        target.out.lock(index.name, AX)
    for column in facts.columns.values():
        for sequence in column.sequences:
            target.out.lock(sequence, AX)


def inherit(command: Node, target: Target) -> None:
    parent = target.world.name(getattr(command, "def").range_var)
    above, facts = target.world.relation(parent), target.facts
    target.out.lock(parent, SUX)
    for name in target.below:
        target.out.lock(name, AX)
    if target.world.exists(parent) is False:
        target.out.fail("42P01", f'relation "{parent}" does not exist')
    if facts is None or above is None:
        return
    if above.kind == "p":
        target.out.fail("42809", f'cannot inherit from partitioned table "{parent}"')
    if target.name in above.children:
        target.out.fail("42P07", f'relation "{parent}" would be inherited from more than once')
    checks = {item.name for item in facts.constraints if item.kind == "c"}
    for item in above.constraints:
        if item.kind == "c" and item.name not in checks and "NO INHERIT" not in item.definition:
            target.out.fail("42804", f'child table is missing constraint "{item.name}"')
    missing = [name for name in above.columns if name not in facts.columns]
    if missing and not facts.more_columns:
        target.out.fail("42804", f'child table is missing column "{missing[0]}"')
    for name, column in above.columns.items():
        mine = facts.columns.get(name)
        if mine is not None and mine.type != column.type:
            target.out.fail("42804", f'child table "{target.bare}" has different type for column "{name}"')
        elif mine is not None and column.not_null and not mine.not_null:
            target.out.fail("42804", f'column "{name}" in child table must be marked NOT NULL')


def of_type(command: Node, target: Target) -> None:
    """ALTER TABLE OF: the type is opened to compare its columns."""
    found = target.world.type(strings(getattr(command, "def").type_name.names))
    target.out.lock(found.name if found is not None else None, AS)
    target.out.risk("42804", "the table has other columns than the type, or in another order")


def no_inherit(command: Node, target: Target) -> None:
    parent = target.world.name(getattr(command, "def").range_var)
    target.out.lock(parent, AS)
    above = target.world.relation(parent)
    if above is not None and target.name not in above.children:
        target.out.fail("42P01", f'relation "{parent}" is not a parent of relation "{target.bare}"')


TRIGGERS = (
    "AT_EnableTrig",
    "AT_EnableAlwaysTrig",
    "AT_EnableReplicaTrig",
    "AT_EnableTrigAll",
    "AT_EnableTrigUser",
    "AT_DisableTrig",
    "AT_DisableTrigAll",
    "AT_DisableTrigUser",
)

HANDLERS: Mapping[str, Callable[[Node, Target], None]] = {
    **dict.fromkeys(RELATION_OPTIONS, set_options),
    "AT_SetLogged": set_persistence,
    "AT_SetUnLogged": set_persistence,
    "AT_SetTableSpace": set_tablespace,
    "AT_SetAccessMethod": set_access_method,
    **dict.fromkeys(
        TRIGGERS,
        trigger,
    ),
    **dict.fromkeys(("AT_EnableRule", "AT_EnableAlwaysRule", "AT_EnableReplicaRule", "AT_DisableRule"), rule),
    "AT_ClusterOn": cluster_on,
    "AT_ReplicaIdentity": replica_identity,
    "AT_ChangeOwner": owner,
    "AT_AddInherit": inherit,
    "AT_DropInherit": no_inherit,
    "AT_AddOf": of_type,
}
