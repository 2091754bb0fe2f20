"""What a run costs beyond its work: the gaps between tasks, and the start of each, on a real Airflow.

Beside it runs a chain of as many tasks whose `execute` returns at once, which is what Airflow itself takes. Reported as
a ratio to it; seconds are this machine's. Run it with `python tests/benchmarks/bench_run_overhead.py [DAGS ...]`.
"""

from __future__ import annotations

import re
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from tests.acceptance.laboratory import Laboratory
from tests.acceptance.observer import Observer
from tests.acceptance.specs import Files, Spec

RATIO = 1.5
"""Budget: our tasks have an engine to import, a database to ask and documents to keep."""
SECONDS = {12: 12.0, 331: 16.0}
"""Goals, by the number of DAGs; the ratio binds."""
TIMES = 3
NAME = "overhead"
CHAIN = """
from airflow.sdk import DAG, BaseOperator, chain

class Nothing(BaseOperator):
    def execute(self, context):
        return None

with DAG("chain_of_nothing", schedule=None, catchup=False):
    chain(*(Nothing(task_id=f"task_{number}") for number in range(12)))
"""
DONE = re.compile(r" done in (\d+\.\d+) s")


def main(counts: Sequence[int]) -> int:
    missed = 0
    for count in counts:
        ours, theirs, work = measure(count)
        overhead = statistics.median(ours)
        ratio = overhead / statistics.median(theirs)
        missed += ratio > RATIO
        print(
            f"{count} DAGs: a run of one CREATE TABLE takes {overhead + statistics.median(work):.1f} s, of which"
            f" {overhead:.1f} s are overhead (goal {SECONDS.get(count, 0) or '-'}); a chain of 12 tasks that do nothing"
            f" {statistics.median(theirs):.1f} s; ratio {ratio:.2f} (at most {RATIO})"
        )
    return 1 if missed else 0


def measure(count: int) -> tuple[list[float], list[float], list[float]]:
    """Overhead of our runs, seconds of the chain's, and seconds of our work; one after the other, alternating."""
    ours, theirs, work = [], [], []
    names = [f"m{number}" for number in range(TIMES + 1)]
    spec = Spec(migrations={name: table(name) for name in names})
    with tempfile.TemporaryDirectory(prefix="migrator-overhead-") as folder:
        dags = Path(folder) / "dags"
        shutil.copytree(REPOSITORY / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
        (dags / "chain_of_nothing.py").write_text(CHAIN)
        laboratory = Laboratory(Path(folder) / "stack", {NAME: spec}, dags=dags)
        others = [f"9{number:03d}_other" for number in range(count - len(names))]
        for version in others:  # what the scheduler has to look through
            table(f"other_{version}").write(laboratory.migrations, version, target=NAME)
        try:
            laboratory.start()
            admin = laboratory.client("admin")
            admin.wait_for_dags(["chain_of_nothing", *(f"migrate_{version}" for version in others)])
            admin.unpause("chain_of_nothing")
            for position, name in enumerate(names):
                case = laboratory.cases[NAME]
                dag = case.dag(name)
                run_id = admin.trigger(dag, {"target": case.target, "reason": "to measure it"})
                assert admin.wait_for_run(dag, run_id) == "success"
                took, worked = seconds_of(admin, dag, run_id), worked_by(admin, dag, run_id)
                run_id = admin.trigger("chain_of_nothing")
                assert admin.wait_for_run("chain_of_nothing", run_id) == "success"
                if position:  # the first ones fill caches
                    ours.append(took - worked)
                    work.append(worked)
                    theirs.append(seconds_of(admin, "chain_of_nothing", run_id))
        finally:
            laboratory.stop()
    return ours, theirs, work


def table(name: str) -> Files:
    return Files(sql=f"CREATE TABLE {name} (id bigint PRIMARY KEY);\n", rollback=f"DROP TABLE {name};\n")


def seconds_of(admin: Observer, dag: str, run_id: str) -> float:
    run = admin.run(dag, run_id)
    began, ended = (datetime.fromisoformat(run[key].replace("Z", "+00:00")) for key in ("start_date", "end_date"))
    return (ended - began).total_seconds()


def worked_by(admin: Observer, dag: str, run_id: str) -> float:
    """What the stages have measured of themselves, one after the other; drop_copy runs beside them."""
    total = 0.0
    for task in admin.tasks(dag, run_id):
        if task["state"] == "success" and task["task_id"] not in ("begin", "drop_copy"):
            found = DONE.findall(admin.log(dag, run_id, task["task_id"], try_number=task["try_number"]))
            total += max(map(float, found), default=0.0)
    return total


if __name__ == "__main__":
    sys.exit(main([int(word) for word in sys.argv[1:]] or sorted(SECONDS)))
