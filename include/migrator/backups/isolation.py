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
    """:raises Refused: the copy's role may do more than own what is in its copy, or a stand-in more than nothing."""
    texts = queries.load(__package__, "copies")
    names = {"role": copy.name, "stand_ins": list(copy.stand_ins)}
    reached = {"roles": [copy.name, *copy.stand_ins], "own": list(copy.databases)}
    with session.translated():
        powers = {str(name): list(found) for name, found in conn.execute(texts["powers"], names).fetchall()}
        gone = {copy.name, *copy.stand_ins} - powers.keys()
        others = conn.execute(texts["reachable"], reached).fetchall() if not gone else []
    for name in sorted(gone):
        powers[name] = ["is gone"]
    for name, database in others:
        powers[name].append(f'may connect to "{database}"')
    if found := powers.pop(copy.name):
        raise Refused(f'the role "{copy.name}" of the restored copy {" and ".join(found)}: run again from restore_test')
    for name, found in powers.items():
        if found:
            raise Refused(
                f'the role "{name}", which on the server for restored copies stands in for the target\'s,'
                f" {' and '.join(found)}: take that away from it there, then run again from restore_test"
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
