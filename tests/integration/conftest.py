"""Real PostgreSQL for the integration tests: one server per xdist worker, one fresh database per test."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import Protocol

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.database.lock_queue import LockQueue
from migrator.database.session import Endpoint
from migrator.embedded.download import find_or_download
from migrator.embedded.programs import KNOWN_MAJORS, Programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST, Setting
from migrator.errors import EnvironmentFault

TEMPLATE = "template_of_tests"
OWNER = "migrator"  # owns each test's database: may log in and watch and end sessions, no superuser
RESTORER = "restorer"  # on the server of copies: may log in and create databases and roles, no superuser
PASSWORD = "only on 127.0.0.1 and only for a test"

_numbers = itertools.count(1)


class MakeDatabase(Protocol):
    """The type of the fixture `make_database`."""

    def __call__(self, name: str = "extra", *, script: str = "") -> Endpoint: ...


@pytest.fixture(scope="session")
def programs(request: pytest.FixtureRequest) -> Programs:
    """PostgreSQL's programs of the major under test."""
    return find_or_download(request.config.getoption("--postgres-major"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What differs between majors is tried on the oldest and the newest one, and on all of them with --every-major."""
    if "each_server" in metafunc.fixturenames:
        every = metafunc.config.getoption("--every-major")
        majors = KNOWN_MAJORS if every else (min(KNOWN_MAJORS), max(KNOWN_MAJORS))
        metafunc.parametrize("each_server", majors, indirect=True, ids=lambda major: f"pg{major}", scope="session")


@pytest.fixture(scope="session")
def each_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of each major in turn, for what differs between them; one that cannot be had is skipped, saying why.

    Its databases are made by `database_on`; `server.conninfo()` is a superuser's.
    """
    try:
        found = find_or_download(request.param)
    except EnvironmentFault as exc:
        pytest.skip(f"PostgreSQL {request.param} cannot be had: {exc}")
    with Server.temporary(programs=found, settings=settings_of(found)) as started:
        _prepare(started)
        yield started


@pytest.fixture
def each_database(each_server: Server) -> Iterator[MakeDatabase]:
    """Make databases on `each_server`; they go away with the test, because others try copies there, where no database
    may be open to every role."""
    names: list[str] = []

    def make(name: str = "each", *, script: str = "") -> Endpoint:
        names.append(f"{name}_{next(_numbers)}")
        return database_on(each_server, names[-1], script=script)

    yield make
    _drop(each_server, names)


@pytest.fixture(scope="session")
def server(programs: Programs) -> Iterator[Server]:
    """The server that holds the tests' databases. A test that stops or kills a server takes `own_server`."""
    with Server.temporary(programs=programs, settings={**settings_of(programs), "max_connections": 200}) as started:
        _prepare(started)
        yield started


@pytest.fixture(scope="session")
def copies_server(programs: Programs) -> Iterator[Server]:
    """The server for restored copies, another one than the source's."""
    with Server.temporary(programs=programs, settings=settings_of(programs)) as started:
        prepare_for_copies(started)
        yield started


@pytest.fixture
def own_server(programs: Programs) -> Iterator[Server]:
    """A server for one test alone, which may kill it. Its databases are made by `database_on`."""
    with Server.temporary(programs=programs, settings=settings_of(programs)) as started:
        _prepare(started)
        yield started


@pytest.fixture
def queues_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever holds a table is queued behind, for as long as lock_timeout allows: so a test can see in pg_locks that a
    statement has come to its lock, and do something meanwhile."""
    monkeypatch.setattr(LockQueue, "old", lambda queue, locks: ())
    monkeypatch.setattr(LockQueue, "patience_ms", lambda queue, most: most)


@pytest.fixture
def make_database(server: Server, request: pytest.FixtureRequest) -> Iterator[MakeDatabase]:
    """Make more databases, owned by `migrator`; they go away with the test."""
    names: list[str] = []

    def make(name: str = "extra", *, script: str = "") -> Endpoint:
        stem = re.sub(r"[^a-z0-9]+", "_", f"{name}_{request.node.name}".lower())[:50]
        names.append(f"{stem}_{next(_numbers)}")
        return database_on(server, names[-1], script=script)

    yield make
    _drop(server, names)


@pytest.fixture
def database(make_database: MakeDatabase) -> Endpoint:
    """A fresh, empty database; its owner is no superuser."""
    return make_database("test")


@pytest.fixture
def superuser(server: Server, database: Endpoint) -> str:
    """A superuser's connection string to the test's database."""
    return server.conninfo(str(conninfo_to_dict(database.conninfo)["dbname"]))


@pytest.fixture
def copies(copies_server: Server) -> Iterator[Endpoint]:
    """Where copies are restored: a role that may create databases and roles; what it leaves is dropped after the
    test."""
    yield Endpoint(conninfo=_conninfo(copies_server, "postgres", RESTORER), name="copies")
    with _admin(copies_server) as conn:
        left = conn.execute("SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'")
        for (name,) in left.fetchall():
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        roles = conn.execute("SELECT rolname FROM pg_roles WHERE oid >= 16384 AND rolname <> %s", (RESTORER,))
        for (name,) in roles.fetchall():
            conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def settings_of(programs: Programs) -> dict[str, Setting]:
    """Half of what a login costs is the hashing of its password, and tests log in a hundred thousand times."""
    return {**FAST, **({"scram_iterations": 1} if programs.major >= 16 else {})}


def prepare_for_copies(server: Server) -> Endpoint:
    """What a server for restored copies must have, and our role there."""
    with _admin(server) as conn:
        _login(conn, RESTORER, "CREATEDB CREATEROLE")
        conn.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE postgres TO {}").format(sql.Identifier(RESTORER)))
    return Endpoint(conninfo=_conninfo(server, "postgres", RESTORER), name="copies")


def database_on(server: Server, name: str, *, script: str = "") -> Endpoint:
    """A new database `name` on a server that `_prepare` has seen; `script` runs in it as its owner."""
    with _admin(server) as conn:
        strategy = "STRATEGY file_copy" if conn.info.server_version >= 150000 else ""  # as 14 does, and cheaper
        conn.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {} {}").format(
                sql.Identifier(name), sql.Identifier(TEMPLATE), sql.Identifier(OWNER), sql.SQL(strategy)
            )
        )
    endpoint = Endpoint(conninfo=_conninfo(server, name, OWNER), name=name)
    if script:
        with psycopg.connect(endpoint.conninfo) as conn:
            conn.execute(script)
    return endpoint


def _drop(server: Server, names: Iterable[str]) -> None:
    with _admin(server) as conn:
        for name in names:
            conn.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _prepare(server: Server) -> None:
    with _admin(server) as conn:
        own = conninfo_to_dict(server.conninfo())
        conn.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(own["user"]), sql.Literal(own["password"]))
        )
        _login(conn, OWNER, "")
        conn.execute(sql.SQL("GRANT pg_monitor, pg_signal_backend TO {}").format(sql.Identifier(OWNER)))
        conn.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} IS_TEMPLATE true").format(
                sql.Identifier(TEMPLATE), sql.Identifier(OWNER)
            )
        )
    with psycopg.connect(server.conninfo(TEMPLATE)) as conn:
        # PostgreSQL 14 gives `public` to everybody, 15 and later to the database's owner: the same on all of them.
        conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        conn.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(sql.Identifier(OWNER)))


def _login(conn: psycopg.Connection, role: str, attributes: str) -> None:
    conn.execute(
        sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}").format(
            sql.Identifier(role), sql.SQL(attributes), sql.Literal(PASSWORD)
        )
    )


def _admin(server: Server) -> psycopg.Connection:
    return psycopg.connect(server.conninfo(), autocommit=True)


def _conninfo(server: Server, dbname: str, user: str) -> str:
    return make_conninfo(host="127.0.0.1", port=server.port, dbname=dbname, user=user, password=PASSWORD)
