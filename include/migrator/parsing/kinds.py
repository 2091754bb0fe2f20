"""What a statement is called, and whether it can run inside a transaction block.

Names are PostgreSQL's own (the title of its manual page, with CONCURRENTLY where that changes everything) and stable:
the ledger, metrics and JSON output carry them. The non-transactional list is every caller of
PreventInTransactionBlock in PostgreSQL 14 to 18; tests/integration/test_kinds.py runs each against a real server.
"""

from __future__ import annotations

from migrator.parsing.nodes import Node, content, enum, flag, name_of

_OBJECTS = {
    "OBJECT_MATVIEW": "MATERIALIZED VIEW",
    "OBJECT_FDW": "FOREIGN DATA WRAPPER",
    "OBJECT_FOREIGN_SERVER": "SERVER",
    "OBJECT_OPCLASS": "OPERATOR CLASS",
    "OBJECT_OPFAMILY": "OPERATOR FAMILY",
    "OBJECT_STATISTIC_EXT": "STATISTICS",
    "OBJECT_TABCONSTRAINT": "CONSTRAINT",
    "OBJECT_DOMCONSTRAINT": "DOMAIN CONSTRAINT",
    "OBJECT_TSCONFIGURATION": "TEXT SEARCH CONFIGURATION",
    "OBJECT_TSDICTIONARY": "TEXT SEARCH DICTIONARY",
    "OBJECT_TSPARSER": "TEXT SEARCH PARSER",
    "OBJECT_TSTEMPLATE": "TEXT SEARCH TEMPLATE",
    "OBJECT_LARGEOBJECT": "LARGE OBJECT",
}

_PLAIN = {
    "insert_stmt": "INSERT",
    "update_stmt": "UPDATE",
    "delete_stmt": "DELETE",
    "merge_stmt": "MERGE",
    "select_stmt": "SELECT",
    "copy_stmt": "COPY",
    "truncate_stmt": "TRUNCATE",
    "call_stmt": "CALL",
    "do_stmt": "DO",
    "explain_stmt": "EXPLAIN",
    "prepare_stmt": "PREPARE",
    "execute_stmt": "EXECUTE",
    "deallocate_stmt": "DEALLOCATE",
    "declare_cursor_stmt": "DECLARE",
    "fetch_stmt": "FETCH",
    "close_portal_stmt": "CLOSE",
    "notify_stmt": "NOTIFY",
    "listen_stmt": "LISTEN",
    "unlisten_stmt": "UNLISTEN",
    "load_stmt": "LOAD",
    "lock_stmt": "LOCK TABLE",
    "cluster_stmt": "CLUSTER",
    "comment_stmt": "COMMENT",
    "sec_label_stmt": "SECURITY LABEL",
    "check_point_stmt": "CHECKPOINT",
    "constraints_set_stmt": "SET CONSTRAINTS",
    "variable_show_stmt": "SHOW",
    "create_stmt": "CREATE TABLE",
    "create_schema_stmt": "CREATE SCHEMA",
    "create_seq_stmt": "CREATE SEQUENCE",
    "create_enum_stmt": "CREATE TYPE",
    "create_range_stmt": "CREATE TYPE",
    "composite_type_stmt": "CREATE TYPE",
    "create_domain_stmt": "CREATE DOMAIN",
    "create_trig_stmt": "CREATE TRIGGER",
    "create_event_trig_stmt": "CREATE EVENT TRIGGER",
    "create_extension_stmt": "CREATE EXTENSION",
    "create_policy_stmt": "CREATE POLICY",
    "create_role_stmt": "CREATE ROLE",
    "create_stats_stmt": "CREATE STATISTICS",
    "create_publication_stmt": "CREATE PUBLICATION",
    "create_subscription_stmt": "CREATE SUBSCRIPTION",
    "create_table_space_stmt": "CREATE TABLESPACE",
    "create_foreign_table_stmt": "CREATE FOREIGN TABLE",
    "create_foreign_server_stmt": "CREATE SERVER",
    "create_fdw_stmt": "CREATE FOREIGN DATA WRAPPER",
    "create_user_mapping_stmt": "CREATE USER MAPPING",
    "create_am_stmt": "CREATE ACCESS METHOD",
    "create_plang_stmt": "CREATE LANGUAGE",
    "create_cast_stmt": "CREATE CAST",
    "create_conversion_stmt": "CREATE CONVERSION",
    "create_transform_stmt": "CREATE TRANSFORM",
    "create_op_class_stmt": "CREATE OPERATOR CLASS",
    "create_op_family_stmt": "CREATE OPERATOR FAMILY",
    "createdb_stmt": "CREATE DATABASE",
    "view_stmt": "CREATE VIEW",
    "rule_stmt": "CREATE RULE",
    "dropdb_stmt": "DROP DATABASE",
    "drop_role_stmt": "DROP ROLE",
    "drop_table_space_stmt": "DROP TABLESPACE",
    "drop_subscription_stmt": "DROP SUBSCRIPTION",
    "drop_user_mapping_stmt": "DROP USER MAPPING",
    "drop_owned_stmt": "DROP OWNED",
    "reassign_owned_stmt": "REASSIGN OWNED",
    "alter_seq_stmt": "ALTER SEQUENCE",
    "alter_enum_stmt": "ALTER TYPE",
    "alter_type_stmt": "ALTER TYPE",
    "alter_domain_stmt": "ALTER DOMAIN",
    "alter_system_stmt": "ALTER SYSTEM",
    "alter_database_stmt": "ALTER DATABASE",
    "alter_database_set_stmt": "ALTER DATABASE",
    "alter_database_refresh_coll_stmt": "ALTER DATABASE",
    "alter_role_stmt": "ALTER ROLE",
    "alter_role_set_stmt": "ALTER ROLE",
    "alter_extension_stmt": "ALTER EXTENSION",
    "alter_extension_contents_stmt": "ALTER EXTENSION",
    "alter_policy_stmt": "ALTER POLICY",
    "alter_stats_stmt": "ALTER STATISTICS",
    "alter_publication_stmt": "ALTER PUBLICATION",
    "alter_subscription_stmt": "ALTER SUBSCRIPTION",
    "alter_event_trig_stmt": "ALTER EVENT TRIGGER",
    "alter_collation_stmt": "ALTER COLLATION",
    "alter_default_privileges_stmt": "ALTER DEFAULT PRIVILEGES",
    "alter_table_space_options_stmt": "ALTER TABLESPACE",
    "alter_fdw_stmt": "ALTER FOREIGN DATA WRAPPER",
    "alter_foreign_server_stmt": "ALTER SERVER",
    "alter_user_mapping_stmt": "ALTER USER MAPPING",
    "alter_operator_stmt": "ALTER OPERATOR",
    "alter_op_family_stmt": "ALTER OPERATOR FAMILY",
    "alter_tsdictionary_stmt": "ALTER TEXT SEARCH DICTIONARY",
    "alter_tsconfiguration_stmt": "ALTER TEXT SEARCH CONFIGURATION",
    "import_foreign_schema_stmt": "IMPORT FOREIGN SCHEMA",
}

_TRANSACTION = {
    "TRANS_STMT_BEGIN": "BEGIN",
    "TRANS_STMT_START": "START TRANSACTION",
    "TRANS_STMT_COMMIT": "COMMIT",
    "TRANS_STMT_ROLLBACK": "ROLLBACK",
    "TRANS_STMT_SAVEPOINT": "SAVEPOINT",
    "TRANS_STMT_RELEASE": "RELEASE SAVEPOINT",
    "TRANS_STMT_ROLLBACK_TO": "ROLLBACK TO SAVEPOINT",
    "TRANS_STMT_PREPARE": "PREPARE TRANSACTION",
    "TRANS_STMT_COMMIT_PREPARED": "COMMIT PREPARED",
    "TRANS_STMT_ROLLBACK_PREPARED": "ROLLBACK PREPARED",
}


def object_name(objtype: str) -> str:
    """ "OBJECT_FOREIGN_TABLE" as SQL says it: "FOREIGN TABLE"."""
    return _OBJECTS.get(objtype) or objtype.removeprefix("OBJECT_").replace("_", " ")


def kind_of(node: Node) -> str:
    """The name of a statement, as "CREATE INDEX CONCURRENTLY" or "ALTER TABLE"."""
    name, stmt = name_of(node), content(node)
    if name == "select_stmt" and _selects_into(stmt):
        return "SELECT INTO"
    if name in _PLAIN:
        return _PLAIN[name]
    if name == "index_stmt":
        return "CREATE INDEX" + _concurrently(stmt.concurrent)
    if name == "drop_stmt":
        return f"DROP {object_name(enum(stmt, 'remove_type'))}" + _concurrently(stmt.concurrent)
    if name == "alter_table_stmt":
        if detaches_concurrently(node):
            return "ALTER TABLE DETACH PARTITION CONCURRENTLY"
        return f"ALTER {object_name(enum(stmt, 'objtype'))}"
    if name == "reindex_stmt":
        what = enum(stmt, "kind").removeprefix("REINDEX_OBJECT_")
        return f"REINDEX {what}" + _concurrently(flag(stmt.params, "concurrently", False))
    if name == "refresh_mat_view_stmt":
        return "REFRESH MATERIALIZED VIEW" + _concurrently(stmt.concurrent)
    if name == "create_table_as_stmt":
        if enum(stmt, "objtype") == "OBJECT_MATVIEW":
            return "CREATE MATERIALIZED VIEW"
        return "CREATE TABLE AS"
    if name == "transaction_stmt":
        return _TRANSACTION.get(enum(stmt, "kind"), "TRANSACTION")
    if name == "variable_set_stmt":
        return _set_kind(stmt)
    if name == "vacuum_stmt":
        if not stmt.is_vacuumcmd:
            return "ANALYZE"
        return "VACUUM FULL" if flag(stmt.options, "full", False) else "VACUUM"
    if name == "rename_stmt":
        return f"ALTER {_renamed(stmt)}"
    if name in ("alter_object_schema_stmt", "alter_owner_stmt", "alter_object_depends_stmt"):
        return f"ALTER {object_name(enum(stmt, 'object_type'))}"
    if name == "create_function_stmt":
        return "CREATE PROCEDURE" if stmt.is_procedure else "CREATE FUNCTION"
    if name == "alter_function_stmt":
        return f"ALTER {object_name(enum(stmt, 'objtype'))}"
    if name == "define_stmt":
        return f"CREATE {object_name(enum(stmt, 'kind'))}"
    if name in ("grant_stmt", "grant_role_stmt"):
        return "GRANT" if stmt.is_grant else "REVOKE"
    if name == "discard_stmt":
        return "DISCARD " + enum(stmt, "target").removeprefix("DISCARD_")
    if name == "alter_table_move_all_stmt":
        return f"ALTER {object_name(enum(stmt, 'objtype'))} ALL IN TABLESPACE"
    return name.removesuffix("_stmt").replace("_", " ").upper()


def is_transaction_control(node: Node) -> bool:
    """BEGIN and its family, and what changes the transaction's own properties: those belong to the engine."""
    if name_of(node) == "transaction_stmt":
        return True
    if name_of(node) != "variable_set_stmt":
        return False
    name = node.variable_set_stmt.name.lower()
    return name in ("transaction", "transaction snapshot", "session characteristics") or name.startswith("transaction_")


def detaches_concurrently(node: Node) -> bool:
    """In the grammar it is always alone in its ALTER TABLE."""
    commands = node.alter_table_stmt.cmds
    if len(commands) != 1:
        return False
    command = commands[0].alter_table_cmd
    if enum(command, "subtype") != "AT_DetachPartition":
        return False
    return bool(getattr(command, "def").partition_cmd.concurrent)


def is_transactional(node: Node) -> bool:
    """Whether PostgreSQL accepts the statement inside a transaction block.

    What only the catalog can tell (REINDEX and CLUSTER of a partitioned table, a procedure that commits) counts as
    transactional here; `effects` knows those when it has facts, and the dry run runs them.
    """
    name = name_of(node)
    return name not in _PARTLY_OUTSIDE or _may_be_inside(node, name, content(node))


_PARTLY_OUTSIDE = frozenset(
    (
        "index_stmt",
        "drop_stmt",
        "reindex_stmt",
        "vacuum_stmt",
        "cluster_stmt",
        "createdb_stmt",
        "dropdb_stmt",
        "create_table_space_stmt",
        "drop_table_space_stmt",
        "alter_system_stmt",
        "drop_subscription_stmt",
        "alter_database_stmt",
        "create_subscription_stmt",
        "alter_subscription_stmt",
        "alter_table_stmt",
        "discard_stmt",
        "transaction_stmt",
    )
)
"""Statements that cannot run in a transaction block, or not in each of their forms."""


def _may_be_inside(node: Node, name: str, stmt: Node) -> bool:
    if name in ("index_stmt", "drop_stmt"):
        return not stmt.concurrent
    if name == "reindex_stmt":
        whole = enum(stmt, "kind") in ("REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE")
        return not whole and not flag(stmt.params, "concurrently", False)
    if name == "vacuum_stmt":
        return not stmt.is_vacuumcmd
    if name == "cluster_stmt":
        return bool(stmt.HasField("relation"))
    if name == "alter_database_stmt":
        return not any(item.def_elem.defname == "tablespace" for item in stmt.options)
    if name == "create_subscription_stmt":
        connects = flag(stmt.options, "connect", True)
        return not flag(stmt.options, "create_slot", connects)
    if name == "alter_subscription_stmt":
        return not _subscription_refreshes(stmt)
    if name == "alter_table_stmt":
        return not detaches_concurrently(node)
    if name == "discard_stmt":
        return enum(stmt, "target") != "DISCARD_ALL"
    if name == "transaction_stmt":
        return enum(stmt, "kind") not in ("TRANS_STMT_COMMIT_PREPARED", "TRANS_STMT_ROLLBACK_PREPARED")
    return False


def needs_transaction(node: Node) -> bool:
    """Whether the statement only makes sense inside a transaction block (RequireTransactionBlock)."""
    name = name_of(node)
    if name == "declare_cursor_stmt":
        return not node.declare_cursor_stmt.options & 0x20  # CURSOR_OPT_HOLD
    if name == "variable_set_stmt":
        return bool(node.variable_set_stmt.is_local)
    return name in ("lock_stmt", "constraints_set_stmt")


def _subscription_refreshes(stmt: Node) -> bool:
    """REFRESH and, unless told not to, SET/ADD/DROP PUBLICATION; failover and two_phase=false alter the remote slot."""
    kind = enum(stmt, "kind")
    if kind == "ALTER_SUBSCRIPTION_REFRESH":
        return True
    if kind in (
        "ALTER_SUBSCRIPTION_SET_PUBLICATION",
        "ALTER_SUBSCRIPTION_ADD_PUBLICATION",
        "ALTER_SUBSCRIPTION_DROP_PUBLICATION",
    ):
        return flag(stmt.options, "refresh", True)
    if kind == "ALTER_SUBSCRIPTION_OPTIONS":
        failover = any(item.def_elem.defname == "failover" for item in stmt.options)
        return failover or not flag(stmt.options, "two_phase", True)
    return False


def _set_kind(stmt: Node) -> str:
    kind, name = enum(stmt, "kind"), stmt.name.upper()
    if kind in ("VAR_RESET", "VAR_RESET_ALL"):
        return "RESET"
    if kind == "VAR_SET_MULTI":
        return f"SET {name}"
    return "SET LOCAL" if stmt.is_local else "SET"


def _selects_into(stmt: Node) -> bool:
    """Of a UNION and its like, INTO stands in the first SELECT."""
    while stmt.HasField("larg"):
        stmt = stmt.larg
    return bool(stmt.HasField("into_clause"))


def _renamed(stmt: Node) -> str:
    objtype = enum(stmt, "rename_type")
    if objtype == "OBJECT_TABCONSTRAINT":
        return "TABLE"  # the grammar knows no other, and leaves relation_type empty
    if objtype in ("OBJECT_COLUMN", "OBJECT_ATTRIBUTE"):
        return object_name(enum(stmt, "relation_type"))
    if objtype == "OBJECT_DOMCONSTRAINT":
        return "DOMAIN"
    return object_name(objtype)


def _concurrently(concurrent: bool) -> str:
    return " CONCURRENTLY" if concurrent else ""
