"""From the kind of a statement to the function that knows its effects."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from migrator.effects import alter_domain, alter_table, indexes, objects, renames, rows
from migrator.effects.model import Effects, Recorder
from migrator.effects.world import World
from migrator.kinds import is_transactional
from migrator.nodes import Node, name_of

HARMLESS = (
    "create_schema_stmt",
    "create_seq_stmt",
    "create_function_stmt",
    "create_enum_stmt",
    "create_range_stmt",
    "composite_type_stmt",
    "create_domain_stmt",
    "create_extension_stmt",
    "alter_enum_stmt",
    "alter_function_stmt",
    "alter_default_privileges_stmt",
    "create_role_stmt",
    "grant_role_stmt",
    "define_stmt",
    "variable_set_stmt",
    "variable_show_stmt",
    "transaction_stmt",
    "constraints_set_stmt",
    "notify_stmt",
    "listen_stmt",
    "unlisten_stmt",
)
"""Make something new, or concern only the session: no relation that others use is locked."""

Handler = Callable[[Node, World, Recorder], None]
"""Called with the statement's own message (not its Node envelope)."""


def effects_of(node: Node, world: World) -> Effects:
    """What the statement does in this world. Unknown statements say so (`known` is False)."""
    handler = HANDLERS.get(name_of(node))
    recorder = Recorder(transactional=is_transactional(node))
    if handler is None:
        recorder.known = False
    else:
        handler(getattr(node, name_of(node)), world, recorder)
    return recorder.done(without=world.created)


HANDLERS: Mapping[str, Handler] = {
    "alter_table_stmt": alter_table.alter_table,
    "create_stmt": objects.create_table,
    "create_table_as_stmt": objects.create_as,
    "view_stmt": objects.view,
    "drop_stmt": objects.drop,
    "alter_domain_stmt": alter_domain.alter_domain,
    "rename_stmt": renames.rename,
    "create_trig_stmt": objects.trigger,
    "create_policy_stmt": objects.policy,
    "alter_policy_stmt": objects.policy,
    "rule_stmt": objects.rule,
    "comment_stmt": objects.comment,
    "create_stats_stmt": objects.statistics,
    "alter_object_schema_stmt": objects.set_schema,
    "alter_seq_stmt": objects.sequence,
    "grant_stmt": objects.grant,
    "index_stmt": indexes.create_index,
    "reindex_stmt": indexes.reindex,
    "vacuum_stmt": indexes.vacuum,
    "cluster_stmt": indexes.cluster,
    "refresh_mat_view_stmt": indexes.refresh,
    "insert_stmt": rows.insert,
    "update_stmt": rows.change,
    "delete_stmt": rows.change,
    "merge_stmt": rows.change,
    "select_stmt": rows.select,
    "copy_stmt": rows.copy,
    "truncate_stmt": rows.truncate,
    "lock_stmt": rows.lock,
    "do_stmt": rows.opaque,
    "call_stmt": rows.opaque,
    "execute_stmt": rows.opaque,
    **dict.fromkeys(HARMLESS, rows.nothing),
}
