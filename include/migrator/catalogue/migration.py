"""One versioned change as it lies on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.catalogue.metadata import METADATA_FILE, Metadata, StepSpec
from migrator.parsing.sql_text import read_sql

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Migration:
    """One versioned change as it lies on disk. The metadata is read, the SQL is not."""

    folder: Path
    relative: str
    """The folder as seen from the catalogue's root, with `/`: "2025/001_add_analytics_tables"."""
    metadata: Metadata
    sql_path: Path
    """`<version>.sql`; the first step's file when no step runs `<version>.sql`. Not there when no step reads a file."""
    rollback_path: Path | None = None
    changes_path: Path | None = None

    @property
    def version(self) -> str:
        return self.metadata.version

    @property
    def metadata_path(self) -> Path:
        return self.folder / METADATA_FILE

    @property
    def root(self) -> Path:
        """The catalogue's."""
        return self.folder.parents[self.relative.count("/")]

    @property
    def year(self) -> str:
        """The first folder below the root, by convention the year; empty when there is none."""
        return self.relative.split("/")[0] if "/" in self.relative else ""

    @property
    def filename(self) -> str:
        """What the ledger calls it, as the runbook does: "2025/001_add_analytics_tables.sql"."""
        parent = self.relative.rpartition("/")[0]
        return f"{parent}/{self.sql_path.name}" if parent else self.sql_path.name

    @property
    def steps(self) -> tuple[StepSpec, ...]:
        """The steps that the metadata declares; none means one `sql` step of `sql_path`."""
        return self.metadata.steps

    def step_path(self, step: StepSpec) -> Path:
        """The SQL file of a step that reads one."""
        return self.folder / (step.file or f"{self.version}.sql")

    @property
    def sql_paths(self) -> tuple[Path, ...]:
        """The SQL files of the steps in the order in which they run."""
        if not self.steps:
            return (self.sql_path,)
        return tuple(self.step_path(step) for step in self.steps if step.reads_file)

    def read_sql(self) -> bytes:
        """Of the migration's own file; empty when no step reads one."""
        return read_sql(self.sql_path) if self.sql_paths else b""

    def read_rollback(self) -> bytes:
        """The rollback script; empty when there is none."""
        return read_sql(self.rollback_path) if self.rollback_path else b""
