"""Creating the ledger, and bringing an older one to this engine's layout, one numbered file at a time."""

from __future__ import annotations

import psycopg

import migrator
from migrator.database import queries, session
from migrator.database.session import Connection
from migrator.database.told import words
from migrator.errors import EnvironmentFault, LedgerNewer, LedgerTampered
from migrator.ledger import chain, events, identity, shape
from migrator.ledger.connection import LedgerConnection
from migrator.ledger.version import SCHEMA_VERSION
from migrator.run import RunContext


def install(ledger: LedgerConnection, *, upto: int = SCHEMA_VERSION) -> None:
    """`Ledger.install`. `upto` is for tests of the upgrade: they stop at, or go beyond, a layout."""
    if version_of(ledger) == upto:
        return
    here = identity.of_database(ledger.connection)
    with ledger.transaction() as connection:
        ledger.execute(connection, "installer_lock", key=ledger.key("install"))
        found = version_of(ledger)
        if found > upto:
            raise LedgerNewer(f"the ledger has layout {found}, this engine knows {upto}: upgrade the engine")
        if found == upto:
            return
        if found == 0:
            _create_schema(ledger, connection)
        for number in range(found + 1, upto + 1):
            _run_layout(ledger, connection, number)
            if number == 1:
                ledger.execute(
                    connection,
                    "insert_identity",
                    schema_version=number,
                    engine_version=migrator.__version__,
                    head_hash=chain.GENESIS,
                    **vars(here),
                )
        _keep_for_ourselves(ledger, connection)
        _require_shape(ledger, connection, upto)
        ledger.execute(connection, "set_schema_version", schema_version=upto, engine_version=migrator.__version__)
        detail = {"from": found, "to": upto, "engine_version": migrator.__version__, "database": here.database_name}
        run = RunContext(run_id="install", version="", target=ledger.endpoint.name, actor=_user(connection))
        events.append(ledger, connection, "install" if found == 0 else "upgrade", version=None, run=run, detail=detail)


def version_of(ledger: LedgerConnection) -> int:
    """The layout's number, 0 for none."""
    if not ledger.read("exists", schema=ledger.schema)[0]["found"]:
        return 0
    rows = ledger.read("schema_version")
    return int(rows[0]["schema_version"]) if rows else 0


def _create_schema(ledger: LedgerConnection, connection: Connection) -> None:
    if ledger.fetch(connection, "schema_exists", schema=ledger.schema)[0]["found"]:
        return
    name = psycopg.sql.Identifier(ledger.schema)
    try:
        connection.execute(psycopg.sql.SQL("CREATE SCHEMA {}").format(name))
    except psycopg.errors.InsufficientPrivilege as exc:
        user = _quoted(ledger.endpoint.role or connection.info.user)
        raise EnvironmentFault(
            f"the role may not create schema {_quoted(ledger.schema)} ({words(exc)}); an administrator "
            f"can: CREATE SCHEMA {_quoted(ledger.schema)} AUTHORIZATION {user}",
            sqlstate=exc.sqlstate,
        ) from None


def _run_layout(ledger: LedgerConnection, connection: Connection, number: int) -> None:
    for text in queries.load(__package__, f"ledger_schema_{number}").values():
        with session.translated():
            connection.execute(psycopg.sql.SQL(text).format(schema=psycopg.sql.Identifier(ledger.schema)))


def _keep_for_ourselves(ledger: LedgerConnection, connection: Connection) -> None:
    """ALTER DEFAULT PRIVILEGES gives others rights on what the role makes, so also on the ledger. They may read."""
    for row in shape.ask(connection, "granted", schema=ledger.schema):
        grantee = row["grantee"]
        connection.execute(
            psycopg.sql.SQL("REVOKE {} ON {} FROM {}").format(
                psycopg.sql.SQL(row["privileges"]),
                psycopg.sql.Identifier(ledger.schema, row["name"]),
                psycopg.sql.SQL("PUBLIC") if grantee is None else psycopg.sql.Identifier(grantee),
            )
        )


def _require_shape(ledger: LedgerConnection, connection: Connection, layout: int) -> None:
    """Before anything relies on it, and in the transaction that made it: an event trigger has seen each statement."""
    found = shape.problems(shape.read(connection, ledger.schema), layout)
    if found:
        raise LedgerTampered(
            f"schema {_quoted(ledger.schema)} holds something else than the ledger: {shape.told(found)}. take it out"
            " of that schema; nothing was installed",
            problems=found,
        )


def _user(connection: Connection) -> str:
    row = connection.execute("SELECT session_user").fetchone()
    return str(row[0]) if row else "unknown"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
