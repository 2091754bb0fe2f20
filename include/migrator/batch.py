"""Analyses many SQL files without a connection, one process a core. Used by `migrator analyze`."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from migrator.effects import Assumed
from migrator.inspection import inspect
from migrator.reports.building import analysis_of
from migrator.reports.document import Analysis
from migrator.reports.forms import Form
from migrator.reports.text import Look
from migrator.sql_text import read_sql
from migrator.statements import parse

WORTH_A_POOL = 24
"""Files from which on starting processes pays."""
CHUNK = 8


@dataclass(frozen=True)
class Settings:
    """What is the same for all files. Every process gets it once."""

    form: Form
    look: Look
    assumed: Assumed
    today: date


@dataclass(frozen=True)
class Outcome:
    """What is printed of one analysis, and what counts for the exit code."""

    pieces: tuple[str, ...]
    errors: int
    warnings: int
    allowed: int


def outcome_of(analysis: Analysis, settings: Settings) -> Outcome:
    summary = analysis.summary
    pieces = tuple(settings.form.pieces(analysis, settings.look))
    return Outcome(pieces, summary.errors, summary.warnings, summary.allowed)


def outcomes(files: Sequence[Path], settings: Settings, *, jobs: int | None = None) -> Iterator[Outcome]:
    """One for each file, in their order. `jobs`: processes; None takes what the machine has.

    :raises OSError: when a file cannot be read.
    """
    jobs = jobs or _cores()
    analysed = functools.partial(_analysed, settings=settings)
    if jobs < 2 or len(files) < WORTH_A_POOL:
        yield from map(analysed, files)
        return
    parse("SELECT 1", file="")  # the parser is loaded once, before the processes part
    gc.freeze()  # and what is loaded so far stays shared with them
    import multiprocessing

    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else None
    with multiprocessing.get_context(method).Pool(jobs, _collect_less) as pool:
        yield from pool.imap(analysed, files, CHUNK)


def _collect_less() -> None:
    """What an analysis makes goes away by itself; looking for cycles in it takes a twentieth of the time."""
    gc.set_threshold(100_000, 50, 1000)


def _cores() -> int:
    """Those that this process may use; the machine's where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _analysed(file: Path, settings: Settings) -> Outcome:
    parsed = parse(read_sql(file), file=str(file))
    inspection = inspect((parsed,), assumed=settings.assumed, today=settings.today)
    return outcome_of(analysis_of(str(file), inspection), settings)
