"""Which migrations of a catalogue come before another one, and which SQL files belong to it."""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from migrator.analysis.effects import Assumed, World
from migrator.analysis.walk.pending import Before, Chain, Earlier, lock_orders
from migrator.catalogue import content
from migrator.catalogue.catalogue import load_catalogue
from migrator.catalogue.metadata import METADATA_FILE
from migrator.errors import BaselineMissing, InvalidInput

if TYPE_CHECKING:
    from migrator.analysis.walk.lock_order import LockOrder
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.database.session import Endpoint
    from migrator.ledger.rows import LedgerMigration

USUAL_ROOT = "migrations"


@dataclass
class Past:
    """Reads and parses each migration once, when it is first needed.

    :param rows: of the target's ledger, by version; None: no ledger was asked, so that all may be applied or not.
    """

    catalogue: Catalogue
    rows: Mapping[str, LedgerMigration] | None = None
    _read: dict[str, Earlier | None] = field(default_factory=dict)
    _chains: dict[Assumed, Chain] = field(default_factory=dict)
    _orders: dict[str, tuple[LockOrder, ...]] = field(default_factory=dict)

    def before(
        self,
        version: str,
        *,
        now: bool = False,
        first: frozenset[str] = frozenset(),
        assumed: Assumed | None = None,
    ) -> Before:
        """
        :param first: versions that come before it, though it does not depend on them.
        :param assumed: without a connection, so that the walk through the past is done once for all migrations.
        """
        if self.catalogue.get(version) is None:
            return Before()
        chain = None if assumed is None else self._chains.setdefault(assumed, Chain(World(None, assumed)))
        count = self._places[version]
        return Before(
            self._pending[: bisect_left(self._pending_places, count)],
            frozenset(self.catalogue.dependencies_of(version)) | first,
            asked=self.rows is not None,
            now=now,
            chain=chain,
        )

    def others(self, version: str) -> tuple[LockOrder, ...]:
        """In which order all other migrations that are known to be waiting lock relations. Without a ledger none is:
        of a thousand migrations most are applied long ago."""
        if self.rows is None:
            return ()
        waiting = (self._orders_of(item) for item in self._pending if item.version != version)
        return tuple(order for orders in waiting for order in orders)

    def own(self, migration: Migration) -> Earlier | None:
        """None when it cannot be read: that is told where it is looked at itself."""
        if migration.version not in self._read:
            self._read[migration.version] = _read(migration)
        return self._read[migration.version]

    @functools.cached_property
    def _places(self) -> dict[str, int]:
        return {migration.version: place for place, migration in enumerate(self.catalogue.migrations)}

    @functools.cached_property
    def _pending(self) -> tuple[Earlier, ...]:
        """In the catalogue's order."""
        waiting = (self.own(item) for item in self.catalogue.migrations if self._is_pending(item.version))
        return tuple(item for item in waiting if item is not None)

    @functools.cached_property
    def _pending_places(self) -> list[int]:
        return [self._places[item.version] for item in self._pending]

    def _orders_of(self, migration: Earlier) -> tuple[LockOrder, ...]:
        if migration.version not in self._orders:
            self._orders[migration.version] = lock_orders(migration)
        return self._orders[migration.version]

    def _is_pending(self, version: str) -> bool:
        row = self.rows.get(version) if self.rows is not None else None
        return row is None or row.status != "success"


def _read(migration: Migration) -> Earlier | None:
    try:
        raw = content.read_files(migration)
    except InvalidInput:
        return None
    files = tuple(content.parse_sql(migration, raw).values())
    return Earlier(migration.version, migration.relative, files, migration.metadata.transaction)


def catalogue_of(file: Path, root: Path) -> tuple[Path, str] | None:
    """The catalogue's folder and the version that an SQL file belongs to; None for a file of no migration.

    :param root: the catalogue that was named, taken when the file lies in it; else the folder "migrations" above it.
    """
    folder = file.resolve().parent
    if not (folder / METADATA_FILE).is_file():
        return None
    named = root.resolve()
    if folder.is_relative_to(named):
        return named, folder.name
    above = next((parent for parent in folder.parents if parent.name == USUAL_ROOT), None)
    return None if above is None else (above, folder.name)


@functools.lru_cache(maxsize=8)
def past_of(root: Path) -> Past:
    """Without a ledger, once a process: files are analysed in one go."""
    return Past(load_catalogue(root))


def rows_of(endpoint: Endpoint) -> Mapping[str, LedgerMigration] | None:
    """What the target's ledger says, by version. None: it has none, but objects that somebody made, so that nobody
    knows what is applied."""
    from migrator.history import applied as history
    from migrator.ledger.ledger import Ledger

    with Ledger(endpoint) as ledger:
        if ledger.exists():
            return {row.version: row for row in ledger.migrations()}
        try:
            history.require(endpoint, ledger)
        except BaselineMissing:
            return None
    return {}


def before_file(past: Past, version: str, file: Path, before: Before) -> Before:
    """Before one file of a migration: the migration's own files that run before it, too; before the rollback script,
    all of them."""
    migration = past.catalogue.get(version)
    if migration is None:
        return before
    names = [migration.folder.resolve() / name for name in content.sql_names(migration)]
    here = file.resolve()
    own = past.own(migration)
    count = names.index(here) if here in names else len(names)
    if own is None or not count:
        return before
    mine = Earlier(version, f"{own.label}, to which it belongs,", own.files[:count], own.transaction)
    return replace(before, earlier=(*before.earlier, mine), required=before.required | {version}, own=True)
