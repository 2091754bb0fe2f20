"""The files of a new migration as text, and how they get into its folder."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from migrator import errors
from migrator.catalogue.metadata import CHANGES_FILE, METADATA_FILE
from migrator.steps.suggestions import Composed


@dataclass(frozen=True)
class Draft:
    version: str
    description: str
    author: str
    written: date
    risk: str
    type: str | None
    requires_downtime: bool
    dependencies: tuple[str, ...]
    irreversible: bool
    steps: Composed | None = None
    concurrent_index: bool = False
    """Without `steps`: a frame for an index."""

    @property
    def header(self) -> str:
        return f"-- Author: {self.author}\n-- Date: {self.written:%Y-%m-%d}\n-- Description: {self.description}\n\n"

    @property
    def undo(self) -> str:
        """The rollback script; "" when there is none."""
        if self.irreversible:
            return ""
        if self.steps is not None:
            return self.steps.undo or ""
        index = "-- DROP INDEX CONCURRENTLY IF EXISTS idx_table_column;\n" if self.concurrent_index else ""
        return f"-- What undoes it.\n{index}"


def files(draft: Draft) -> dict[str, str]:
    """Content by name, in the order in which people read them."""
    version = draft.version
    found = {METADATA_FILE: _metadata(draft)}
    for name, sql in _scripts(draft).items():
        found[name] = f"-- Migration: {version}\n{draft.header}{sql}"
    if draft.undo:
        found[f"{version}_rollback.sql"] = f"-- Rollback: {version}\n{draft.header}{draft.undo}"
    changes = _changes(draft)
    if changes is not None:
        found[CHANGES_FILE] = changes
    return found


def _scripts(draft: Draft) -> Mapping[str, str]:
    if draft.steps is not None:
        return draft.steps.files
    forward = "-- The change, as pure SQL: no BEGIN, no COMMIT, no psql commands.\n"
    if draft.concurrent_index:
        forward += "-- CREATE INDEX CONCURRENTLY idx_table_column ON table (column);\n"
    return {f"{draft.version}.sql": forward}


def _metadata(draft: Draft) -> str:
    holds = draft.steps.holds if draft.steps is not None else ()
    lines = [
        f"version: {quoted(draft.version)}",
        f"description: {quoted(draft.description)}",
        f"author: {quoted(draft.author)}",
        "reviewed_by: []",
        f"risk_level: {draft.risk}",
        *([f"type: {draft.type}"] if draft.type else []),
        'estimated_duration: "1 minute"',
        f"requires_downtime: {_yes(draft.requires_downtime)}",
        f"rollback_available: {_yes(bool(draft.undo))}",
        "testing:",
        "  - unit_tests: false",
        "  - integration_tests: false",
        "  - performance_tests: false",
        "  - production_like_test: false",
        "dependencies:" + ("" if draft.dependencies else " []"),
        *(f"  - {quoted(name)}" for name in draft.dependencies),
        *_steps(draft),
        "verify:" + ("" if holds else " []"),
        *(f"  - {quoted(text)}" for text in holds),
        "notes: |",
        "  What reviewers and operators should know.",
    ]
    if draft.steps is not None and draft.steps.undo is None and not draft.irreversible:
        lines.append("  Nothing undoes it: what was there before is kept nowhere. Write a rollback script, if you can.")
    return "\n".join(lines) + "\n"


def _steps(draft: Draft) -> list[str]:
    if draft.steps is not None:
        return ["steps:", textwrap.indent(draft.steps.steps, "  ")]
    return ["steps:", "  - {name: create_index, kind: create_index}"] if draft.concurrent_index else []


def _changes(draft: Draft) -> str | None:
    """None: the names are not known, and a file that says less than happens would be wrong."""
    if draft.steps is None:
        return (
            f"# What {draft.version} changes: added, dropped, changed; under each tables, columns, indexes and so on.\n"
            "# An added table covers its columns, constraints, indexes and sequences.\n"
            "added: {}\ndropped: {}\nchanged: {}\n"
        )
    if draft.steps.changes is None:
        return None
    lines = [f"# What {draft.version} changes."]
    for section in ("added", "dropped", "changed"):
        kinds = draft.steps.changes.get(section, {})
        lines.append(f"{section}:" + ("" if kinds else " {}"))
        for key, names in kinds.items():
            lines += [f"  {key}:", *(f"    - {quoted(name)}" for name in names)]
    return "\n".join(lines) + "\n"


def _yes(value: bool) -> str:
    return "true" if value else "false"


def quoted(text: str) -> str:
    """A YAML string that is one line, whatever is in it."""
    return json.dumps(text, ensure_ascii=False)


def check(written: Mapping[str, str], place: Path) -> None:
    """Nothing is written that `migrator check` would refuse to read."""
    from migrator.catalogue import metadata_model
    from migrator.input import yaml_source

    try:
        metadata_model.check(yaml_source.parse(written[METADATA_FILE].encode(), file=str(place)))
    except errors.InvalidInput as error:
        raise errors.UsageError("; ".join(f"{one.key}: {one.message}" for one in error.problems)) from error


def write(folder: Path, written: Mapping[str, str]) -> None:
    """All files or none: they are written beside and moved into place, and an existing folder is never touched."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        for name, content in written.items():
            (draft / name).write_text(content, encoding="utf-8")
        draft.chmod(0o755)
        if folder.exists():
            raise errors.UsageError(f"{str(folder)!r} exists already")
        os.rename(draft, folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
