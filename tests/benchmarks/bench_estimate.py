"""How far the estimates of `migrator analyze` are from what really happens, beside the naive estimate.

Each operation runs on a table of each size with one index and with four. `error` is |log2(estimate / actual)|: 1 means
twice or half as long. The naive way divides the table's size by 100 MB/s, whatever is done with it. Run it on a machine
that does nothing else: `python tests/benchmarks/bench_estimate.py [--sizes 100000,1000000,5000000] [--major 16]`. On a
busy one `--cpu` compares processor time of the server's process, on Linux and without parallel workers.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import psycopg

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from migrator.embedded import FAST, Server, find_programs  # noqa: E402 - the path above
from migrator.estimate.ask import look  # noqa: E402
from migrator.estimate.calibrate import calibrated, measure  # noqa: E402
from migrator.estimate.model import Profile  # noqa: E402
from migrator.inspection import inspect  # noqa: E402
from migrator.session import Endpoint, connect  # noqa: E402
from migrator.statements import parse  # noqa: E402

NAIVE_BYTES = 100 * 1024 * 1024
BRIEF = 0.02
"""Seconds under which nobody cares; both are taken as this."""

TABLES = """
CREATE TABLE tenants (id int PRIMARY KEY);
INSERT INTO tenants SELECT generate_series(0, 999);
CREATE TABLE messages (
    id bigint, tenant_id int, amount int, email varchar(60), price numeric, created_at timestamptz, body text
);
"""
FILL = """
INSERT INTO messages
SELECT i, (random() * random() * 999)::int, (random() * 1e9)::int, md5(i::text) || '@example.org',
       (random() * 1e6)::numeric(14, 3), timestamptz '2024-01-01' + i * interval '30 seconds',
       repeat('x', 20 + (random() * 40)::int)
FROM generate_series(1, {rows}) AS i
"""
INDEXES = (
    "CREATE INDEX messages_id ON messages (id)",
    "CREATE INDEX messages_email ON messages (email)",
    "CREATE INDEX messages_amount ON messages (amount)",
    "CREATE INDEX messages_tenant_created ON messages (tenant_id, created_at)",
)
PREPARED = """
ALTER TABLE messages ADD CONSTRAINT later CHECK (amount >= 0) NOT VALID;
ALTER TABLE messages ADD CONSTRAINT later_fk FOREIGN KEY (tenant_id) REFERENCES tenants NOT VALID;
"""
OPERATIONS = (
    "ALTER TABLE messages ALTER amount SET NOT NULL",
    "ALTER TABLE messages ADD CHECK (amount >= 0)",
    "ALTER TABLE messages ADD CHECK (amount >= 0 AND id > 0 AND price >= 0)",
    "ALTER TABLE messages ADD CHECK (email ~ '^[^@]+@[^@]+$')",
    "ALTER TABLE messages ADD CHECK (length(body) < 1000)",
    "ALTER TABLE messages VALIDATE CONSTRAINT later",
    "ALTER TABLE messages ADD FOREIGN KEY (tenant_id) REFERENCES tenants",
    "ALTER TABLE messages VALIDATE CONSTRAINT later_fk",
    "ALTER TABLE messages ADD UNIQUE (email)",
    "ALTER TABLE messages ADD UNIQUE (id)",
    "ALTER TABLE messages ADD PRIMARY KEY (id)",
    "ALTER TABLE messages ALTER amount TYPE bigint",
    "ALTER TABLE messages ALTER body TYPE varchar(200)",
    "ALTER TABLE messages ALTER price TYPE numeric(12, 2)",
    "ALTER TABLE messages ALTER email TYPE text",
    "ALTER TABLE messages ALTER price TYPE text USING price::text",
    "ALTER TABLE messages ADD COLUMN flag boolean NOT NULL DEFAULT false",
    "ALTER TABLE messages ADD COLUMN uid uuid DEFAULT gen_random_uuid()",
    "ALTER TABLE messages ADD COLUMN seen timestamptz DEFAULT clock_timestamp()",
    "ALTER TABLE messages ADD COLUMN number bigserial",
    "ALTER TABLE messages ADD COLUMN lowered text GENERATED ALWAYS AS (lower(email)) STORED",
    "ALTER TABLE messages SET UNLOGGED",
    "CREATE INDEX ON messages (amount)",
    "CREATE INDEX ON messages (id)",
    "CREATE INDEX ON messages (email)",
    "CREATE INDEX ON messages (created_at)",
    "CREATE INDEX ON messages (price)",
    "CREATE INDEX ON messages (tenant_id, created_at)",
    "CREATE INDEX ON messages (tenant_id)",
    "CREATE INDEX ON messages (lower(email))",
    "CREATE INDEX ON messages (created_at) WHERE tenant_id < 10",
    "CREATE INDEX ON messages USING hash (email)",
    "CREATE INDEX ON messages USING brin (created_at)",
    "REINDEX TABLE messages",
    "CREATE TABLE copied AS SELECT * FROM messages",
    "CREATE TABLE grouped AS SELECT tenant_id, count(*) FROM messages GROUP BY tenant_id",
    "INSERT INTO messages SELECT id + 100000000, tenant_id, amount, email, price, created_at, body FROM messages",
    "DELETE FROM messages WHERE tenant_id < 100",
    "UPDATE messages SET amount = amount + 1 WHERE tenant_id < 100",
    "UPDATE messages SET amount = amount + 1",
)
DIRTY = ("INSERT", "DELETE", "UPDATE")
"""These leave dead rows behind although they are rolled back: the table is made anew."""


@dataclass(frozen=True)
class Measured:
    rows: int
    indexes: int
    sql: str
    actual: float
    estimate: float
    default: float
    naive: float
    p90: float
    wal: float
    wal_estimate: float

    def error(self, value: float) -> float:
        return abs(math.log2(max(value, BRIEF) / max(self.actual, BRIEF)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="100000,1000000")
    parser.add_argument("--major", type=int, default=16)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    found: list[Measured] = []
    with Server.temporary(programs=find_programs(args.major), settings=FAST) as server:
        endpoint = Endpoint(server.conninfo(), name="benchmark")
        profile = _profile(endpoint, cpu=args.cpu)
        for rows in map(int, args.sizes.split(",")):
            for count in (1, len(INDEXES)):
                found += _measure_all(endpoint, profile, rows, count, cpu=args.cpu)
    print(f"\n{len(found)} measurements")
    for title, errors in (
        ("calibrated", [item.error(item.estimate) for item in found]),
        ("default costs", [item.error(item.default) for item in found]),
        ("naive, bytes / 100 MB/s", [item.error(item.naive) for item in found]),
    ):
        print(f"{title:26} |log2| median {statistics.median(errors):.2f}, P90 {_p90(errors):.2f}")
    within = sum(max(item.actual, BRIEF) <= max(item.p90, BRIEF) for item in found) / len(found)
    print(f"actual below the estimate's P90 in {within:.0%} of the cases")
    wal = [abs(math.log2(max(m.wal_estimate, 1e6) / max(m.wal, 1e6))) for m in found]
    print(f"WAL bytes: |log2| median {statistics.median(wal):.2f}, P90 {_p90(wal):.2f}")


def _measure_all(endpoint: Endpoint, profile: Profile, rows: int, count: int, *, cpu: bool) -> list[Measured]:
    found = []
    with psycopg.connect(endpoint.conninfo, autocommit=True) as conn:
        _make(conn, rows, count)
        timer = _timer(conn, cpu=cpu)
        for sql in OPERATIONS:
            estimate, default = (_estimate(endpoint, sql, given) for given in (profile, None))
            actual, wal = _run(conn, sql, timer)
            size = conn.execute("SELECT pg_table_size('messages')").fetchone()
            item = Measured(
                rows=rows,
                indexes=count,
                sql=sql,
                actual=actual,
                estimate=estimate.seconds_p50,
                default=default.seconds_p50,
                naive=(size[0] if size else 0) / NAIVE_BYTES,
                p90=estimate.seconds_p90,
                wal=wal,
                wal_estimate=estimate.wal_bytes,
            )
            found.append(item)
            print(
                f"{rows:>8,} rows {count} idx  {item.actual:8.3f} s  estimate {item.estimate:8.3f}"
                f"  error {item.error(item.estimate):4.2f}  naive {item.naive:6.2f}"
                f"  WAL {item.wal / 1e6:6.0f}/{item.wal_estimate / 1e6:.0f} MB  {sql[:64]}",
                flush=True,
            )
            if sql.startswith(DIRTY):
                _make(conn, rows, count)
    return found


def _make(conn: psycopg.Connection, rows: int, count: int) -> None:
    conn.execute("DROP TABLE IF EXISTS messages, tenants CASCADE")
    conn.execute(TABLES)
    conn.execute(FILL.format(rows=rows))
    for statement in INDEXES[:count]:
        conn.execute(statement)
    conn.execute(PREPARED)
    conn.execute("VACUUM ANALYZE messages")
    conn.execute("ANALYZE tenants")
    conn.execute("CHECKPOINT")


def _estimate(endpoint: Endpoint, sql: str, profile: Profile | None):
    parsed = parse(sql, file="operation.sql")
    with connect(endpoint, purpose="observe") as conn:
        facts, basis = look(conn, [parsed], role=None, measured=profile)
    return inspect((parsed,), facts=facts, basis=basis).estimates["operation.sql", 0]


def _profile(endpoint: Endpoint, *, cpu: bool) -> Profile:
    now = datetime.now(timezone.utc)
    if not cpu:
        return calibrated(endpoint, clock=lambda: now)
    with connect(endpoint, purpose="calibrate") as conn:
        return Profile(costs=measure(conn, rows=300_000, timer=_timer(conn, cpu=True)), calibrated_at=now)


def _timer(conn: psycopg.Connection, *, cpu: bool) -> Callable[[], float]:
    if not cpu:
        return time.perf_counter
    for setting in ("max_parallel_maintenance_workers", "max_parallel_workers_per_gather"):
        conn.execute(f"SET {setting} = 0")
    stat = Path(f"/proc/{conn.info.backend_pid}/stat")

    def spent() -> float:
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    return spent


def _run(conn: psycopg.Connection, sql: str, timer: Callable[[], float]) -> tuple[float, float]:
    before = _lsn(conn)
    with conn.transaction(force_rollback=True):
        started = timer()
        conn.execute(sql)
        seconds = timer() - started
        wal = _lsn(conn) - before
    return seconds, wal


def _lsn(conn: psycopg.Connection) -> float:
    row = conn.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    return float(row[0]) if row else 0.0


def _p90(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


if __name__ == "__main__":
    main()
