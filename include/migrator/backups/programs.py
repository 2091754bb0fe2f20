"""Run PostgreSQL's client programs as children that never outlive us."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrator.backups.program_words import told_of
from migrator.database import withheld
from migrator.database.session import Endpoint
from migrator.embedded.programs import CLIENT_PROGRAMS, KNOWN_MAJORS, Programs, find_programs
from migrator.errors import ConnectionLost, EnvironmentFault, ProgramFailed

TRANSIENT = re.compile(
    r"could not connect|connection to server .* failed|server closed the connection|terminating connection"
    r"|the database system is (starting up|shutting down|in recovery)|too many clients|canceling statement due to lock"
    r"|could not obtain lock",
    re.IGNORECASE,
)
"""What the programs print when the server, not the request, was the trouble."""
TAIL_LINES = 12

SERVICE = "migrator"
ENVIRONMENT = {"password": "PGPASSWORD", "options": "PGOPTIONS"}
"""Parameters whose value may hold anything, and libpq's variable for each."""
PINNED = "-c idle_session_timeout=0 -c quote_all_identifiers=off"
"""The programs lift every other limit of a session: a parallel worker is idle until there is work for it. Both settings
are in each release that we know."""
SECRET = ("sslpassword", "oauth_client_secret")
"""Secrets for which libpq has no variable: they go by our service file, or stand in that of the user."""


def client_programs(major: int, *, configured: Path | None = None) -> Programs:
    """pg_dump and pg_restore for a server of `major`: of that very version, else of the next newer one.

    pg_dump refuses a server of a newer major, and a dump of 17 or later cannot be restored with --exit-on-error into
    a server before 17 (it sets transaction_timeout), so newer than needed is the second choice.

    :raises EnvironmentFault: there are none.
    """
    if configured is not None:
        found = find_programs(configured=configured, needs=CLIENT_PROGRAMS)
        if found.major < major:
            raise EnvironmentFault(
                f'"{configured}" has PostgreSQL {found.version}, the server is of version {major}: pg_dump must not be'
                " older than the server"
            )
        return found
    for candidate in range(major, max(KNOWN_MAJORS) + 1):
        try:
            return find_programs(candidate, needs=CLIENT_PROGRAMS)
        except EnvironmentFault as exc:
            missing = exc
    raise EnvironmentFault(f"no pg_dump for a server of version {major}: {missing}") from None


@contextmanager
def connection_by_service(endpoint: Endpoint) -> Iterator[tuple[str, dict[str, str]]]:
    """What stands on a program's command line, which everybody on the machine can read, and its environment.

    All parameters are in a service file that only we can read; a password goes by the environment, because the file
    knows no quoting (https://www.postgresql.org/docs/current/libpq-pgservice.html).
    """
    parts = {key: str(value) for key, value in conninfo_to_dict(endpoint.conninfo).items() if value is not None}
    parts["options"] = " ".join([parts["options"], PINNED] if "options" in parts else [PINNED])
    secrets = {ENVIRONMENT[key]: parts.pop(key) for key in ENVIRONMENT if key in parts}
    theirs = parts.pop("service", None)
    if theirs is not None:  # libpq reads one service, and theirs may be all that tells where the server is
        yield (
            make_conninfo("", service=theirs, **{key: value for key, value in parts.items() if key not in SECRET}),
            secrets,
        )
        return
    parts["application_name"] = "migration snapshot"
    with tempfile.NamedTemporaryFile("w", prefix="migrator-service-", encoding="utf-8") as file:  # mode 0600
        file.write("".join([f"[{SERVICE}]\n", *(f"{key}={value}\n" for key, value in parts.items())]))
        file.flush()
        yield f"service={SERVICE}", {**secrets, "PGSERVICEFILE": file.name}


def run(
    programs: Programs,
    program: str,
    *arguments: str,
    env: Mapping[str, str],
    while_waiting: Callable[[], None] | None = None,
) -> float:
    """Run `program` to its end; returns the seconds it took.

    `while_waiting` is called once, after the start: work that can go side by side.

    :raises ConnectionLost: the server went away or was busy; try again. :raises ProgramFailed: anything else.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [str(programs.path(program)), *arguments],
            cwd="/",
            env={**programs.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=0o077,  # a dump is production's data
        )
        try:
            if while_waiting is not None:
                while_waiting()
            code = child.wait()
        except BaseException:
            _kill(child)
            raise
        output.seek(0)
        text = output.read().decode(errors="replace")
    if code != 0:
        withheld.keep(f"{program} ended with exit code {code}\n{text}")
        tail = told_of(text, most=TAIL_LINES)
        if TRANSIENT.search(text):
            raise ConnectionLost(f"{program} lost the server or did not get to it: {tail}", sqlstate=None)
        raise ProgramFailed(f"{program} ended with exit code {code}: {tail}", program=program, exit_code=code)
    return time.monotonic() - started


def _kill(child: subprocess.Popen[bytes]) -> None:
    """The whole session of the child: parallel jobs are processes of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        try:
            child.wait(timeout=5)
            break
        except subprocess.TimeoutExpired:
            continue
    child.wait()
