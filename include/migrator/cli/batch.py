"""Analyses many SQL files without a connection, one process a core. Used by `migrator analyze`."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.analysis.effects import Assumed
from migrator.analysis.inspection import inspect
from migrator.analysis.known import Known, Sources
from migrator.analysis.walk.pending import NOTHING_BEFORE, Before
from migrator.catalogue import scripts
from migrator.catalogue.metadata import METADATA_FILE
from migrator.cli.analysis_cache import AnalysisCache, Kept, Keys, opened
from migrator.cli.batch_settings import Settings
from migrator.frozen import frozen
from migrator.parsing.sql_text import read_sql
from migrator.parsing.statements import parse
from migrator.reports.building import analysis_of
from migrator.reports.document import Analysis

if TYPE_CHECKING:
    from migrator.analysis.walk.lock_order import LockOrder
    from migrator.history.past import Past

WORTH_A_POOL = 24
"""Files from which on starting processes pays."""
CHUNK = 8
KEPT_BYTES = 64 * 1024
"""The outcome of a larger file is not kept: its bytes would have to wait in memory for a free process."""


@frozen
class Printed:
    """What is printed of one analysis, and what counts for the exit code."""

    pieces: tuple[str, ...]
    errors: int
    warnings: int
    allowed: int


@frozen
class Task:
    """A file to analyse. `data`: what is in it, where that was read already."""

    file: Path
    data: bytes | None = None


def outcome_of(analysis: Analysis, settings: Settings) -> Printed:
    summary = analysis.summary
    pieces = tuple(settings.form.pieces(analysis, settings.look))
    return Printed(pieces, summary.errors, summary.warnings, summary.allowed)


def outcomes(
    files: Sequence[Path], settings: Settings, *, jobs: int | None = None, cache: Path | None = None
) -> Iterator[Printed]:
    """One for each file, in their order. `jobs`: processes; None takes what the machine has. `cache`: where the
    outcomes of many files are kept; None neither looks there nor keeps any.

    :raises OSError: when a file cannot be read.
    """
    if cache is None or len(files) < WORTH_A_POOL:
        yield from _analysed_all([Task(file) for file in files], settings, jobs)
        return
    keys = Keys(settings, functools.partial(_root_of, catalogue=settings.catalogue))
    with opened(cache, settings.today) as kept:
        asked = [_ask(file, keys, kept) for file in files]
        found = _analysed_all([one.task for one in asked if not one.known], settings, jobs)
        fresh: list[tuple[_Asked, bytes]] = []
        for one in asked:
            outcome = _restored(kept.get(one.key)) if one.known else next(found)
            if outcome is None:  # it is damaged
                outcome = _analysed(one.task, settings)
            yield outcome
            if one.known or not one.key:
                continue
            if one.root is None:
                kept.put(one.key, _packed(outcome))
            else:
                fresh.append((one, _packed(outcome)))
        changed = keys.changed() if fresh else frozenset()
        for one, packed in fresh:
            if one.root not in changed:
                kept.put(one.key, packed)


@frozen
class _Asked:
    task: Task
    key: bytes
    """Empty: it is not to be kept."""
    root: Path | None
    """The catalogue that the outcome depends on as well."""
    known: bool


def _ask(file: Path, keys: Keys, kept: AnalysisCache) -> _Asked:
    """What is read here is what is analysed, so that an answer never stands under the key of another content."""
    data = read_sql(file)
    if len(data) > KEPT_BYTES:
        return _Asked(Task(file), b"", None, False)
    key = keys.of(file, data)
    known = kept.has(key)
    return _Asked(Task(file, None if known else data), key, keys.root_of(file), known)


def _packed(outcome: Printed) -> bytes:
    return Kept((outcome.errors, outcome.warnings, outcome.allowed), outcome.pieces).packed()


def _restored(answer: Kept | None) -> Printed | None:
    return None if answer is None else Printed(answer.texts, *answer.counts)


def _root_of(file: Path, catalogue: Path) -> Path | None:
    from migrator.history.past import catalogue_of

    found = catalogue_of(file, catalogue)
    return None if found is None else found[0]


def _analysed_all(tasks: Sequence[Task], settings: Settings, jobs: int | None) -> Iterator[Printed]:
    jobs = jobs or _cores()
    analysed = functools.partial(_analysed, settings=settings)
    if jobs < 2 or len(tasks) < WORTH_A_POOL:
        yield from map(analysed, tasks)
        return
    parse("SELECT 1", file="")  # the parser is loaded once, before the processes part
    gc.freeze()  # and what is loaded so far stays shared with them
    import multiprocessing

    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    with multiprocessing.get_context(method).Pool(jobs, _collect_less) as pool:
        yield from pool.imap(analysed, tasks, CHUNK)


def _collect_less() -> None:
    """What an analysis makes goes away by itself; looking for cycles in it takes a twentieth of the time."""
    gc.set_threshold(100_000, 50, 1000)


def _cores() -> int:
    """Those that this process may use; the machine's where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _analysed(task: Task, settings: Settings) -> Printed:
    file = task.file
    raw = read_sql(file) if task.data is None else task.data
    sources = Sources((scripts.read(raw, file=str(file), version=scripts.version_of(file)),))
    before, others = surroundings(file, settings.catalogue, settings.assumed)
    inspection = inspect(sources, Known(assumed=settings.assumed, before=before, pending=others, today=settings.today))
    return outcome_of(analysis_of(str(file), inspection), settings)


def surroundings(
    file: Path, catalogue: Path, assumed: Assumed, past: Callable[[Path], Past | None] | None = None
) -> tuple[Before, tuple[LockOrder, ...]]:
    """The migrations before that of the file, and all others; nothing for a file that belongs to none.

    :param catalogue: where they are. :param past: of a catalogue's folder; None reads it without a ledger.
    """
    if not (file.parent / METADATA_FILE).is_file():
        return NOTHING_BEFORE, ()
    from migrator.history.past import before_file, catalogue_of, past_of  # a bare file has no use for the catalogue

    found = catalogue_of(file, catalogue)
    known = None if found is None else (past or past_of)(found[0])
    if found is None or known is None:
        return NOTHING_BEFORE, ()
    version = found[1]
    before = known.before(version, assumed=assumed if known.rows is None else None)
    return before_file(known, version, file, before), known.others(version)
