"""Every prediction of `effects` is what PostgreSQL really does: locks, rewrites, scans, rebuilt indexes, failures."""

from __future__ import annotations

from collections.abc import Callable

from tests.effects.bench import Bench
from tests.effects.corpus import Case

SAMPLED_TRIES = 3
"""Outside a transaction locks are sampled, and one of a millisecond may be missed on a busy machine."""


def test_prediction_is_what_happens(case: Case, major: int, bench_of: Callable[[int], Bench]) -> None:
    bench = bench_of(major)
    for _ in range(SAMPLED_TRIES):
        runs = bench.run(case)
        problems = [f"{run.statement.sql}\n  {problem}" for run in runs for problem in run.problems(case)]
        if not problems or all(run.transactional for run in runs):
            break
    assert not problems, f"PostgreSQL {major}, {case.file}, case {case.id}:\n" + "\n".join(problems)
