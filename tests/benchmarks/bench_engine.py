"""What the engine costs beside PostgreSQL: its own time per stage, and 100 small migrations against psql.

psql does the very same statements on as many connections: the engine's are recorded with their parameters and played
back on a database that is in the same state. For comparison it also plays only what writes, on one connection: what a
script without any check would do. Prints ratios to the limits; below 1 is good. Run it with
`python tests/benchmarks/bench_engine.py [COUNT]`.
"""

from __future__ import annotations

import logging
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from migrator.catalogue import catalogue
from migrator.database.session import Endpoint
from migrator.embedded.programs import find_programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from migrator.gates.drift import start_of
from migrator.ledger.ledger import Ledger
from migrator.plan import Plan
from migrator.stages import analyze, outcome, preflight, rollback, verify
from tests.evidence import rehearse
from tests.factories import plan_from_sql
from tests.integration.conftest import _prepare, database_on
from tests.integration.stages import apply_all, make_target, run_of, verify_it

OWN_SECONDS = 0.2
RATIO = 1.5
STAGES = 5
WRITES = ("BEGIN", "COMMIT", "INSERT", "UPDATE", "DELETE", "WITH added", "CREATE TABLE")


class Clock:
    """Time that this thread spends in PostgreSQL: in the driver's waits, logins included."""

    def __init__(self) -> None:
        self.waited = 0.0
        self._thread = threading.get_ident()

    @contextmanager
    def watching(self) -> Iterator[None]:
        wait, wait_conn = psycopg.Connection.wait, psycopg.waiting.wait_conn

        def timed(original: Callable[..., Any]) -> Callable[..., Any]:
            def waiting(*args: Any, **kwargs: Any) -> Any:
                begin = time.perf_counter()
                try:
                    return original(*args, **kwargs)
                finally:
                    if threading.get_ident() == self._thread:
                        self.waited += time.perf_counter() - begin

            return waiting

        psycopg.Connection.wait = timed(wait)  # type: ignore[method-assign]
        psycopg.waiting.wait_conn = timed(wait_conn)
        try:
            yield
        finally:
            psycopg.Connection.wait = wait  # type: ignore[method-assign]
            psycopg.waiting.wait_conn = wait_conn


class Recorder:
    """Every statement that is sent, with its parameters put in, and where a new connection begins."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._connections: dict[int, psycopg.Connection[Any]] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        execute, begin, commit = psycopg.Cursor.execute, psycopg.Transaction._enter_gen, psycopg.Transaction._exit_gen
        recorder = self

        def recorded(self: Any, query: Any, params: Any = None, **kwargs: Any) -> Any:
            recorder._sent(self.connection, query, params)
            return execute(self, query, params, **kwargs)

        def begun(self: Any) -> Any:
            recorder.lines.append("BEGIN;")
            return begin(self)

        def committed(self: Any, *args: Any) -> Any:
            recorder.lines.append("COMMIT;")
            return commit(self, *args)

        psycopg.Cursor.execute = recorded  # type: ignore[method-assign]
        psycopg.Transaction._enter_gen = begun  # type: ignore[method-assign]
        psycopg.Transaction._exit_gen = committed  # type: ignore[method-assign]
        try:
            yield
        finally:
            psycopg.Cursor.execute = execute  # type: ignore[method-assign]
            psycopg.Transaction._enter_gen = begin  # type: ignore[method-assign]
            psycopg.Transaction._exit_gen = commit  # type: ignore[method-assign]

    def _sent(self, connection: Any, query: Any, params: Any) -> None:
        if id(connection) not in self._connections:
            self._connections[id(connection)] = connection  # kept, so that no other one gets its id
            self.lines.append("\\connect -reuse-previous=on dbname=:target")
        self.lines.append(psycopg.ClientCursor(connection).mogrify(query, params).rstrip(";\n ") + ";")


def small_plans(count: int) -> list[Plan]:
    return [
        plan_from_sql(
            f"CREATE TABLE small_{number} (id bigint PRIMARY KEY, name text);",
            f"DROP TABLE small_{number};",
            version=f"{number:04d}_small",
        )
        for number in range(count)
    ]


def through_engine(plans: list[Plan], database: Endpoint) -> float:
    begin = time.perf_counter()
    for plan in plans:
        apply_all(plan, database)
        verify_it(plan, database)
    return time.perf_counter() - begin


def through_psql(scripts: list[Path], database: Endpoint) -> float:
    """One psql for each migration, as the runbook has it."""
    programs = find_programs(None)
    environment = {**os.environ, **programs.env}
    begin = time.perf_counter()
    for script in scripts:
        command = [str(programs.path("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"target={database.name}"]
        done = subprocess.run(
            [*command, "-o", os.devnull, "-f", str(script), database.conninfo],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{script}: {done.stderr}")
    return time.perf_counter() - begin


def with_ledger(server: Server, name: str) -> Endpoint:
    database = database_on(server, name)
    with Ledger(database) as ledger:
        ledger.install()
    return database


def compare(server: Server, folder: Path, count: int) -> bool:
    plans, recorded = small_plans(count), with_ledger(server, "recorded")
    same: list[Path] = []
    bare: list[Path] = []
    for plan in plans:
        recorder = Recorder()
        with recorder.recording():
            through_engine([plan], recorded)
        same.append(folder / f"{plan.version}.sql")
        same[-1].write_text("\n".join(recorder.lines))
        bare.append(folder / f"{plan.version}_writes.sql")
        bare[-1].write_text("\n".join(line for line in recorder.lines if line.lstrip().startswith(WRITES)))
    engine, psql, writes = [], [], []
    for attempt in range(3):  # taking turns, so that a busy machine is busy for all
        engine.append(through_engine(plans, with_ledger(server, f"engine_{attempt}")))
        psql.append(through_psql(same, with_ledger(server, f"psql_{attempt}")))
        writes.append(through_psql(bare, with_ledger(server, f"writes_{attempt}")))
    ratio = min(engine) / min(psql)
    print(f"{count} small migrations of {len(recorder.lines)} statements and logins: engine {min(engine):.2f} s")
    print(f"  psql with the same statements {min(psql):.2f} s: ratio {ratio:.2f}, limit {RATIO}: {ratio / RATIO:.2f}")
    print(f"  psql with the writes alone {min(writes):.2f} s: ratio {min(engine) / min(writes):.2f}, no limit")
    return ratio <= RATIO


def own_time(name: str, work: Callable[[], Any]) -> tuple[Any, float]:
    clock = Clock()
    with clock.watching():
        begin = time.perf_counter()
        result = work()
        whole = time.perf_counter() - begin
    return result, whole - clock.waited


def stages(server: Server) -> bool:
    """All stages of two shipped migrations that this process carries out by itself; the median of several runs."""
    root = REPOSITORY / "migrations"
    found: dict[str, list[float]] = {}
    for number in range(STAGES):
        database, twin = (database_on(server, f"{name}_{number}") for name in ("stages", "twin"))
        for version in ("000_initial_schema", "001_add_analytics_tables"):
            one_migration(catalogue.load_one(root, version), database, twin, found)
    good = True
    for name, times in found.items():
        own = statistics.median(times)
        good = good and own <= OWN_SECONDS
        print(
            f"  {name:<10} {own * 1000:6.1f} ms of its own, limit {OWN_SECONDS * 1000:.0f} ms: {own / OWN_SECONDS:.2f}"
        )
    return good


def one_migration(migration: Any, database: Endpoint, twin: Endpoint, found: dict[str, list[float]]) -> None:
    target = make_target()
    with Ledger(database) as ledger:
        plan = measure(
            found,
            "analyze",
            lambda: analyze.analyze(migration, target=target),
        )
        bundle = rehearse(plan, database, twin)
        run = run_of(plan)
        common: dict[str, Any] = {"endpoint": database, "ledger": ledger, "run": run}
        checks = {"target": target, "migration": migration}
        measure(found, "preflight", lambda: preflight.run_checks(plan, bundle, **checks, **common))
        measure(found, "apply", lambda: apply_all(plan, database, bundle, migration=migration))
        measure(found, "rollback", lambda: rollback.run(plan, start=start_of(bundle), **common))
        apply_all(plan, database, bundle)
        measure(found, "verify", lambda: verify.run(plan, bundle, **common))
        measure(found, "outcome", lambda: outcome.run(plan, version=plan.version, **common))


def measure(found: dict[str, list[float]], name: str, work: Callable[[], Any]) -> Any:
    result, seconds = own_time(name, work)
    found.setdefault(name, []).append(seconds)
    return result


def main(count: int) -> int:
    with (
        tempfile.TemporaryDirectory() as folder,
        Server.temporary(programs=find_programs(None), settings=FAST) as server,
    ):
        logging.getLogger("migrator").setLevel(logging.ERROR)
        _prepare(server)
        print("the engine's own time per stage, without waiting for PostgreSQL:")
        good = stages(server)
        good = compare(server, Path(folder), count) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100))
