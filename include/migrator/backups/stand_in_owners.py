"""What the target's other roles own, given to their stand-ins on the copy: `SET ROLE app_owner; ALTER TABLE ...`.

A restore gives everything to the copy's role. That stands for the role that migrates; what belongs to a role that the
migrating one may become is that role's on the copy, too, or it could do nothing there. The migrating role's own name is
a stand-in as well, for `OWNER TO`: it may make things where the migrating role owns the schema.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

from psycopg import sql as pgsql

from migrator.backups.copies import Copy
from migrator.backups.stand_ins import plain
from migrator.database import queries, schema, session
from migrator.database.schema import Schema
from migrator.database.session import Connection, Endpoint
from migrator.errors import MigratorError
from migrator.evidence import SnapshotRecord

_SCHEMA = re.compile(r'"(?:[^"]|"")+"|[^."(]+')
WORDS = {
    "schema": "SCHEMA",
    "table": "TABLE",
    "view": "VIEW",
    "materialized_view": "MATERIALIZED VIEW",
    "sequence": "SEQUENCE",
    "type": "TYPE",
    "function": "FUNCTION",
    "procedure": "PROCEDURE",
    "aggregate": "AGGREGATE",
}
"""By kind, in this order: the sequence of a column goes with its table."""


def give(record: SnapshotRecord, copy: Copy, copies: Endpoint, log: logging.Logger) -> None:
    """What cannot be given away stays the copy's role's, and is told in the log."""
    wanted = Schema.from_dict(record.schema)
    lent = {name for name in copy.stand_ins if "set" in record.roles.get(name, "")}
    if not lent:
        return
    with session.connect(copies.with_database(copy.name), purpose="restore") as conn:
        if wanted.role in lent:
            for name in _owned(wanted, "schema", wanted.role):
                _send(conn, _MAKE_THERE, name, wanted.role)
        for owner in sorted(lent - {wanted.role}):
            for kind, word in WORDS.items():
                names = [*_owned(wanted, kind, owner)]
                here = schema.read(conn).objects.get("owner", {}) if names else {}
                for name in names:
                    if here.get(f"{kind} {name}") not in (None, *_spelled(owner)):
                        _give(conn, f"{word} {name}", _schema_of(name), owner, log)


_MAKE_THERE = "GRANT USAGE, CREATE ON SCHEMA {} TO {}"
_NO_MORE = "REVOKE CREATE ON SCHEMA {} FROM {}"


def _owned(wanted: Schema, kind: str, owner: str) -> Iterator[str]:
    """Names as the catalog quotes them."""
    for name, who in wanted.objects.get("owner", {}).items():
        if name.startswith(f"{kind} ") and plain(who) == owner:
            yield name.removeprefix(f"{kind} ")


def _spelled(owner: str) -> tuple[str, str]:
    return owner, '"' + owner.replace('"', '""') + '"'


def _schema_of(name: str) -> str:
    found = _SCHEMA.match(name)
    return found[0] if found is not None and name[found.end() :].startswith(".") else ""


def _give(conn: Connection, what: str, within: str, owner: str, log: logging.Logger) -> None:
    """At that moment an owner must be able to make things in the schema, whatever he may do later."""
    try:
        with session.translated(), conn.transaction():
            lacks = within and conn.execute(_query("may_not_make"), {"role": owner, "schema": plain(within)}).fetchall()
            if lacks:
                _send(conn, "GRANT CREATE ON SCHEMA {} TO {}", within, owner)
            _send(conn, "ALTER {} OWNER TO {}", what, owner)
            if lacks:
                _send(conn, _NO_MORE, within, owner)
    except MigratorError as exc:
        log.warning('on the copy %s does not belong to "%s", as it does on the target: %s', what, owner, exc)


def _send(conn: Connection, command: str, what: str, role: str) -> None:
    """:param what: as the catalog quotes it."""
    with session.translated():
        conn.execute(pgsql.SQL(command).format(pgsql.SQL(what), pgsql.Identifier(role)))


def _query(name: str) -> str:
    return queries.load(__package__, "stand_ins")[name]
