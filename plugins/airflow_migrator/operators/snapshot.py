"""snapshot: a restorable copy of the target, with the facts of the moment it was taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_migrator.operators.base import PgMigrationOperator, skip_if_applied

if TYPE_CHECKING:
    from airflow.sdk import Context


class PgMigrationSnapshotOperator(PgMigrationOperator):
    """Skipped, with all that follows, when the target already has the migration."""

    stage = "snapshot"
    ui_color = "#e6f4ea"

    def execute(self, context: Context) -> dict[str, Any]:
        from migrator.backups import providers
        from migrator.backups.contract import Place
        from migrator.stages import snapshot

        with self.running(context):
            plan, hook = self.plan(context), self.migration_hook()
            skip_if_applied(plan)
            target, storage = hook.target(), hook.snapshot_storage()
            record = snapshot.run(
                plan,
                endpoint=hook.endpoint(),
                target=target,
                run=self.run_context(context),
                storage=storage,
                programs=hook.settings.programs,
                log=self.log,
            )
            place = Place(target, storage, hook.settings.programs, log=self.log)
            providers.find(target.provider).prune(place, now=record.finished_at)
            return self.put(context, record, snapshot=record.id, size_bytes=record.size_bytes, seconds=record.seconds)
