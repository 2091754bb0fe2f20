"""How far the estimates of `migrator analyze` are from what really happens, beside the naive estimate.

Each operation runs on a table of each size with one index and with four. `error` is |log2(estimate / actual)|: 1 means
twice or half as long. The naive way divides the table's size by 100 MB/s, whatever is done with it. The whole of it, on
a machine that does nothing else: `python tests/benchmarks/bench_estimate.py --sizes 100000,1000000,5000000 --results
FILE`. It goes on where it was interrupted; `--estimate-again` puts new estimates beside times that were measured
before, `--only REGEX --runs 3` measures some operations again. Where others work, too, `--cpu` compares processor time.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from operator import attrgetter
from pathlib import Path

import psycopg

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from migrator.analysis.estimate.ask import look, profile_of
from migrator.analysis.estimate.calibrate import calibrated, measure
from migrator.analysis.estimate.model import Profile
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.database.session import Endpoint, connect
from migrator.embedded.programs import find_programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from migrator.parsing.statements import parse
from tests.benchmarks.estimate_cases import SUITES, Suite
from tests.benchmarks.estimate_results import Key, Measured, Results, line, markdown, summary

NAIVE_BYTES = 100 * 1024 * 1024
ENOUGH_SECONDS = 1.0
"""Operations that take less are run up to `RUNS` times."""
RUNS = 3
SETTLE_SECONDS = 0.1
"""Until the postmaster has counted the processor time of the connections before this one."""
MADE, WORK = "made", "work"
"""Databases: tables as they were made, and a copy of them that an operation leaves its dead rows in."""


def main() -> None:
    args = _arguments()
    results = Results(args.results)
    clock = "cpu" if args.cpu else "wall"
    with Server.temporary(programs=find_programs(args.major), settings=FAST) as server:
        bench = Bench(server, results, SUITES[args.suite], clock=clock, runs=args.runs)
        for rows in args.sizes:
            for count in args.indexes:
                bench.measure(rows, count, only=args.only, again=args.estimate_again)
    found = [item for item in results if (item.suite, item.clock) == (args.suite, clock)]
    for row in (*summary(found), "", *markdown(found)):
        print(row)


def _arguments() -> argparse.Namespace:
    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(",")]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=numbers, default=[100_000, 1_000_000])
    parser.add_argument("--indexes", type=numbers, default=[1, 4])
    parser.add_argument("--major", type=int, default=16)
    parser.add_argument("--suite", choices=sorted(SUITES), default="forty")
    parser.add_argument("--cpu", action="store_true", help="compare processor time")
    parser.add_argument("--results", type=Path, help="JSON lines; what is in there is not measured again")
    parser.add_argument("--only", type=re.compile, help="measure these operations, also those that are in the results")
    parser.add_argument("--runs", type=int, default=0, help="of every operation, however long it takes")
    parser.add_argument("--estimate-again", action="store_true", help="new estimates for what was measured")
    return parser.parse_args()


@dataclass(frozen=True)
class Run:
    wall: float
    cpu: float
    others: float
    wal: float


class Bench:
    """One server, calibrated once."""

    def __init__(self, server: Server, results: Results, suite: Suite, *, clock: str, runs: int) -> None:
        self._server = server
        self._results = results
        self._suite = suite
        self._clock = clock
        self._runs = runs
        self._profile = self._calibrate()

    def _endpoint(self, database: str) -> Endpoint:
        return Endpoint(self._server.conninfo(database), name="benchmark")

    def _connect(self, database: str) -> psycopg.Connection:
        conn = psycopg.connect(self._server.conninfo(database), autocommit=True)
        if self._clock == "cpu":
            _one_process(conn)
        return conn

    def _calibrate(self) -> Profile:
        now = datetime.now(timezone.utc)
        if self._clock == "wall":
            return calibrated(self._endpoint("postgres"), clock=lambda: now)
        with connect(self._endpoint("postgres"), purpose="calibrate") as conn:
            conn.execute("SET search_path = public")
            _one_process(conn)
            pids = (conn.info.backend_pid,)
            costs, _noise = measure(conn, timer=lambda: _spent(pids))
            return replace(profile_of(conn), costs=costs, calibrated_at=now)

    def measure(self, rows: int, count: int, *, only: re.Pattern[str] | None, again: bool) -> None:
        suite = self._suite
        keys: list[Key] = [(suite.name, self._clock, rows, count, sql) for sql in suite.operations]
        wanted = [
            key
            for key in keys
            if (only is None or only.search(key[-1])) and (again or only is not None or self._results.get(key) is None)
        ]
        if not wanted:
            return
        self._make(rows, count)
        for key in wanted:
            known = self._results.get(key)
            item = self._estimated(known if again and known is not None else self._time(key))
            self._results.add(item)
            print(line(item), flush=True)

    def _make(self, rows: int, count: int) -> None:
        with self._connect("postgres") as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {WORK}")
            conn.execute(f"DROP DATABASE IF EXISTS {MADE}")
            conn.execute(f"CREATE DATABASE {MADE}")
        with self._connect(MADE) as conn:
            for statement in self._suite.statements(rows, count):
                conn.execute(statement.encode())
        self._copy()

    def _copy(self) -> None:
        """Far faster than to make the tables again; then they are read once, as an application would have them."""
        with self._connect("postgres") as conn:
            conn.execute(f"DROP DATABASE IF EXISTS {WORK} WITH (FORCE)")
            conn.execute(f"CREATE DATABASE {WORK} TEMPLATE {MADE} STRATEGY file_copy")
        with self._connect(WORK) as conn:
            conn.execute("SELECT count(*) FROM messages")
            conn.execute("CHECKPOINT")

    def _time(self, key: Key) -> Measured:
        suite, clock, rows, count, sql = key
        runs: list[Run] = []
        while not runs or len(runs) < self._runs or self._worth_another(runs):
            with self._connect(WORK) as conn:
                runs.append(self._run(conn, sql))
            if self._suite.leaves_traces(sql):
                self._copy()
        runs.sort(key=attrgetter(clock))
        middle = runs[(len(runs) - 1) // 2]
        return Measured(
            suite=suite,
            clock=clock,
            rows=rows,
            indexes=count,
            sql=sql,
            runs=tuple(round(getattr(run, clock), 4) for run in runs),
            wall=round(middle.wall, 4),
            cpu=round(middle.cpu, 3),
            others=round(middle.others, 2),
            wal=middle.wal,
            estimate=0.0,
            default=0.0,
            naive=0.0,
            p90=0.0,
            wal_estimate=0.0,
        )

    def _worth_another(self, runs: Sequence[Run]) -> bool:
        return not self._runs and len(runs) < RUNS and sum(run.wall for run in runs) < ENOUGH_SECONDS

    def _run(self, conn: psycopg.Connection, sql: str) -> Run:
        pids = [conn.info.backend_pid]
        if self._clock == "wall":
            pids.append(self._server.pid or 0)
            time.sleep(SETTLE_SECONDS)
        with conn.transaction(force_rollback=True):
            wal, spent, busy, started = _lsn(conn), _spent(pids), _busy(), time.perf_counter()
            conn.execute(sql.encode())
            wall = time.perf_counter() - started
            cpu = _spent(pids) - spent
            return Run(wall, cpu, max(0.0, _busy() - busy - cpu) / wall, _lsn(conn) - wal)

    def _estimated(self, item: Measured) -> Measured:
        estimate, default = (self._estimate(item.sql, given) for given in (self._profile, None))
        with self._connect(WORK) as conn:
            size = conn.execute("SELECT pg_table_size('messages')").fetchone()
        return replace(
            item,
            estimate=estimate.seconds_p50,
            default=default.seconds_p50,
            naive=(size[0] if size else 0) / NAIVE_BYTES,
            p90=estimate.seconds_p90,
            wal_estimate=estimate.wal_bytes,
        )

    def _estimate(self, sql: str, profile: Profile | None):
        parsed = parse(sql, file="operation.sql")
        with connect(self._endpoint(WORK), purpose="observe") as conn:
            facts, basis = look(conn, [parsed], role=None, measured=profile)
        return inspect(Sources((parsed,)), Known(facts=facts, basis=basis)).estimates["operation.sql", 0]


def _one_process(conn: psycopg.Connection) -> None:
    for setting in ("max_parallel_maintenance_workers", "max_parallel_workers_per_gather"):
        conn.execute(f"SET {setting} = 0".encode())


def _spent(pids: Iterable[int]) -> float:
    """Processor seconds of these processes, and of their children that have ended: parallel workers are the
    postmaster's. 0 where there is no /proc."""
    total = 0.0
    for pid in pids:
        try:
            own = Path(f"/proc/{pid}/schedstat").read_text().split()[0]
            children = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[13:15]
        except OSError:
            return 0.0
        total += int(own) / 1e9 + sum(map(int, children)) / os.sysconf("SC_CLK_TCK")
    return total


def _busy() -> float:
    """Processor seconds of the whole machine."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _lsn(conn: psycopg.Connection) -> float:
    row = conn.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    return float(row[0]) if row else 0.0


if __name__ == "__main__":
    main()
