"""How fast the catalog facts of a schema of 2,000 tables are read. Prints ratios to the limit of one second.

Run it with `python tests/benchmarks/bench_facts.py [TABLES]`. The server is a temporary one of this machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from migrator.embedded.programs import find_programs
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from migrator.facts.facts import CatalogFacts
from migrator.facts.query import collect_facts
from migrator.parsing.statements import parse

LIMIT_SECONDS = 1.0
CHUNK = 100

TABLE = """
CREATE TABLE big.t{n} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent bigint REFERENCES big.t{parent}, name text NOT NULL,
    code varchar(20) UNIQUE, amount numeric(12, 2) CHECK (amount >= 0), flag boolean DEFAULT false,
    created timestamptz DEFAULT now(), note text, kind int, weight float8
);
CREATE INDEX t{n}_name ON big.t{n} (name);
"""


def main() -> None:
    tables = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with server(tables) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("SET default_transaction_read_only = on")
        every = "".join(f"ALTER TABLE big.t{n} ADD COLUMN extra int;\n" for n in range(tables))
        for label, sql in (
            ("one statement", "ALTER TABLE big.t7 ADD COLUMN extra int"),
            ("twenty tables", "".join(f"CREATE INDEX ON big.t{n} (note);" for n in range(20))),
            ("DROP TABLE ... CASCADE", "DROP TABLE big.t0 CASCADE"),
            (f"all {tables} tables", every),
            ("DROP SCHEMA ... CASCADE", "DROP SCHEMA big CASCADE"),
        ):
            seconds, facts = best(conn, sql)
            objects = f", {len(facts.objects)} dependent objects" if facts.objects else ""
            print(
                f"{label:25} {seconds:6.3f} s  {seconds / LIMIT_SECONDS:5.2f} of the limit"
                f"  ({len(facts.relations)} relations{objects})"
            )


def best(conn: psycopg.Connection, sql: str) -> tuple[float, CatalogFacts]:
    """Processor seconds of the fastest of three, ours and the server's together: what a quiet machine takes."""
    parsed = parse(sql, file="bench.sql")
    assert not parsed.problems, parsed.problems
    runs = []
    for _ in range(3):
        begin = time.process_time() + server_seconds(conn)
        facts = collect_facts(conn, parsed)
        runs.append(time.process_time() + server_seconds(conn) - begin)
    return min(runs), facts


def server_seconds(conn: psycopg.Connection) -> float:
    """Processor time that the session's server process has used."""
    fields = Path(f"/proc/{conn.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def server(tables: int) -> Iterator[str]:
    with Server.temporary(programs=find_programs(), settings={**FAST, "max_locks_per_transaction": 1024}) as started:
        conninfo = started.conninfo("postgres")
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute("CREATE SCHEMA big")
            for first in range(0, tables, CHUNK):
                numbers = range(first, min(first + CHUNK, tables))
                conn.execute("".join(TABLE.format(n=n, parent=n // 10) for n in numbers).encode())
            conn.execute("ANALYZE")
        yield conninfo


if __name__ == "__main__":
    main()
