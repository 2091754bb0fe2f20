"""What a dry run starts from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from migrator.backups import proof, providers, target_settings
from migrator.backups.contract import Place, backup_of
from migrator.backups.copies import Copy
from migrator.database.schema import Schema
from migrator.database.schema_diff import SchemaDiff, patch
from migrator.database.session import Endpoint
from migrator.evidence import RIGHTS, ROLES_BEFORE, START, Check, RestoreEvidence, SnapshotRecord, TableFingerprint
from migrator.rehearsal.checks import settings_given


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
    session_settings: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of the target's database and role, with which the texts' sessions begin."""
    session_settings_missing: tuple[str, ...] = ()
    """Names of those with which they cannot."""
    roles: Mapping[str, str] = field(default_factory=dict)
    """See `SnapshotRecord.roles`."""
    rights: tuple[Check, ...] = ()
    """What the copy lacks of the target's rights."""

    @property
    def start(self) -> Schema:
        """From where the migration goes."""
        return patch(self.schema, self.first.changes)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What a rehearsal on it cannot show."""
        given = settings_given(self.session_settings, self.session_settings_missing)
        return (*given, *self.rights)

    @property
    def started(self) -> dict[str, Any]:
        """The same for the evidence, where others come first."""
        return {START: self.start.to_dict(), ROLES_BEFORE: list(self.first.roles)}


def of_record(
    record: SnapshotRecord, restore: RestoreEvidence, copy: Copy, place: Place | None, copies: Endpoint
) -> Original:
    """What `copy` is a restore of.

    :param place: where the snapshot is; None: the values of the target's settings are out of reach.
    """
    kept: dict[str, str] = {target_settings.PATH: record.search_path} if record.search_path else {}
    if record.session_settings and place is not None:
        kept |= providers.find(record.provider).settings(place, backup_of(record))
    settings = target_settings.settable(kept, copies) if kept else {}
    return Original(
        record.id,
        copy,
        Schema.from_dict(record.schema),
        proof.own_rows(record),
        settings=record.settings,
        session_settings=settings,
        roles=record.roles,
        rights=tuple(check for check in restore.checks if check.name == RIGHTS),
        session_settings_missing=target_settings.missing(record.session_settings, settings),
    )
