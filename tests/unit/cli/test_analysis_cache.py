"""Many files again: what is unchanged is not analysed, and an answer never outlives what it depends on."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from migrator.analysis.effects import Assumed
from migrator.cli import analysis_cache, batch, main
from migrator.cli.batch_settings import Settings
from migrator.reports.forms import BY_NAME
from migrator.reports.paint import coloured
from migrator.reports.text import Look

REPOSITORY = Path(__file__).parents[3]
TODAY = date(2026, 3, 1)
SETTINGS = Settings(BY_NAME["text"], Look(every_statement=False), Assumed(), TODAY)
COUNT = batch.WORTH_A_POOL


class Folder:
    """Some files and a cache, and which files the last run has analysed."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.cache, self.analysed = path / "sql", path / "cache.sqlite3", list[str]()
        self.path.mkdir()
        for number in range(COUNT):
            self.write(number, f"ALTER TABLE t{number} ADD CHECK (a > 0);\n")
        original = batch._analysed

        def noted(task: batch.Task, settings: Settings) -> batch.Printed:
            self.analysed.append(task.file.name)
            return original(task, settings)

        monkeypatch.setattr(batch, "_analysed", noted)

    def write(self, number: int, text: str) -> None:
        (self.path / f"{number:02}.sql").write_text(text)

    def run(self, settings: Settings = SETTINGS, files: list[Path] | None = None) -> list[batch.Printed]:
        self.analysed.clear()
        files = sorted(self.path.rglob("*.sql")) if files is None else files
        return list(batch.outcomes(files, settings, jobs=1, cache=self.cache))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


def test_the_second_run_says_the_same_and_analyses_nothing(folder: Folder) -> None:
    first = folder.run()
    assert len(folder.analysed) == COUNT
    assert folder.run() == first
    assert folder.analysed == []
    assert first[0].warnings == 1
    assert folder.cache.stat().st_mode & 0o777 == 0o600, "it holds people's SQL"


def test_what_changes_is_analysed_in_its_place(folder: Folder) -> None:
    first = folder.run()
    folder.write(3, "DROP TABLE t3;\n")
    second = folder.run()
    assert folder.analysed == ["03.sql"]
    assert [place for place in range(COUNT) if first[place] != second[place]] == [3]
    assert "drop-loses-data" in second[3].pieces[0]
    folder.write(3, "ALTER TABLE t3 ADD CHECK (a > 0);\n")
    assert folder.run() == first
    assert folder.analysed == [], "the answer of before is still there"


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, form=BY_NAME["json"]),
        replace(SETTINGS, look=replace(SETTINGS.look, every_lock=True)),
        replace(SETTINGS, look=replace(SETTINGS.look, width=80)),
        replace(SETTINGS, look=replace(SETTINGS.look, paint=coloured)),
        replace(SETTINGS, assumed=Assumed(140000)),
        replace(SETTINGS, assumed=Assumed(schema="lm")),
    ],
)
def test_other_settings_have_other_answers(folder: Folder, other: Settings) -> None:
    folder.run()
    first = folder.run(other)
    assert len(folder.analysed) == COUNT
    assert folder.run(other) == first
    assert folder.analysed == []


def test_another_engine_asks_anew(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.run()
    sources = analysis_cache._sources()
    monkeypatch.setattr(analysis_cache, "_sources", lambda: (*sources, ("rules/new.py", 1, 1)))
    folder.run()
    assert len(folder.analysed) == COUNT


def test_the_engine_is_told_by_its_files_and_the_parsers_version() -> None:
    found = [item for item in analysis_cache._sources() if isinstance(item, tuple)]
    assert {"parsing/statements.py", "analysis/rules/model.py"} <= {item[0] for item in found}
    assert [item for item in found if str(item[0]).startswith("postgast-")]


def test_allowances_expire_from_one_day_to_the_next(folder: Folder) -> None:
    folder.write(
        5, "-- migrator: allow add-check because it is small until 2026-03-01\nALTER TABLE t5 ADD CHECK (a > 0);\n"
    )
    assert folder.run()[5].warnings == 0
    tomorrow = folder.run(replace(SETTINGS, today=TODAY + timedelta(days=1)))
    assert folder.analysed == ["05.sql"], "no other file has an allowance"
    assert tomorrow[5].warnings == 2


def test_files_of_migrations_depend_on_the_whole_catalogue(folder: Folder) -> None:
    root = folder.path / "migrations"
    shutil.copytree(REPOSITORY / "migrations" / "2025", root / "2025")
    settings = replace(SETTINGS, catalogue=root)
    first = folder.run(settings)
    count = len(first)
    assert count > COUNT + 3
    assert folder.run(settings) == first
    assert folder.analysed == []
    initial = next(root.rglob("000_initial_schema.sql"))
    initial.write_text(initial.read_text() + "-- changed\n")
    folder.run(settings)
    assert len(folder.analysed) == count - COUNT


def test_a_catalogue_that_changes_meanwhile_is_not_remembered(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder.path / "migrations"
    shutil.copytree(REPOSITORY / "migrations" / "2025", root / "2025")
    settings = replace(SETTINGS, catalogue=root)
    digests: Iterator[bytes] = iter([b"before", b"after"])
    monkeypatch.setattr(analysis_cache, "catalogue_digest", lambda root: next(digests))
    count = len(folder.run(settings))
    monkeypatch.setattr(analysis_cache, "catalogue_digest", lambda root: b"before")
    folder.run(settings)
    assert len(folder.analysed) == count - COUNT


def test_large_files_are_not_kept(folder: Folder) -> None:
    folder.write(0, "SELECT 1;" + " " * batch.KEPT_BYTES)
    first = folder.run()
    assert folder.run() == first
    assert folder.analysed == ["00.sql"]


def test_damaged_answers_are_made_again(folder: Folder) -> None:
    first = folder.run()
    with closing(sqlite3.connect(folder.cache)) as connection, connection:
        connection.execute("UPDATE answers SET body = (SELECT body FROM answers LIMIT 1)")
    assert folder.run() == first
    assert len(folder.analysed) == COUNT - 1, "one of them has its own"


def test_a_file_that_is_no_database_is_replaced(folder: Folder) -> None:
    folder.cache.write_bytes(b"nonsense" * 1000)
    first = folder.run()
    assert folder.run() == first
    assert folder.run() == first
    assert folder.analysed == []


def test_a_database_with_damaged_pages_is_replaced(folder: Folder) -> None:
    first = folder.run()
    size = folder.cache.stat().st_size
    with folder.cache.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    assert folder.run() == first
    assert not folder.cache.exists()
    folder.run()
    assert folder.run() == first
    assert folder.analysed == []


def test_a_cache_that_cannot_be_used_is_none(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_cache, "_WAIT_SECONDS", 0.05)
    first = folder.run()
    with closing(sqlite3.connect(folder.cache)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert folder.run() == first
        assert len(folder.analysed) == COUNT
    folder.cache = folder.path / "is" / "not" / "there"
    assert folder.run() == first
    folder.cache = folder.path
    assert folder.run() == first


def test_it_does_not_grow_for_ever(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analysis_cache, "LIMIT_BYTES", 4096)
    folder.run()
    later = replace(SETTINGS, today=TODAY + timedelta(days=9))
    files = sorted(folder.path.rglob("*.sql"))
    folder.run(later, files)
    with closing(sqlite3.connect(folder.cache)) as connection, connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone()[0] < COUNT


def test_few_files_leave_it_alone(folder: Folder) -> None:
    folder.run(files=sorted(folder.path.rglob("*.sql"))[: COUNT - 1])
    assert not folder.cache.exists()


def test_on_the_command_line(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("migrator.embedded.cache_folder.cache_directory", lambda: folder.path.parent)
    argv = ["analyze", str(folder.path), "--jobs", "1"]
    printed = []
    for more, analysed in (([], COUNT), ([], 0), (["--no-cache"], COUNT)):
        folder.analysed.clear()
        assert main([*argv, *more]) == 0
        printed.append(capsys.readouterr().out)
        assert len(folder.analysed) == analysed
    assert printed[0] == printed[1] == printed[2]
    assert os.listdir(folder.path.parent).count("analyses.sqlite3") == 1


def test_an_analysis_without_a_connection_loads_no_driver(folder: Folder) -> None:
    """It takes as long to load as everything else together."""
    code = (
        "import sys; from migrator.cli import main; main(sys.argv[1:]);"
        "sys.exit(any(name in sys.modules for name in ('psycopg', 'migrator.embedded.server')))"
    )
    argv = [sys.executable, "-c", code, "analyze", str(folder.path)]
    assert subprocess.run(argv, capture_output=True, check=False).returncode == 0
