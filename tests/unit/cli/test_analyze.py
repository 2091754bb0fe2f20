"""`migrator analyze` and `migrator plan` as a person types them: what is printed, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from migrator.cli import main

REPOSITORY = Path(__file__).parents[3]
SHIPPED = (
    "000_initial_schema",
    "001_add_analytics_tables",
    "002_messages_analytics_processed",
    "003_index_messages_tenant_created",
    "005_add_jsonb_columns",
)


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


def as_json(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    code = main([*argv, "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("version", SHIPPED)
def test_shipped_migrations_have_nothing_to_mend(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = as_json(capsys, "analyze", version)
    assert code == 0
    found = [*document["findings"], *(one for statement in document["statements"] for one in statement["findings"])]
    assert {finding["severity"] for finding in found} <= {"info"}
    assert main(["plan", version]) == 0
    assert "rollback:" in capsys.readouterr().out


def test_of_several_files_each_is_named_before_its_statements(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyze", "002_messages_analytics_processed"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  8 statements in 3 files" in lines[1]
    places = [lines.index(f"  {name}") for name in ("add_column.sql", "fill.sql", "not_null.sql")]
    assert places == sorted(places)


def test_a_bare_file_gives_the_documented_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.sql"
    file.write_text("ALTER TABLE lm.messages\n  ADD CONSTRAINT c CHECK (size > 0);\n")
    code, document = as_json(capsys, "analyze", "--file", str(file), "--check-locks", "--validate-syntax")
    statement = document["statements"][0]
    assert code == 0
    assert (statement["line"], statement["column"], statement["kind"]) == (1, 1, "ALTER TABLE")
    assert statement["locks"] == [{"relation": "lm.messages", "mode": "ACCESS EXCLUSIVE"}]
    assert statement["scans"] == ["lm.messages"]
    assert statement["findings"][0]["rule"] == "add-check"
    assert "NOT VALID" in statement["findings"][0]["alternative_sql"]
    assert document["summary"]["risk"] == "medium"


@pytest.mark.parametrize(
    "content",
    [
        b"SELECT 1; CREATE TABL x (a int);",
        b"\\i other.sql\n",
        b"SELECT 'never closed",
        b"\xff\xfeS\x00E\x00",
        b"SELECT '\xe9';",
        b"SELECT 1;\x00SELECT 2;",
        b"DO $$ BEGIN",
        b"COPY t FROM STDIN;\n1\n\\.\n",
    ],
)
def test_what_cannot_be_run_is_told_with_its_place(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.sql"
    file.write_bytes(content)
    assert main(["analyze", str(file)]) == 1
    captured = capsys.readouterr()
    assert f"{file}:" in captured.out
    assert "Traceback" not in captured.out + captured.err


@pytest.mark.parametrize(
    "argv, code",
    [
        (["analyze"], 2),
        (["analyze", "does_not_exist"], 2),
        (["analyze", "--file", "does_not_exist.sql"], 3),
        (["plan", "does_not_exist"], 2),
    ],
)
def test_exit_codes(argv: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == code
    assert capsys.readouterr().err.startswith("migrator: ")


def test_a_folder_gives_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    code, document = as_json(capsys, "analyze", "tests/rules/truncate", "--strict")
    assert code == 1
    assert [Path(item["name"]).name for item in document] == ["bad.sql", "good.sql"]
