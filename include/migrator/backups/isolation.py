"""What must be true of a server before SQL that nobody has reviewed runs there."""

from __future__ import annotations

from psycopg import sql as pgsql

from migrator.backups.copies import Copy
from migrator.database import queries, session
from migrator.database.session import Connection
from migrator.errors import Refused


def require_isolated(conn: Connection) -> None:
    """Our role can be no superuser, and no role of a copy can connect to another database.

    :raises Refused: with the SQL that mends it.
    """
    require_harmless(conn)
    with session.translated():
        rows = conn.execute(queries.load(__package__, "copies")["open_to_everybody"]).fetchall()
        current = conn.execute("SELECT current_user::text").fetchone()
    if rows:
        names = ", ".join(f'"{name}"' for name, _ in rows)
        us = pgsql.Identifier(str(current[0]) if current else "").as_string(conn)
        commands = "; ".join(
            f"REVOKE CONNECT, TEMPORARY ON DATABASE {database} FROM PUBLIC"
            + ("" if owner == (current and current[0]) else f"; GRANT CONNECT ON DATABASE {database} TO {us}")
            for database, owner in ((pgsql.Identifier(name).as_string(conn), owner) for name, owner in rows)
        )
        raise Refused(
            f"every role may connect to {names} on the server for restored copies: SQL that nobody has reviewed yet"
            f" could reach what is there. let a superuser run there: {commands}",
            databases=tuple(name for name, _ in rows),
        )


def require_confined(conn: Connection, copy: Copy) -> None:
    """:raises Refused: the copy's role may do more than own what is in its copy."""
    with session.translated():
        row = conn.execute(queries.load(__package__, "copies")["powers"], {"role": copy.name}).fetchone()
        others = conn.execute(
            queries.load(__package__, "copies")["reachable"], {"role": copy.name, "own": list(copy.databases)}
        ).fetchall()
    powers = [str(power) for power in (row[0] if row else ["no such role"])]
    powers += [f'may connect to "{name}"' for (name,) in others]
    if powers:
        raise Refused(
            f'the role "{copy.name}" of the restored copy {" and ".join(powers)}: run again from restore_test'
        )


def require_harmless(conn: Connection) -> str:
    """The role that executes.

    :raises Refused: it is a superuser, or may read and write the server's files or start programs there.
    """
    with session.translated():
        rows = conn.execute(queries.load(__package__, "trial")["privileges"]).fetchall()
        current = conn.execute("SELECT current_user::text").fetchone()
    for role, superuser, reaches_server in rows:
        if superuser or reaches_server:
            what = "is a superuser" if superuser else "may reach files and programs of the server"
            raise Refused(
                f'role "{role}" {what}: SQL that nobody has reviewed yet must not run with it. give the copies'
                " connection a role with LOGIN, CREATEDB and CREATEROLE only",
                role=role,
            )
    return str(current[0]) if current else ""
