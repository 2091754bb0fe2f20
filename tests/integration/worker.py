"""A worker in a process of its own, which a test may kill: applies the plan in a file to a database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from migrator import documents
from migrator.database.session import Endpoint
from migrator.plan import Plan

ROOT = Path(__file__).parents[2]


@contextmanager
def working(plan: Plan, endpoint: Endpoint, folder: Path, stage: str = "apply") -> Iterator[subprocess.Popen[bytes]]:
    """The process; it is killed at the end of the block if it still runs. Stages: apply, rollback."""
    file = folder / "plan.json"
    file.write_text(documents.canonical_json(plan))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.worker", str(file), stage],
        cwd=ROOT,
        env={**os.environ, "TEST_CONNINFO": endpoint.conninfo},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(timeout=10)


def main(file: str, stage: str) -> None:
    from tests.integration.stages import apply_all, roll_back

    plan = documents.from_dict(Plan, json.loads(Path(file).read_text()))
    {"apply": apply_all, "rollback": roll_back}[stage](plan, Endpoint(os.environ["TEST_CONNINFO"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
