"""What a statement does, without judging it: python -m tests.effects [--majors 16,18] [--setup SQL] SQL"""

from __future__ import annotations

import argparse

from tests.effects.bench import Bench
from tests.effects.corpus import Case
from tests.effects.servers import bench_of_major


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sql", nargs="+")
    parser.add_argument("--setup", default="")
    parser.add_argument("--majors", default="16,18")
    options = parser.parse_args()
    for major in map(int, options.majors.split(",")):
        with bench_of_major(major) as bench:
            for sql in options.sql:
                _show(major, bench, Case(id="look", file="look", sql=sql, setup=options.setup))


def _show(major: int, bench: Bench, case: Case) -> None:
    for run in bench.run(case):
        print(f"--- {major}: {run.statement.sql}")
        if run.sqlstate is not None:
            print(f"    fails {run.sqlstate} {run.message}")
        if run.trace is not None:
            print("    locks  ", ", ".join(f"{lock.mode} {lock.relation}" for lock in run.trace.locks))
            print(f"    rewrites {run.trace.rewrites} scans {run.trace.scans} rebuilt {run.trace.indexes_rebuilt}")
            print(f"    transactional {run.transactional} waits {run.waited}")
        for problem in run.problems(case):
            print("    !", problem)


main()
