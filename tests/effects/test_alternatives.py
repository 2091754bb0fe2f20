"""Alternatives that need what only these servers have (tablespaces), or that the corpus has the statement for already:
each part runs, as a migration of its own, does what is predicted, and is light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.lock_modes import S, strength
from migrator.parsing.build import migrations_of
from migrator.parsing.statements import parse
from tests.effects.bench import Bench
from tests.effects.corpus import USUAL, load
from tests.rule_examples import crowded

CASES = {case.id: case for case in load()}
WITH_SQL = ("set-tablespace-index",)


@pytest.mark.parametrize("major", USUAL)
@pytest.mark.parametrize("id", WITH_SQL)
def test_alternative_runs_and_is_light(id: str, major: int, bench_of: Callable[[int], Bench]) -> None:
    case = CASES[id]
    parsed = parse(case.sql, file=id)
    bench = bench_of(major)
    findings = inspect(Sources((parsed,)), Known(facts=crowded(bench.facts(case, parsed)))).findings
    (alternative,) = {item.alternative_sql for item in findings if item.alternative_sql}
    for text in migrations_of(alternative):
        for run in bench.run(replace(case, sql=text)):
            assert run.sqlstate is None, run.message
            assert list(run.problems(case)) == []
            work = run.effects.rewrites or run.effects.scans or run.effects.indexes_rebuilt
            blocks = any(strength(lock.mode) >= strength(S) for lock in run.effects.locks)
            assert run.effects.waits_for_old_transactions or not (work and blocks)
