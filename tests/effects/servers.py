"""A server of one major with what the cases may use beside their set-up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from migrator.embedded.download import find_or_download
from migrator.embedded.server import Server
from migrator.embedded.settings import FAST
from tests.effects.bench import Bench
from tests.integration.conftest import _prepare, database_on

PRELUDE = (
    "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler",
    "SET allow_in_place_tablespaces = on",
    "CREATE TABLESPACE elsewhere LOCATION ''",
    "GRANT CREATE ON TABLESPACE elsewhere TO migrator",
    "CREATE ROLE somebody",
    "GRANT somebody TO migrator",
)

SMALL = {**FAST, "work_mem": "64kB", "hash_mem_multiplier": 1}
"""Facts are asked for by recursive queries over few rows. PostgreSQL expects thousands, and clears as much memory as it
is allowed for each: that is more work than all the rest."""


@contextmanager
def bench_of_major(major: int) -> Iterator[Bench]:
    """:raises EnvironmentFault: this major cannot be had here."""
    programs = find_or_download(major)
    with Server.temporary(programs=programs, settings=SMALL) as server:
        _prepare(server)
        endpoint = database_on(server, "effects")
        with psycopg.connect(server.conninfo("effects"), autocommit=True) as conn:
            for statement in PRELUDE:
                conn.execute(statement.encode())
        with Bench(endpoint, server.conninfo("effects")) as bench:
            yield bench
