"""`migrator test` as a person types it: a process of its own, a server of its own, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrator.backups.copies import TRIAL

SHIPPED = (
    "000_initial_schema",
    "001_add_analytics_tables",
    "002_messages_analytics_processed",
    "003_index_messages_tenant_created",
    "005_add_jsonb_columns",
)

METADATA = """
version: "{version}"
description: "Made for a test"
author: "author@example.com"
risk_level: "high"
estimated_duration: "1 minute"
requires_downtime: true
rollback_available: true
dependencies: {dependencies}
"""


def command(repository: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "migrator", "test", *arguments]


def call(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(repository, *arguments), cwd=repository, capture_output=True, text=True, timeout=120, check=False
    )


def write(root: Path, version: str, sql: str, rollback: str, *, dependencies: str = "[]") -> None:
    folder = root / "2025" / version
    folder.mkdir(parents=True)
    (folder / "migration-metadata.yaml").write_text(METADATA.format(version=version, dependencies=dependencies))
    (folder / f"{version}.sql").write_text(sql)
    (folder / f"{version}_rollback.sql").write_text(rollback)


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Servers live in the directory for temporary files: it must be empty again, and no process may name it."""
    temporary = Path("/tmp") / f"migrator-test-{os.getpid()}-{tmp_path.name}"
    temporary.mkdir(mode=0o711)
    monkeypatch.setenv("TMPDIR", str(temporary))
    yield
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (processes_of(temporary) or list(temporary.glob("migrator-*"))):
        time.sleep(0.1)
    assert processes_of(temporary) == []
    assert list(temporary.glob("migrator-*")) == []
    for rest in temporary.iterdir():
        rest.unlink()
    temporary.rmdir()


def processes_of(folder: Path) -> list[str]:
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    return [line for line in listing.splitlines() if str(folder) in line]


@pytest.mark.parametrize("version", SHIPPED)
def test_the_shipped_migrations_pass(repository: Path, version: str) -> None:
    done = call(repository, version)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"reapply_schema_equal +passed", done.stdout)
    assert done.stdout.rstrip().endswith(f"{version}: passed")


@pytest.mark.thorough
def test_json_is_one_document(repository: Path) -> None:
    done = call(repository, "001_add_analytics_tables", "--format", "json")
    document = json.loads(done.stdout)
    assert document["verdict"] == "passed"
    assert document["dependencies"] == ["000_initial_schema"]
    locks = [lock for statement in document["evidence"]["statements"] for lock in statement["locks"]]
    assert {"relation": "public.messages", "mode": "SHARE ROW EXCLUSIVE"} in locks


def test_a_rollback_that_forgets_something_is_a_finding(repository: Path, tmp_path: Path) -> None:
    write(
        tmp_path,
        "001_a",
        "CREATE TABLE a (id bigint PRIMARY KEY);\nCREATE TABLE b (id bigint PRIMARY KEY);\n",
        "DROP TABLE b;\n",
    )
    done = call(repository, "001_a", "--migrations", str(tmp_path))
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"rollback_schema_equal +failed .*\+ table public\.a", done.stdout)


@pytest.mark.thorough
def test_a_dependency_that_fails_is_named(repository: Path, tmp_path: Path) -> None:
    write(tmp_path, "001_a", "SELECT 1 / 0;\nCREATE TABLE a (id int);\n", "DROP TABLE a;\n")
    write(tmp_path, "002_b", "CREATE TABLE b (id int);\n", "DROP TABLE b;\n", dependencies='["001_a"]')
    done = call(repository, "002_b", "--migrations", str(tmp_path))
    assert done.returncode == 1
    assert "'001_a', which comes first, cannot be applied: 001_a.sql:1:" in done.stderr
    assert "Traceback" not in done.stderr


def test_usage_and_environment(repository: Path, tmp_path: Path) -> None:
    assert call(repository, "999_nothing").returncode == 2
    assert call(repository).returncode == 2
    assert call(repository, "000_initial_schema", "--migrations", str(tmp_path / "nowhere")).returncode == 3


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_stopped_in_the_middle(repository: Path, tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Ctrl-C, a supervisor's stop, or a kill: the fixture sees that no server and no directory is left."""
    write(tmp_path, "001_a", "SELECT pg_sleep(60);\nCREATE TABLE a (id int);\n", "DROP TABLE a;\n")
    process = subprocess.Popen(
        command(repository, "001_a", "--migrations", str(tmp_path)),
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    temporary = Path(os.environ["TMPDIR"])
    deadline = time.monotonic() + 30
    while not in_trial(temporary):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "no statement ran in the trial's database"
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == code, errors
    assert "Traceback" not in errors


def in_trial(folder: Path) -> bool:
    """Whether a statement of a migration runs on the server whose directory lies in `folder`: PostgreSQL writes what
    its backends do into their titles."""
    parents = [line.split()[0] for line in processes_of(folder) if "postgres" in line]
    listing = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    backends = [line for line in listing.splitlines() if line.split()[1] in parents]
    return any(f"{TRIAL} " in line and "SELECT" in line for line in backends)


def test_rows_that_policies_hide_from_their_owner_are_compared(repository: Path, tmp_path: Path) -> None:
    write(
        tmp_path / "m",
        "001_forced",
        "CREATE TABLE tenant (id bigint PRIMARY KEY);\nINSERT INTO tenant VALUES (1), (2);\n"
        "ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;\nALTER TABLE tenant FORCE ROW LEVEL SECURITY;\n",
        "DROP TABLE tenant;\n",
    )
    write(
        tmp_path / "m",
        "002_policy",
        "CREATE POLICY own ON tenant USING (id < 100);\nUPDATE tenant SET id = id + 10;\n",
        "UPDATE tenant SET id = id - 10;\nDROP POLICY own ON tenant;\n",
        dependencies="[001_forced]",
    )
    done = call(repository, "002_policy", "--migrations", str(tmp_path / "m"))
    assert "Traceback" not in done.stdout + done.stderr
    assert re.search(r"later_backup +passed", done.stdout), done.stdout + done.stderr
    assert re.search(r"rollback_data +passed", done.stdout), done.stdout + done.stderr


@pytest.mark.thorough
def test_a_failure_of_the_sql_is_no_change_of_the_server(repository: Path, tmp_path: Path) -> None:
    """Looking for the rows that made it fail, the engine lets the copy's role connect to the copy for a while."""
    write(tmp_path / "m", "001_broken", "CREATE TABLE t (id int);\nSELECT 1 / 0;\n", "DROP TABLE t;\n")
    done = call(repository, "001_broken", "--migrations", str(tmp_path / "m"))
    assert re.search(r"apply +failed", done.stdout), done.stdout + done.stderr
    assert re.search(r"server +passed", done.stdout), done.stdout + done.stderr


def test_roles_that_the_texts_name_are_there(repository: Path, tmp_path: Path) -> None:
    """As they are on a target; nobody has to make any on his own machine."""
    sql = (
        'CREATE TABLE t (id int PRIMARY KEY); GRANT SELECT ON t TO app_ro; ALTER TABLE t OWNER TO "App Owner";'
        " ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t TO app_ro;"
        " DO $$BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_rw') THEN"
        " GRANT INSERT ON t TO app_rw; END IF; END$$;\n"
    )
    write(tmp_path, "001_roles", sql, "DROP TABLE t;\n")
    done = call(repository, "001_roles", "--migrations", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
