"""A catalogue on disk: what is found, in which order, and every problem at once with its file, line and key."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from migrator.catalogue.catalogue import load_catalogue, load_one
from migrator.catalogue.content import read_files
from migrator.catalogue.metadata_model import load_metadata
from migrator.cli import main
from migrator.errors import InvalidInput, UsageError
from migrator.parsing.sql_text import MAX_BYTES
from migrator.problems import Problem

SHIPPED = Path(__file__).parents[3] / "migrations"
GOOD: dict[str, Any] = {
    "version": "001_first",
    "description": "the first",
    "author": "dba@example.com",
    "risk_level": "low",
    "rollback_available": True,
}


def write(root: Path, version: str, *, files: tuple[str, ...] | None = None, **metadata: Any) -> Path:
    folder = root / "2025" / version
    folder.mkdir(parents=True)
    content = {**GOOD, "version": version, **metadata}
    (folder / "migration-metadata.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    for name in files if files is not None else (f"{version}.sql", f"{version}_rollback.sql"):
        (folder / name).write_text("SELECT 1;\n")
    return folder


def test_no_more_is_read_than_shows_that_a_file_is_too_large(tmp_path: Path) -> None:
    """A sparse file of 8 GB: whoever reads all of it notices."""
    folder = write(tmp_path, "001_large")
    for name in ("001_large.sql", "001_large_rollback.sql"):
        with (folder / name).open("r+b") as file:
            file.truncate(8 << 30)
    migration = load_one(tmp_path, "001_large")
    assert len(migration.read_sql()) == len(migration.read_rollback()) == MAX_BYTES + 1
    assert max(map(len, read_files(migration).values())) == MAX_BYTES + 1


def messages(root: Path) -> str:
    return "\n".join(map(str, load_catalogue(root).problems))


def test_the_shipped_migrations() -> None:
    catalogue = load_catalogue(SHIPPED)
    assert catalogue.problems == ()
    assert [migration.version for migration in catalogue.migrations] == [
        "000_initial_schema",
        "001_add_analytics_tables",
        "002_messages_analytics_processed",
        "003_index_messages_tenant_created",
        "005_add_jsonb_columns",
    ]


def test_order_follows_dependencies(tmp_path: Path) -> None:
    write(tmp_path, "001_b", dependencies=["002_a"])
    write(tmp_path, "002_a")
    assert [migration.version for migration in load_catalogue(tmp_path).migrations] == ["002_a", "001_b"]


def test_every_problem_is_reported_and_hides_no_other_migration(tmp_path: Path) -> None:
    write(tmp_path, "001_good")
    write(tmp_path, "002_unknown", dependencies=["001_goood"])
    write(tmp_path, "003_no_sql", files=())
    write(tmp_path, "004_x", dependencies=["005_y"])
    write(tmp_path, "005_y", dependencies=["006_z"])
    write(tmp_path, "006_z", dependencies=["004_x"])
    other = write(tmp_path, "007_named")
    other.rename(other.with_name("008_otherwise"))
    typo = write(tmp_path, "009_typo")
    file = typo / "migration-metadata.yaml"
    file.write_text(file.read_text().replace("risk_level", "risk_levle"))
    catalogue = load_catalogue(tmp_path)
    assert [migration.version for migration in catalogue.migrations] == ["001_good"]
    text = "\n".join(map(str, catalogue.problems))
    assert "001_goood" in text
    assert "did you mean" in text
    assert "003_no_sql.sql" in text
    assert "004_x -> 005_y -> 006_z -> 004_x" in text
    assert "007_named" in text
    assert "008_otherwise" in text
    assert "risk_levle" in text
    assert "risk_level" in text
    assert all(problem.file.endswith(".yaml") or problem.line is None for problem in catalogue.problems)


def test_a_version_that_is_there_twice(tmp_path: Path) -> None:
    write(tmp_path, "001_same")
    again = tmp_path / "2026"
    again.mkdir()
    os.rename(write(tmp_path / "other", "001_same"), again / "001_same")
    text = messages(tmp_path)
    assert "001_same" in text
    assert "2026" in text
    assert load_catalogue(tmp_path).migrations == ()


def test_paths_stay_in_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "m", "001_step", steps=[{"name": "one", "kind": "sql", "file": "../../../secret.sql"}])
    linked = write(tmp_path / "m", "002_link", files=("002_link_rollback.sql",))
    (tmp_path / "outside.sql").write_text("DROP TABLE messages;\n")
    (linked / "002_link.sql").symlink_to(tmp_path / "outside.sql")
    catalogue = load_catalogue(tmp_path / "m")
    assert catalogue.migrations == ()
    text = "\n".join(map(str, catalogue.problems))
    assert "steps[0].file" in text
    assert "002_link.sql" in text
    assert "link" in text


def test_one_migration_is_loaded_without_the_others(tmp_path: Path) -> None:
    write(tmp_path, "001_good")
    write(tmp_path, "002_broken", files=())
    assert load_one(tmp_path, "001_good").version == "001_good"
    with pytest.raises(InvalidInput, match=r"002_broken\.sql"):
        load_one(tmp_path, "002_broken")
    with pytest.raises(UsageError, match="001_good"):
        load_one(tmp_path, "001_godo")


def test_the_cache_notices_every_edit(tmp_path: Path) -> None:
    root, cache = tmp_path / "m", tmp_path / "cache"
    folder = write(root, "001_good")
    assert load_catalogue(root, cache=cache).problems == ()
    file = folder / "migration-metadata.yaml"
    file.write_text(file.read_text().replace("the first", "the 1st"))
    (migration,) = load_catalogue(root, cache=cache).migrations
    assert migration.metadata.description == "the 1st"


def test_place_and_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "migration-metadata.yaml"
    file.write_text('version: "001_x"\ndescription: x\nauthor: a@b.c\nrisk_level: lwo\nrollback_avaliable: true\n')
    with pytest.raises(InvalidInput) as caught:
        load_metadata(file)
    places = {(problem.line, problem.key) for problem in caught.value.problems}
    assert (4, "risk_level") in places
    assert any(key is not None and "rollback_avaliable" in key for _, key in places)
    assert "rollback_available" in str(caught.value)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=True), st.text(max_size=20), st.dates().map(str)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [*GOOD, "schedule", "steps", "allow", "verify", "dependencies", "testing", "lock_timeout", "type", "on_failure"]
)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(KEYS | st.text(max_size=10), VALUES, min_size=1, max_size=3), drop=st.sets(KEYS))
def test_wrong_values_give_a_message_with_file_and_key(tmp_path: Path, changes: dict[str, Any], drop: set[str]) -> None:
    content = {key: value for key, value in {**GOOD, **changes}.items() if key not in drop}
    file = tmp_path / "migration-metadata.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    expect_a_message(file)
    for problem in problems_of(file) or ():
        assert problem.key or problem.line, problem


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.one_of(
        st.binary(max_size=200), st.text(alphabet=":-[]{}&*!|>'\"#%@`,? \n\tabc01", max_size=80).map(str.encode)
    )
)
def test_any_bytes_give_a_message_with_the_file(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "migration-metadata.yaml"
    file.write_bytes(raw)
    expect_a_message(file)


def expect_a_message(file: Path) -> None:
    """Either it is read, or every problem has a text and the file."""
    problems = problems_of(file)
    assert problems is None or problems
    for problem in problems or ():
        assert problem.file == str(file)
        assert problem.message


def problems_of(file: Path) -> tuple[Problem, ...] | None:
    try:
        load_metadata(file)
    except InvalidInput as refused:
        return tuple(refused.problems)
    return None


@pytest.mark.parametrize("command", [["check"], ["check", "--strict"], ["check", "--format", "json"]])
def test_check_never_shows_a_traceback(tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, "001_good")
    (folder / "migration-metadata.yaml").write_bytes(b"version: [\xff\n")
    (folder / "001_good.sql").write_bytes(b"SELECT '\xe9")
    assert main([*command, "--migrations", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "migration-metadata.yaml" in captured.out
    assert "Traceback" not in captured.out + captured.err


def test_check_of_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--migrations", str(tmp_path / "nowhere")]) == 3
    assert "nowhere" in capsys.readouterr().err


def test_new_writes_what_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "migrations"
    root.mkdir()
    for name in ("add labels", "index labels"):
        extra = ["--concurrent-index"] if name.startswith("index") else []
        assert main(["new", name, "--author", "a@b.example", "--migrations", str(root), *extra]) == 0
    assert len(load_catalogue(root).migrations) == 2
    capsys.readouterr()
    assert main(["check", "--migrations", str(root)]) == 1
    told = capsys.readouterr().out.splitlines()
    assert sum("error" in line for line in told[:-1]) == sum("nothing-to-do" in line for line in told[:-1]) == 4
    assert sum("rollback_available" in line for line in told) >= 2


@pytest.mark.parametrize("author", ["notmail", "@example.com", "a b@"])
def test_new_wants_an_address(tmp_path: Path, capsys: pytest.CaptureFixture[str], author: str) -> None:
    assert main(["new", "labels", "--author", author, "--migrations", str(tmp_path)]) == 2
    assert f"author {author!r} is no e-mail address" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_type_without_reasons_has_no_brackets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "labels", "--author", "A <a@b.example>", "--migrations", str(tmp_path)]) == 0
    (metadata,) = tmp_path.rglob("migration-metadata.yaml")
    metadata.write_text(metadata.read_text() + "type: data_migration\n")
    for script in tmp_path.rglob("*.sql"):
        script.write_text("SELECT 1;\n")
    main(["check", "--migrations", str(tmp_path)])
    told = capsys.readouterr().out
    assert "type is 'data_migration', the statements make it 'schema_addition'" in told
    assert "()" not in told
