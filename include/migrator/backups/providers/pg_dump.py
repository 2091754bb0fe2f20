"""Snapshots by pg_dump: a logical copy in directory format, of one exported snapshot, in parallel.

https://www.postgresql.org/docs/current/app-pgdump.html; restores with pg_restore into an empty database.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from migrator.backups import manifest, obstacle_facts, retention, target_settings
from migrator.backups.contract import Backup, Capabilities, Place, Restored, Wanted
from migrator.backups.program_words import advice_on
from migrator.backups.programs import client_programs, connection_by_service, run
from migrator.backups.table_of_contents import entry_of, is_left_out
from migrator.database import session
from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.errors import EnvironmentFault, ProgramFailed, UsageError
from migrator.evidence import Check, Verdict
from migrator.parsing.statements import parse

NAME = "pg_dump"
CAPABILITIES = Capabilities(
    scope="database",
    point_in_time=False,
    same_moment=True,
    leaves_out=(
        "owners",
        "tablespaces",
        "default privileges",
        "publications",
        "subscriptions",
        "event triggers",
        "user mappings",
        "settings of databases and roles, but in a rehearsal",
        "who has granted a privilege, but for its owner",
        "grants, where one is to a role of a newer release",
        "what a template database of the other server has already: extensions, and privileges on their members",
    ),
    rights=("CONNECT", "SELECT on every table, sequence and large object", "no row level security on what it reads"),
)
DUMP = "dump"
"""The directory of the dump inside the snapshot's."""
LOCK_WAIT = "60s"
"""Somebody's DDL must not be queued behind, or in front of, a dump that waits."""
LEVELS = {"zstd": "zstd:3", "lz4": "lz4", "gzip": "gzip:1", "none": "none"}
"""Measured: gzip at its default level takes 2.7 times as long as at level 1, for 3 % of the size."""
FASTEST_FIRST = ("zstd", "lz4", "gzip")


def create(place: Place, wanted: Wanted) -> Backup:
    """Dump everything that the exported snapshot sees, beside its final place; it is there as a whole or not at all."""
    tools = client_programs(wanted.server_major, configured=place.programs)
    compression = choose_compression(place.target.snapshot.compression, tools)
    key = f"{place.target.name}/{wanted.name}"
    retention.remove_leftovers(place.storage, place.target.name, wanted.name)
    folder = place.storage.workplace(key)
    folder.mkdir(mode=0o700, parents=True)
    jobs = place.target.snapshot.jobs
    label = wanted.endpoint.label
    place.log.info("snapshot %s of %s: pg_dump %s, %s, %s jobs", wanted.name, label, tools.version, compression, jobs)
    try:
        seconds = _dump(wanted, folder, programs=tools, jobs=jobs, compression=compression)
        target_settings.write(wanted.settings, folder)
        listing = manifest.build(wanted.name, folder)
        manifest.write(listing, folder)
        place.storage.keep(key, folder)
    except BaseException:
        _give_up(place, key)
        raise
    return Backup(
        wanted.name,
        place.storage.location(key),
        size_bytes=listing.size_bytes,
        digest=listing.digest,
        tool=f"pg_dump {tools.version}",
        compression=compression,
        seconds=seconds,
    )


def list(place: Place) -> tuple[Backup, ...]:
    complete, left = place.storage.keys(place.target.name), place.storage.leftovers(place.target.name)
    return tuple(
        Backup(key.rpartition("/")[2], place.storage.location(key), complete=key in complete)
        for key in sorted({*complete, *left})
    )


def restore(place: Place, backup: Backup, into: Endpoint, *, prepare: Callable[[], None], privileges: bool) -> Restored:
    """Into an empty database; the first error ends it.

    Everything belongs to the restoring role. Left out, and told: what reaches beyond the database (subscriptions would
    start to replicate, publications need rights), default privileges of roles that are not here, and, without
    `privileges`, all grants.
    """
    key = f"{place.target.name}/{backup.name}"
    folder = place.storage.fetch(key)
    try:
        manifest.check(folder, digest=backup.digest)
        prepare()
        tools = client_programs(int(backup.tool.split()[1].split(".")[0]), configured=place.programs)
        jobs = place.target.snapshot.jobs
        seconds, left_out = _restore(into, folder, programs=tools, jobs=jobs, privileges=privileges)
    finally:
        place.storage.release(key, folder)
    files = Check("files", Verdict.PASSED, f"checksums of {backup.size_bytes:,} bytes as dumped")
    return Restored(seconds, (files,), left_out)


def settings(place: Place, backup: Backup) -> Mapping[str, str]:
    key = f"{place.target.name}/{backup.name}"
    found = manifest.read_one(target_settings.NAME, lambda name: place.storage.read(key, name), digest=backup.digest)
    return {} if found is None else target_settings.parse(found)


def recover(place: Place, backup: Backup, into: Endpoint, *, to: datetime) -> Restored:
    raise UsageError(
        f"a dump is of one moment: snapshot {backup.name} cannot be brought to {to:%Y-%m-%d %H:%M:%S %Z}; restore it as"
        " it is, or use a provider that archives WAL"
    )


def prune(place: Place, *, now: datetime) -> tuple[str, ...]:
    return retention.expire(place.target, now=now, storage=place.storage, log=place.log)


def _give_up(place: Place, key: str) -> None:
    """What cannot be removed now is an incomplete snapshot for `prune`; the reason of the failure counts more."""
    try:
        place.storage.delete(key)
    except Exception as exc:
        place.log.warning("what there is of snapshot %s could not be removed: %s", key, exc)


def choose_compression(wanted: str, programs: Programs) -> str:
    """What `auto` means for these programs, or `wanted` itself.

    :raises EnvironmentFault: this pg_dump cannot do what is wanted.
    """
    if wanted == "auto":
        return next(method for method in FASTEST_FIRST if _knows(programs, method))
    if not _knows(programs, wanted):
        raise EnvironmentFault(
            f"pg_dump {programs.version} ({programs.bindir}) was built without {wanted}; set the target's"
            " snapshot.compression to auto, or install PostgreSQL's own client packages of version 16 or later"
        )
    return wanted


@functools.cache
def _knows(programs: Programs, method: str) -> bool:
    """Ask the program: the libraries are a matter of its build. It refuses before it connects anywhere."""
    if method in ("gzip", "none"):
        return True
    if programs.major < 16:
        return False
    scratch = tempfile.mkdtemp(prefix="migrator-probe-")
    try:
        nowhere = f"host={scratch} dbname=nowhere connect_timeout=1"
        programs.run(
            "pg_dump", "--format=directory", f"--file={scratch}/d", f"--compress={LEVELS[method]}", "-d", nowhere
        )
    except ProgramFailed as exc:
        return "connection" in str(exc.fields["output"])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return True


def _dump(wanted: Wanted, folder: Path, *, programs: Programs, jobs: int, compression: str) -> float:
    """Into `folder`/dump; returns seconds."""
    level = {"gzip": "1", "none": "0"}[compression] if programs.major < 16 else LEVELS[compression]
    role = [f"--role={wanted.endpoint.role}"] if wanted.endpoint.role else []
    with connection_by_service(wanted.endpoint) as (conninfo, env):
        return run(
            programs,
            "pg_dump",
            "--format=directory",
            f"--file={folder / DUMP}",
            f"--jobs={jobs}",
            f"--compress={level}",
            f"--snapshot={wanted.exported}",
            f"--lock-wait-timeout={LOCK_WAIT}",
            f"--encoding={wanted.encoding}",
            "--no-password",
            *role,
            f"--dbname={conninfo}",
            env=env,
            while_waiting=wanted.while_waiting,
        )


def _restore(
    endpoint: Endpoint, folder: Path, *, programs: Programs, jobs: int, privileges: bool
) -> tuple[float, tuple[str, ...]]:
    """Seconds, and the entries of the dump that were left out."""
    source = folder / DUMP
    entries = programs.run("pg_restore", "--list", source).splitlines()
    with session.connect(endpoint, purpose="observe") as conn:  # not as the role of a copy, which may log in once
        held = obstacle_facts.held(conn)
    dropped = {line for line in entries if is_left_out(line, privileges=privileges, held=held)}
    left_out = tuple(entry_of(line) for line in entries if line in dropped)
    granting = [line for line in entries if line not in dropped and entry_of(line).startswith("ACL ")]
    dropped.update(granting)
    with (
        connection_by_service(endpoint) as (conninfo, env),
        tempfile.NamedTemporaryFile("w", prefix="migrator-toc-", suffix=".list") as listing,
    ):
        listing.write("\n".join(line for line in entries if line not in dropped) + "\n")
        listing.flush()
        try:
            seconds = run(
                programs,
                "pg_restore",
                "--exit-on-error",
                "--no-owner",
                "--no-tablespaces",
                "--no-password",
                f"--jobs={jobs}",
                f"--use-list={listing.name}",
                f"--dbname={conninfo}",
                str(source),
                env=env,
            )
        except ProgramFailed as exc:
            raise ProgramFailed(f"{exc}{advice_on(str(exc))}", **exc.fields) from None
    return seconds + _grant(endpoint, source, granting, programs), left_out


def _grant(endpoint: Endpoint, source: Path, entries: Sequence[str], programs: Programs) -> float:
    """The privileges, all by the owner: what somebody else has granted pg_restore would grant after SET SESSION
    AUTHORIZATION, which is a superuser's. Returns seconds."""
    if not entries:
        return 0.0
    started = time.monotonic()
    with tempfile.NamedTemporaryFile("w", prefix="migrator-toc-", suffix=".list") as listing:
        listing.write("\n".join(entries) + "\n")
        listing.flush()
        text = programs.run("pg_restore", "--no-owner", f"--use-list={listing.name}", "--file=-", source)
    with session.connect(endpoint, purpose="restore") as conn, session.translated(), conn.transaction():
        for statement in parse(text, file="privileges").statements:
            if statement.name == "grant_stmt":
                conn.execute(statement.sql.encode())
    return time.monotonic() - started
