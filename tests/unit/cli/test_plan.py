"""`migrator plan`: what of the files is left out stands beside what runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migrator.cli import main
from tests.catalogue_files import write


def test_left_out_in_text_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = "INSERT INTO schema_migrations (version) VALUES ('001_t');"
    sql = f"-- one\nBEGIN;\nCREATE TABLE t (id bigint PRIMARY KEY);\n{record}\nCOMMIT;\n"
    arguments = ["plan", "001_t", "--migrations", str(write(tmp_path, {"001_t": sql}, rollback="DROP TABLE t;"))]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert (
        "left out, the engine does it\n  001_t.sql:2 BEGIN\n  001_t.sql:4 INSERT INTO schema_migrations\n"
        "  001_t.sql:5 COMMIT\n"
    ) in shown
    assert "left-out" not in shown
    assert "\nrollback: 1 statement\n" in shown
    assert main([*arguments, "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["what"] for one in document["left_out"]] == ["BEGIN", "INSERT INTO schema_migrations", "COMMIT"]
    assert [one["kind"] for one in document["steps"][0]["statements"]] == ["CREATE TABLE"]
