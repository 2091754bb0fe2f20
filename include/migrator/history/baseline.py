"""Adopting a database that has a past: what was applied by hand becomes rows of the ledger, each with an event.

A database with objects but without a history is refused elsewhere (`require`), because applying the catalogue's first
migration to it could only go wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import migrator
from migrator.database import plain, queries, session
from migrator.database.session import Connection, Endpoint
from migrator.errors import BaselineMissing, UsageError
from migrator.history import legacy
from migrator.history.legacy import LegacyRow
from migrator.ledger import events as chain_events
from migrator.ledger.ledger import Ledger
from migrator.ledger.rows import MigrationStatus
from migrator.ledger.states import STATUS
from migrator.run import RunContext

SHOWN = 5
LEGACY_TABLE = "public.schema_migrations"


@dataclass(frozen=True)
class Known:
    """What the catalogue knows of a version today."""

    filename: str
    checksum: str
    """The content digest of the files of today, against which later edits are measured."""
    description: str
    type: str | None
    risk: str | None
    raw: bytes
    """The SQL file, for the md5 that the runbook's table may hold."""


@dataclass(frozen=True)
class Adopted:
    version: str
    source: str
    """"public.schema_migrations", another tool's name, or "command line"."""
    note: str | None = None


@dataclass(frozen=True)
class BaselineReport:
    adopted: tuple[Adopted, ...]
    skipped: tuple[tuple[str, str], ...]
    """Version and why."""
    objects: int
    """How many tables, views and sequences were there."""


def require(connection: Connection, ledger: Ledger) -> None:
    """Refuse a database with objects of which no history tells.

    :raises BaselineMissing: names some of the objects and the command.
    """
    if ledger.exists() and ledger.baselined():
        return
    names, total = objects(connection, ledger.schema)
    recorded = legacy_rows(connection)
    if not total and not recorded:
        return
    shown = ", ".join(names) + (f" and {total - len(names)} more" if total > len(names) else "")
    history = f" and public.schema_migrations with {len(recorded)} versions" if recorded else ""
    raise BaselineMissing(
        f"the database has {shown or 'no tables'}{history}, but no ledger tells how they came: say what is applied "
        'with "migrator baseline", before anything is migrated',
        objects=names,
        total=total,
    )


def objects(connection: Connection, ledger_schema: str) -> tuple[tuple[str, ...], int]:
    """The first few tables, views and sequences of the users, and how many there are."""
    with session.translated():
        rows = connection.execute(
            queries.load(__package__, "baseline")["objects"], {"ledger": ledger_schema, "limit": SHOWN}
        ).fetchall()
    return tuple(row[0] for row in rows), rows[0][1] if rows else 0


def legacy_rows(connection: Connection) -> tuple[LegacyRow, ...]:
    """The runbook's table, or nothing when there is none."""
    with session.translated():
        found = plain.table(connection, LEGACY_TABLE)
        return () if found is None else legacy.read(plain.texts(connection, found))


def adopt(
    endpoint: Endpoint,
    ledger: Ledger,
    *,
    run: RunContext,
    reason: str,
    versions: tuple[str, ...] = (),
    known: Mapping[str, Known] | None = None,
    from_table: bool = True,
    rows: tuple[LegacyRow, ...] = (),
    source: str = LEGACY_TABLE,
) -> BaselineReport:
    """Install the ledger and take the applied versions over: those of the runbook's table and those named. All in one
    transaction; what the ledger has already is left alone, so a second time writes nothing.

    :param rows: what another tool's ledger says, instead of the runbook's table; `source` names it.

    Without any version it records that the objects which are there belong to no migration.

    :raises UsageError: no reason, or a named version that the catalogue does not have.
    """
    if not reason.strip():
        raise UsageError("a baseline needs a reason: it is the only trace of what was looked at")
    catalogue = known or {}
    unknown = [version for version in versions if known is not None and version not in known]
    if unknown:
        raise UsageError(f"the catalogue has no migration {', '.join(map(repr, unknown))}")
    with session.connect(endpoint, purpose="baseline") as connection:
        rows = rows or (legacy_rows(connection) if from_table else ())
        rows = legacy.merged(legacy.as_catalogued(row, catalogue) for row in rows)
        _, total = objects(connection, ledger.schema)
    ledger.install()
    ledger.check()
    wanted = _wanted(rows, versions)
    present = {row.version for row in ledger.migrations()}
    skipped = [(row.version, row.not_applied_because) for row in rows if row.not_applied_because is not None]
    skipped = [(version, why) for version, why in skipped if version not in versions]
    skipped += [(version, "the ledger has it already") for version in wanted if version in present]
    new = {version: row for version, row in wanted.items() if version not in present}
    adopted = tuple(_adopted(version, row, catalogue.get(version), source) for version, row in new.items())
    report = BaselineReport(adopted=adopted, skipped=tuple(skipped), objects=total)
    if new or not ledger.baselined():
        _write(ledger, report, new, catalogue, run=run, reason=reason)
    return report


def _write(
    ledger: Ledger,
    report: BaselineReport,
    rows: Mapping[str, LegacyRow | None],
    catalogue: Mapping[str, Known],
    *,
    run: RunContext,
    reason: str,
) -> None:
    with ledger.transaction() as connection:
        detail = {"reason": reason, "objects": report.objects, "skipped": report.skipped}
        chain_events.append(ledger, connection, "baseline", version=None, run=run, detail=detail)
        for adopted in report.adopted:
            row, files = rows[adopted.version], catalogue.get(adopted.version)
            chain_events.append(
                ledger,
                connection,
                "baseline",
                version=adopted.version,
                run=run,
                detail={
                    STATUS: MigrationStatus.SUCCESS.value,
                    "source": adopted.source,
                    "note": adopted.note,
                    "recorded": row,
                    "content_digest": files.checksum if files else None,
                },
            )
            ledger.execute(
                connection,
                "adopt_version",
                version=adopted.version,
                filename=files.filename if files else (row.filename if row else None) or f"{adopted.version}.sql",
                checksum=files.checksum if files else None,
                description=files.description if files else "",
                type=files.type if files else None,
                risk=files.risk if files else None,
                applied_at=row.applied_at if row else None,
                actor=chain_events.clean((row.applied_by if row else None) or run.actor),
                run_id=run.run_id,
                run_url=run.run_url,
                engine_version=migrator.__version__,
            )


def _wanted(rows: tuple[LegacyRow, ...], versions: tuple[str, ...]) -> dict[str, LegacyRow | None]:
    """Applied ones of the table, then the named ones. A person's word beats the table's "failed"."""
    by_version = {row.version: row for row in rows}
    wanted: dict[str, LegacyRow | None] = {row.version: row for row in rows if row.not_applied_because is None}
    for version in versions:
        wanted.setdefault(version, by_version.get(version))
    return wanted


def _adopted(version: str, row: LegacyRow | None, files: Known | None, source: str) -> Adopted:
    source = source if row is not None else "command line"
    note = None
    if files is None:
        note = "the catalogue does not have it, so later edits of its files cannot be noticed"
    elif row is not None and row.checksum is not None:
        md5 = hashlib.md5(files.raw, usedforsecurity=False).hexdigest()
        if row.checksum.lower() != md5:
            note = f"the file has md5 {md5} today, {row.checksum} was recorded when it was applied: it was edited since"
    return Adopted(version=version, source=source, note=note)
