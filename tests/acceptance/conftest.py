"""Run the cases side by side on one real Airflow.

Every test with a `scenario` is a plain test function over one `Case`. The first one that is asked for starts the
laboratory with the cases of all selected tests, and all their functions in a thread pool; each test then waits for its
own result. Most of a case is waiting for the scheduler, so this is what makes the suite fit into minutes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.case import Case
from tests.acceptance.laboratory import Laboratory
from tests.acceptance.specs import Scenario

SIDE_BY_SIDE = int(os.environ.get("ACCEPTANCE_SIDE_BY_SIDE", "12"))


class Parallel:
    """The results of all cases, by test id."""

    def __init__(self, laboratory: Laboratory, items: list[pytest.Function]) -> None:
        self.laboratory = laboratory
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="case")
        self._results: dict[str, Future[None]] = {}
        self.seconds: dict[str, float] = {}
        for item in items:
            self._results[item.nodeid] = self._pool.submit(self._timed, item)

    def case(self, item: pytest.Function) -> Case:
        return self.laboratory.cases[name_of(item)]

    def arguments(self, item: pytest.Function) -> dict[str, Any]:
        return {"case": self.case(item), **parameters_of(item)}

    def run(self, item: pytest.Function) -> None:
        self._results[item.nodeid].result()

    def _timed(self, item: pytest.Function) -> None:
        started = time.monotonic()
        try:
            item.obj(**self.arguments(item))
        finally:
            self.seconds[item.nodeid] = time.monotonic() - started

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


RESULTS = pytest.StashKey[Parallel]()


def name_of(item: pytest.Function) -> str:
    """`test_a_b[c-d]` is the case `a_b_c_d`: the name of its target, database and connection."""
    words = item.name.removeprefix("test_")
    return "".join(letter if letter.isalnum() else "_" for letter in words).strip("_").lower()


def parameters_of(item: pytest.Function) -> dict[str, Any]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


def scenarios(session: pytest.Session) -> list[pytest.Function]:
    return [item for item in session.items if isinstance(item, pytest.Function) and hasattr(item.obj, "scenario")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.acceptance)
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def parallel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parallel]:
    items = scenarios(request.session)
    specs = {}
    for item in items:
        scenario: Scenario = item.obj.scenario
        specs[name_of(item)] = scenario.spec(parameters_of(item))
    kept = os.environ.get("ACCEPTANCE_DIRECTORY")
    laboratory = Laboratory(Path(kept) if kept else tmp_path_factory.mktemp("acceptance"), specs)
    results = None
    try:
        laboratory.start()
        # The slow ones first, so that the suite does not wait for one of them at its end.
        results = Parallel(laboratory, sorted(items, key=lambda item: not item.obj.scenario.slow))
        request.config.stash[RESULTS] = results
        yield results
    finally:
        if results is not None:
            results.close()
        laboratory.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """How long each case took; pytest's own durations count the waiting for the cases before it."""
    results = config.stash.get(RESULTS, None)
    if results is None:
        return
    terminalreporter.section("slowest acceptance cases")
    for nodeid, seconds in sorted(results.seconds.items(), key=lambda one: -one[1])[:12]:
        terminalreporter.write_line(f"{seconds:6.1f} s  {nodeid.rpartition('::')[2]}")


@pytest.fixture
def case(parallel: Parallel, request: pytest.FixtureRequest) -> Case:
    return parallel.case(request.node)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not hasattr(pyfuncitem.obj, "scenario"):
        return None
    parallel: Parallel = pyfuncitem._request.getfixturevalue("parallel")
    try:
        parallel.run(pyfuncitem)
    except BaseException:
        pyfuncitem.add_report_section("call", "Airflow", parallel.case(pyfuncitem).diagnosis())
        raise
    return True
