"""How many rows a second a backfill changes: beside one UPDATE, and beside batches of 1,000 rows by the key, which is a
number in the order of the rows, or a random uuid.

Run it with `python tests/benchmarks/bench_backfill.py [ROWS [bigint|uuid]]`, a million unless said otherwise. The
server is a temporary one of this machine that waits for its disk; nobody else works on the table.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
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
SELECT id FROM batch ORDER BY id DESC LIMIT 1
"""
TABLE = """
CREATE TABLE t (id {type} PRIMARY KEY, a int, b int, filler text);
INSERT INTO t SELECT {key}, g, NULL, repeat('x', 100) FROM generate_series(1, {rows}) AS g;
ANALYZE t;
"""
KEYS = {"bigint": "g", "uuid": "gen_random_uuid()"}
MEMORY = {
    "bigint": {"shared_buffers": "1GB", "max_wal_size": "8GB"},
    "uuid": {"shared_buffers": "128MB", "max_wal_size": "8GB"},
}
"""With a uuid the table is larger than the cache: by its key each page is read many times. A checkpoint that much WAL
requests would let the step slow down."""
LEAST = {"bigint": "0", "uuid": "00000000-0000-0000-0000-000000000000"}


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    ways: dict[str, Callable[[str, str], None]] = {
        "one UPDATE": at_once,
        "by the key, 1,000 rows": by_key,
        "step kind backfill, no pause": lambda conninfo, _: in_batches(conninfo, pause_ms=0),
        "step kind backfill, two workers": lambda conninfo, _: in_batches(conninfo, pause_ms=0, workers=2),
        "step kind backfill, as it is": lambda conninfo, _: in_batches(conninfo),
    }
    for key in sys.argv[2:] or KEYS:
        with Server.temporary(programs=find_programs(), settings=MEMORY[key]) as server:
            measure(server, key, rows, ways)


def measure(server: Server, key: str, rows: int, ways: Mapping[str, Callable[[str, str], None]]) -> None:
    rates: dict[str, float] = {}
    for number, (name, way) in enumerate(ways.items()):
        with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE bench_{number}".encode())
        conninfo = server.conninfo(f"bench_{number}")
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute(TABLE.format(rows=rows, type=key, key=KEYS[key]).encode())
            conn.execute("CHECKPOINT")
            begin = time.perf_counter()
            way(conninfo, LEAST[key])
            rates[name] = rows / (time.perf_counter() - begin)
            assert conn.execute("SELECT count(*) FROM t WHERE b = a * 2").fetchone() == (rows,)
        part = rates[name] / rates["one UPDATE"]
        print(f"{key:7} {name:32} {rates[name]:10,.0f} rows a second  {part:5.2f} of one UPDATE")


def at_once(conninfo: str, _: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute(FILL)


def by_key(conninfo: str, least: str) -> None:
    last = [(least,)]
    with psycopg.connect(conninfo, autocommit=True) as conn:
        while last:
            last = conn.execute(BY_KEY, {"last": last[0][0]}).fetchall()


def in_batches(conninfo: str, **parameters: int) -> None:
    """With evidence, so that each batch is looked at."""
    plan, endpoint = (
        plan_of(backfill(FILL, **{"batch_ms": 25, "pause_ms": 25, **parameters})),
        Endpoint(conninfo=conninfo, name="bench"),
    )
    before = read_schema(endpoint)
    apply_all(plan, endpoint, make_bundle(plan, before, before))


if __name__ == "__main__":
    main()
