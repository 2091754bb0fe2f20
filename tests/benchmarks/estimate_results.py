"""Measurements of bench_estimate.py: kept as JSON lines while it runs, and the tables that it prints of them."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

BRIEF = 0.02
"""Seconds under which nobody cares; both are taken as this."""
BRIEF_WAL = 1e6
WORST = 5

Key = tuple[str, str, int, int, str]
"""Suite, clock, rows, number of indexes, statement."""


@dataclass(frozen=True)
class Measured:
    """One operation at one size: what it took, and what was said before."""

    suite: str
    rows: int
    indexes: int
    sql: str
    clock: str
    """Of runs, estimate and costs: wall, or cpu for the processor time of one process without parallel workers."""
    runs: tuple[float, ...]
    """Seconds of each run; the median counts."""
    wall: float
    cpu: float
    """Both clocks of the run in the middle, parallel workers included in processor time."""
    others: float
    """Processors that others kept busy meanwhile: with much of it the wall clock tells little."""
    wal: float
    estimate: float
    default: float
    """With the costs that the code brings, of another machine."""
    naive: float
    p90: float
    wal_estimate: float

    @property
    def key(self) -> Key:
        return self.suite, self.clock, self.rows, self.indexes, self.sql

    @property
    def actual(self) -> float:
        return statistics.median_low(self.runs)

    def error(self, value: float) -> float:
        """|log2(value / actual)|."""
        return abs(math.log2(max(value, BRIEF) / max(self.actual, BRIEF)))

    @property
    def wal_error(self) -> float:
        return abs(math.log2(max(self.wal_estimate, BRIEF_WAL) / max(self.wal, BRIEF_WAL)))


class Results:
    """All measurements of a file, each written at once: whoever interrupts the benchmark loses one operation. The
    last line of an operation counts."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._found: dict[Key, Measured] = {}
        if path is not None and path.exists():
            for line in path.read_text().splitlines():
                data = json.loads(line)
                self._keep(Measured(**{**data, "runs": tuple(data["runs"])}))

    def __iter__(self) -> Iterator[Measured]:
        return iter(self._found.values())

    def get(self, key: Key) -> Measured | None:
        return self._found.get(key)

    def add(self, item: Measured) -> None:
        self._keep(item)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(item)) + "\n")

    def _keep(self, item: Measured) -> None:
        self._found[item.key] = item


def line(item: Measured) -> str:
    return (
        f"{item.rows:>9,} rows {item.indexes} idx {item.wall:8.3f} s  cpu {item.cpu:7.2f}  others {item.others:3.1f}"
        f"  estimate {item.estimate:8.3f}  error {item.error(item.estimate):4.2f}  naive {item.error(item.naive):4.2f}"
        f"  WAL {item.wal / 1e6:6.0f}/{item.wal_estimate / 1e6:.0f} MB  {item.sql[:70]}"
    )


def summary(found: Sequence[Measured]) -> Iterator[str]:
    """The figures of all, then of each size."""
    yield f"{len(found)} measurements"
    for title, errors in (
        ("calibrated", [item.error(item.estimate) for item in found]),
        ("default costs", [item.error(item.default) for item in found]),
        ("naive, bytes / 100 MB/s", [item.error(item.naive) for item in found]),
        ("WAL bytes", [item.wal_error for item in found]),
    ):
        yield f"{title:26} |log2| median {statistics.median(errors):.2f}, P90 {p90(errors):.2f}"
    within = sum(max(item.actual, BRIEF) <= max(item.p90, BRIEF) for item in found) / len(found)
    yield f"actual below the estimate's P90 in {within:.0%} of the cases"


def markdown(found: Sequence[Measured]) -> Iterator[str]:
    """Figures for each size and number of indexes, then the operations that were off the most."""
    yield "| rows | indexes | median | P90 | naive median | naive P90 | WAL median | WAL P90 |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    groups = sorted({(item.rows, item.indexes) for item in found})
    for rows, indexes in groups:
        group = [item for item in found if (item.rows, item.indexes) == (rows, indexes)]
        yield _row(f"{rows:,}", str(indexes), group)
    yield _row("all", "", found)
    yield ""
    yield "| off by | seconds | estimate | naive | rows | indexes | operation |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | --- |"
    for item in sorted(found, key=lambda one: -one.error(one.estimate))[:WORST]:
        yield (
            f"| {item.error(item.estimate):.2f} | {item.actual:.2f} | {item.estimate:.2f} | {item.naive:.2f}"
            f" | {item.rows:,} | {item.indexes} | `{item.sql}` |"
        )


def _row(rows: str, indexes: str, group: Sequence[Measured]) -> str:
    ours = [item.error(item.estimate) for item in group]
    naive = [item.error(item.naive) for item in group]
    wal = [item.wal_error for item in group]
    figures = (f"{statistics.median(one):.2f} | {p90(one):.2f}" for one in (ours, naive, wal))
    return f"| {rows} | {indexes} | " + " | ".join(figures) + " |"


def p90(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return ordered[math.ceil(0.9 * len(ordered)) - 1]
