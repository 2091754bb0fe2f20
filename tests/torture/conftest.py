"""The seeds to run, one server for all of them, and what came of them: `.local/torture/<kind>.jsonl`, a line a seed.

A seed that has passed is not run again until its line, or the file, is gone. So a long run may be stopped and goes on.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from multiprocessing import forkserver, util
from pathlib import Path
from typing import Any

import pytest

from migrator.embedded.programs import Programs
from migrator.embedded.server import Server
from tests.integration.conftest import _drop, _prepare, database_on, programs, settings_of
from tests.torture import worker
from tests.torture.case import Case
from tests.torture.kinds import FORMS
from tests.torture.run import Result, Run

__all__ = ["programs"]

KINDS = tuple(FORMS)
RESULTS = Path(__file__).parents[2] / ".local" / "torture"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        option = metafunc.config.getoption
        kinds = [option("--kind")] if option("--kind") else KINDS
        first = option("--from-seed")
        counts = {one: option("--seeds" if one == option("--kind") or one == KINDS[0] else "--others") for one in kinds}
        cases = [
            (kind, seed)
            for kind in kinds
            for seed in range(first, first + counts[kind])
            if not option("--keep") or seed not in _passed(kind)
        ]
        metafunc.parametrize("kind, seed", cases, ids=[f"{kind}-{seed}" for kind, seed in cases])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--keep"):
        return
    for file in sorted(RESULTS.glob("*.jsonl")):
        results = _results(file)
        terminalreporter.section(f"torture of {file.stem}: {len(results)} seeds, {file}")
        for line in _summary(results):
            terminalreporter.write_line(line)


def _passed(kind: str) -> set[int]:
    return {one.seed for one in _results(RESULTS / f"{kind}.jsonl") if not one.wrong}


def _results(file: Path) -> list[Result]:
    """The last one of each seed."""
    lines = file.read_text().splitlines() if file.exists() else []
    return list({one.seed: one for one in (Result(**json.loads(line)) for line in lines)}.values())


def _summary(results: list[Result]) -> Iterator[str]:
    committed = sum((Counter(one.committed) for one in results), Counter())
    refused = sum((Counter(one.refused) for one in results), Counter())
    deadlocks = sum((Counter(one.deadlocks) for one in results), Counter())
    yield f"transactions {committed.total()}, of them {sum(one.meanwhile for one in results)} while the step ran"
    yield f"rows written {sum(one.rows_written for one in results)}, filled {sum(one.filled for one in results)}"
    yield f"batches {sum(one.batches for one in results)}, attempts {sum(len(one.attempts) for one in results)}"
    yield f"refused {dict(refused)}, deadlocks that the application lost, by whom it lost against: {dict(deadlocks)}"
    longest = max(results, key=lambda one: one.longest_wait, default=None)
    if longest is not None:
        yield f"longest wait because of the engine {longest.longest_wait} s, of seed {longest.seed}: {longest.behind}"
    for one in results:
        yield from (f"seed {one.seed}: {wrong}" for wrong in one.wrong)


@pytest.fixture(scope="session")
def torture_server(programs: Programs) -> Iterator[Server]:
    # Of multiprocessing, which removes it at exit: by then the tests' own folder in memory is gone.
    before, tempfile.tempdir = tempfile.tempdir, "/tmp"
    util.get_temp_dir()
    tempfile.tempdir = before
    forkserver.ensure_running()  # it loads the engine while the server starts
    with Server.temporary(programs=programs, settings={**settings_of(programs), "max_connections": 200}) as started:
        _prepare(started)
        yield started


Torture = Callable[..., Result]


@pytest.fixture
def torture(torture_server: Server, request: pytest.FixtureRequest) -> Iterator[Torture]:
    """Carry a case out in a database of its own. What came of it is written down with `--keep`."""
    names: list[str] = []

    def carry_out(case: Case, *, kind: str = "", defect: str = "") -> Result:
        names.append(f"torture_{os.getpid()}_{case.seed}_{len(names)}")
        endpoint = database_on(torture_server, names[-1])
        result = Run(case, endpoint, torture_server.conninfo(names[-1]), defect=defect).carry_out()
        if kind and request.config.getoption("--keep"):
            RESULTS.mkdir(parents=True, exist_ok=True)
            with (RESULTS / f"{kind}.jsonl").open("a") as file:
                file.write(json.dumps(asdict(result)) + "\n")
        return result

    yield carry_out
    _drop(torture_server, names)


assert worker.FORKS  # loading it says what the fork server preloads, before that starts
