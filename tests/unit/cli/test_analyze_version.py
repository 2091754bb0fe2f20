"""`migrator analyze VERSION`: what is refused although the SQL is right."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from migrator.cli import main

SHIPPED = Path(__file__).parents[3] / "migrations"


def test_expected_changes_that_are_wrong_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "migrations"
    shutil.copytree(SHIPPED, root)
    command = ["analyze", "000_initial_schema", "--migrations", str(root)]
    assert main(command) == 0
    changes = root / "2025" / "000_initial_schema" / "schema_changes.yaml"
    changes.write_text("aded:\n  tables: [users]\n")
    capsys.readouterr()
    assert main(command) == 1
    said = capsys.readouterr()
    assert "schema_changes.yaml:1:1" in said.out + said.err
