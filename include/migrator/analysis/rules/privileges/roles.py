"""Roles that the server itself has, and how messages name a role."""

from __future__ import annotations

from migrator.parsing.nodes import Node, enum

PREDEFINED = {
    "pg_read_all_data": "reads every table",
    "pg_write_all_data": "writes every table",
    "pg_read_server_files": "reads files of the server",
    "pg_write_server_files": "writes files of the server, its programs included",
    "pg_execute_server_program": "runs programs on the server",
    "pg_signal_backend": "ends other sessions",
    "pg_signal_autovacuum_worker": "ends autovacuum",
    "pg_monitor": "reads what all sessions do",
    "pg_read_all_settings": "reads settings that only superusers see",
    "pg_read_all_stats": "reads what all sessions do",
    "pg_stat_scan_tables": "may lock tables for long to count their rows",
    "pg_checkpoint": "may start checkpoints",
    "pg_maintain": "may vacuum, cluster, reindex and lock every table",
    "pg_use_reserved_connections": "takes connections that are kept for emergencies",
    "pg_create_subscription": "connects the server to others",
    "pg_database_owner": "owns what the database's owner owns",
}


def called(spec: Node) -> str:
    """The name of a RoleSpec, or the words that stand for one."""
    if spec.rolename:
        return str(spec.rolename)
    return enum(spec, "roletype").removeprefix("ROLESPEC_")


def given(name: str, taker: str) -> str:
    """What it means that somebody is made a member."""
    if name in PREDEFINED:
        return f"{taker} gets {name}, which {PREDEFINED[name]}"
    return f"{taker} may now do whatever {name} may"
