"""The tables in migrations/README.md are those of the code."""

from __future__ import annotations

from pathlib import Path

from migrator.cli.reference import fill

PAGE = Path(__file__).parents[3] / "migrations" / "README.md"


def test_migrations_readme_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("| key | what it holds | default |") == 2
    assert fill(text) == text, "run: python -m migrator.cli.reference"
