"""Which events of event triggers a statement fires, and under which command tag.

ProcessUtilitySlow in src/backend/tcop/utility.c and EventTriggerSupportsObjectType in event_trigger.c; as a table:
https://www.postgresql.org/docs/current/event-trigger-matrix.html
"""

from __future__ import annotations

from migrator.analysis.effects.model import Effects
from migrator.parsing.nodes import Node, commands, content, enum, name_of
from migrator.parsing.statements import ParsedStatement

_SHARED = frozenset(
    ["OBJECT_DATABASE", "OBJECT_ROLE", "OBJECT_TABLESPACE", "OBJECT_PARAMETER_ACL", "OBJECT_EVENT_TRIGGER"]
)
"""Objects of the whole server, and event triggers themselves, fire nothing."""
_ABOUT = {
    "drop_stmt": "remove_type",
    "rename_stmt": "rename_type",
    "alter_object_schema_stmt": "object_type",
    "alter_object_depends_stmt": "object_type",
    "alter_owner_stmt": "object_type",
    "comment_stmt": "objtype",
    "grant_stmt": "objtype",
    "sec_label_stmt": "objtype",
}
"""Field with the kind of object, for statements about several kinds."""
_COMMANDS = frozenset(
    [
        "alter_collation_stmt",
        "alter_default_privileges_stmt",
        "alter_domain_stmt",
        "alter_enum_stmt",
        "alter_extension_contents_stmt",
        "alter_extension_stmt",
        "alter_fdw_stmt",
        "alter_foreign_server_stmt",
        "alter_function_stmt",
        "alter_op_family_stmt",
        "alter_operator_stmt",
        "alter_policy_stmt",
        "alter_publication_stmt",
        "alter_seq_stmt",
        "alter_stats_stmt",
        "alter_subscription_stmt",
        "alter_table_move_all_stmt",
        "alter_table_stmt",
        "alter_tsconfiguration_stmt",
        "alter_tsdictionary_stmt",
        "alter_type_stmt",
        "alter_user_mapping_stmt",
        "composite_type_stmt",
        "create_am_stmt",
        "create_cast_stmt",
        "create_conversion_stmt",
        "create_domain_stmt",
        "create_enum_stmt",
        "create_extension_stmt",
        "create_fdw_stmt",
        "create_foreign_server_stmt",
        "create_foreign_table_stmt",
        "create_function_stmt",
        "create_op_class_stmt",
        "create_op_family_stmt",
        "create_plang_stmt",
        "create_policy_stmt",
        "create_publication_stmt",
        "create_range_stmt",
        "create_schema_stmt",
        "create_seq_stmt",
        "create_stats_stmt",
        "create_stmt",
        "create_subscription_stmt",
        "create_table_as_stmt",
        "create_transform_stmt",
        "create_trig_stmt",
        "create_user_mapping_stmt",
        "define_stmt",
        "drop_owned_stmt",
        "drop_subscription_stmt",
        "drop_user_mapping_stmt",
        "import_foreign_schema_stmt",
        "index_stmt",
        "refresh_mat_view_stmt",
        "rule_stmt",
        "view_stmt",
    ]
)
_DROPS = frozenset(["drop_stmt", "drop_owned_stmt", "drop_subscription_stmt", "drop_user_mapping_stmt"])
_DROPPING = frozenset(["AT_DropColumn", "AT_DropConstraint", "AT_DropExpression"])
_NOT_NULL_CONSTRAINTS = 18
"""NOT NULL of a column is a constraint from then on, and dropped as one."""
_REINDEX = 17
_REWRITING = ("ALTER TABLE", "ALTER TYPE", "ALTER MATERIALIZED VIEW")


def tag_of(statement: ParsedStatement) -> str:
    """The command tag, as an event trigger's WHEN TAG IN names it."""
    if statement.name == "reindex_stmt":
        return "REINDEX"
    return statement.kind.removesuffix(" CONCURRENTLY").removesuffix(" DETACH PARTITION")


def events_of(statement: ParsedStatement, effects: Effects, major: int) -> frozenset[str]:
    """ "ddl_command_start", "ddl_command_end", "sql_drop", "table_rewrite"; none for what fires nothing."""
    if not _fires(statement, major):
        return frozenset()
    events = {"ddl_command_start", "ddl_command_end"}
    if _drops(statement, major):
        events.add("sql_drop")
    if effects.rewrites and tag_of(statement) in _REWRITING and not _copies_files(statement):
        events.add("table_rewrite")
    return frozenset(events)


def _fires(statement: ParsedStatement, major: int) -> bool:
    name, tree = statement.name, statement.tree
    if name in _ABOUT:
        return enum(tree, _ABOUT[name]) not in _SHARED
    if name == "reindex_stmt":
        return major >= _REINDEX
    return name in _COMMANDS or (name == "select_stmt" and statement.kind == "SELECT INTO")


def _drops(statement: ParsedStatement, major: int) -> bool:
    """Whether it drops an object by itself: what ALTER drops and makes again does not count."""
    name, tree = statement.name, statement.tree
    if name in _DROPS:
        return True
    if name == "alter_table_stmt":
        return any(_drops_part(command, major) for command in commands(tree))
    if name == "alter_domain_stmt":
        return bool(tree.subtype == "X")
    if name == "alter_publication_stmt":
        return enum(tree, "action") in ("AP_DropObjects", "AP_SetObjects")
    return name == "alter_op_family_stmt" and bool(tree.is_drop)


def _drops_part(command: Node, major: int) -> bool:
    subtype = enum(command, "subtype")
    if subtype == "AT_ColumnDefault":
        return not bool(command.HasField("def"))
    if subtype == "AT_DropNotNull":
        return major >= _NOT_NULL_CONSTRAINTS
    return subtype in _DROPPING


def _copies_files(statement: ParsedStatement) -> bool:
    """SET TABLESPACE alone copies the table as it is."""
    if name_of(statement.node) != "alter_table_stmt":
        return False
    return {enum(item, "subtype") for item in commands(content(statement.node))} == {"AT_SetTableSpace"}
