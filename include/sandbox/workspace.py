"""Where one local stack keeps its files. One directory, so that deleting it deletes everything."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def repository() -> Path:
    """The checkout that this file belongs to; dags/, plugins/ and migrations/ are taken from it."""
    return Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workspace:
    root: Path

    @classmethod
    def default(cls) -> Workspace:
        return cls(repository() / ".local")

    @property
    def airflow_home(self) -> Path:
        return self.root / "airflow"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def snapshots(self) -> Path:
        return self.root / "snapshots"

    @property
    def evidence(self) -> Path:
        return self.root / "evidence"

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def secrets_file(self) -> Path:
        return self.root / "secrets.json"

    def create(self) -> None:
        # Servers may run as another user (PostgreSQL refuses root), so the way to their data must be open.
        for directory in (self.root, self.airflow_home, self.logs, self.snapshots, self.evidence):
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(0o755)
        self.airflow_home.chmod(0o700)

    def secret(self, name: str) -> str:
        """The generated secret of that name, made on first use. The file is readable by its owner only."""
        known = self._read(self.secrets_file)
        if name not in known:
            known[name] = secrets.token_urlsafe(18)
            self._write(self.secrets_file, known)
        return str(known[name])

    def read_state(self) -> dict[str, Any]:
        return self._read(self.state_file)

    def write_state(self, state: dict[str, Any]) -> None:
        self._write(self.state_file, state)

    @staticmethod
    def _read(path: Path) -> dict[str, Any]:
        try:
            return dict(json.loads(path.read_text()))
        except (FileNotFoundError, ValueError):
            return {}

    @staticmethod
    def _write(path: Path, content: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".new")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(content, file, indent=2)
        draft.replace(path)
