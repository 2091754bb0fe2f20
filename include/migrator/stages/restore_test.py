"""restore_test: restore the snapshot on another server and prove that it is what was in the target.

A backup that was never restored is a hope. The proof compares content, not counts: a zeroed page still counts its rows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from migrator.backups import copies as restored
from migrator.backups import manifest, providers
from migrator.backups.programs import client_programs
from migrator.backups.storage import Storage, local_storage
from migrator.database import fingerprint, queries, schema, session
from migrator.database.schema import LEDGER_SCHEMA, ROLE_KINDS, Schema
from migrator.database.schema_diff import diff
from migrator.database.session import Connection, Endpoint
from migrator.errors import Refused, RestoreNotProven
from migrator.evidence import Check, RestoreEvidence, SnapshotRecord, TableFingerprint, Verdict
from migrator.run import RunContext
from migrator.targets.targets import Target

LOG = logging.getLogger(__name__)

SHOWN = 10
"""Differences of one check that a message names."""
NOT_RESTORED = (*ROLE_KINDS, "publication", "subscription", "user_mapping", "event_trigger", "setting")
"""Kinds that reach beyond the database, or belong to roles of the source: pg_restore is told to leave them out."""


def run(
    record: SnapshotRecord,
    *,
    copies: Endpoint,
    target: Target,
    run: RunContext,
    storage: Storage | None = None,
    programs: Path | None = None,
    log: logging.Logger = LOG,
) -> RestoreEvidence:
    """The stage; leaves the copy for the dry run. A retry drops its earlier copy and starts anew.

    :raises RestoreNotProven: with every difference; the copy is dropped then. :raises Refused: the copy would be made
    on the very server that it is to insure. :raises EnvironmentFault, ProgramFailed: nothing could be proved.
    """
    keeper = storage or local_storage(target.storage)
    provider = providers.find(record.provider)
    key = f"{record.target}/{record.id}"
    name = restored.copy_name(run)
    endpoint = copies.with_database(name)
    folder = keeper.fetch(key)
    try:
        manifest.check(folder, digest=record.manifest_digest)
        wanted = Schema.from_dict(record.schema)
        with session.connect(copies, purpose="restore", version=run.version) as conn:
            _elsewhere(conn, record, target, log)
            missing = _missing_roles(conn, wanted)
            database = wanted.objects.get("database", {})
            restored.create(
                conn,
                name,
                run=run,
                encoding=database.get("encoding", "UTF8"),
                lc_collate=database.get("collate", "C"),
                lc_ctype=database.get("ctype", "C"),
            )
            try:
                tools = client_programs(int(record.tool.split()[1].split(".")[0]), configured=programs)
                seconds, left_out = provider.restore(
                    endpoint, folder, programs=tools, jobs=target.snapshot.jobs, privileges=not missing
                )
                log.info("restored %s as %s in %.1f s", record.id, name, seconds)
                started = time.monotonic()
                checks = _prove(record, wanted, endpoint, missing, left_out, log)
                proof_seconds = time.monotonic() - started
                _refuse_differences(record, checks)
            except BaseException:
                _drop_at_the_end(copies, name, log)
                raise
    finally:
        keeper.release(key, folder)
    return RestoreEvidence(
        snapshot_id=record.id,
        copy_database=name,
        verdict=Verdict.PASSED,
        checks=checks,
        restore_seconds=seconds,
        proof_seconds=proof_seconds,
        tables_compared=len(record.tables),
        rows_compared=sum(table.rows for table in record.tables),
        finished_at=run.clock(),
    )


def drop_copy(evidence: RestoreEvidence, *, copies: Endpoint, log: logging.Logger = LOG) -> bool:
    """Whether there was one. A copy of production's data does not outlive the run that needed it."""
    with session.connect(copies, purpose="drop_copy") as conn:
        found = restored.drop(conn, evidence.copy_database)
    log.info("copy %s %s", evidence.copy_database, "dropped" if found else "was gone already")
    return found


def compare_tables(wanted: Sequence[TableFingerprint], found: Sequence[TableFingerprint]) -> tuple[str, ...]:
    """Every table whose rows differ, in words. Pure."""
    there = {table.table: table for table in found}
    problems = []
    for table in wanted:
        copy = there.pop(table.table, None)
        if copy is None:
            problems.append(f"table {table.table} is missing")
        elif copy.rows != table.rows:
            problems.append(f"table {table.table} has {copy.rows:,} rows, the source had {table.rows:,}")
        elif copy.hash != table.hash:
            problems.append(f"table {table.table} has the same number of rows, but other content")
    problems += [f"table {name} was not in the source" for name in there]
    return tuple(problems)


def compare_sequences(record: SnapshotRecord, found: Mapping[str, int | None]) -> tuple[str, ...]:
    """A sequence is not part of a snapshot: the dump has its position of some moment while it ran. Pure."""
    problems = []
    for name in sorted({*record.sequences, *found}):
        if name not in found:
            problems.append(f"sequence {name} is missing")
        elif name not in record.sequences:
            problems.append(f"sequence {name} was not in the source")
        else:
            first, value = record.sequences[name], found[name]
            last = record.sequences_after.get(name, first)
            if not _between(first, value, last):
                was = f"at {first}" if first == last else f"between {first} and {last}"
                problems.append(f"sequence {name} is at {value}, the source was {was}")
    return tuple(problems)


def _between(first: int | None, value: int | None, last: int | None) -> bool:
    if value is None or first is None or last is None:
        return value == first or (value is not None and first is None and last is not None)
    return min(first, last) <= value <= max(first, last)


def comparable(wanted: Schema, found: Schema, *, grants: bool) -> tuple[Schema, Schema]:
    """Both without what a restore by another role cannot give back. Pure."""
    kinds = [*NOT_RESTORED]
    if not grants or wanted.objects.get("default_privileges"):
        kinds.append("grant")
    return wanted.without(*kinds), found.without(*kinds)


def _prove(
    record: SnapshotRecord,
    wanted: Schema,
    endpoint: Endpoint,
    missing: Sequence[str],
    left_out: Sequence[str],
    log: logging.Logger,
) -> tuple[Check, ...]:
    checks = [Check("files", Verdict.PASSED, f"checksums of {record.size_bytes:,} bytes as dumped")]
    with session.connect(endpoint, purpose="restore") as conn:
        started = time.monotonic()
        found = fingerprint.tables(conn)
        rows = sum(table.rows for table in found)
        good = f"content of {len(found)} tables, {rows:,} rows, equal to the source at {record.lsn}"
        checks.append(_check("tables", compare_tables(record.tables, found), good, started))
        started = time.monotonic()
        good = f"{len(record.sequences)} sequences at the same position"
        checks.append(_check("sequences", compare_sequences(record, fingerprint.sequences(conn)), good, started))
        started = time.monotonic()
        here, there = comparable(wanted, schema.read(conn, exclude=(LEDGER_SCHEMA,)), grants=not missing)
        good = f"equal; not compared: {', '.join(kind.replace('_', ' ') for kind in NOT_RESTORED)}"
        if missing:
            good += f"; privileges not restored, because these roles are not on this server: {', '.join(missing)}"
        if left_out:
            good += f"; {len(left_out)} entries left out"
        checks.append(_check("schema", diff(here, there).lines(), good, started))
    for check in checks:
        log.info("restore test, %s: %s (%s, %.1f s)", check.name, check.verdict, check.detail, check.seconds)
    return tuple(checks)


def _check(name: str, problems: Sequence[str], good: str, started: float) -> Check:
    shown = "; ".join(problems[:SHOWN]) + (f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else "")
    verdict = Verdict.FAILED if problems else Verdict.PASSED
    return Check(name, verdict, shown or good, time.monotonic() - started)


def _refuse_differences(record: SnapshotRecord, checks: Sequence[Check]) -> None:
    failed = [check for check in checks if check.verdict is not Verdict.PASSED]
    if failed:
        differences = tuple(f"{check.name}: {check.detail}" for check in failed)
        raise RestoreNotProven(
            f"the restored copy of snapshot {record.id} does not equal the source:\n"
            + "\n".join(differences)
            + "\ndo not rely on this snapshot; find out why, then run again from snapshot",
            differences=differences,
        )


def _elsewhere(conn: Connection, record: SnapshotRecord, target: Target, log: logging.Logger) -> None:
    if session.system_identifier(conn) != record.system_identifier or record.system_identifier == "unavailable":
        return
    text = f"the copies connection of target {target.name!r} leads to the target's own server"
    if target.environment == "production":
        raise Refused(
            f"{text}: a restore there takes the application's memory and disk, and proves nothing about another"
            " machine. give copies_connection another server"
        )
    log.warning("%s; in production that is refused", text)


def _missing_roles(conn: Connection, wanted: Schema) -> tuple[str, ...]:
    """Roles that the source's grants name and this server does not have."""
    roles = sorted({role for text in wanted.objects.get("grant", {}).values() for role in _grantees(text)})
    with session.translated():
        rows: list[Any] = conn.execute(
            queries.load("migrator.backups", "backups")["missing_roles"], {"roles": roles}
        ).fetchall()
    return tuple(row[0] for row in rows)


def _grantees(text: str) -> set[str]:
    """`schema.read` writes "+SELECT to app, -USAGE from public"."""
    found = set()
    for part in text.split(", "):
        words = part.split(" to ") if " to " in part else part.split(" from ")
        if len(words) == 2:
            found.add(words[1].removesuffix(" with grant option").strip().strip('"'))
    return found


def _drop_at_the_end(copies: Endpoint, name: str, log: logging.Logger) -> None:
    """On a connection of its own: the other may be in the middle of something."""
    try:
        with session.connect(copies, purpose="drop_copy") as conn:
            restored.drop(conn, name)
    except Exception as exc:
        log.warning('the copy "%s" could not be dropped, the hourly housekeeping will: %s', name, exc)
