"""An owner hangs code onto a table while the engine is about to read it: it is not run, whenever it becomes visible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from migrator.analysis.data_checks import look_for
from migrator.analysis.estimate import planner
from migrator.database import fingerprint, sequences
from migrator.database.held import Beside
from migrator.database.session import Endpoint, connect
from migrator.errors import TransientError
from migrator.evidence import TableFingerprint
from migrator.gates import sequences as next_values
from migrator.history import baseline, foreign_ledgers
from migrator.parsing.statements import parse
from tests.integration.conftest import PASSWORD
from tests.integration.stages import query

pytestmark = pytest.mark.usefixtures("queues_at_once")

OTHER = "owner_meanwhile"
SCRIPT = """
CREATE TABLE t (id serial, name text, twice int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO t VALUES (1, 'a'), (2, NULL);
CREATE FUNCTION trap(text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_user = 'migrator' THEN
        PERFORM pg_advisory_lock(4711);
    END IF;
    RETURN true;
END $$;
"""
TRAPS = {
    "index": "CREATE INDEX late ON public.t (id) WHERE public.trap('x')",
    "statistics": "CREATE STATISTICS public.late ON id, (public.trap(name || 'x')), (public.trap('x')) FROM public.t",
}


@pytest.fixture
def owner(database: Endpoint, superuser: str) -> Iterator[Endpoint]:
    """A role of the application that owns the table and the sequence, both of which the migrator may use."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {OTHER} LOGIN PASSWORD '{PASSWORD}'")
        try:
            conn.execute(f"GRANT CREATE, USAGE ON SCHEMA public TO {OTHER}; SET ROLE {OTHER}; {SCRIPT}".encode())
            conn.execute("GRANT ALL ON t, t_id_seq TO migrator; RESET ROLE")
            yield replace(database, conninfo=make_conninfo(database.conninfo, user=OTHER))
        finally:
            conn.execute(f"RESET ROLE; DROP OWNED BY {OTHER} CASCADE; DROP ROLE {OTHER}")


def caught(conn: psycopg.Connection) -> bool:
    """Whether this very session has run the trap, as the migrator."""
    mine = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    return conn.execute(mine).fetchone() is not None


def waits(conn: psycopg.Connection, doing: Future[object]) -> None:
    while not doing.done() and not conn.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
        pass


@contextmanager
def committed_once_it_waits(owner: Endpoint, trap: str, read: Callable[[], object]) -> Iterator[Future[object]]:
    """`read` begins while the trap is there and nobody sees it; what it waits for then is the trap's own lock."""
    with (
        psycopg.connect(owner.conninfo) as holder,
        psycopg.connect(owner.conninfo, autocommit=True) as watching,
        ThreadPoolExecutor(1) as pool,
    ):
        holder.execute(trap.encode())
        doing = pool.submit(read)
        waits(watching, doing)
        holder.commit()
        yield doing


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_an_estimate(database: Endpoint, owner: Endpoint, trap: str) -> None:
    (statement,) = parse("UPDATE t SET name = 'x' WHERE id = 1", file="f.sql").statements
    with connect(database, purpose="validate") as conn:
        assert planner.planned(conn, statement) is not None
        with committed_once_it_waits(owner, trap, lambda: planner.planned(conn, statement)) as doing:
            assert doing.result() is None
        assert not caught(conn)


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_a_check_of_data(database: Endpoint, owner: Endpoint, trap: str) -> None:
    statements = parse("ALTER TABLE t ALTER name SET NOT NULL", file="f.sql").statements
    with connect(database, purpose="validate") as conn:
        (found,) = look_for(conn, statements)
        assert found.rows == 1
        with committed_once_it_waits(owner, trap, lambda: look_for(conn, statements)) as doing:
            (found,) = doing.result()
        assert "functions of the table's owner" in found.reason
        assert not caught(conn)


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_the_largest_value_of_a_column(database: Endpoint, owner: Endpoint, trap: str) -> None:
    with connect(database, purpose="verify") as conn:
        state = sequences.read(conn)
        assert next_values.look(conn, state, state.feeds).compared == 1
        with committed_once_it_waits(owner, trap, lambda: next_values.look(conn, state, state.feeds)) as doing:
            assert "functions of the table's owner" in doing.result().left_out[0]
        assert "functions of the table's owner" in next_values.look(conn, state, state.feeds).left_out[0]
        assert not caught(conn)


@pytest.mark.parametrize("rights", ["ALL", "SELECT"])
@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_the_hash_of_a_snapshot(database: Endpoint, owner: Endpoint, trap: str, rights: str) -> None:
    """Made while a larger table is hashed, and after the snapshot, in which it cannot be seen."""
    query(owner, "CREATE TABLE larger AS SELECT g AS id, repeat('x', 999) AS x FROM generate_series(1, 99) AS g")
    query(owner, f"REVOKE ALL ON t, larger FROM migrator; GRANT {rights} ON t, larger TO migrator")
    with connect(database, purpose="snapshot") as conn, Beside(database) as beside:
        calm = fingerprint.tables(conn, beside=beside)
        assert calm == fingerprint.tables(conn)
        conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        read: list[str] = []

        def late(table: TableFingerprint) -> None:
            read.append(table.table)
            if len(read) == 1:
                query(owner, trap)

        assert fingerprint.tables(conn, beside=beside, observe=late) == calm
        assert read == ["public.larger", "public.t"]
        assert not caught(conn)
        fingerprint.tables(conn)
        assert caught(conn), "without a session beside it is run"


def test_the_hash_of_a_table_that_somebody_keeps(database: Endpoint, owner: Endpoint) -> None:
    with connect(database, purpose="snapshot") as conn, Beside(database) as beside:
        calm = fingerprint.tables(conn, beside=beside)
        trap = TRAPS["index"]
        with committed_once_it_waits(owner, trap, lambda: fingerprint.tables(conn, beside=beside)) as doing:
            assert doing.result() == calm
        with psycopg.connect(owner.conninfo) as holder:
            holder.execute("LOCK TABLE public.t IN SHARE MODE")
            assert fingerprint.tables(conn, beside=beside) == calm
        assert not caught(conn)


HISTORIES = {
    "the runbook's": (
        "CREATE TABLE schema_migrations (version text, status text); INSERT INTO schema_migrations VALUES ('1', 'bad');"
        "CREATE INDEX ON schema_migrations (version) WHERE trap('x'); GRANT SELECT ON schema_migrations TO migrator",
        baseline.legacy_rows,
    ),
    "another tool's": (
        "CREATE TABLE flyway_schema_history (installed_rank int, version varchar(50), description varchar(200), type"
        " varchar(20), installed_by varchar(100), installed_on timestamp, success boolean, more int[]);"
        "INSERT INTO flyway_schema_history VALUES (1, '1', 'a', 'SQL', 'x', '2024-01-02', true, '{1}');"
        "CREATE INDEX ON flyway_schema_history (version) WHERE trap('x');"
        "GRANT SELECT ON flyway_schema_history TO migrator",
        lambda conn: foreign_ledgers.read(conn, foreign_ledgers.find("flyway")),
    ),
}


@pytest.mark.parametrize("history", HISTORIES)
def test_a_history(database: Endpoint, owner: Endpoint, history: str) -> None:
    script, read = HISTORIES[history]
    query(owner, script)
    with connect(database, purpose="baseline") as conn:
        assert [row.version for row in read(conn)] == ["1"]
        assert not caught(conn)
        with psycopg.connect(database.conninfo) as other:
            other.execute("SELECT version FROM public.flyway_schema_history" if "tool" in history else
                          "SELECT version FROM public.schema_migrations")  # fmt: skip
            assert caught(other), "a query runs it"


def test_a_sequence_that_becomes_a_table(database: Endpoint, owner: Endpoint) -> None:
    swap = (
        "ALTER SEQUENCE t_id_seq RENAME TO old; CREATE TABLE t_id_seq (last_value bigint, is_called boolean);"
        "GRANT ALL ON t_id_seq TO migrator; CREATE INDEX ON t_id_seq (last_value) WHERE trap('x')"
    )
    back = "DROP TABLE t_id_seq; ALTER SEQUENCE old RENAME TO t_id_seq"
    with connect(database, purpose="verify") as conn:
        (position,) = sequences.read(conn).positions.values()
        with committed_once_it_waits(owner, swap, lambda: sequences.read(conn)) as doing:
            assert list(doing.result().positions) == ["public.old"]
        query(owner, back)
        with committed_once_it_waits(owner, swap, lambda: sequences.again(conn, position)) as doing:
            assert isinstance(doing.exception(), TransientError)
        assert not caught(conn)


def test_a_table_that_may_not_be_locked_is_not_read(database: Endpoint, owner: Endpoint) -> None:
    query(owner, "REVOKE ALL ON t FROM migrator; GRANT SELECT ON t TO migrator")
    with connect(database, purpose="verify") as conn:
        state = sequences.read(conn)
        assert "it may not be locked" in next_values.look(conn, state, state.feeds).left_out[0]
