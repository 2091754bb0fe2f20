"""Make a PostgreSQL cluster: a data directory, its superuser and the superuser's password."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from migrator.embedded.accounts import Account, barrier
from migrator.embedded.places import lock, make_directory
from migrator.embedded.programs import Programs
from migrator.errors import EnvironmentFault, ProgramFailed

log = logging.getLogger(__name__)

SUPERUSER = "postgres"
SETTINGS_FILE = "migrator.conf"  # included by postgresql.conf, written by the server's start


def is_cluster(data_dir: Path) -> bool:
    """Whether `data_dir` holds PostgreSQL data."""
    return (data_dir / "PG_VERSION").is_file()


def lock_file(data_dir: Path) -> Path:
    """The file whose lock serialises creating and starting."""
    return data_dir.with_name(data_dir.name + ".lock")


def check_major(data_dir: Path, programs: Programs) -> None:
    """:raises EnvironmentFault: when another major wrote these data; only an upgrade can read them then."""
    major = (data_dir / "PG_VERSION").read_text().strip()
    if major != str(programs.major):
        raise EnvironmentFault(
            f'the data in "{data_dir}" were written by PostgreSQL {major} and the programs are {programs.version}; use '
            f"programs of {major}, or remove the directory if its data can be made again"
        )


def create_cluster(
    data_dir: Path, password_file: Path, *, programs: Callable[[], Programs], account: Account, sync: bool
) -> None:
    """Make the cluster unless it exists; whole or not at all, also when two processes try at once.

    :param programs: asked only when there is something to do: finding them may copy files.
    :param sync: whether the files are flushed to disk.
    :raises EnvironmentFault: when the account cannot reach the directory, or something else is in it.
    """
    try:
        make_directory(data_dir.parent)
        closed = barrier(account, data_dir.parent)
        if closed is not None:
            raise EnvironmentFault(
                f'the account "{account.name}" runs the server and cannot reach "{data_dir}": "{closed}" is '
                "closed to it; use a data directory elsewhere (migrator.embedded.places.data_home finds one)"
            )
        with lock(lock_file(data_dir)):
            if is_cluster(data_dir):
                return
            if data_dir.exists() and any(data_dir.iterdir()):
                raise EnvironmentFault(f'"{data_dir}" is not empty and holds no PostgreSQL data; name another one')
            _create(data_dir, password_file, programs=programs(), account=account, sync=sync)
    except OSError as exc:
        raise EnvironmentFault(f'no cluster could be made in "{data_dir}": {exc}') from exc


def _create(data_dir: Path, password_file: Path, *, programs: Programs, account: Account, sync: bool) -> None:
    began = time.monotonic()
    place = data_dir.with_name(data_dir.name + ".new")  # a creation that was killed may have left it
    new_password = place.with_name(place.name + ".password")
    shutil.rmtree(place, ignore_errors=True)
    new_password.unlink(missing_ok=True)
    try:
        place.mkdir(mode=0o700)
        account.own(place)
        descriptor = os.open(new_password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24) + "\n")
        account.own(new_password)  # initdb reads it as the account
        _initdb(place, new_password, programs=programs, account=account, sync=sync)
        with (place / "postgresql.conf").open("a") as file:
            file.write(f"\ninclude_if_exists = '{SETTINGS_FILE}'\n")
        os.chown(new_password, os.geteuid(), os.getegid())
        new_password.rename(password_file)
        if data_dir.exists():
            data_dir.rmdir()
        place.rename(data_dir)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        new_password.unlink(missing_ok=True)
        raise
    log.info("created PostgreSQL %s in %s (%.1f s)", programs.version, data_dir, time.monotonic() - began)


def _initdb(place: Path, password_file: Path, *, programs: Programs, account: Account, sync: bool) -> None:
    arguments: list[str | Path] = ["-D", place, "-U", SUPERUSER, "--pwfile", password_file]
    arguments += ["--encoding=UTF8", "--data-checksums", "--auth-local=trust", "--auth-host=scram-sha-256"]
    if not sync:
        arguments.append("--no-sync")
    # C.UTF-8 sorts by code point everywhere and still knows letters outside ASCII. PostgreSQL 17 brings its own;
    # before that it is the host's, if it has one.
    if programs.major >= 17:
        locales = [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]]
    else:
        locales = [["--locale=C.UTF-8"], ["--locale=C"]]
    for locale in locales:
        try:
            programs.run("initdb", *arguments, *locale, account=account)
        except ProgramFailed as exc:
            if "invalid locale name" in exc.output and locale is not locales[-1]:
                continue
            raise EnvironmentFault(f'no cluster could be made in "{place}": {exc}') from exc
        return
