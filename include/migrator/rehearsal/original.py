"""What a dry run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from migrator.backups.copies import Copy
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff, patch
from migrator.evidence import TableFingerprint


@dataclass(frozen=True)
class First:
    """What the migrations have changed on the clone that come first in the window."""

    changes: SchemaDiff = field(default_factory=lambda: SchemaDiff(()))
    """Of the portable schema."""
    roles: tuple[str, ...] = ()
    """What has another owner or other rights since, or is new: "table public.t"."""


NOTHING_FIRST = First()


@dataclass(frozen=True)
class Original:
    """The database that was copied, as the snapshot has it."""

    snapshot_id: str
    copy: Copy
    schema: Schema
    tables: tuple[TableFingerprint, ...]
    first: First = NOTHING_FIRST
    """`schema` is as the snapshot has it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """By which the target stores: `meanings.TARGETS_OWN`."""

    @property
    def start(self) -> Schema:
        """From where the migration goes."""
        return patch(self.schema, self.first.changes)
