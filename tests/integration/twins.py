"""Traps for whoever leaves it to the search path what a name means: twins of pg_catalog's functions and operators.

The pattern of CVE-2018-1058. A twin that is called says so in the server's log, which a read-only session cannot keep
it from, and fails.
"""

from __future__ import annotations

import re
from pathlib import Path

import psycopg

from migrator.database import queries
from migrator.embedded.server import Server

ENGINE = Path(queries.__file__).parents[1]
TEXTS = queries.parse(Path(__file__).with_name("twins.sql").read_text(encoding="utf-8"), file="twins")
IN_PYTHON = {"count", "hashtextextended", "jsonb_build_array", "set_config", "sum"}
CALLED = re.compile(r"captured [^\n]*")


def set_exact(superuser: str) -> int:
    """First in the path: `trap, public, pg_catalog`. How many there are."""
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("CREATE SCHEMA trap")
        conn.execute("GRANT USAGE ON SCHEMA trap TO PUBLIC")
        conn.execute(TEXTS["exact"].encode())
        conn.execute(f'ALTER DATABASE "{conn.info.dbname}" SET search_path = trap, public, pg_catalog'.encode())
        return _count(conn, "trap")


def set_better(superuser: str) -> int:
    """In `public`, where pg_catalog is searched first: only what fits better is found. How many there are."""
    words = {word for file in ENGINE.rglob("*.sql") for word in _called(file)} | IN_PYTHON
    with psycopg.connect(superuser, autocommit=True) as conn:
        conn.execute("SELECT set_config('twins.names', %s::text, false)", (sorted(words),))
        conn.execute(TEXTS["better"].encode())
        return _count(conn, "public")


def called(*servers: Server) -> list[str]:
    """What was captured on these servers, each once, in the order in which it was called first."""
    texts = (server.log_file.read_text(encoding="utf-8", errors="replace") for server in servers)
    return list(dict.fromkeys(match[0] for text in texts for match in CALLED.finditer(text)))


def _called(file: Path) -> list[str]:
    return re.findall(r"\b([a-z_][a-z0-9_]*)\(", file.read_text(encoding="utf-8"))


def _count(conn: psycopg.Connection, schema: str) -> int:
    row = conn.execute(
        "SELECT (SELECT count(*) FROM pg_catalog.pg_proc WHERE pronamespace = %(schema)s::regnamespace)"
        " + (SELECT count(*) FROM pg_catalog.pg_operator WHERE oprnamespace = %(schema)s::regnamespace)",
        {"schema": schema},
    ).fetchone()
    return int(row[0]) if row else 0
