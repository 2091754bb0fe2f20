"""All DAGs of the catalogue, or the one that a worker needs."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_migrator.access import access_control
from airflow_migrator.building.dag_builder import build_dag
from airflow_migrator.links import DAG_PREFIX
from airflow_migrator.settings import Settings, read_settings
from migrator.catalogue.catalogue import load_catalogue, load_one
from migrator.catalogue.metadata import Metadata, StepSpec
from migrator.catalogue.migration import Migration
from migrator.errors import InvalidInput, UsageError
from migrator.plan import Risk

if TYPE_CHECKING:
    from airflow.sdk import DAG

LOG = logging.getLogger(__name__)


def build_dags(wanted: str | None, *, task_id: str | None = None, settings: Settings | None = None) -> dict[str, DAG]:
    """The DAGs by id. `wanted` is the parsing context's DAG id: a worker builds only that, and reads no other folder.

    Broken migrations are left out: `raise_problems` reports them from a file of its own, because an import error marks
    every DAG of its file as stale (`DagModel.is_stale`), and Airflow then runs none of them.
    """
    from migrator.targets.targets_model import load_targets

    settings = settings or read_settings()
    if wanted is not None and not wanted.startswith(DAG_PREFIX):
        return {}
    known = load_targets(settings.targets)
    targets = tuple(known.targets.values())
    if wanted is not None:
        migration = _for_worker(wanted.removeprefix(DAG_PREFIX), settings, task_id)
        return {wanted: build_dag(migration, targets, docs=False)}
    found = load_catalogue(settings.migrations, cache=settings.cache).migrations
    access = access_control(known.roles)
    with _collector_paused():
        return {DAG_PREFIX + migration.version: build_dag(migration, targets, access=access) for migration in found}


def _for_worker(version: str, settings: Settings, task_id: str | None) -> Migration:
    """The migration, or enough of one for its tasks to start when its files are broken or gone.

    Somebody may break the metadata while a run is under way. The stages read the frozen plan, so the rollback must be
    able to start all the same; those that read the files say what is wrong with them.
    """
    try:
        return load_one(settings.migrations, version, cache=settings.cache)
    except (InvalidInput, UsageError) as exc:
        LOG.warning("the files of %s cannot be used now: %s", version, exc)
    name = (task_id or "").removeprefix("apply.")
    declared = name not in (task_id, version)
    return Migration(
        folder=settings.migrations / version,
        relative=version,
        metadata=Metadata(
            version=version,
            description="its files cannot be read",
            author="unknown",
            risk_level=Risk.HIGH,
            steps=(StepSpec(name, "sql"),) if declared else (),
        ),
        sql_path=settings.migrations / version / f"{version}.sql",
    )


def raise_problems(*, settings: Settings | None = None) -> None:
    """
    :raises InvalidInput: every problem of every broken migration, one a line, with file, line and key.
    """
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
