"""`migrator baseline`: the runbook's public.schema_migrations becomes the beginning of the ledger."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from migrator.cli import main
from migrator.database import session
from migrator.database.session import Endpoint
from migrator.errors import BaselineMissing
from migrator.history import baseline
from migrator.ledger.ledger import Ledger
from tests.conftest import REPOSITORY
from tests.integration.ledger.history import events_of, kinds_of, problems_of
from tests.integration.stages import query, traces

RUNBOOK = """
CREATE TABLE public.schema_migrations (
    version varchar(255) PRIMARY KEY,
    filename varchar(255),
    checksum varchar(64),
    applied_at timestamp DEFAULT now(),
    applied_by varchar(255),
    execution_time_ms integer,
    status varchar(50),
    error_message text
);
CREATE TABLE messages (id bigint PRIMARY KEY);
"""
"""The columns that the runbook's scripts write."""

INITIAL, ANALYTICS = "000_initial_schema", "001_add_analytics_tables"


def adopt(endpoint: Endpoint, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    given = {"reason": "before the platform", "actor": "ann", "dsn": endpoint.conninfo, "format": "json"}
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    code = main(["baseline", *arguments, *options, "--migrations", str(REPOSITORY / "migrations")])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out.startswith("{") else {}, said.err


def test_the_runbooks_table(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Written in both of the runbook's ways, with a failed row, and a version that nobody knows any more."""
    file = REPOSITORY / "migrations/2025/000_initial_schema/000_initial_schema.sql"
    md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    query(database, RUNBOOK)
    query(
        database,
        f"""
        INSERT INTO schema_migrations (version, filename, checksum, applied_at, applied_by, status, error_message)
        VALUES ('000_initial_schema.sql', '000_initial_schema.sql', '{md5}', '2024-11-05 02:10:11.5', 'dba', 'success',
                NULL),
               ('{ANALYTICS}', NULL, 'd41d8cd98f00b204e9800998ecf8427e', '2024-12-05 02:10:11', 'dba', 'success', NULL),
               ('old_and_gone', NULL, NULL, NULL, NULL, 'applied', NULL),
               ('003_index_messages_tenant_created', NULL, NULL, NULL, 'dba', 'failed', 'canceled')
        """,
    )
    code, said, _ = adopt(database, capsys)
    assert code == 0
    notes = {one["version"]: one["note"] for one in said["adopted"]}
    assert list(notes) == [INITIAL, ANALYTICS, "old_and_gone"]
    assert notes[INITIAL] is None, "the file is the one that was applied"
    assert "it was edited since" in notes[ANALYTICS]
    assert "the catalogue does not have it" in notes["old_and_gone"]
    assert said["skipped"] == [["003_index_messages_tenant_created", "its status is 'failed'"]]
    with Ledger(database) as ledger:
        rows = {row.version: row for row in ledger.migrations()}
        ledger.check()
    assert {row.status for row in rows.values()} == {"success"}
    assert {row.verified_at for row in rows.values()} == {None}, "nobody has proved it"
    first = rows[INITIAL]
    assert first.applied_at is not None
    assert first.applied_at.isoformat() == "2024-11-05T02:10:11.500000+00:00"
    assert (first.applied_by, first.description != "") == ("dba", True)
    assert rows["old_and_gone"].checksum is None
    assert kinds_of(database) == ["install", "baseline", "baseline", "baseline", "baseline"]
    assert {event.actor for event in events_of(database)[1:]} == {"ann"}
    assert problems_of(database) == ()
    assert query(database, "SELECT count(*) FROM public.schema_migrations") == [(4,)], "the old table is left alone"


def test_a_second_time_writes_nothing(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    query(database, RUNBOOK + f"INSERT INTO schema_migrations (version, status) VALUES ('{INITIAL}', 'success');")
    assert adopt(database, capsys)[0] == 0
    before = traces(database)
    code, said, _ = adopt(database, capsys)
    assert (code, said["adopted"]) == (0, [])
    assert said["skipped"] == [[INITIAL, "the ledger has it already"]]
    assert traces(database) == before


def test_an_empty_table(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that nothing was applied; what lies in the database belongs to no migration, which is recorded."""
    query(database, RUNBOOK)
    code, said, _ = adopt(database, capsys)
    assert (code, said["adopted"], said["skipped"], said["objects"]) == (0, [], [], 1)
    assert kinds_of(database) == ["install", "baseline"]
    assert events_of(database)[-1].detail["objects"] == 1
    before = traces(database)
    assert adopt(database, capsys)[0] == 0
    assert traces(database) == before


def test_a_table_of_another_shape(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    query(database, "CREATE TABLE public.schema_migrations (id int); INSERT INTO schema_migrations VALUES (1)")
    code, _, err = adopt(database, capsys)
    assert code == 2
    assert 'public.schema_migrations has no column "version"' in err
    assert "name the versions on the command line" in err
    with Ledger(database) as ledger:
        assert not ledger.exists(), "a refused baseline leaves nothing"
    assert adopt(database, capsys, INITIAL, "--ignore-table")[0] == 0


def test_rails_and_golang_migrate(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Other tools keep a table of the same name: numbers as versions, and a mark for a half done one."""
    query(
        database,
        "CREATE TABLE public.schema_migrations (version bigint, dirty boolean);"
        "INSERT INTO schema_migrations VALUES (1, false), (2, true)",
    )
    code, said, _ = adopt(database, capsys)
    assert (code, [one["version"] for one in said["adopted"]]) == (0, ["001_add_analytics_tables"])
    ((second, why),) = said["skipped"]
    assert (second.partition("_")[0].lstrip("0"), why) == ("2", "it is marked dirty")


def test_a_number_alone_is_the_catalogues_version(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """Else it would be applied a second time."""
    query(
        database,
        "CREATE TABLE public.schema_migrations (version text PRIMARY KEY, applied_at timestamp);"
        "INSERT INTO schema_migrations VALUES ('1', now()), ('900', now())",
    )
    code, said, _ = adopt(database, capsys)
    assert (code, sorted(one["version"] for one in said["adopted"])) == (0, ["001_add_analytics_tables", "900"])


def test_the_table_of_golang_migrate_says_more_than_its_row(
    database: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    query(
        database,
        "CREATE TABLE public.schema_migrations (version bigint, dirty boolean);"
        "INSERT INTO schema_migrations VALUES (2, false)",
    )
    code, _, err = adopt(database, capsys)
    assert code == 2
    assert "give --from golang-migrate" in err


def test_named_versions(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    query(database, "CREATE TABLE messages (id int)")
    code, _, err = adopt(database, capsys, "nonsense")
    assert code == 2
    assert "nonsense" in err
    code, _, err = adopt(database, capsys, ANALYTICS)
    assert code == 2
    assert f"'{ANALYTICS}' depends on {INITIAL}: name these too" in err
    code, said, _ = adopt(database, capsys, INITIAL, ANALYTICS)
    assert (code, [one["source"] for one in said["adopted"]]) == (0, ["command line", "command line"])


def test_a_reason_is_required(database: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["baseline", "--reason", "  ", "--dsn", database.conninfo, "--migrations", str(REPOSITORY / "migrations")])
        == 2
    )
    assert "a baseline needs a reason" in capsys.readouterr().err


@pytest.mark.parametrize(
    "script, shown",
    [
        ("CREATE TABLE by_hand (id int)", r"has public\.by_hand, but no ledger"),
        ("CREATE VIEW public.v AS SELECT 1", r"has public\.v, but"),
        (RUNBOOK + "INSERT INTO schema_migrations (version) VALUES ('1')", r"and public\.schema_migrations with 1 "),
        (
            "".join(f"CREATE TABLE {name} ();" for name in "abcdef"),
            r"public\.a, public\.b, public\.c, public\.d, public\.e and 1 more",
        ),
    ],
)
def test_a_database_with_a_past_is_not_migrated_without_one(database: Endpoint, script: str, shown: str) -> None:
    query(database, script)
    with (
        Ledger(database) as ledger,
        session.connect(database, purpose="observe") as conn,
        pytest.raises(BaselineMissing, match=shown),
    ):
        baseline.require(conn, ledger)


def test_an_empty_database_needs_none(database: Endpoint) -> None:
    with Ledger(database) as ledger, session.connect(database, purpose="observe") as conn:
        baseline.require(conn, ledger)
