"""What a dry run starts from."""

from __future__ import annotations

from dataclasses import dataclass

from migrator.backups.copies import Copy
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff, patch
from migrator.evidence import TableFingerprint

NOTHING_FIRST = SchemaDiff(())


@dataclass(frozen=True)
class Original:
    """The database that was copied, as the snapshot has it."""

    snapshot_id: str
    copy: Copy
    schema: Schema
    tables: tuple[TableFingerprint, ...]
    first: SchemaDiff = NOTHING_FIRST
    """What the migrations have changed that come first in the window; `schema` is as the snapshot has it."""

    @property
    def start(self) -> Schema:
        """From where the migration goes."""
        return patch(self.schema, self.first)
