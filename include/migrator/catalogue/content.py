"""What a migration's files say, as one digest: equal when the database would see the same, different otherwise.

Layout, comments, byte order marks and line ends are cosmetic; every token is not. The raw bytes have checksums beside
it, so that an edit without effect can be told from one with effect, and both from no edit at all.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migrator import documents
from migrator.catalogue import scripts
from migrator.errors import ContentChanged, InvalidInput
from migrator.parsing import suppressions
from migrator.parsing.sql_text import decode, read_sql
from migrator.parsing.statements import ParsedFile, parse
from migrator.problems import Problem

if TYPE_CHECKING:
    from migrator.catalogue.metadata import Metadata, StepSpec
    from migrator.catalogue.migration import Migration
    from migrator.plan import Plan
    from migrator.steps.contract import StepKind

logger = logging.getLogger(__name__)

MAX_DIFF_LINES = 200
COSMETIC = "what the database would see is the same"


def read_files(migration: Migration) -> dict[str, bytes]:
    """The bytes of every file of a migration that matters, by name relative to its folder; of one that is too large to
    be analysed only its beginning.

    :raises InvalidInput: when one cannot be read.
    """
    others = (migration.metadata_path, migration.rollback_path, migration.changes_path)
    names = [*sql_names(migration), *(_name(migration, path) for path in others if path)]
    files = {}
    for name in sorted(names):
        path = migration.folder / name
        try:
            files[name] = read_sql(path)
        except OSError as exc:
            raise InvalidInput(problems=(Problem(str(path), f"cannot be read: {exc.strerror}"),)) from exc
    return files


def checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of the raw bytes."""
    return {name: "sha256:" + hashlib.sha256(raw).hexdigest() for name, raw in sorted(files.items())}


def texts(files: Mapping[str, bytes]) -> dict[str, str]:
    """The files as text for a diff; a file that is no text is represented by its size."""
    return {name: decode(raw, file=name).text or f"({len(raw)} bytes)" for name, raw in sorted(files.items())}


def file_digest(parsed: ParsedFile) -> str:
    """One SQL file without its layout. What does not parse counts by its tokens, bookkeeping that is left out as a
    part of its own, and of the comments those by which the author allows a finding: reviewers decide on them, too. The
    file's own BEGIN and COMMIT change nothing."""
    allowed = [
        {"statement": item.statement, "rule": item.rule, "reason": item.reason, "until": item.until}
        for item in suppressions.read(parsed).valid
    ]
    sql = [*(statement.digest for statement in parsed.statements), *parsed.unparsed]
    left_out = [one.digest for one in parsed.aside.bookkeeping]
    others = {**({"allowed": allowed} if allowed else {}), **({"left_out": left_out} if left_out else {})}
    return documents.digest([*sql, others] if others else sql)


def content_digest(
    *,
    sql: Mapping[str, ParsedFile],
    rollback: ParsedFile | None,
    expected_changes: Any,
    metadata: Metadata | None,
) -> str:
    """Everything that a review covers: SQL by step file, rollback, expected changes, and behaviour in the metadata.

    The schedule is not in it: moving a migration to another window does not change what it does, and preflight reads
    the schedule afresh.
    """
    return documents.digest(
        {
            "sql": {name: file_digest(parsed) for name, parsed in sql.items()},
            "rollback": None if rollback is None else file_digest(rollback),
            "expected_changes": documents.to_dict(expected_changes),
            "metadata": None if metadata is None else _behaviour(metadata),
        }
    )


def _behaviour(metadata: Metadata) -> dict[str, Any]:
    fields = (
        "version", "risk_level", "type", "requires_downtime", "dependencies", "steps", "verify", "on_failure",
        "allow", "lock_timeout_ms", "statement_timeout_ms", "transaction",
    )  # fmt: skip
    found = {name: documents.to_dict(getattr(metadata, name)) for name in fields}
    return {**found, "steps": [documents.to_dict(step.behaviour()) for step in metadata.steps]}


def diff(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Unified diff of two sets of files, at most MAX_DIFF_LINES lines; "" when they are equal."""
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        lines += difflib.unified_diff(
            (before or "").splitlines(),
            (after or "").splitlines(),
            "/dev/null" if before is None else f"reviewed/{name}",
            "/dev/null" if after is None else f"now/{name}",
            lineterm="",
        )
    if len(lines) > MAX_DIFF_LINES:
        lines = [*lines[:MAX_DIFF_LINES], f"... and {len(lines) - MAX_DIFF_LINES} more lines"]
    return "\n".join(lines)


def sql_names(migration: Migration) -> tuple[str, ...]:
    """The SQL files of the steps in the order in which they run, each once."""
    return tuple(dict.fromkeys(_name(migration, path) for path in migration.sql_paths))


def source_name(migration: Migration, step: StepSpec) -> str:
    """Where the SQL of a step stands: its file, or the metadata where the kind makes it from its parameters."""
    if step.reads_file:
        return _name(migration, migration.step_path(step))
    return f"{_name(migration, migration.metadata_path)}#{step.name}"


def parse_sql(migration: Migration, files: Mapping[str, bytes], *, major: int | None = None) -> dict[str, ParsedFile]:
    """The SQL of all steps by the name of its source, in the order in which they run.

    :param major: of the server that it is for; without it a kind makes what every server takes.
    """
    if not migration.steps:
        return {name: _alone(files[name], name, migration.version) for name in sql_names(migration)}
    found: dict[str, ParsedFile] = {}
    for step in migration.steps:
        name = source_name(migration, step)
        if name not in found:
            found[name] = _of_step(step, name, files, migration, major)
    return found


def _alone(raw: bytes, name: str, version: str) -> ParsedFile:
    parsed = scripts.read(raw, file=name, version=version)
    return replace(parsed, step_kind=kind_of_file(parsed))


def kind_of_file(parsed: ParsedFile) -> str:
    """Which step the file of a migration without `steps:` is."""
    single = len(parsed.statements) == 1 and parsed.statements[0].kind == "CREATE INDEX CONCURRENTLY"
    return "create_index" if single else "sql"


def made_sql(migration: Migration, major: int) -> dict[str, ParsedFile]:
    """What kinds make from their parameters for a server of this version, by the name of its source."""
    made = {source_name(migration, step): step for step in migration.steps if not step.reads_file}
    return {name: _made(step, name, major) for name, step in made.items()}


def _made(step: StepSpec, name: str, major: int | None) -> ParsedFile:
    from migrator.steps.kinds import kind_named, parameters_of

    kind = kind_named(step.kind)
    parsed = parse(kind.sql(parameters_of(kind, step.parameters), major), file=name)
    own = not kind.UNDONE_BY_SCRIPT
    blocks = () if kind.ONE_BY_ONE else tuple(_blocks(kind, parsed))
    return replace(parsed, transaction=False, blocks=blocks, step_kind=step.kind, undoes_itself=own)


def _blocks(kind: StepKind, parsed: ParsedFile) -> Iterator[tuple[int, int]]:
    """Of what a kind makes, a phase that needs the window is one transaction."""
    from migrator.steps.contract import Written

    first = 0
    for phase in kind.plan(Written("", parsed.statements, ())).phases:
        if phase.needs_window and phase.statements > 1:
            yield first, first + phase.statements - 1
        first += phase.statements


def _of_step(
    step: StepSpec, name: str, files: Mapping[str, bytes], migration: Migration, major: int | None
) -> ParsedFile:
    from migrator.steps.kinds import kind_named

    if not step.reads_file:
        return _made(step, name, major)
    kind = kind_named(step.kind)
    parsed = scripts.read(files[name], file=name, version=migration.version)
    alone = False if kind.ONE_BY_ONE else step.parameters.get("transaction")
    problems = (*parsed.problems, *kind.problems(parsed))
    return replace(parsed, problems=problems, transaction=alone, step_kind=step.kind)


def parse_rollback(migration: Migration, files: Mapping[str, bytes]) -> ParsedFile | None:
    name = rollback_name(migration)
    return None if name is None else scripts.read(files[name], file=name, version=migration.version)


def rollback_name(migration: Migration) -> str | None:
    return None if migration.rollback_path is None else _name(migration, migration.rollback_path)


def _name(migration: Migration, path: Path) -> str:
    return path.relative_to(migration.folder).as_posix()


def current_digest(migration: Migration, files: Mapping[str, bytes]) -> str:
    """The content digest of the files as they are now."""
    return content_digest(
        sql=parse_sql(migration, files),
        rollback=parse_rollback(migration, files),
        expected_changes=expected_changes(migration),
        metadata=migration.metadata,
    )


def expected_changes(migration: Migration) -> Any:
    """schema_changes.yaml as a plain value, or None."""
    if migration.changes_path is None:
        return None
    from migrator.catalogue.expected_changes_model import load_expected

    return documents.to_dict(load_expected(migration.changes_path))


def check_disk(plan: Plan, migration: Migration) -> tuple[str, ...]:
    """Compares the files with the plan. Gives a note for each edit that has no effect on the database.

    :raises ContentChanged: when the database would see something else than what was analysed and reviewed.
    """
    files = read_files(migration)
    now = checksums(files)
    digest = current_digest(migration, files)
    changed = sorted(name for name in now.keys() | plan.checksums.keys() if now.get(name) != plan.checksums.get(name))
    if digest != plan.content_digest:
        difference = diff(plan.files, texts(files))
        what = ", ".join(changed) or "something in its metadata"
        raise ContentChanged(
            f"the migration differs from what was analysed: {what} changed (digest {plan.content_digest[:19]} then, "
            f"{digest[:19]} now); put it back, or run it again from analyze and have it reviewed again:\n{difference}",
            old_digest=plan.content_digest,
            new_digest=digest,
            diff=difference,
        )
    notes = tuple(f"{name} was edited since the plan was made; the edit is cosmetic: {COSMETIC}" for name in changed)
    for note in notes:
        logger.info("%s", note)
    return notes
