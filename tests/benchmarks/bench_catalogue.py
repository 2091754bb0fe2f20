"""How fast the catalogue is with 1,000 migrations. Prints ratios to the limits; below 1 is good.

Every measurement is a fresh process, as Airflow's DAG processor starts one for each parse. Run it with
`python tests/benchmarks/bench_catalogue.py [COUNT]`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.unit.trees import write_many

INSIDE = """
import sys, time
from pathlib import Path
{imports}
root, cache = Path(sys.argv[1]), Path(sys.argv[2])
begin = time.perf_counter()
{call}
print(time.perf_counter() - begin)
assert ("pydantic" in sys.modules) == {pydantic}, "pydantic"
"""
UNCACHED = "load_catalogue(root)"
FILL = "import sys; from pathlib import Path; load_catalogue(Path(sys.argv[1]), cache=Path(sys.argv[2]))"
LOAD = "from migrator.catalogue.catalogue import load_catalogue, load_one"


def inside(root: Path, cache: Path, call: str, *, pydantic: bool, imports: str = LOAD) -> float:
    """Seconds of `call` in a fresh process without the imports before it; the best of three."""
    code = INSIDE.format(imports=imports, call=call, pydantic=pydantic)
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code, str(root), str(cache)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(done.stderr)
        runs.append(float(done.stdout))
    return min(runs)


def whole(root: Path, *arguments: str) -> float:
    """Seconds of `migrator check`, imports and all; the best of three."""
    runs = []
    for _ in range(3):
        begin = time.perf_counter()
        command = [sys.executable, "-m", "migrator", "check", "--migrations", str(root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        runs.append(time.perf_counter() - begin)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
    return min(runs)


def report(what: str, seconds: float, limit: float) -> bool:
    print(f"{what:<58} {seconds * 1000:9.1f} ms   limit {limit * 1000:7.0f} ms   ratio {seconds / limit:5.2f}")
    return seconds <= limit


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        root, cache = Path(name) / "migrations", Path(name) / "cache"
        versions = write_many(root, count)
        time.sleep(2.1)  # files younger than two seconds are not cached
        scale = count / 1000
        middle = versions[count // 2]
        all_of_them = f"assert len(load_catalogue(root, cache=cache).migrations) == {count}"
        good = [
            report(f"load_catalogue, {count} files, no cache", inside(root, cache, UNCACHED, pydantic=True), 3 * scale),
        ]
        subprocess.run([sys.executable, "-c", f"{LOAD}\n{FILL}", str(root), str(cache)], check=True)
        one = f"assert load_one(root, {middle!r}, cache=cache).version == {middle!r}"
        plain = f"assert load_one(root, {middle!r}).version == {middle!r}"
        good += [
            report(f"load_catalogue, {count} files, cached", inside(root, cache, all_of_them, pydantic=False), scale),
            report(f"load_one among {count}, cached", inside(root, cache, one, pydantic=False), 0.050),
            report(f"load_one among {count}, no cache", inside(root, cache, plain, pydantic=True), 0.150),
            report(f"migrator check, {count} migrations", whole(root), 3 * scale),
            report(f"migrator check --no-sql, {count} migrations", whole(root, "--no-sql"), 3 * scale),
        ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
