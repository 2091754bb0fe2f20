"""From the kind of a statement to the function that knows its effects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from migrator.analysis.effects.alter import domain as alter_domain
from migrator.analysis.effects.alter import renames
from migrator.analysis.effects.alter import table as alter_table
from migrator.analysis.effects.model import Effects, Recorder
from migrator.analysis.effects.names import column_names, schema_elements
from migrator.analysis.effects.names.absent import absent
from migrator.analysis.effects.names.named import superuser_only
from migrator.analysis.effects.objects import drops, indexes, maintenance, makings, objects, tables, tablespaces
from migrator.analysis.effects.replay.replay import world_after
from migrator.analysis.effects.rows import rows
from migrator.analysis.effects.world import World
from migrator.parsing.kinds import is_transactional
from migrator.parsing.nodes import Node, name_of

logger = logging.getLogger(__name__)

FAULTS = (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RecursionError)
"""What a fault of ours looks like, on a statement that nobody had thought of: then nothing is known about it."""

HARMLESS = (
    "alter_type_stmt",
    "alter_database_stmt",
    "alter_database_set_stmt",
    "alter_database_refresh_coll_stmt",
    "alter_collation_stmt",
    "alter_operator_stmt",
    "alter_op_family_stmt",
    "alter_tsdictionary_stmt",
    "alter_tsconfiguration_stmt",
    "alter_fdw_stmt",
    "alter_foreign_server_stmt",
    "alter_user_mapping_stmt",
    "alter_event_trig_stmt",
    "alter_table_space_options_stmt",
    "dropdb_stmt",
    "drop_table_space_stmt",
    "create_fdw_stmt",
    "create_foreign_server_stmt",
    "create_user_mapping_stmt",
    "drop_user_mapping_stmt",
    "import_foreign_schema_stmt",
    "create_cast_stmt",
    "create_conversion_stmt",
    "create_transform_stmt",
    "create_op_class_stmt",
    "create_op_family_stmt",
    "create_plang_stmt",
    "define_stmt",
    "variable_set_stmt",
    "variable_show_stmt",
    "transaction_stmt",
    "constraints_set_stmt",
    "notify_stmt",
    "listen_stmt",
    "unlisten_stmt",
    "discard_stmt",
    "load_stmt",
    "deallocate_stmt",
    "close_portal_stmt",
    "fetch_stmt",
)
"""Make something new, or concern only the session, roles or the server: no relation that others use is locked."""

ROLES = ("create_role_stmt", "alter_role_stmt", "alter_role_set_stmt", "drop_role_stmt", "grant_role_stmt")

Handler = Callable[[Node, World, Recorder], None]
"""Called with the statement's own message (not its Node envelope)."""


_OF_QUERIES = ("create_table_as_stmt", "explain_stmt", "declare_cursor_stmt", "prepare_stmt")
QUERIES = frozenset(["select_stmt", "insert_stmt", "update_stmt", "delete_stmt", *_OF_QUERIES])
"""Statements whose columns are looked for in what they read."""


def effects_of(node: Node, world: World, *, inside: bool = False) -> Effects:
    """What the statement does in this world. Unknown statements say so (`known` is False).

    :param inside: it stands in the body of a function or block, where a name can be a variable.
    """
    name = name_of(node)
    handler = HANDLERS.get(name)
    recorder = Recorder(transactional=is_transactional(node))
    if handler is None:
        recorder.known = False
    else:
        try:
            handler(getattr(node, name), world, recorder)
            if world.facts is not None and not inside and name in QUERIES:
                column_names.check(getattr(node, name).query if name in _OF_QUERIES else node, world, recorder)
                if world.facts.missing and recorder.fails is None:
                    tables.types_exist(getattr(node, name), world, recorder)
            if world.facts is not None and world.facts.absent:
                absent(name, getattr(node, name), world, recorder)
        except FAULTS as fault:
            logger.debug("the effects of %s failed", name, exc_info=True)
            recorder.known = False
            recorder.assume(f"the analyser failed on it: {type(fault).__name__}: {fault}")
    return recorder.done(without=world.created, unseen=world.unseen)


def create_schema(stmt: Node, world: World, out: Recorder) -> None:
    """What stands inside is made in the schema, one statement after the other."""
    facts, name = world.facts, schema_elements.schema_of(stmt)
    taken = facts is not None and facts.complete and world.has("schema", name, name in facts.schemas)
    if taken and not stmt.if_not_exists:
        out.fail("42P06", f'schema "{name}" already exists')
    if len(stmt.schema_elts):
        inside = schema_elements.in_schema(name, world)
        for element in schema_elements.elements(stmt):
            out.include(effects_of(element, inside))
            inside = world_after(element, inside)


HANDLERS: Mapping[str, Handler] = {
    "alter_table_stmt": alter_table.alter_table,
    "alter_domain_stmt": alter_domain.alter_domain,
    "rename_stmt": renames.rename,
    "create_stmt": tables.create_table,
    "create_table_as_stmt": tables.create_as,
    "create_foreign_table_stmt": tables.foreign_table,
    "create_seq_stmt": tables.create_sequence,
    "alter_seq_stmt": tables.alter_sequence,
    "view_stmt": tables.view,
    "drop_stmt": drops.drop,
    "alter_default_privileges_stmt": objects.default_privileges,
    "drop_owned_stmt": drops.drop_owned,
    "reassign_owned_stmt": drops.reassign_owned,
    "create_trig_stmt": objects.trigger,
    "create_policy_stmt": objects.policy,
    "alter_policy_stmt": objects.policy,
    "rule_stmt": objects.rule,
    "comment_stmt": objects.comment,
    "sec_label_stmt": objects.comment,
    "create_stats_stmt": objects.create_statistics,
    "alter_stats_stmt": objects.alter_statistics,
    "create_publication_stmt": objects.publication,
    "alter_publication_stmt": objects.publication,
    "create_subscription_stmt": objects.subscription,
    "alter_subscription_stmt": objects.subscription,
    "drop_subscription_stmt": rows.nothing,
    "alter_object_schema_stmt": objects.set_schema,
    "alter_object_depends_stmt": objects.depends,
    "grant_stmt": objects.grant,
    "alter_function_stmt": makings.alter_function,
    "alter_owner_stmt": makings.change_owner,
    **dict.fromkeys(("create_table_space_stmt", "create_am_stmt", "create_event_trig_stmt"), superuser_only),
    **dict.fromkeys(("alter_system_stmt", "createdb_stmt", "check_point_stmt"), objects.privileged),
    "alter_enum_stmt": makings.alter_enum,
    "create_enum_stmt": makings.create_type,
    "create_range_stmt": makings.create_type,
    "composite_type_stmt": makings.create_type,
    "create_domain_stmt": makings.create_type,
    "create_function_stmt": makings.create_function,
    "create_schema_stmt": create_schema,
    "create_extension_stmt": objects.create_extension,
    "alter_extension_stmt": objects.alter_extension,
    "alter_extension_contents_stmt": objects.extension_member,
    "alter_table_move_all_stmt": tablespaces.all_in_tablespace,
    "index_stmt": indexes.create_index,
    "reindex_stmt": indexes.reindex,
    "vacuum_stmt": maintenance.vacuum,
    "cluster_stmt": maintenance.cluster,
    "refresh_mat_view_stmt": maintenance.refresh,
    "insert_stmt": rows.change,
    "update_stmt": rows.change,
    "delete_stmt": rows.change,
    "merge_stmt": rows.change,
    "select_stmt": rows.select,
    "explain_stmt": rows.explain,
    "prepare_stmt": rows.prepare,
    "declare_cursor_stmt": rows.declare_cursor,
    "copy_stmt": rows.copy,
    "truncate_stmt": rows.truncate,
    "lock_stmt": rows.lock,
    "do_stmt": rows.opaque,
    "call_stmt": rows.opaque,
    "execute_stmt": rows.opaque,
    **dict.fromkeys(ROLES, objects.roles),
    **dict.fromkeys(HARMLESS, rows.nothing),
}
