"""A target as the engine takes it: endpoints from Airflow connections, the policy from targets.yaml."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.hook import BaseHook

from airflow_migrator.settings import Settings, read_settings

if TYPE_CHECKING:
    from migrator.backups.storage import Storage
    from migrator.catalogue.catalogue import Catalogue
    from migrator.catalogue.migration import Migration
    from migrator.database.session import Endpoint
    from migrator.ledger.ledger import Ledger
    from migrator.targets.targets import Target


class PgMigrationHook(BaseHook):
    """
    :param target: name of a target in targets.yaml.
    """

    def __init__(self, target: str, *, settings: Settings | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_name = target
        self.settings = settings or read_settings()

    @cached_property
    def _target(self) -> Target:
        from migrator.targets.targets_model import load_targets

        return load_targets(self.settings.targets).get(self.target_name)

    def target(self) -> Target:
        """The policy, read once.

        :raises UsageError: there is no target of that name.
        """
        return self._target

    def migration(self, version: str) -> Migration:
        from migrator.catalogue.catalogue import load_one

        return load_one(self.settings.migrations, version)

    def catalogue(self) -> Catalogue:
        from migrator.catalogue.catalogue import load_catalogue

        return load_catalogue(self.settings.migrations, cache=self.settings.cache)

    def endpoint(self) -> Endpoint:
        """The target's own database."""
        target = self.target()
        return self._endpoint(target.connection, role=target.role, search_path=target.search_path)

    def sealing_key(self) -> bytes | None:
        """What only the workers know about this target; None: its connection has no password."""
        from migrator.database import sealing

        return sealing.key_of(self.endpoint(), f"documents of {self.target_name}")

    def copies(self) -> Endpoint:
        """The server on which throw-away copies are restored."""
        target = self.target()
        if not target.copies_connection:
            from migrator.errors import UsageError

            raise UsageError(f"target {target.name!r} has no copies_connection: nothing to restore its snapshot onto")
        return self._endpoint(target.copies_connection, role=None, search_path=target.search_path)

    def snapshot_storage(self) -> Storage:
        """Where the target's snapshots are kept."""
        from airflow_migrator.storage.snapshot_storage import storage_at

        return storage_at(self.settings.location(self.target().storage))

    def ledger(self, *, purpose: str = "ledger") -> Ledger:
        from migrator.ledger.ledger import Ledger

        return Ledger(self.endpoint(), purpose=purpose)

    def _endpoint(self, connection_id: str, *, role: str | None, search_path: str) -> Endpoint:
        from airflow_migrator.hooks.conninfo import SEAL_KEY, conninfo_of
        from migrator.database.session import Endpoint

        connection = self.get_connection(connection_id)
        return Endpoint(
            conninfo=conninfo_of(connection),
            seal_secret=connection.extra_dejson.get(SEAL_KEY),
            role=role,
            search_path=search_path,
            name=self.target_name,
        )
