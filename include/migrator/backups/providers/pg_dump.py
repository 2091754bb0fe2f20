"""Snapshots by pg_dump: a logical copy in directory format, of one exported snapshot, in parallel.

https://www.postgresql.org/docs/current/app-pgdump.html; restores with pg_restore into an empty database.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from migrator.backups.programs import connection_environment, run
from migrator.database.session import Endpoint
from migrator.embedded.programs import Programs
from migrator.errors import EnvironmentFault, ProgramFailed

NAME = "pg_dump"
DUMP = "dump"
"""The directory of the dump inside the snapshot's."""
LOCK_WAIT = "60s"
"""Somebody's DDL must not be queued behind, or in front of, a dump that waits."""
LEVELS = {"zstd": "zstd:3", "lz4": "lz4", "gzip": "gzip:1", "none": "none"}
"""Measured: gzip at its default level takes 2.7 times as long as at level 1, for 3 % of the size."""
FASTEST_FIRST = ("zstd", "lz4", "gzip")


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


def dump(
    endpoint: Endpoint,
    folder: Path,
    *,
    programs: Programs,
    snapshot: str,
    jobs: int,
    compression: str,
    while_waiting: Callable[[], None],
) -> float:
    """Dump everything that `snapshot` (of pg_export_snapshot) sees into `folder`/dump; returns seconds."""
    level = {"gzip": "1", "none": "0"}[compression] if programs.major < 16 else LEVELS[compression]
    conninfo, env = connection_environment(endpoint)
    role = [f"--role={endpoint.role}"] if endpoint.role else []
    return run(
        programs,
        "pg_dump",
        "--format=directory",
        f"--file={folder / DUMP}",
        f"--jobs={jobs}",
        f"--compress={level}",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={LOCK_WAIT}",
        "--encoding=UTF8",
        "--no-password",
        *role,
        f"--dbname={conninfo}",
        env=env,
        while_waiting=while_waiting,
    )


def restore(
    endpoint: Endpoint, folder: Path, *, programs: Programs, jobs: int, privileges: bool
) -> tuple[float, tuple[str, ...]]:
    """Restore `folder`/dump into the empty database at `endpoint`; the first error ends it.

    Everything belongs to the restoring role. Left out, and told: what reaches beyond the database (subscriptions would
    start to replicate, publications need rights), default privileges of roles that are not here, and, without
    `privileges`, all grants.

    :returns: seconds, and the entries of the dump that were left out.
    """
    source = folder / DUMP
    entries = programs.run("pg_restore", "--list", source).splitlines()
    left_out = tuple(line.split(None, 3)[3] for line in entries if _is_foreign(line, privileges))
    conninfo, env = connection_environment(endpoint)
    with tempfile.NamedTemporaryFile("w", prefix="migrator-toc-", suffix=".list") as listing:
        listing.write("\n".join(line for line in entries if not _is_foreign(line, privileges)) + "\n")
        listing.flush()
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
    return seconds, left_out


def _is_foreign(line: str, privileges: bool) -> bool:
    """A line of the table of contents: "<id>; <catalog> <oid> <KIND> <schema> <name> <owner>"."""
    if line.startswith(";") or ";" not in line:
        return False
    rest = line.split(None, 3)[3] if len(line.split(None, 3)) == 4 else ""
    kinds = ("DEFAULT ACL ", "PUBLICATION ", "SUBSCRIPTION ", "EVENT TRIGGER ", "USER MAPPING ")
    return rest.startswith(kinds) or (not privileges and rest.startswith("ACL "))
