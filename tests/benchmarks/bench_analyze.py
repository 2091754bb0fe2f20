"""`migrator analyze` beside squawk 2.70 in the same run: 1,000 files of 18 statements each, both on all cores.

As text, what both print when nothing is asked for, and as JSON; first without what earlier runs left in the cache, then
with it. Prints ratios to the limits; below 1 is good. Squawk (Apache-2.0 or MIT) is installed into a temporary folder,
when it is not on the PATH. Run it with `python tests/benchmarks/bench_analyze.py [FILES]`.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(REPOSITORY))

from migrator.parsing.statements import parse
from tests.effects.corpus import load

SQUAWK = "squawk-cli==2.70.0"
STATEMENTS = 18
TIMES_SQUAWK = 3.0
MEMORY_MB = 300
COLD_SECONDS = 0.4
RUNS = 3
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""With it Python would compile the engine anew for each command."""


def statements() -> list[str]:
    """Those of the rules' examples, of the shipped migrations and of the corpus of effects: DDL of every kind."""
    files = sorted((REPOSITORY / "tests" / "rules").rglob("*.sql")) + sorted((REPOSITORY / "migrations").rglob("*.sql"))
    texts = [path.read_text() for path in files] + [case.sql for case in load()]
    return [item.sql for text in texts for item in parse(text, file="").statements]


def write(folder: Path, count: int) -> list[Path]:
    """No two statements are the same text: what one file is about has names that no other file has."""
    source = itertools.cycle(statements())
    paths = []
    for number in range(count):
        text = ";\n".join(itertools.islice(source, STATEMENTS)) + ";\n"
        paths.append(folder / f"{number:05}.sql")
        paths[-1].write_text(re.sub(r"\b(messages|users|orders|t|a)\b", rf"\1_{number}", text))
    return paths


def seconds(command: Sequence[str]) -> float:
    """Wall time."""
    begin = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    return time.perf_counter() - begin


def megabytes(command: Sequence[str]) -> float:
    """The most memory that the process and its children had at once; each page counts once. In a run of its own: who
    reads that stops the processes meanwhile."""
    process = psutil.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    peak, done = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, peak, done))
    watcher.start()
    process.wait()
    done.set()
    watcher.join()
    return peak[0]


def _watch(process: psutil.Process, peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.02):
        try:
            family = [process, *process.children(recursive=True)]
            peak[0] = max(peak[0], sum(one.memory_full_info().pss for one in family) / 1e6)
        except psutil.Error:
            continue


def squawk(folder: Path) -> str:
    """The binary's path."""
    found = shutil.which("squawk")
    if found:
        return found
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), SQUAWK], check=True)
    return str(folder / "bin" / "squawk")


def best(commands: Sequence[Sequence[str]]) -> Iterator[float]:
    """Of RUNS rounds, in each of which every command has its turn, so that a busy machine slows all of them."""
    rounds = [[seconds(command) for command in commands] for _ in range(RUNS)]
    yield from map(min, zip(*rounds, strict=True))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        folder.mkdir()
        paths = [str(path) for path in write(folder, count)]
        migrator = [sys.executable, "-m", "migrator", "analyze"]
        peer = squawk(Path(temporary))
        print(f"{count} files of {STATEMENTS} statements")
        for form, reporter in (("text", "tty"), ("json", "json")):
            mine = [*migrator, str(folder), "--format", form]
            subprocess.run(mine, stdout=subprocess.DEVNULL, env=ENVIRONMENT)  # compiled and cached from now on
            ours, again, theirs = best([[*mine, "--no-cache"], mine, [peer, "--reporter", reporter, *paths]])
            memory = megabytes([*mine, "--no-cache"])
            print(f"  {form}: {ours:.2f} s, again {again:.2f} s, squawk {theirs:.2f} s, {memory:.0f} MB")
            for what, took in (("first", ours), ("again", again)):
                print(
                    f"    {what}: {took / theirs:.1f} times squawk's, {took / theirs / TIMES_SQUAWK:.2f} of the limit"
                )
            print(f"    memory: {memory / MEMORY_MB:.2f} of the limit")
        (cold,) = best([[*migrator, paths[0]]])
    print(f"one file from a cold start: {cold * 1000:.0f} ms, {cold / COLD_SECONDS:.2f} of the limit")


if __name__ == "__main__":
    main()
