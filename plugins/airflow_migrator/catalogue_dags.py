"""All DAGs of the catalogue, or the one that a worker needs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_migrator.dag_builder import DAG_PREFIX, build_dag
from airflow_migrator.settings import Settings, read_settings
from migrator.catalogue import load_catalogue, load_one
from migrator.targets import load_targets

if TYPE_CHECKING:
    from airflow.sdk import DAG


def build_dags(wanted: str | None, *, settings: Settings | None = None) -> dict[str, DAG]:
    """The DAGs by id. `wanted` is the parsing context's DAG id: a worker builds only that, and reads no other folder.

    Broken migrations are left out: `raise_problems` reports them from a file of its own, because an import error marks
    every DAG of its file as stale (`DagModel.is_stale`), and Airflow then runs none of them.
    """
    settings = settings or read_settings()
    if wanted is not None and not wanted.startswith(DAG_PREFIX):
        return {}
    targets = tuple(load_targets(settings.targets).targets.values())
    if wanted is not None:
        migration = load_one(settings.migrations, wanted[len(DAG_PREFIX) :], cache=settings.cache)
        return {wanted: build_dag(migration, targets, docs=False)}
    found = load_catalogue(settings.migrations, cache=settings.cache).migrations
    with _collector_paused():
        return {DAG_PREFIX + migration.version: build_dag(migration, targets) for migration in found}


def raise_problems(*, settings: Settings | None = None) -> None:
    """
    :raises InvalidInput: every problem of every broken migration, one a line, with file, line and key.
    """
    from migrator.errors import InvalidInput

    settings = settings or read_settings()
    catalogue = load_catalogue(settings.migrations, cache=settings.cache)
    if catalogue.problems:
        raise InvalidInput(problems=catalogue.problems)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """All that is made here stays, so the collector would walk a growing heap for nothing: a tenth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
