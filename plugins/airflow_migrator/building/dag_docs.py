"""The DAG's doc tab: what a person reads about a migration before touching it: its own text, the plan as its author
declares it, the SQL, the rollback. What analyze computes of it depends on the target, so that is on each run's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from migrator.catalogue.metadata import FILE_KEY, StepSpec
from migrator.plan import OnFailure
from migrator.reports.markup import Markup, fenced, text
from migrator.steps.kinds import kind_named

if TYPE_CHECKING:
    from pathlib import Path

    from migrator.catalogue.migration import Migration

WHEN_IT_FAILS: Mapping[OnFailure, str] = {
    OnFailure.ROLLBACK: "rolled back by itself",
    OnFailure.HOLD: "left as it is, for a person",
    OnFailure.ASK: "a person is asked whether to roll back",
}

LONGEST_FILE = 20_000
"""Characters of one SQL file shown: the doc tab is part of the serialised DAG."""


def document(migration: Migration) -> str:
    metadata = migration.metadata
    parts = [f"# {text(metadata.version)}", text(metadata.description)]
    if metadata.notes.strip():
        parts.append(metadata.notes.strip())
    parts.append(_table(migration))
    parts.append("## Plan\n\n" + _plan(migration))
    files = dict.fromkeys(migration.sql_paths)
    parts.extend(_sql(f"Forward: `{path.name}`", path) for path in files)
    if migration.rollback_path is not None:
        parts.append(_sql(f"Rollback: `{migration.rollback_path.name}`", migration.rollback_path))
    else:
        parts.append("## Rollback\n\nNone. What this migration does cannot be undone by script.")
    if metadata.verify:
        checks = "\n".join(f"{query.strip().rstrip(';')};" for query in metadata.verify)
        parts.append(f"## Verified by\n\n{fenced(checks, 'sql')}")
    if migration.changes_path is not None:
        parts.append(_file("Expected changes", migration.changes_path, "yaml"))
    return "\n\n".join(parts) + "\n"


def _table(migration: Migration) -> str:
    metadata, schedule = migration.metadata, migration.metadata.schedule
    window = "on request"
    if schedule is not None:
        opens, closes = (
            at.astimezone(ZoneInfo(schedule.timezone)) for at in (schedule.window_start, schedule.window_end)
        )
        window = (
            f"{schedule.target}: {opens:%a %Y-%m-%d %H:%M} to {closes:%H:%M %Z}, started {schedule.run_at:%H:%M} UTC"
        )
    rows = {
        "Author": metadata.author,
        "Type": metadata.type.value if metadata.type else "computed by analyze",
        "Declared risk": metadata.risk_level.value,
        "Estimated duration": metadata.estimated_duration or "not given",
        "Downtime": "needed" if metadata.requires_downtime else "none",
        "Window": window,
        "Depends on": ", ".join(f"`{version}`" for version in metadata.dependencies) or "nothing",
        "When it fails": WHEN_IT_FAILS[metadata.on_failure],
        "Said to be reviewed by": ", ".join(metadata.reviewed_by) or "nobody yet",
        "Tests claimed": ", ".join(name for name, done in metadata.testing.items() if done) or "none",
        "Files": f"`{migration.relative}`",
    }
    return _rows(("", ""), rows.items())


def _plan(migration: Migration) -> str:
    """What apply will do, step by step, and what else the author has declared about it."""
    metadata = migration.metadata
    declared = metadata.steps or (StepSpec(migration.version, "sql", {FILE_KEY: None}),)
    steps = [
        (
            f"{number}. `{step.name}`",
            kind_named(step.kind).SUMMARY,
            f"`{migration.step_path(step).name}`" if step.reads_file else _given(step),
            step.description,
        )
        for number, step in enumerate(declared, start=1)
    ]
    parts = [_rows(("Step", "Does", "File or parameters", "What for"), steps)]
    if metadata.allow:
        allowed = [(f"`{one.rule}`", one.reason, f"{one.until:%Y-%m-%d}") for one in metadata.allow]
        parts.append("The author answers for these findings:\n\n" + _rows(("Rule", "Because", "Until"), allowed))
    parts.append(
        "Locks, rewrites, sizes and durations depend on the target: trigger a **rehearsal** and read the run's page"
        " **Migration**. It proves everything on a restored copy and changes nothing."
    )
    return "\n\n".join(parts)


def _given(step: StepSpec) -> str:
    """The parameters that its author gave a step without a file."""
    given = {key: value for key, value in step.parameters.items() if value not in (None, False)}
    shown = {key: ", ".join(value) if isinstance(value, (list, tuple)) else value for key, value in given.items()}
    return Markup("; ".join(f"{key}: {text(str(value))}" for key, value in shown.items()))


def _rows(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *lines])


def _cell(text: str) -> str:
    return text if isinstance(text, Markup) else text.replace("|", "\\|").replace("\n", " ")


def _sql(title: str, path: Path) -> str:
    return _file(title, path, "sql")


def _file(title: str, path: Path, language: str) -> str:
    text = path.read_bytes().decode("utf-8", errors="replace")
    note = ""
    if len(text) > LONGEST_FILE:
        note = f"\n\nThe first {LONGEST_FILE} of {len(text)} characters."
        text = text[:LONGEST_FILE]
    return f"## {title}\n\n{fenced(text.strip(), language)}{note}"
