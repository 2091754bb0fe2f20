"""restore_test: restore the snapshot on another server and prove that it is what was in the target.

A backup that was never restored is a hope. The proof compares content, not counts: a zeroed page still counts its rows.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from migrator.backups import copies as restored
from migrator.backups import copy_template, obstacle_facts, obstacles, proof, providers, stand_in_owners, stand_ins
from migrator.backups.contract import Place, backup_of
from migrator.backups.copies import Copy
from migrator.backups.copy_role import CopyRole
from migrator.backups.isolation import require_confined, require_isolated
from migrator.backups.storage import Storage, local_storage
from migrator.backups.trial import seal
from migrator.database import session
from migrator.database.schema import Schema
from migrator.database.session import Connection, Endpoint
from migrator.errors import CopySpoiled, ProgramFailed, Refused
from migrator.evidence import RestoreEvidence, SnapshotRecord, Verdict
from migrator.run import RunContext
from migrator.targets.targets import Target

LOG = logging.getLogger(__name__)


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

    The restore runs functions of tables' owners, in indexes, checks and views, so it is done as the copy's own role, to
    which everything belongs then; the proof is read by us.

    :raises RestoreNotProven: with every difference; the copy is dropped then. :raises Refused: the copy would be made
    on the very server that it is to insure, or where its role could reach more than the copy. :raises CopySpoiled:
    something in the snapshot has changed its role's password. :raises EnvironmentFault, ProgramFailed: nothing could be
    proved.
    """
    provider = providers.find(record.provider)
    place = Place(target, storage or local_storage(target.storage), programs, log=log)
    role = CopyRole(restored.new_name(run), copies, log)
    endpoint = copies.with_database(role.name)
    wanted = Schema.from_dict(record.schema)
    with session.connect(copies, purpose="restore", version=run.version) as conn:
        _elsewhere(conn, record, target, log)
        require_isolated(conn)
        missing = stand_ins.missing(conn, stand_ins.named_in(wanted))
        facts = obstacle_facts.server(conn)
    like = obstacles.described(wanted)
    obstacles.refuse(
        obstacles.of_server(like, facts), what=f"snapshot {record.id} cannot be restored on the server for copies"
    )
    roles = {**dict.fromkeys(stand_ins.named_in(wanted), ""), **record.roles}
    template = copy_template.choose(facts.templates, like.locale, like.extensions)
    made: Copy | None = None

    def prepare() -> None:
        """Only now may the copy of an earlier attempt go: this backup can take its place."""
        nonlocal made
        with session.connect(copies, purpose="restore", version=run.version) as conn:
            made = restored.create(conn, role, run=run, locale=like.locale, template=template, roles=roles)
            require_confined(conn, made)

    try:
        try:
            done = provider.restore(
                place, backup_of(record), role.on(role.name), prepare=prepare, privileges=not missing
            )
        except ProgramFailed as exc:
            raise ProgramFailed(f"{exc}{proof.advice_on_views(str(exc), wanted)}", **exc.fields) from None
        finally:
            if made is not None:
                _seal(copies, role, made)
        assert made is not None  # `prepare` was called
        stand_in_owners.give(record, made, copies, log)
        log.info("restored %s as %s in %.1f s", record.id, role.name, done.seconds)
        started = time.monotonic()
        checks = proof.prove(record, wanted, endpoint, missing, done, log, template=template)
        proof_seconds = time.monotonic() - started
        proof.refuse_differences(record, checks)
    except BaseException:
        _drop_at_the_end(copies, role.name, log)
        raise
    compared = proof.own_rows(record)
    return RestoreEvidence(
        snapshot_id=record.id,
        copy_database=role.name,
        verdict=Verdict.PASSED,
        checks=(*checks, *proof.rights(missing)),
        restore_seconds=done.seconds,
        proof_seconds=proof_seconds,
        tables_compared=len(compared),
        rows_compared=sum(table.rows for table in compared),
        finished_at=run.clock(),
    )


def _seal(copies: Endpoint, role: CopyRole, copy: Copy) -> None:
    """:raises CopySpoiled: the password was changed; that may also be why the restore has failed."""
    with session.connect(copies, purpose="restore") as conn:
        seal(conn, role, copy)
    if role.look():
        raise CopySpoiled(
            "what the snapshot holds has changed the password of the copy's role while it was restored: look for it in"
            " the functions of indexes, checks and views of the target"
        )


def drop_copy(evidence: RestoreEvidence, *, copies: Endpoint, run: RunContext, log: logging.Logger = LOG) -> bool:
    """Whether there was one. A copy of production's data does not outlive the run that needed it.

    :raises Refused: the document names a database that is not this run's copy.
    """
    with session.connect(copies, purpose="drop_copy") as conn:
        found = restored.drop_own(conn, evidence.copy_database, run)
    log.info("copy %s %s", evidence.copy_database, "dropped" if found else "was gone already")
    return found


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


def _drop_at_the_end(copies: Endpoint, name: str, log: logging.Logger) -> None:
    """On a connection of its own: the other may be in the middle of something."""
    try:
        with session.connect(copies, purpose="drop_copy") as conn:
            restored.drop_named(conn, name)
    except Exception as exc:
        log.warning('the copy "%s" could not be dropped, the hourly housekeeping will: %s', name, exc)
