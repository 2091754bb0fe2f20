"""`migrator baseline --from TOOL`: where another tool stopped, this one goes on; nothing twice, nothing left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator.cli import main
from migrator.database.session import Endpoint
from migrator.history import foreign_ledgers
from migrator.ledger.ledger import Ledger
from tests.integration.stages import query, traces

NAMES = ("001_initial_schema", "002_add_labels", "003_index_labels")

FLYWAY = """
CREATE TABLE flyway_schema_history (
    installed_rank integer PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
    type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer, installed_by varchar(100) NOT NULL,
    installed_on timestamp NOT NULL DEFAULT now(), execution_time integer NOT NULL, success boolean NOT NULL
);
INSERT INTO flyway_schema_history VALUES
    (1, '1', 'initial schema', 'SQL', 'V1__initial_schema.sql', 1, 'dba', '2024-01-02 03:04:05', 10, true),
    (2, NULL, 'views', 'SQL', 'R__views.sql', 1, 'dba', now(), 10, true),
    (3, '2', 'add labels', 'SQL', 'V2__add_labels.sql', 1, 'dba', now(), 10, true),
    (4, '3', 'index labels', 'SQL', 'V3__index_labels.sql', 1, 'dba', now(), 10, false),
    (5, '2.5', 'hotfix', 'SQL', 'V2.5__hotfix.sql', 1, 'dba', now(), 10, true);
"""
LIQUIBASE = """
CREATE TABLE databasechangelog (
    id varchar(255) NOT NULL, author varchar(255) NOT NULL, filename varchar(255) NOT NULL,
    dateexecuted timestamp NOT NULL, orderexecuted integer NOT NULL, exectype varchar(10) NOT NULL
);
INSERT INTO databasechangelog VALUES
    ('1', 'ann', 'db/001_initial_schema.sql', now(), 1, 'EXECUTED'),
    ('2', 'ann', 'db/001_initial_schema.sql', now(), 2, 'EXECUTED'),
    ('002_add_labels', 'ann', 'db/changes.xml', now(), 3, 'RERAN'),
    ('7', 'ann', 'db/003_index_labels.sql', now(), 4, 'SKIPPED'),
    ('8', 'ann', 'db/003_index_labels.sql', now(), 5, 'EXECUTED');
"""
ALEMBIC = (
    "CREATE TABLE alembic_version (version_num varchar(32)); INSERT INTO alembic_version VALUES ('002_add_labels');"
)
GOLANG = (
    "CREATE TABLE schema_migrations (version bigint, dirty boolean); INSERT INTO schema_migrations VALUES (3, true);"
)
RAILS = (
    "CREATE TABLE schema_migrations (version varchar PRIMARY KEY);"
    "INSERT INTO schema_migrations VALUES ('001'), ('002'), ('20240101000000');"
)


@pytest.fixture
def migrations(tmp_path: Path) -> Path:
    before: tuple[str, ...] = ()
    for version in NAMES:
        folder = tmp_path / "2024" / version
        folder.mkdir(parents=True)
        (folder / "migration-metadata.yaml").write_text(
            f"version: {version}\ndescription: a test\nauthor: a@example.com\nrisk_level: high\n"
            f"estimated_duration: 1 minute\nrollback_available: true\ndependencies: {json.dumps(before)}\n"
        )
        (folder / f"{version}.sql").write_text(f"CREATE TABLE t{version} (id bigint);\n")
        (folder / f"{version}_rollback.sql").write_text(f"DROP TABLE t{version};\n")
        before = (version,)
    return tmp_path


def adopt(
    endpoint: Endpoint, migrations: Path, tool: str, capsys: pytest.CaptureFixture[str], *named: str
) -> tuple[int, dict[str, Any], str]:
    options = ["--reason", "from there", "--actor", "ann", "--dsn", endpoint.conninfo, "--format", "json"]
    code = main(["baseline", *named, "--from", tool, *options, "--migrations", str(migrations)])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out.startswith("{") else {}, said.err


@pytest.mark.parametrize(
    "tool, script, skipped",
    [
        ("flyway", FLYWAY, {"003_index_labels": "it failed", "2.5": "no migration of the catalogue"}),
        ("liquibase", LIQUIBASE, {"003_index_labels": "exectype is SKIPPED"}),
        ("alembic", ALEMBIC, {}),
        ("golang-migrate", GOLANG, {"003_index_labels": "dirty"}),
        ("rails", RAILS, {"20240101000000": "no migration of the catalogue"}),
    ],
)
def test_where_it_stopped(
    database: Endpoint,
    migrations: Path,
    capsys: pytest.CaptureFixture[str],
    tool: str,
    script: str,
    skipped: dict[str, str],
) -> None:
    query(database, script)
    code, said, error = adopt(database, migrations, tool, capsys)
    assert (code, error) == (0, "")
    assert {one["version"]: one["source"] for one in said["adopted"]} == {NAMES[0]: tool, NAMES[1]: tool}
    assert {version for version, _ in said["skipped"]} == set(skipped)
    for version, why in said["skipped"]:
        assert skipped[version] in why
    with Ledger(database) as ledger:
        assert {row.version: str(row.status) for row in ledger.migrations()} == {
            NAMES[0]: "success",
            NAMES[1]: "success",
        }
        assert all(row.checksum for row in ledger.migrations()), "later edits of the files are noticed"
        assert ledger.verify_chain() == ()
    before = traces(database)
    assert adopt(database, migrations, tool, capsys)[0] == 0
    assert traces(database) == before


def test_what_flyway_undid_is_not_applied(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, FLYWAY)
    query(
        database,
        "INSERT INTO flyway_schema_history VALUES"
        " (6, '2', 'add labels', 'UNDO_SQL', 'U2__add_labels.sql', 1, 'dba', now(), 10, true)",
    )
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert [one["version"] for one in said["adopted"]] == [NAMES[0]]
    assert ["002_add_labels", "it was undone"] in said["skipped"]


def test_an_undo_that_failed_undid_nothing(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, FLYWAY)
    query(
        database,
        "INSERT INTO flyway_schema_history VALUES"
        " (6, '2', 'add labels', 'UNDO_SQL', 'U2__add_labels.sql', 1, 'dba', now(), 10, false)",
    )
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert [one["version"] for one in said["adopted"]] == [NAMES[0], NAMES[1]]


def test_a_revision_that_begins_with_a_digit_is_no_number(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, ALEMBIC.replace("002_add_labels", "3a1b9cd04e5f"))
    code, _, error = adopt(database, migrations, "alembic", capsys)
    assert code == 2
    assert "nothing that alembic has applied is in the catalogue" in error


def test_a_file_of_which_a_changeset_is_missing_is_not_applied(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = migrations / "2024" / NAMES[0] / f"{NAMES[0]}.sql"
    text = "--changeset ann:{}\nCREATE TABLE {} (id bigint);\n"
    file.write_text("--liquibase formatted sql\n" + "".join(text.format(*one) for one in ((1, "a"), (3, "b"))))
    query(database, LIQUIBASE.replace("('002_add_labels', 'ann', 'db/changes.xml', now(), 3, 'RERAN'),", ""))
    code, _, error = adopt(database, migrations, "liquibase", capsys)
    assert code == 2
    assert f"{NAMES[0]}: changeset ann:3 of its file is not in the table" in error


@pytest.mark.parametrize("author", ["Anna Lee", '"Anna Lee"', '"Anna: Lee"', "Anna Lee "])
def test_an_author_with_a_blank(author: str) -> None:
    found = foreign_ledgers.changesets(f"--changeset ann:1 runOnChange:true\n-- ChangeSet {author}: 2\nSELECT 1;\n")
    assert found == ("ann:1", f"{author.strip().strip(chr(34))}:2")


@pytest.mark.parametrize("at, said", [(20240612093000, "does not have 20240612093000"), (4, "does not have 4")])
def test_a_version_of_which_the_catalogue_does_not_know(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str], at: int, said: str
) -> None:
    """Then what is smaller may be older, or new and never run; a person names what is applied."""
    query(database, GOLANG.replace("(3, true)", f"({at}, false)"))
    code, _, error = adopt(database, migrations, "golang-migrate", capsys)
    assert code == 2
    assert f"{NAMES[0]}: the catalogue {said}" in error
    assert "name what is applied" in error
    _, report, _ = adopt(database, migrations, "golang-migrate", capsys, NAMES[0])
    assert [one["version"] for one in report["adopted"]] == [NAMES[0]]


def test_a_baseline_of_which_the_catalogue_does_not_know(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, FLYWAY)
    query(database, "UPDATE flyway_schema_history SET type = 'BASELINE', version = '20240612' WHERE version = '2.5'")
    query(database, "DELETE FROM flyway_schema_history WHERE version IN ('2', '3')")
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert [one["version"] for one in said["adopted"]] == [NAMES[0]], "it has a row of its own"
    assert {version for version, _ in said["skipped"]} == set(NAMES[1:])


def test_a_number_of_another_kind() -> None:
    """The old files are numbered by seconds, the new one is not."""
    rows = [foreign_ledgers.ForeignRow("20240612093000", None, None, None, None)]
    versions = ["000_add_labels", "20240101000000_initial_schema", "20240612093000_add_tenants"]
    found = foreign_ledgers.matched(rows, versions, foreign_ledgers.find("golang-migrate"), before=lambda _: ())
    assert [row.not_applied_because is None for row in found] == [False, True, True]


def test_a_history_with_a_gap_cannot_have_happened(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, RAILS.replace("('001'), ", ""))
    code, _, error = adopt(database, migrations, "rails", capsys)
    assert code == 2
    assert f"'{NAMES[1]}' depends on {NAMES[0]}: name these too, or adopt them first" in error


def test_what_a_dirty_version_leaves_open(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tool writes the version that it goes to before it begins, up or down."""
    query(database, GOLANG.replace("(3, true)", "(2, true)"))
    _, said, _ = adopt(database, migrations, "golang-migrate", capsys)
    assert [one["version"] for one in said["adopted"]] == [NAMES[0]]
    assert {version for version, _ in said["skipped"]} == {NAMES[1], NAMES[2]}


def test_what_flyway_marked_as_deleted_is_not_applied(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, FLYWAY)
    row = "INSERT INTO flyway_schema_history VALUES ({}, '2', 'add labels', '{}', 'V2', 1, 'dba', now(), 10, true)"
    query(database, row.format(6, "DELETE"))
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert [one["version"] for one in said["adopted"]] == [NAMES[0]]
    assert ["002_add_labels", "it was marked as deleted"] in said["skipped"]
    query(database, row.format(7, "SQL"))
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert NAMES[1] in [one["version"] for one in said["adopted"]], "and applied again"


def test_what_flyway_took_for_its_baseline_is_applied(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, FLYWAY)
    query(database, "DELETE FROM flyway_schema_history")
    row = "INSERT INTO flyway_schema_history VALUES ({}, '{}', '{}', '{}', 'x', NULL, 'dba', now(), 0, true)"
    query(database, row.format(1, 2, "<< Flyway Baseline >>", "BASELINE"))
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert [one["version"] for one in said["adopted"]] == list(NAMES[:2])
    assert said["skipped"] == []


def test_the_same_number_with_another_name_is_another_migration(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    query(database, FLYWAY)
    query(database, "UPDATE flyway_schema_history SET description = 'something else' WHERE version = '2'")
    _, said, _ = adopt(database, migrations, "flyway", capsys)
    assert [one["version"] for one in said["adopted"]] == [NAMES[0]]


@pytest.mark.parametrize(
    "script, words",
    [
        ("", "there is no table 'flyway_schema_history'"),
        ("CREATE TABLE flyway_schema_history (nothing int)", "is not one of flyway"),
        (FLYWAY + "DELETE FROM flyway_schema_history WHERE version <> '2.5' OR version IS NULL;", "2.5: no migration"),
    ],
)
def test_refused_with_a_reason(
    database: Endpoint, migrations: Path, capsys: pytest.CaptureFixture[str], script: str, words: str
) -> None:
    if script:
        query(database, script)
    code, _, error = adopt(database, migrations, "flyway", capsys)
    assert code == 2
    assert words in error
    with Ledger(database) as ledger:
        assert not ledger.exists()
