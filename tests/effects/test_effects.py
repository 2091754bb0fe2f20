"""Every prediction of `effects` is what PostgreSQL really does: locks, rewrites, scans, rebuilt indexes, failures."""

from __future__ import annotations

from collections.abc import Callable

from tests.effects.bench import Bench
from tests.effects.corpus import Case


def test_prediction_is_what_happens(case: Case, major: int, bench_of: Callable[[int], Bench]) -> None:
    problems = [
        f"{run.statement.sql}\n  {problem}" for run in bench_of(major).run(case) for problem in run.problems(case)
    ]
    assert not problems, f"PostgreSQL {major}, {case.file}, case {case.id}:\n" + "\n".join(problems)
