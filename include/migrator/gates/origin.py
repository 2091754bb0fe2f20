"""Is the plan made of these files? Its digest says that nobody has changed the plan since it was reviewed, and the
content digest that nobody has changed the files. That the one was made from the other is asked here, by making it anew.

A plan lies in a storage that others may write to, and its statements stand beside the files' digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from migrator.analysis.plan_steps import build_steps, rollback_steps
from migrator.catalogue import content
from migrator.errors import ContentChanged
from migrator.parsing.statements import parse
from migrator.plan import Plan, Step

if TYPE_CHECKING:
    from migrator.catalogue.migration import Migration

Outline = tuple[tuple[str, str, tuple[str, ...]], ...]
"""Name and kind of each step, and what its statements are, whatever their blanks and comments."""


def require(plan: Plan, migration: Migration) -> None:
    """:raises ContentChanged: it says something else than these files do."""
    found = tuple(_differences(plan, migration))
    if found:
        raise ContentChanged(
            f"the plan of {plan.version!r} was not made from these files: {'; '.join(found)}. find out who has changed"
            " it, then run it again from analyze and have it reviewed again",
            old_digest=plan.content_digest,
            new_digest="",
            diff="",
        )


def _differences(plan: Plan, migration: Migration) -> Iterator[str]:
    raw, metadata = content.read_files(migration), migration.metadata
    major = None if plan.server_version_num is None else plan.server_version_num // 10_000
    if outline(plan.steps) != outline(build_steps(migration, content.parse_sql(migration, raw, major=major))):
        yield "other statements"
    if outline(plan.rollback_steps) != outline(rollback_steps(content.parse_rollback(migration, raw))):
        yield "another rollback"
    if plan.risk.rank < metadata.risk_level.rank:
        yield f"risk {plan.risk.value}, and the metadata declares {metadata.risk_level.value}"
    pairs = {
        "author": (plan.author, metadata.author),
        "assertions": (plan.assertions, metadata.verify),
        "on_failure": (plan.on_failure, metadata.on_failure),
        "dependencies": (plan.dependencies, metadata.dependencies),
        "lock_timeout": (plan.lock_timeout_ms, metadata.lock_timeout_ms),
        "statement_timeout": (plan.statement_timeout_ms, metadata.statement_timeout_ms),
    }
    yield from (f"another {name}" for name, (planned, declared) in pairs.items() if planned != declared)


def outline(steps: Iterable[Step]) -> Outline:
    """By the text that would be sent, not by the digest that stands beside it. Pure."""
    return tuple(
        (
            step.name,
            step.kind,
            tuple(
                digest
                for statement in step.statements
                for digest in [item.digest for item in parse(statement.sql, file="").statements] or ["nothing"]
            ),
        )
        for step in steps
    )
