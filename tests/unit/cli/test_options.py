"""What the environment says in the place of options, and what is said when nobody says where to connect."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from migrator.cli import COMMANDS, main
from migrator.cli.output import Output
from tests.catalogue_files import write

TARGETS = "targets:\n  test:\n    environment: development\n    connection: test\n    copies_connection: copies\n"


def test_the_environment_names_catalogue_and_targets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIGRATOR_MIGRATIONS", str(write(tmp_path, {"001_t": "CREATE TABLE t (id bigint);"})))
    assert main(["plan", "001_t"]) == 0
    shown = capsys.readouterr().out
    assert "001_t.sql:1 CREATE TABLE t (id bigint)" in shown, "a plan shows what will run"
    (tmp_path / "mine.yaml").write_text(TARGETS)
    monkeypatch.setenv("MIGRATOR_TARGETS", str(tmp_path / "mine.yaml"))
    assert main(["plan", "001_t", "--target", "other", "--dsn", "dbname=nowhere"]) == 2
    assert "'test'" in capsys.readouterr().err, "the targets are those of the file that the environment names"


def test_nobody_says_where_to_connect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "targets.yaml").write_text(TARGETS)
    monkeypatch.setenv("PGHOST", str(tmp_path))
    arguments = ["status", "--targets", str(tmp_path / "targets.yaml"), "--target", "test"]
    assert main(arguments) == 3
    assert "--connections FILE" in capsys.readouterr().err
    connections = tmp_path / "connections.yaml"
    connections.write_text(f"test: host={tmp_path} dbname=elsewhere\n")
    monkeypatch.setenv("MIGRATOR_CONNECTIONS", str(connections))
    assert main(arguments) == 3
    said = capsys.readouterr().err
    assert "elsewhere" in said
    assert "libpq decided" not in said


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width, blocks", [(80, True), (200, False)])
def test_a_table_that_is_too_wide_breaks_no_word(monkeypatch: pytest.MonkeyPatch, width: int, blocks: bool) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stdout = Terminal()
    out = Output(stdout=stdout, stderr=io.StringIO())
    columns = ("version", "type", "risk", "status", "applied", "by")
    row = ("003_index_messages_tenant_created", "schema_addition", "low", "success", "2025-01-16 02:00:12", None)
    out.table(columns, [row])
    shown = stdout.getvalue()
    assert "003_index_messages_tenant_created" in shown
    assert ("    status: success\n" in shown) is blocks
    assert "by" not in shown or not blocks


def test_a_long_text_is_broken_at_blanks_and_what_has_no_first_value_has_a_heading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The calendar of what has no date yet: 160 columns are enough for seven, and "-" is no heading."""
    columns = ("Date", "Migration", "Type", "Risk", "Owner", "Target", "State")
    text = "003_index_messages: Index the live messages of a tenant by time, which the list of conversations reads"
    row = (None, text, "schema addition", "low", "database-team@wakala.com", None, "unscheduled")
    shown = {}
    for width in (80, 160):
        monkeypatch.setenv("COLUMNS", str(width))
        stdout = Terminal()
        Output(stdout=stdout, stderr=io.StringIO()).table(columns, [row, (None,) * 7])
        shown[width] = stdout.getvalue()
    assert "003_index_messages: Index the live messages" in shown[80].splitlines()[0]
    assert "    type: schema addition\n" in shown[80]
    assert "Owner" in shown[160]
    assert "database-team@wakala.com" in shown[160]


@pytest.mark.parametrize("command", ["", *(one.name for one in COMMANDS)])
def test_help_is_no_wider_than_the_terminal(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*filter(None, [command]), "--help"]) == 0
    shown = capsys.readouterr().out
    assert "exit codes:\n  0  all is well\n" in shown
    assert [line for line in shown.splitlines() if len(line) > 80] == []
