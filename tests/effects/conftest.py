"""One server per major and session for the corpus, and one test per case and major."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from migrator.errors import EnvironmentFault
from tests.effects.bench import Bench
from tests.effects.corpus import MAJORS, USUAL, load
from tests.effects.servers import bench_of_major


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "case" not in metafunc.fixturenames:
        return
    one, every = metafunc.config.getoption("--postgres-major"), metafunc.config.getoption("--every-major")
    sample = metafunc.config.getoption("--sample")
    pairs = [
        (major, case)
        for case in load()
        if case.hash // len(USUAL) % sample == 0  # what is left of the hash when the major is chosen
        for major in (MAJORS if every else (one or case.usual,))
        if major in case.majors
    ]
    # The scope has pytest run all tests of one case after each other: the next reads what the first one has collected.
    ids = [f"{major}-{case.file[:-5]}-{case.id}" for major, case in pairs]
    metafunc.parametrize("major, case", pairs, ids=ids, scope="session")


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
