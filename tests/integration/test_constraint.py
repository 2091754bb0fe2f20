"""Step kind `constraint` on a real server: added while others write, resumed and undone from wherever it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from migrator.catalogue.catalogue import load_one
from migrator.database.session import Endpoint, major_of
from migrator.errors import AnalysisRefused, LockNotAvailable, MigratorError, StatementFailed, VerifyFailed
from migrator.evidence import Verdict
from migrator.plan import Plan, Severity, Statement
from migrator.run import RunContext
from migrator.stages import dry_run
from migrator.stages.analyze import run_analyze
from migrator.steps import concurrent_index, piecewise, transaction
from migrator.steps.context import StatementResult
from tests.evidence import read_schema
from tests.factories import NOW
from tests.factories_evidence import record_of, restore_of
from tests.integration.conftest import MakeDatabase
from tests.integration.copies import COPY, make_copy
from tests.integration.stages import apply_all, query, roll_back, verify_it
from tests.unit.steps.test_kinds import folder

TABLES = """
CREATE TABLE tenants (id int PRIMARY KEY);
CREATE TABLE messages (id int, tenant_id int, body text);
INSERT INTO tenants SELECT generate_series(1, 9);
INSERT INTO messages SELECT g, g % 9 + 1, 'body ' || g FROM generate_series(1, 500) AS g;
"""
DEFINITIONS = {
    "not null": "NOT NULL tenant_id",
    "check": "CHECK (tenant_id > 0 AND body <> '')",
    "foreign key": "FOREIGN KEY (tenant_id) REFERENCES public.tenants (id) ON DELETE CASCADE",
    "unique": "UNIQUE (id) INCLUDE (body) DEFERRABLE",
    "primary key": "PRIMARY KEY (id, tenant_id)",
}
BREAKS = {
    "not null": "INSERT INTO messages VALUES (900, NULL, 'private')",
    "check": "INSERT INTO messages VALUES (900, -1, 'private')",
    "foreign key": "INSERT INTO messages VALUES (900, 77, 'private')",
    "unique": "INSERT INTO messages VALUES (500, 1, 'private')",
    "primary key": "INSERT INTO messages VALUES (500, 500 % 9 + 1, 'private')",
}
FORCES = {
    "not null": "SELECT attnotnull FROM pg_attribute WHERE attrelid = 'messages'::regclass AND attname = 'tenant_id'",
}
"""Whether it is there; of the others the constraint's own row tells."""
RUN = RunContext(run_id="run-1", version="001_test", target="test", actor="tester", clock=lambda: NOW)
SAME_WAY = ("check", "foreign key", "unique")
"""What they are added by, others are as well."""
each_kind = pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[pytest.mark.thorough] * (what in SAME_WAY)) for what in DEFINITIONS]
)


def planned(
    endpoint: Endpoint, tmp_path: Path, definition: str, *, table: str = "public.messages", name: str = "added"
) -> Plan:
    """As the stage makes it, from metadata on disk and what the server says."""
    step = {"name": "constrain", "kind": "constraint", "table": table, "constraint": name, "definition": definition}
    root = folder(tmp_path, [step], {}, risk_level="high")
    migration = load_one(root, "001_one")
    plan = run_analyze(migration, target=None, catalogue=None, endpoint=endpoint, ledger=None, run=RUN)
    assert not [one for one in plan.findings if one.severity is not Severity.INFO], plan.findings
    return replace(plan, version="001_test", target="test", environment="development")


def is_there(endpoint: Endpoint, what: str = "") -> bool:
    row = "SELECT convalidated FROM pg_constraint WHERE conname = 'added' AND conrelid = 'messages'::regclass"
    return query(endpoint, FORCES.get(what, row)) == [(True,)]


@each_kind
def test_it_is_added_verified_and_undone(each_database: MakeDatabase, tmp_path: Path, what: str) -> None:
    database = each_database(script=TABLES)
    before = read_schema(database)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    apply_all(plan, database)
    assert is_there(database, what)
    with pytest.raises(psycopg.errors.IntegrityError):
        query(database, BREAKS[what])
    verify_it(plan, database)
    assert roll_back(plan, database, force=True).action == "rolled_back"
    assert read_schema(database).fingerprint == before.fingerprint
    query(database, BREAKS[what])


def test_a_check_that_was_there_is_not_dropped_as_a_helper(each_database: MakeDatabase, tmp_path: Path) -> None:
    """By the name and the definition of what proves a NOT NULL before PostgreSQL 18."""
    database = each_database(script="CREATE TABLE kept (a int)")
    if major_of(database) >= 18:
        pytest.skip("a NOT NULL is a constraint of its own there")
    plan = planned(database, tmp_path, "NOT NULL a", table="public.kept")
    query(database, "ALTER TABLE kept ADD CONSTRAINT added CHECK (a IS NOT NULL)")
    before = read_schema(database)
    apply_all(plan, database)
    there = (
        "SELECT convalidated, attnotnull FROM pg_constraint JOIN pg_attribute ON attrelid = conrelid AND attname = 'a'"
    )
    assert query(database, f"{there} WHERE conname = 'added'") == [(True, True)]
    assert roll_back(plan, database, force=True).action == "rolled_back"
    assert read_schema(database).fingerprint == before.fingerprint


def registered(database: Endpoint) -> list[tuple[Any, ...]]:
    return query(
        database,
        "SELECT class, schema_name, table_name, object_name, step, needed, made_at <= gone_at"
        " FROM migrator.schema_migration_objects WHERE class = 'constraint'",
    )


def test_what_proves_a_not_null_is_registered_where_it_is_added(
    each_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the transaction that adds it; from PostgreSQL 18 it is what was wanted, and stays."""
    database = each_database(script=TABLES)
    plan = planned(database, tmp_path, DEFINITIONS["not null"])
    (step,) = plan.steps
    adding, validating = (
        next(one.index for one in step.statements if word in one.sql) for word in ("ADD CONSTRAINT", "VALIDATE CONSTR")
    )
    with pytest.raises(MigratorError), killed(monkeypatch, database, adding, before=False):
        apply_all(plan, database)
    assert registered(database) == [], "what did not commit is not there"
    with pytest.raises(MigratorError), killed(monkeypatch, database, validating, before=True):
        apply_all(plan, database)
    row = ("constraint", "public", "messages", "added", "constrain", True)
    old = major_of(database) < 18
    assert registered(database) == ([(*row, None)] if old else [])
    apply_all(plan, database)
    assert registered(database) == ([(*row, True)] if old else [])


def steps_of(plan: Plan) -> int:
    (step,) = plan.steps
    return len(step.statements)


@contextmanager
def killed(monkeypatch: pytest.MonkeyPatch, database: Endpoint, at: int, *, before: bool) -> Iterator[None]:
    """The server ends the session right before, or right after, it has executed the statement at this place."""
    real = transaction.execute

    def execute(statement: Statement, step: Any, ctx: Any, conn: Any) -> StatementResult:
        def kill() -> None:
            query(database, f"SELECT pg_terminate_backend({conn.info.backend_pid}, 5000)")

        if statement.index == at and before:
            kill()
        result = real(statement, step, ctx, conn)
        if statement.index == at and not before:
            kill()
        return result

    with monkeypatch.context() as patched:
        patched.setattr(transaction, "execute", execute)
        patched.setattr(piecewise, "send", execute)
        patched.setattr(concurrent_index, "send", execute)
        yield


@each_kind
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_killed_at_every_piece(
    make_database: MakeDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, before: bool
) -> None:
    """One attempt after the other, each killed one piece later; in between it is undone once from there."""
    database = make_database(script=TABLES)
    start = read_schema(database)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    for at in range(steps_of(plan)):
        with killed(monkeypatch, database, at, before=before), pytest.raises(MigratorError):
            apply_all(plan, database)
        roll_back(plan, database, force=True)
        assert read_schema(database).fingerprint == start.fingerprint, f"rolled back after {at}"
    for at in range(steps_of(plan)):
        with killed(monkeypatch, database, at, before=before), pytest.raises(MigratorError):
            apply_all(plan, database, run_id="run-2")
    apply_all(plan, database, run_id="run-2")
    assert is_there(database, what)
    verify_it(plan, database, run_id="run-2")


@each_kind
def test_rows_that_violate_it_are_counted_and_nothing_is_changed(
    database: Endpoint, tmp_path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    query(database, BREAKS[what])
    before = read_schema(database)
    with pytest.raises(StatementFailed, match=r"#constrain:1: 1 (row|value) of public\.messages violates ") as caught:
        apply_all(plan, database)
    assert read_schema(database).fingerprint == before.fingerprint
    assert "private" not in str(caught.value) + caplog.text
    found = str(caught.value).partition("this finds them: ")[2]
    assert len(query(database, found.replace("SELECT *", "SELECT 1"))) == 1
    query(database, "DELETE FROM messages WHERE body = 'private'")
    apply_all(plan, database)
    assert is_there(database, what)


@each_kind
def test_a_violation_that_comes_after_the_count_stops_it_in_the_open(
    database: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """By who writes between the count and the first piece; what is there already refuses them from then on."""
    query(database, TABLES)
    before = read_schema(database)
    plan = planned(database, tmp_path, DEFINITIONS[what])

    def execute(statement: Statement, step: Any, ctx: Any, conn: Any) -> StatementResult:
        result = send(statement, step, ctx, conn)
        if statement.index == counts - 1:
            query(database, BREAKS[what])
        return result

    send, counts = transaction.execute, sum(one.kind == "SELECT" for one in plan.steps[0].statements)
    with monkeypatch.context() as patched:
        patched.setattr(transaction, "execute", execute)
        patched.setattr(piecewise, "send", execute)
        with pytest.raises(StatementFailed) as caught:
            apply_all(plan, database)
    assert caught.value.fields["sqlstate"].startswith("23")
    with pytest.raises(StatementFailed):
        apply_all(plan, database)
    query(database, "DELETE FROM messages WHERE body = 'private'")
    apply_all(plan, database)
    assert is_there(database, what)
    roll_back(plan, database, force=True)
    assert read_schema(database).fingerprint == before.fingerprint


@each_kind
def test_the_dry_run_proves_it_and_its_way_back(
    database: Endpoint, copies: Endpoint, tmp_path: Path, what: str
) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    record = record_of(make_copy(copies, TABLES))
    evidence = dry_run.run(plan, record, restore_of(record, COPY), copies=copies, run=RUN)
    assert evidence.verdict is Verdict.PASSED
    assert [trace.kind for trace in evidence.statements] == [one.kind for one in plan.steps[0].statements]


@contextmanager
def idle_in_transaction(endpoint: Endpoint, sql: str = "SELECT FROM messages LIMIT 1") -> Iterator[int]:
    with psycopg.connect(endpoint.conninfo) as conn:
        conn.execute(sql.encode())
        yield conn.info.backend_pid
        conn.rollback()


def test_who_blocks_it_is_named_and_nobody_waits_longer_than_the_lock_timeout(
    database: Endpoint, tmp_path: Path
) -> None:
    query(database, TABLES)
    plan = replace(planned(database, tmp_path, DEFINITIONS["not null"]), lock_timeout_ms=300)
    waited: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as conn:
            while not stop.is_set():
                started = time.monotonic()
                conn.execute("SELECT FROM messages LIMIT 1")
                waited.append(time.monotonic() - started)

    reader = threading.Thread(target=read)
    with idle_in_transaction(database) as pid:
        reader.start()
        with pytest.raises(LockNotAvailable, match=str(pid)):
            apply_all(plan, database, deadline_seconds=1.5)
        stop.set()
        reader.join()
    assert max(waited) < 0.25, "behind a try it would be lock_timeout"
    apply_all(plan, database)
    assert is_there(database, "not null")


@pytest.mark.usefixtures("queues_at_once")
def test_who_has_written_to_the_referenced_table_can_go_on_in_the_other(database: Endpoint, tmp_path: Path) -> None:
    """ALTER TABLE alone would hold the one while it waits for the other: a deadlock."""
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS["foreign key"])
    with psycopg.connect(database.conninfo) as conn, ThreadPoolExecutor(1) as pool:
        conn.execute("INSERT INTO tenants VALUES (10)")
        applied = pool.submit(apply_all, plan, database)
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'public.tenants'::regclass"
        while not query(database, waiting):
            assert not applied.done(), applied.result()
        started = time.monotonic()
        conn.execute("INSERT INTO messages VALUES (600, 10, 'new')")
        conn.commit()
        assert time.monotonic() - started < 0.5
        applied.result()
    assert is_there(database)


@each_kind
def test_others_write_meanwhile(database: Endpoint, tmp_path: Path, what: str) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    stop, written, waited = threading.Event(), [0], [0.0]

    def write() -> None:
        with psycopg.connect(database.conninfo, autocommit=True) as conn:
            while not stop.is_set():
                started = time.monotonic()
                conn.execute(f"INSERT INTO messages VALUES ({1000 + written[0]}, 3, 'new')".encode())
                conn.execute(f"UPDATE messages SET body = 'again' WHERE id = {1 + written[0] % 500}".encode())
                written[0] += 1
                waited[0] = max(waited[0], time.monotonic() - started)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        apply_all(plan, database)
    finally:
        stop.set()
        writer.join()
    assert is_there(database, what)
    assert query(database, "SELECT count(*) FROM messages WHERE id >= 1000") == [(written[0],)]
    assert written[0] > 10
    assert waited[0] < 2.0


@each_kind
def test_what_is_there_already_stays_and_is_not_undone(database: Endpoint, tmp_path: Path, what: str) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    add = "ALTER COLUMN tenant_id SET NOT NULL" if what == "not null" else f"ADD CONSTRAINT added {DEFINITIONS[what]}"
    query(database, f"ALTER TABLE messages {add}")
    before = read_schema(database)
    (result,) = apply_all(plan, database)
    done = [one for one in result.statements if one.kind != "SELECT"]
    assert {str(one.outcome) for one in done} == {"already_done"}
    roll_back(plan, database, force=True)
    assert read_schema(database).fingerprint == before.fingerprint


@pytest.mark.parametrize("what", ["check", "foreign key"])
def test_what_is_not_valid_yet_is_adopted_and_given_back(database: Endpoint, tmp_path: Path, what: str) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    query(database, f"ALTER TABLE messages ADD CONSTRAINT added {DEFINITIONS[what]} NOT VALID")
    before = read_schema(database)
    apply_all(plan, database)
    assert is_there(database)
    roll_back(plan, database, force=True)
    assert read_schema(database).fingerprint == before.fingerprint


@each_kind
def test_another_constraint_of_the_name_is_refused_and_left_alone(
    database: Endpoint, tmp_path: Path, what: str
) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS[what])
    query(database, "ALTER TABLE messages ADD CONSTRAINT added CHECK (id < 100000)")
    before = read_schema(database)
    with pytest.raises(StatementFailed, match="the table has a constraint added already, and it is another one"):
        apply_all(plan, database)
    roll_back(plan, database, force=True)
    assert read_schema(database).fingerprint == before.fingerprint


def test_an_index_of_the_name_is_refused_and_left_alone(database: Endpoint, tmp_path: Path) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS["unique"])
    query(database, "CREATE UNIQUE INDEX added ON messages (id) INCLUDE (body)")
    before = read_schema(database)
    with pytest.raises(
        StatementFailed, match=r"there is a valid index .*added.* already, which this step has not made"
    ):
        apply_all(plan, database)
    roll_back(plan, database, force=True)
    assert read_schema(database).fingerprint == before.fingerprint


def test_verify_tells_what_is_gone(database: Endpoint, tmp_path: Path) -> None:
    query(database, TABLES)
    plan = planned(database, tmp_path, DEFINITIONS["check"])
    apply_all(plan, database)
    query(database, "ALTER TABLE messages DROP CONSTRAINT added")
    with pytest.raises(VerifyFailed, match=r"constraint added of .* is not there"):
        verify_it(plan, database)


PARTITIONED = TABLES.replace("body text);", "body text) PARTITION BY RANGE (id);", 1).replace(
    "INSERT INTO messages",
    """CREATE TABLE low PARTITION OF messages FOR VALUES FROM (0) TO (300);
    CREATE TABLE high PARTITION OF messages FOR VALUES FROM (300) TO (3000);
    INSERT INTO messages""",
)
KEYS = ("unique", "primary key")


@each_kind
def test_a_partitioned_table(each_database: MakeDatabase, tmp_path: Path, what: str) -> None:
    """What PostgreSQL adds to it as a whole only, the partitions get first: then it takes over theirs."""
    database = each_database(script=PARTITIONED)
    before, definition = read_schema(database), DEFINITIONS[what].removesuffix(" DEFERRABLE")
    as_a_whole = what in KEYS or (what == "foreign key" and major_of(database) < 18)
    tables = ["public.messages"]
    if as_a_whole:
        with pytest.raises(AnalysisRefused, match=r"is partitioned.*give it to each partition .*public\.low"):
            planned(database, tmp_path / "refused", definition)
        tables = ["public.high", "public.low"]
    plans = []
    for table in tables:
        part = table.removeprefix("public.")
        name = f"{part}_added" if as_a_whole else "added"
        plan = planned(database, tmp_path / part, definition, table=table, name=name)
        plans.append(replace(plan, version=f"001_{part}"))
    for plan in plans:
        apply_all(plan, database)
        verify_it(plan, database)
    if as_a_whole:
        query(database, f"ALTER TABLE messages ADD CONSTRAINT added {definition}")
        found = query(
            database,
            "SELECT count(*), count(c.conparentid::bigint) FILTER (WHERE p.conname = 'added') FROM pg_constraint AS c"
            " LEFT JOIN pg_constraint AS p ON p.oid = c.conparentid"
            " WHERE c.contype IN ('f', 'u', 'p') AND c.conrelid IN ('low'::regclass, 'high'::regclass)",
        )
        assert found == [(2, 2)], "it has taken over those of the partitions"
        query(database, "ALTER TABLE messages DROP CONSTRAINT added")
        return
    with pytest.raises(psycopg.errors.IntegrityError):
        query(database, BREAKS[what])
    for plan in plans:
        roll_back(plan, database, force=True)
    assert read_schema(database).fingerprint == before.fingerprint
