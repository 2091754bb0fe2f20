"""Every SQL and shell block of the runbook, as a file of a migration: it runs on a real server, with its rollback, or
is refused in words that say what to write here instead.

`tests/runbook/` holds the blocks as they are printed: `<block>.sh` and `<block>.sql`, and beside a shell block what its
commands send, `<block>_<n>.sql` (between << EOF and EOF) and `<block>_c<n>.sql` (after -c). A step kind that does what
a row of REFUSED asks for gives the block a row in RUNS with its `steps`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from migrator.catalogue.catalogue import Catalogue, load_catalogue
from migrator.cli import main
from migrator.cli.local_trial import Trial, try_migration
from migrator.embedded.programs import find_programs
from migrator.evidence import Verdict
from migrator.plan import Finding, Plan, Severity
from migrator.stages.analyze import analyze

BLOCKS = Path(__file__).parents[1] / "runbook"
FIRST, VERSION = "000_initial_schema", "001_add_analytics_tables"

METADATA = """\
version: {version}
description: Add tables for message analytics feature
author: database-team@wakala.com
risk_level: high
estimated_duration: 5 minutes
requires_downtime: true
rollback_available: {rollback}
dependencies: [{dependencies}]
{steps}
"""

INITIAL = """\
-- Migration: 000_initial_schema
BEGIN;
CREATE TABLE tenants (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email varchar(255) NOT NULL);
CREATE TABLE messages (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id bigint NOT NULL REFERENCES tenants (id),
  body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  deleted_at timestamptz
);
CREATE TABLE contacts (
  id bigint PRIMARY KEY,
  phone text,
  name text,
  tenant_id bigint,
  created_at timestamptz,
  updated_at timestamptz
);
INSERT INTO tenants (name) SELECT 'tenant ' || n FROM generate_series(1, 5) n;
INSERT INTO users (email) SELECT n || '@example.com' FROM generate_series(1, 50) n;
INSERT INTO messages (tenant_id, body) SELECT 1 + n % 5, 'text' FROM generate_series(1, 25000) n;
INSERT INTO contacts (id, name) SELECT n, 'contact ' || n FROM generate_series(1, 50) n;
{more}
INSERT INTO schema_migrations (version, filename, applied_at)
VALUES ('000_initial_schema.sql', '2025/000_initial_schema.sql', NOW());
COMMIT;
"""

ANALYTICS = """CREATE TABLE message_analytics (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  message_id bigint NOT NULL,
  tenant_id bigint NOT NULL,
  day date NOT NULL,
  CONSTRAINT fk_message_analytics_message FOREIGN KEY (message_id) REFERENCES messages (id),
  CONSTRAINT fk_message_analytics_tenant FOREIGN KEY (tenant_id) REFERENCES tenants (id)
);
CREATE INDEX idx_message_analytics_message ON message_analytics (message_id);
CREATE INDEX idx_message_analytics_tenant_date ON message_analytics (tenant_id, day);
CREATE TABLE analytics_summary (tenant_id bigint NOT NULL, day date NOT NULL, PRIMARY KEY (tenant_id, day));"""

UNDO_SHADOW = """BEGIN;
DROP TRIGGER sync_contacts_trigger ON contacts;
DROP FUNCTION sync_contacts_to_new();
DROP TABLE contacts_new;
COMMIT;"""


@dataclass(frozen=True)
class Runs:
    """`change`: what the block leaves open, or what the finding on it says to write. `left_out`: how much of it."""

    block: str
    rollback: str | None = None
    before: str = ""
    """What other blocks have done before."""
    change: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0
    steps: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further files of the folder."""

    def __str__(self) -> str:
        return self.block

    @property
    def sql(self) -> str:
        text = (BLOCKS / self.block).read_text()
        for old, new in self.change.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text


GEXEC = """SELECT 'CREATE TABLE green.' || tablename || ' (LIKE public.' || tablename || ' INCLUDING ALL);'
FROM pg_tables\x20
WHERE schemaname = 'public'
\\gexec"""
GEXEC_HERE = """DO $$
DECLARE
  command text;
BEGIN
  FOR command IN
    SELECT 'CREATE TABLE green.' || tablename || ' (LIKE public.' || tablename || ' INCLUDING ALL);'
    FROM pg_tables
    WHERE schemaname = 'public'
  LOOP
    EXECUTE command;
  END LOOP;
END $$;"""

ROLLBACK_SCRIPT = (BLOCKS / "schema_rollback.sql").read_text()

RUNS = (
    Runs("standards.sql", ROLLBACK_SCRIPT, change={"CREATE TABLE ...": ANALYTICS}, left_out=7),
    Runs("index_creation.sql", "DROP INDEX CONCURRENTLY idx_messages_tenant_created;"),
    Runs(
        "index_creation.sql",
        "DROP INDEX CONCURRENTLY idx_messages_tenant_created;",
        steps="steps: [{name: index, kind: create_index, file: index.sql},"
        f" {{name: look, kind: sql, file: {VERSION}.sql}}]",
        change={
            "CREATE INDEX CONCURRENTLY idx_messages_tenant_created \nON messages(tenant_id, created_at) \n"
            "WHERE deleted_at IS NULL;": ""
        },
        others={
            "index.sql": "CREATE INDEX CONCURRENTLY idx_messages_tenant_created\n"
            "ON messages(tenant_id, created_at)\nWHERE deleted_at IS NULL;"
        },
    ),
    Runs(
        "large_table.sql",
        "ALTER TABLE messages DROP COLUMN analytics_processed;",
        change={
            "    WHERE analytics_processed IS NULL \n    LIMIT batch_size;": (
                "    WHERE ctid IN (SELECT ctid FROM messages WHERE analytics_processed IS NULL LIMIT batch_size);"
            )
        },
    ),
    Runs("expand_contract.sql"),
    Runs("shadow_table_1.sql", UNDO_SHADOW, left_out=2),
    Runs(
        "shadow_table_2.sql",
        "BEGIN; ALTER TABLE contacts RENAME TO contacts_new; ALTER TABLE contacts_old RENAME TO contacts; COMMIT;",
        before="CREATE TABLE contacts_new (LIKE contacts INCLUDING ALL);",
        left_out=4,
    ),
    Runs(
        "blue_green_1.sql",
        "DROP SCHEMA green CASCADE;",
        change={
            GEXEC: GEXEC_HERE,
            "\\i migrations/2025/001_schema_changes.sql": "",
        },
        steps=f"steps: [{{name: copy, kind: sql, file: {VERSION}.sql}},"
        " {name: changes, kind: sql, file: 001_schema_changes.sql}]",
        others={"001_schema_changes.sql": "BEGIN;\nCREATE TABLE green.notes (id bigint PRIMARY KEY);\nCOMMIT;\n"},
        left_out=2,
    ),
    Runs(
        "blue_green_2.sql",
        "BEGIN; ALTER SCHEMA public RENAME TO green; ALTER SCHEMA blue RENAME TO public; COMMIT;",
        before="CREATE SCHEMA green; CREATE TABLE green.users (LIKE public.users INCLUDING ALL);",
        left_out=4,
    ),
    Runs("lock_detection_1.sql"),
    Runs("performance_c1.sql"),
    Runs("connection_pool_c1.sql"),
    Runs("point_in_time_c1.sql"),
)


@dataclass(frozen=True)
class Refused:
    """`said`: by line, the words that must be there, of each finding that is an error."""

    block: str
    said: Mapping[int, str]

    def __str__(self) -> str:
        return self.block


HEREDOC = "put what stands between << and its end into the file"
QUOTES = "put the SQL that stands in the quotes into the file"
COPIES = "the stages `snapshot` and `restore_test`"
DEPLOY = "write two migrations, and deploy the application between them"

REFUSED = (
    Refused("risk_assessment.sh", {2: "run `migrator analyze VERSION`"}),
    Refused("preparation.sh", {2: "`schedule` says when, and the stage `review` asks"}),
    Refused("backup_verification.sh", {2: COPIES, 7: COPIES, 12: COPIES}),
    Refused("validation.sh", {2: "`migrator test VERSION` rehearses it", 8: "write schema_changes.yaml"}),
    Refused("standard_process.sh", {10: COPIES, 15: "`migrator test VERSION` rehearses it", 24: QUOTES}),
    Refused(
        "standard_process_c1.sql", {0: "has nothing but what is left out", 1: f"write '{VERSION}', or take it out"}
    ),
    Refused("standard_process_c2.sql", {0: "has nothing but what is left out"}),
    Refused("large_table.sql", {17: "UPDATE messages SET analytics_processed = false WHERE ctid IN (SELECT ctid FROM"}),
    Refused("shadow_table.sh", {2: HEREDOC, 32: "a step of kind backfill", 38: HEREDOC}),
    Refused("blue_green.sh", {2: HEREDOC, 16: DEPLOY, 21: HEREDOC}),
    Refused(
        "blue_green_1.sql",
        {
            7: "use a DO block with FOR ... LOOP EXECUTE",
            10: "`steps: [{name: 001_schema_changes, kind: sql, file: 001_schema_changes.sql}, ...]`",
        },
    ),
    Refused("immediate_rollback.sh", {2: HEREDOC}),
    Refused(
        "immediate_rollback_1.sql",
        {0: "has nothing but what is left out", 8: "the engine runs the rollback script itself"},
    ),
    Refused("point_in_time.sh", {5: "the stage `rollback` undoes what was applied", 11: QUOTES, 16: DEPLOY}),
    Refused("lock_detection.sh", {2: HEREDOC, 33: QUOTES}),
    Refused("lock_detection_c1.sql", {1: "a shell would put a value in here"}),
    Refused("performance.sh", {2: "`migrator status`", 14: HEREDOC}),
    Refused("connection_pool.sh", {2: QUOTES, 13: QUOTES}),
    Refused("standards.sql", {24: "'...' is a placeholder: write the real definition"}),
    Refused("testing_protocol.sh", {8: "run `migrator test VERSION`"}),
)

FAILS = {"performance_1.sql": 'column "tablename" does not exist (SQLSTATE 42703, undefined_column)'}
"""The server itself refuses it: pg_stat_user_tables has `relname`."""

WARNED = {"connection_pool_c2.sql": "ends-or-steers-others"}
"""Runs, and no team should let it: what it does to others no rehearsal shows."""


def written(root: Path, row: Runs) -> Catalogue:
    texts = {FIRST: INITIAL.format(more=row.before), VERSION: row.sql}
    for version, sql in texts.items():
        folder = root / "2025" / version
        folder.mkdir(parents=True)
        own = version == VERSION
        undo = row.rollback if own else None
        (folder / "migration-metadata.yaml").write_text(
            METADATA.format(
                version=version,
                rollback="false" if undo is None else "true",
                dependencies=FIRST if own else "",
                steps=row.steps if own else "",
            )
        )
        (folder / f"{version}.sql").write_text(sql)
        if undo is not None:
            (folder / f"{version}_rollback.sql").write_text(undo)
        for name, text in row.others.items() if own else ():
            (folder / name).write_text(text)
    return load_catalogue(root)


def errors_of(plan: Plan) -> list[Finding]:
    return [one for one in plan.findings if one.severity is Severity.ERROR]


@pytest.mark.parametrize("row", RUNS, ids=str)
def test_block_runs(row: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalogue = written(tmp_path, row)
    assert main(["check", "--migrations", str(tmp_path)]) == 0, capsys.readouterr().out
    trial: Trial = try_migration(catalogue, VERSION, programs=find_programs(None))
    assert trial.evidence.verdict is Verdict.PASSED, trial.evidence.checks
    assert len(trial.plan.left_out) == row.left_out
    if row.rollback is not None:
        proved = {check.name for check in trial.evidence.checks if check.verdict is Verdict.PASSED}
        assert {"rollback", "rollback_schema_equal", "reapply_schema_equal"} <= proved


@pytest.mark.parametrize("row", REFUSED, ids=str)
def test_block_is_refused_in_words(row: Refused, tmp_path: Path) -> None:
    catalogue = written(tmp_path, Runs(row.block))
    errors = errors_of(analyze(catalogue.require(VERSION)))
    assert sorted(one.line or 0 for one in errors) == sorted(row.said)
    for one in errors:
        assert row.said[one.line or 0] in f"{one.message}: {one.help}"


def test_the_offered_sql_is_what_the_rows_run(tmp_path: Path) -> None:
    offered = [
        one.alternative_sql
        for block in ("blue_green_1.sql", "large_table.sql")
        for one in errors_of(analyze(written(tmp_path / block, Runs(block)).require(VERSION)))
        if one.alternative_sql
    ]
    assert len(offered) == 2
    texts = [" ".join(row.sql.split()) for row in RUNS]
    assert all(any(" ".join(sql.split()) in text for text in texts) for sql in offered)


def test_every_block_has_its_row() -> None:
    rows = {row.block for row in (*RUNS, *REFUSED)} | FAILS.keys() | WARNED.keys() | {"schema_rollback.sql"}
    assert rows == {file.name for file in BLOCKS.iterdir() if file.suffix != ".yaml"}


@pytest.mark.parametrize("block", FAILS)
def test_block_fails_in_the_servers_words(block: str, tmp_path: Path) -> None:
    trial = try_migration(written(tmp_path, Runs(block)), VERSION, programs=find_programs(None))
    failed = [check.detail for check in trial.evidence.checks if check.verdict is Verdict.FAILED]
    assert [FAILS[block] in detail for detail in failed] == [True]


def test_an_error_has_the_line_of_the_file(tmp_path: Path) -> None:
    row = Runs("standards.sql", change={"CREATE TABLE ...": "INSERT INTO tenants (name)\nSELECT (1 / 0)::text;"})
    trial = try_migration(written(tmp_path, row), VERSION, programs=find_programs(None))
    (failed,) = [check.detail for check in trial.evidence.checks if check.verdict is Verdict.FAILED]
    line = row.sql.splitlines().index("INSERT INTO tenants (name)") + 1
    assert failed.startswith(f"{VERSION}.sql:{line}")
    assert "division by zero" in failed


def test_what_ends_other_sessions_is_warned_about(tmp_path: Path) -> None:
    for block, rule in WARNED.items():
        plan = analyze(written(tmp_path, Runs(block)).require(VERSION))
        assert rule in [one.rule for one in plan.findings if one.severity is Severity.WARNING]


def test_the_metadata_is_read_as_it_stands(tmp_path: Path) -> None:
    catalogue = written(tmp_path, RUNS[0])
    place = catalogue.require(VERSION).metadata_path
    place.write_text((BLOCKS / "metadata.yaml").read_text())
    plan = analyze(load_catalogue(tmp_path).require(VERSION))
    assert errors_of(plan) == []
    contradicted = [one.message for one in plan.findings if one.rule == "header-contradicts"]
    assert contradicted == ["the header says Author: team@wakala.com, but the metadata says database-team@wakala.com"]
