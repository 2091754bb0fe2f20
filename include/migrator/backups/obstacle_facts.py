"""Ask a target and the server for restored copies for what `obstacles` decides by."""

from __future__ import annotations

import logging

from migrator.backups.copy_template import Extension, Locale, read_mark
from migrator.backups.obstacles import Server, Source
from migrator.backups.table_of_contents import Held
from migrator.database import queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import MigratorError

LOG = logging.getLogger(__name__)


def look(
    endpoint: Endpoint, copies: Endpoint | None, *, required: bool = False, log: logging.Logger = LOG
) -> tuple[Source, Server | None]:
    """None: the server for copies does not answer, and what it lacks is told when it does; not when it is `required`.

    :raises ConnectionLost, EnvironmentFault: no answer.
    """
    with session.connect(endpoint, purpose="snapshot") as conn:
        there = source(conn)
    if copies is None:
        return there, None
    try:
        with session.connect(copies, purpose="observe") as conn:
            return there, server(conn)
    except MigratorError as exc:
        if required:
            raise
        log.warning("nobody knows yet whether a snapshot can be restored on %s: %s", copies.label, exc)
        return there, None


def source(conn: Connection) -> Source:
    """As the role that the snapshot will have."""
    texts = queries.load(__package__, "obstacles")
    with session.translated():
        role, *_ = conn.execute(texts["role"]).fetchall()[0]
        locale = Locale(*conn.execute(texts["locale"]).fetchall()[0])
        return Source(
            role,
            locale,
            tuple(Extension(*row) for row in conn.execute(texts["extensions"]).fetchall()),
            tuple(conn.execute(texts["unreadable"]).fetchall()),
            tuple(conn.execute(texts["policed"]).fetchall()),
            tuple(conn.execute(texts["large_objects"]).fetchall()),
            tuple(name for (name,) in conn.execute(texts["forced"]).fetchall()),
        )


def server(conn: Connection) -> Server:
    texts = queries.load(__package__, "obstacles")
    with session.translated():
        role, bypasses, makes = conn.execute(texts["role"]).fetchall()[0]
        offers = conn.execute(texts["offers"]).fetchall()
        marked = conn.execute(texts["templates"]).fetchall()
        icu = bool(conn.execute(texts["icu"]).fetchall()[0][0])
    templates = (read_mark(name, mark, Locale(*rest)) for name, mark, *rest in marked)
    return Server(
        role,
        conn.info.server_version,
        {(name, version): everybody for name, version, everybody, _ in offers},
        {name: version for name, version, _, preset in offers if preset},
        tuple(one for one in templates if one is not None),
        icu,
        bypasses,
        makes,
    )


def held(conn: Connection) -> Held:
    """Of the database into which is restored, as that role or a member of it."""
    texts = queries.load(__package__, "obstacles")
    with session.translated():
        return Held(
            tuple(name for (name,) in conn.execute(texts["held_extensions"]).fetchall()),
            tuple(name for (name,) in conn.execute(texts["held_schemas"]).fetchall()),
            tuple(conn.execute(texts["held_members"]).fetchall()),
            tuple(conn.execute(texts["held_tables"]).fetchall()),
        )
