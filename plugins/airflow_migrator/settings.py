"""Where the project's files are. The only place of the Airflow layer that reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
"""The repository root: this file is plugins/airflow_migrator/settings.py."""


@dataclass(frozen=True)
class Settings:
    home: Path
    migrations: Path
    """Root of the catalogue (MIGRATOR_MIGRATIONS)."""
    targets: Path
    """targets.yaml (MIGRATOR_TARGETS)."""
    cache: Path | None
    """Directory for what was read from the catalogue (MIGRATOR_CACHE); None reads every file each time."""
    programs: Path | None = None
    """Directory of PostgreSQL's client programs (MIGRATOR_PG_BIN); None looks for them."""

    housekeeping: str | None = "@hourly"
    """When the housekeeping runs (MIGRATOR_HOUSEKEEPING, a cron expression; "none": when somebody triggers it)."""

    def location(self, uri: str) -> str:
        """An absolute URI or path for `uri`; what targets.yaml gives as a relative path counts from home."""
        if "://" in uri or Path(uri).is_absolute():
            return uri
        return str(self.home / uri)


def read_settings(environment: Mapping[str, str] | None = None) -> Settings:
    env = os.environ if environment is None else environment
    housekeeping = env.get("MIGRATOR_HOUSEKEEPING") or "@hourly"
    home = Path(env.get("MIGRATOR_HOME") or HOME)
    return Settings(
        home=home,
        migrations=Path(env.get("MIGRATOR_MIGRATIONS") or home / "migrations"),
        targets=Path(env.get("MIGRATOR_TARGETS") or home / "include" / "config" / "targets.yaml"),
        cache=Path(env["MIGRATOR_CACHE"]) if env.get("MIGRATOR_CACHE") else None,
        programs=Path(env["MIGRATOR_PG_BIN"]) if env.get("MIGRATOR_PG_BIN") else None,
        housekeeping=None if housekeeping == "none" else housekeeping,
    )
