"""How many rows a second a backfill changes: beside one UPDATE, and beside batches of 1,000 rows by the key.

Run it with `python tests/benchmarks/bench_backfill.py [ROWS]`, a million unless said otherwise. The server is a
temporary one of this machine that waits for its disk; nobody else works on the table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg

sys.path[:0] = [str(Path(__file__).resolve().parents[2])]

from migrator.database.session import Endpoint
from migrator.embedded.programs import find_programs
from migrator.embedded.server import Server
from tests.evidence import make_bundle, read_schema
from tests.integration.stages import apply_all
from tests.integration.test_backfill import backfill, plan_of

FILL = "UPDATE t SET b = a * 2 WHERE b IS NULL"
BY_KEY = """
WITH batch AS (
    SELECT id FROM t WHERE id > %(last)s ORDER BY id LIMIT 1000 FOR NO KEY UPDATE
), changed AS (UPDATE t SET b = a * 2 FROM batch WHERE t.id = batch.id AND t.b IS NULL RETURNING t.id)
SELECT max(id) FROM batch
"""
TABLE = """
CREATE TABLE t (id bigint PRIMARY KEY, a int, b int, filler text);
INSERT INTO t SELECT g, g, NULL, repeat('x', 100) FROM generate_series(1, {rows}) AS g;
ANALYZE t;
"""


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    ways: dict[str, Callable[[str], None]] = {
        "one UPDATE": at_once,
        "by the key, 1,000 rows": by_key,
        "step kind backfill, no pause": lambda conninfo: in_batches(conninfo, pause_ms=0),
        "step kind backfill, as it is": lambda conninfo: in_batches(conninfo),
    }
    with Server.temporary(
        programs=find_programs(), settings={"shared_buffers": "1GB", "max_wal_size": "8GB"}
    ) as server:
        rates = {}
        for number, (name, way) in enumerate(ways.items()):
            with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
                conn.execute(f"CREATE DATABASE bench_{number}".encode())
            conninfo = server.conninfo(f"bench_{number}")
            with psycopg.connect(conninfo, autocommit=True) as conn:
                conn.execute(TABLE.format(rows=rows).encode())
                conn.execute("CHECKPOINT")
                begin = time.perf_counter()
                way(conninfo)
                rates[name] = rows / (time.perf_counter() - begin)
                assert conn.execute("SELECT count(*) FROM t WHERE b = a * 2").fetchone() == (rows,)
            print(
                f"{name:30} {rates[name]:10,.0f} rows a second  {rates[name] / rates['one UPDATE']:5.2f} of one UPDATE"
            )


def at_once(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(FILL)


def by_key(conninfo: str) -> None:
    last: int | None = 0
    with psycopg.connect(conninfo, autocommit=True) as conn:
        while last is not None:
            ((last,),) = conn.execute(BY_KEY, {"last": last}).fetchall()


def in_batches(conninfo: str, **parameters: int) -> None:
    """With evidence, so that each batch is looked at."""
    plan, endpoint = (
        plan_of(backfill(FILL, **{"pause_ms": 20, **parameters})),
        Endpoint(conninfo=conninfo, name="bench"),
    )
    before = read_schema(endpoint)
    apply_all(plan, endpoint, make_bundle(plan, before, before))


if __name__ == "__main__":
    main()
