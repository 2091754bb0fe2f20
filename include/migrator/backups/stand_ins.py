"""Stand-ins: roles on the server for restored copies that have the names of the target's, and nothing else.

Grants, policies, OWNER TO and SET ROLE name roles, and roles belong to a whole server. A stand-in may not log in, is a
member of nothing, and has no right outside of the copies. A role of that name that somebody else has made is used where
a name is all that is wanted: it is never altered, and nobody becomes it.

All copies that name one share it. Each copy's mark says which ones it needs; the last one that goes takes them along.
What a stand-in may do to itself (its settings, its password) means nothing, since nobody logs in as it.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from psycopg import sql as pgsql

from migrator.backups import copy_role
from migrator.database import queries, session
from migrator.database.schema import Schema
from migrator.database.session import Connection
from migrator.errors import EnvironmentFault, MigratorError

MARK = json.dumps({"migrator_stand_in": 1})
RESERVED = re.compile(r"pg_|(?:public|none)\Z")
"""Names that the server keeps for its own roles."""
LOOKS_ROLES_UP = frozenset(
    ("pg_roles", "pg_authid", "pg_user", "pg_group", "pg_auth_members", "regrole", "to_regrole", "pg_has_role")
)
"""Words of a text that may find roles without naming them."""
_WORD = re.compile(r"\w+")
_ROLE = r'(?:"(?:[^"]|"")+"|[^,"\s]+)'
_GRANTEE = re.compile(rf" (?:to|from) (?P<role>{_ROLE})")
_POLICY = re.compile(rf"(?P<head>(?:permissive|restrictive) for [a-z]+ to )(?P<roles>{_ROLE}(?:, {_ROLE})*)")
_WITH_COLUMNS = ("table", "view", "materialized_view")
_GRANT = re.compile(rf"(?P<grant>[+-][A-Z]+(?: with grant option)? (?:to|from) (?P<role>{_ROLE}))")


def of_target(conn: Connection, texts: Iterable[str], wanted: Schema) -> dict[str, str]:
    """Those of the target's roles that the migration's texts or the schema name, by name; "inherit", "set", both or
    nothing says what the migrating role, which is the session's, may do as each."""
    written = "\n".join(texts)
    words = {word.casefold() for word in _WORD.findall(written)}
    everybody, named = bool(words & LOOKS_ROLES_UP), named_in(wanted)
    become = "SET" if conn.info.server_version >= 160000 else "MEMBER"
    with session.translated():
        found = conn.execute(_query("of_target"), {"become": become}).fetchall()
    return {
        str(name): str(may)
        for name, may in found
        if everybody or name in named or (name.casefold() in words if _WORD.fullmatch(name) else name in written)
    }


def named_in(schema: Schema) -> frozenset[str]:
    """Whom grants and policies name, and who owns what has not all of its owner's rights. Pure."""
    objects = schema.objects
    found = {one for text in objects.get("grant", {}).values() for one in _GRANTEE.findall(text)}
    for text in objects.get("policy", {}).values():
        match = _POLICY.match(text)
        found.update(re.findall(_ROLE, match["roles"]) if match is not None else ())
    owners = objects.get("owner", {})
    found.update(owners[name] for name in objects.get("owner_grant", {}) if name in owners)
    return frozenset(map(plain, found)) - {"public"}


def missing(conn: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Those of these roles that are not there and cannot be made."""
    reserved = [name for name in names if RESERVED.match(name)]
    return tuple(sorted({*reserved} - _there(conn, reserved).keys()))


def make(conn: Connection, names: Iterable[str]) -> tuple[str, ...]:
    """Those of these roles that are stand-ins, made where there was no role. Call it in the transaction in which the
    copy is marked with them.

    :raises EnvironmentFault: the server does not let us make one.
    """
    wanted = sorted(name for name in set(names) if not RESERVED.match(name))
    with session.translated():
        conn.execute(_query("lock"))
    there = _there(conn, wanted)
    for name in wanted:
        if name not in there:
            _create(conn, name)
    return tuple(name for name in wanted if there.get(name, (True, True))[0])


def lend(conn: Connection, role: str, roles: Mapping[str, str]) -> None:
    """Let the copy's role do as these what the migrating role may do as them on the target, as far as we have made
    them. Until PostgreSQL 15 who is a member may both inherit and become."""
    ours = [name for name, (marked, own) in _there(conn, roles).items() if marked and own]
    fine = conn.info.server_version >= 160000
    for name in ours:
        may = roles[name].split()
        if not may or (not fine and "set" not in may):
            continue
        command = "GRANT {} TO {}"
        if fine:
            command += "".join(
                f"{word} {option} {'TRUE' if option.lower() in may else 'FALSE'}"
                for word, option in ((" WITH", "INHERIT"), (",", "SET"))
            )
        with session.translated():
            conn.execute(pgsql.SQL(command).format(pgsql.Identifier(name), pgsql.Identifier(role)))


def renew(conn: Connection, names: Collection[str]) -> None:
    """Without the settings that an earlier attempt has given those that we have made."""
    for name, (marked, ours) in _there(conn, names).items():
        if marked and ours:
            copy_role.reset(conn, name)


def sweep(conn: Connection, log: logging.Logger) -> None:
    """Drop those that we have made and no copy needs any more."""
    with session.translated():
        if not conn.execute(_query("marked"), {"mark": MARK}).fetchall():
            return
        with conn.transaction():
            conn.execute(_query("lock"))
            needed = {name for (mark,) in conn.execute(_query("marks_of_copies")).fetchall() for name in _of(mark)}
            for (name,) in conn.execute(_query("marked"), {"mark": MARK}).fetchall():
                if name not in needed:
                    _drop(conn, name, log)


def without_owners_rights(found: Schema, target: Schema, role: str) -> Schema:
    """Of a copy's schema: what is granted to whoever owns the thing on the target is no grant there. Pure.

    :param role: the copy's, which owns here what others own there."""
    here, there, grants = found.objects.get("owner", {}), target.objects.get("owner", {}), {}
    for name, text in found.objects.get("grant", {}).items():
        of = name.removeprefix("column ").rpartition(".")[0]
        thing = next((one for one in (name, *(f"{kind} {of}" for kind in _WITH_COLUMNS)) if one in here), name)
        owner = plain(there.get(thing, target.role)) if plain(here.get(thing, role)) == role else None
        if kept := [one["grant"] for one in _GRANT.finditer(text) if plain(one["role"]) != owner]:
            grants[name] = ", ".join(kept)
    objects = {kind: names for kind, names in found.objects.items() if kind != "grant"}
    return replace(found, objects={**objects, "grant": grants} if grants else objects)


def as_on_target(found: Schema, target: Schema, role: str) -> Schema:
    """Of a clone, where the role that executes has two names: its own, and that which it is called by on the target.
    Pure."""
    owners = {
        name: role if plain(owner) == target.role else owner for name, owner in found.objects.get("owner", {}).items()
    }
    policies = {}
    for name, text in found.objects.get("policy", {}).items():
        match = _POLICY.match(text)
        policies[name] = text
        if match is not None:
            roles = {role if plain(one) == target.role else one for one in re.findall(_ROLE, match["roles"])}
            policies[name] = match["head"] + ", ".join(sorted(roles)) + text[match.end() :]
    told = {kind: names for kind, names in (("owner", owners), ("policy", policies)) if names}
    return without_owners_rights(replace(found, objects={**found.objects, **told}), target, role)


def plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def _create(conn: Connection, name: str) -> None:
    role = pgsql.Identifier(name)
    inherit = " WITH INHERIT TRUE, SET TRUE" if conn.info.server_version >= 160000 else ""
    nothing = "NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    try:
        with session.translated(), conn.transaction():
            conn.execute(pgsql.SQL(f"CREATE ROLE {{}} {nothing}").format(role))
            conn.execute(pgsql.SQL("COMMENT ON ROLE {} IS {}").format(role, pgsql.Literal(MARK)))
            conn.execute(pgsql.SQL("GRANT {} TO CURRENT_USER" + inherit).format(role))
    except MigratorError as exc:
        raise EnvironmentFault(
            f"the target has a role {role.as_string(conn)}, which the migration or the schema names, and on the server"
            f" for restored copies none can be made: {exc}. {copy_role.WANTED}; or let a superuser there run:"
            f" CREATE ROLE {role.as_string(conn)}"
        ) from None


def _drop(conn: Connection, name: str, log: logging.Logger) -> None:
    try:
        with session.translated(), conn.transaction():
            conn.execute(pgsql.SQL("DROP ROLE {}").format(pgsql.Identifier(name)))
    except MigratorError as exc:
        log.warning('the stand-in "%s" on the server for restored copies stays: %s', name, exc)


def _there(conn: Connection, names: Iterable[str]) -> dict[str, tuple[bool, bool]]:
    with session.translated():
        rows = conn.execute(_query("there"), {"names": list(names), "mark": MARK}).fetchall()
    return {str(name): (marked, ours) for name, marked, ours in rows}


def _of(mark: str) -> list[str]:
    try:
        return [str(name) for name in json.loads(mark).get("stand_ins", ())]
    except (ValueError, AttributeError, TypeError):
        return []


def _query(name: str) -> str:
    return queries.load(__package__, "stand_ins")[name]
