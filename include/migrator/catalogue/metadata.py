"""What a migration says about itself: the values behind `migration-metadata.yaml`.

This module has the values only, so that reading them from the catalogue's cache loads neither pydantic nor YAML; the
rules for the file are in `metadata_model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime, timedelta
from typing import Any

from migrator.frozen import frozen
from migrator.plan import MigrationType, OnFailure, Risk

METADATA_FILE = "migration-metadata.yaml"
CHANGES_FILE = "schema_changes.yaml"
FILE_KEY = "file"

LATER: Mapping[str, Any] = {"deadline": None, "quarantine": 0, "workers": 1}
"""Parameters that kinds got when there were digests of their steps: with this value they count for nothing."""

DEFAULT_LOCK_TIMEOUT_MS = 2000
"""How long a statement may wait for a lock: applications queue behind a waiting ALTER TABLE for as long."""


@frozen
class Schedule:
    """When the migration is to run, once. Instants are in UTC; `timezone` is what its author wrote."""

    target: str
    window_start: datetime
    duration: timedelta
    lead_time: timedelta
    """How long before the window the run begins, so that snapshot, dry run and reviews are done when it opens."""
    timezone: str = "UTC"

    @property
    def window_end(self) -> datetime:
        return self.window_start + self.duration

    @property
    def run_at(self) -> datetime:
        """When the run is to start."""
        return self.window_start - self.lead_time


@frozen
class StepSpec:
    """One step as its author declares it."""

    name: str
    kind: str
    """One of `migrator.steps.kinds.STEPS`."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The kind's own, in their JSON form."""
    description: str = ""

    @property
    def reads_file(self) -> bool:
        """False for a kind that makes its SQL from its parameters."""
        return FILE_KEY in self.parameters

    @property
    def file(self) -> str | None:
        """None means the migration's own SQL file, or none at all: see `reads_file`."""
        return self.parameters.get(FILE_KEY)

    def behaviour(self) -> dict[str, Any]:
        """What a review covers, in the shape that digests of applied migrations were made of."""
        own = {"name": self.name, "kind": self.kind, "description": self.description}
        given = {key: value for key, value in self.parameters.items() if key not in LATER or value != LATER[key]}
        return {**own, "file": None, "transaction": None, **given}


@frozen
class Allow:
    """One finding that the author takes responsibility for, with a reason and a last day."""

    rule: str
    reason: str
    until: date


@frozen
class Metadata:
    version: str
    description: str
    author: str
    risk_level: Risk
    reviewed_by: tuple[str, ...] = ()
    """A claim. The reviews that count are in the target's ledger."""
    estimated_duration: str = ""
    estimated_seconds: float | None = None
    requires_downtime: bool = False
    rollback_available: bool = False
    testing: Mapping[str, bool] = field(default_factory=dict)
    dependencies: tuple[str, ...] = ()
    notes: str = ""
    type: MigrationType | None = None
    schedule: Schedule | None = None
    steps: tuple[StepSpec, ...] = ()
    verify: tuple[str, ...] = ()
    """Queries that must give exactly one row with one true value after apply."""
    on_failure: OnFailure = OnFailure.ROLLBACK
    allow: tuple[Allow, ...] = ()
    lock_timeout_ms: int = DEFAULT_LOCK_TIMEOUT_MS
    statement_timeout_ms: int = 0
    """0: no limit."""
    transaction: bool | None = None
