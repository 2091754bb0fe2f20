"""The DAG's doc tab: what a person reads about a migration before touching it. Plan and evidence are of a run, so they
are on the review card."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from migrator.catalogue import Migration

LONGEST_FILE = 20_000
"""Characters of one SQL file shown: the doc tab is part of the serialised DAG."""


def document(migration: Migration) -> str:
    metadata = migration.metadata
    parts = [f"# {metadata.version}", metadata.description]
    if metadata.notes.strip():
        parts.append(metadata.notes.strip())
    parts.append(_table(migration))
    files = dict.fromkeys([migration.step_path(step) for step in migration.steps] or [migration.sql_path])
    parts.extend(_sql(f"Forward: `{path.name}`", path) for path in files)
    if migration.rollback_path is not None:
        parts.append(_sql(f"Rollback: `{migration.rollback_path.name}`", migration.rollback_path))
    else:
        parts.append("## Rollback\n\nNone. What this migration does cannot be undone by script.")
    if migration.metadata.verify:
        checks = "\n".join(f"{query.strip().rstrip(';')};" for query in metadata.verify)
        parts.append(f"## Verified by\n\n{_fenced(checks, 'sql')}")
    return "\n\n".join(parts) + "\n"


def _table(migration: Migration) -> str:
    metadata, schedule = migration.metadata, migration.metadata.schedule
    window = "on request"
    if schedule is not None:
        window = f"{schedule.target}: {schedule.window_start:%Y-%m-%d %H:%M} to {schedule.window_end:%H:%M} UTC"
    rows = {
        "Author": metadata.author,
        "Type": metadata.type.value if metadata.type else "computed by analyze",
        "Declared risk": metadata.risk_level.value,
        "Estimated duration": metadata.estimated_duration or "not given",
        "Downtime": "needed" if metadata.requires_downtime else "none",
        "Window": window,
        "Depends on": ", ".join(f"`{version}`" for version in metadata.dependencies) or "nothing",
        "Steps": ", ".join(f"`{step.name}`" for step in metadata.steps) or "one",
        "When it fails": metadata.on_failure.value,
        "Said to be reviewed by": ", ".join(metadata.reviewed_by) or "nobody yet",
        "Tests claimed": ", ".join(name for name, done in metadata.testing.items() if done) or "none",
        "Files": f"`{migration.relative}`",
    }
    lines = [f"| {key} | {_cell(value)} |" for key, value in rows.items()]
    return "\n".join(["| | |", "| --- | --- |", *lines])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _sql(title: str, path: Path) -> str:
    text = path.read_bytes().decode("utf-8", errors="replace")
    note = ""
    if len(text) > LONGEST_FILE:
        note = f"\n\nThe first {LONGEST_FILE} of {len(text)} characters."
        text = text[:LONGEST_FILE]
    return f"## {title}\n\n{_fenced(text.strip(), 'sql')}{note}"


def _fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in the text."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"
