"""snapshot: a restorable copy of the target, with the facts of the very moment it was taken.

One transaction exports a snapshot; the dump, the schema, the hashes of all tables and the sequences are all read
in it. So what restore_test compares with is what was dumped, however much the application writes meanwhile.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from migrator.backups import obstacle_facts, obstacles, providers, stand_ins, target_settings
from migrator.backups.contract import Place, Wanted
from migrator.backups.storage import Storage, local_storage
from migrator.database import fingerprint, large_objects, meanings, queries, schema, session
from migrator.database.held import Beside
from migrator.database.schema import LEDGER_SCHEMA, Schema
from migrator.database.session import Connection, Endpoint
from migrator.database.vocabulary import written
from migrator.evidence import SnapshotRecord, TableFingerprint
from migrator.plan import Plan
from migrator.run import RunContext
from migrator.targets.targets import Target

LOG = logging.getLogger(__name__)


@dataclass
class _Facts:
    """Read while the dump runs."""

    schema: Schema
    tables: tuple[TableFingerprint, ...]
    large_objects: TableFingerprint


def run(
    plan: Plan,
    *,
    endpoint: Endpoint,
    target: Target,
    run: RunContext,
    storage: Storage | None = None,
    programs: Path | None = None,
    log: logging.Logger = LOG,
) -> SnapshotRecord:
    """The stage. A retry of the same run removes what its earlier attempt left and starts anew.

    :param storage: where to keep it; taken from the target when it is a directory.
    :param programs: directory of pg_dump; looked for when None.
    :raises Refused: the role cannot read all of it.
    :raises ProgramFailed, ConnectionLost, EnvironmentFault: no snapshot was kept.
    """
    started = time.monotonic()
    provider = providers.find(target.provider)
    place = Place(target, storage or local_storage(target.storage), programs, log=log)
    with session.connect(
        endpoint, purpose="snapshot", version=plan.version, lock_timeout_ms=60_000, idle_in_transaction_timeout_ms=0
    ) as conn:
        server_version = conn.info.server_version
        identifier = session.system_identifier(conn)
        source = obstacle_facts.source(conn)
        obstacles.refuse(obstacles.of_source(source), what=f"there can be no snapshot of {target.name!r}")
        with session.translated():
            conn.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            before = fingerprint.sequences(conn)
            settings, path = meanings.of_target(conn), target_settings.path_of(conn)
            session_settings = target_settings.read(conn)
            exported, taken_at, lsn, database = conn.execute(
                queries.load("migrator.backups", "backups")["moment"]
            ).fetchall()[0]
        name = snapshot_name(plan.version, run.run_id, taken_at)
        facts: list[_Facts] = []
        backup = provider.create(
            place,
            Wanted(
                name,
                endpoint,
                server_version // 10_000,
                encoding="SQL_ASCII" if source.locale.encoding == "SQL_ASCII" else "UTF8",
                exported=exported,
                settings=session_settings,
                while_waiting=lambda: facts.append(_read(conn, endpoint, log)),
            ),
        )
        with session.translated():
            conn.execute("ROLLBACK")
        after = fingerprint.sequences(conn)
        found = facts[0]
        roles = stand_ins.of_target(conn, written(plan, Schema({})), found.schema)
    record = SnapshotRecord(
        id=name,
        provider=provider.NAME,
        location=backup.location,
        target=target.name,
        database=database,
        system_identifier=identifier,
        server_version_num=server_version,
        lsn=lsn,
        taken_at=taken_at,
        finished_at=run.clock(),
        seconds=time.monotonic() - started,
        size_bytes=backup.size_bytes,
        manifest_digest=backup.digest,
        tool=backup.tool,
        compression=backup.compression,
        schema_fingerprint=found.schema.fingerprint,
        schema=found.schema.to_dict(),
        tables=found.tables,
        sequences=before,
        expires_at=taken_at + timedelta(days=target.snapshot.retention_days),
        sequences_after={name: value for name, value in after.items() if before.get(name) != value},
        settings=settings,
        large_objects=found.large_objects,
        session_settings=tuple(sorted(session_settings)),
        search_path=path,
        roles=roles,
    )
    log.info(
        "snapshot %s: %s bytes in %.1f s (dump and hashes of %s tables side by side: %.1f s)",
        name,
        f"{record.size_bytes:,}",
        record.seconds,
        len(found.tables),
        backup.seconds,
    )
    return record


def snapshot_name(version: str, run_id: str, taken_at: datetime) -> str:
    """Sorts by time; says whose it is."""
    stamp = taken_at.strftime("%Y%m%dT%H%M%SZ")
    return f"{stamp}-{_plain(version)}-{_plain(run_id)}"


def _read(conn: Connection, endpoint: Endpoint, log: logging.Logger) -> _Facts:
    def tell(table: TableFingerprint) -> None:
        log.info("hashed %s: %s rows", table.table, f"{table.rows:,}")

    with session.translated(), Beside(endpoint) as beside:
        return _Facts(
            schema=schema.read(conn, exclude=(LEDGER_SCHEMA,)),
            tables=fingerprint.tables(conn, exclude=(), beside=beside, observe=tell),
            large_objects=large_objects.content(conn),
        )


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]", "_", text)[:80]
