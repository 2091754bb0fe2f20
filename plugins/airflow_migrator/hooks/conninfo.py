"""An Airflow connection as a libpq connection string."""

from __future__ import annotations

from typing import TYPE_CHECKING

from migrator.errors import UsageError

if TYPE_CHECKING:
    from airflow.sdk import Connection

SEAL_KEY = "migrator_seal_key"
"""Extra of a connection whose password changes by itself: a secret that stays, which approvals are sealed with."""
NOT_LIBPQ = frozenset(
    {
        SEAL_KEY,
        "cursor",
        "iam",
        "redshift",
        "cluster-identifier",
        "aws_conn_id",
        "region_name",
        "workgroup-name",
        "enable_log_db_messages",
        "azure_conn_id",
        "sqlalchemy_scheme",
    }
)
"""Extras of Airflow's own PostgreSQL hook: they mean nothing to libpq."""


def conninfo_of(connection: Connection) -> str:
    """
    :raises UsageError: not a PostgreSQL connection, no database, or an extra that libpq does not know. The message
    never holds the password.
    """
    import psycopg
    from psycopg.conninfo import make_conninfo

    if connection.conn_type not in ("postgres", "postgresql"):
        raise UsageError(f"connection {connection.conn_id!r} is of type {connection.conn_type!r}, not 'postgres'")
    if not connection.schema:
        raise UsageError(f"connection {connection.conn_id!r} names no database: fill in its field 'Database'")
    given = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        **{key: value for key, value in connection.extra_dejson.items() if key not in NOT_LIBPQ},
    }
    try:
        return make_conninfo("", **{key: value for key, value in given.items() if value not in (None, "")})
    except psycopg.ProgrammingError as exc:
        reason = str(exc).replace(connection.password or "\0", "***")
        raise UsageError(f"connection {connection.conn_id!r}: {reason}") from None
