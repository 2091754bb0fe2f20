"""SECURITY.md names a test in each line, and that test is there."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "SECURITY.md").read_text(encoding="utf-8")


def test_each_line_names_a_test_that_is_there() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith(("| cannot", "| can "))]
    assert len(rows) > 20
    missing = []
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, row
        for path, name in named:
            file = REPOSITORY / path
            if not file.is_file() or f"def {name}(" not in file.read_text(encoding="utf-8"):
                missing.append(f"{path}::{name}")
    assert missing == []
