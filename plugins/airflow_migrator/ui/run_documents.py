"""The documents of a run, opened by the API server for a person who may see the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from airflow_migrator.settings import read_settings
from airflow_migrator.storage.evidence_store import EvidenceStore, within
from migrator.errors import NeedsHuman

T = TypeVar("T")


def read_document(reference: Mapping[str, Any], cls: type[T], stage: str) -> T:
    """A stage's document. XCom can be edited by people, so only what lies in an evidence folder is opened.

    :raises NeedsHuman: it lies elsewhere, is gone or changed, or this server cannot reach it.
    """
    from migrator.targets.targets_model import load_targets

    settings = read_settings()
    roots = {settings.location(target.evidence) for target in load_targets(settings.targets).targets.values()}
    uri = str(reference["uri"])
    if not any(within(uri, root) for root in roots):
        raise NeedsHuman(f"{uri!r} does not lie in the evidence folder of any target")
    try:
        return EvidenceStore.get(dict(reference), cls, stage=stage)
    except NeedsHuman:
        raise
    except Exception as exc:  # storage of any kind, each with errors of its own
        raise NeedsHuman(f"{uri!r} cannot be read by the API server: {type(exc).__name__}: {exc}") from exc
